"""What an annotator model makes of votes: a label for each pair, and a line about each annotator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alidade.preferences.annotators import AnnotatorModel, fit_annotators
from alidade.preferences.ballots import LEFT, RIGHT, TIE, Ballots
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Estimate, Record, Vote

OUTCOMES = {"left": LEFT, "right": RIGHT, "tie": TIE}


class Reliability(Record):
    """One annotator: the share of votes given with attention, and how much oftener than half the left of equals is picked."""

    annotator: str
    attention: Estimate
    side_bias: Estimate


class Voters(Record):
    """Who voted, and the pool's side bias: the annotators' own, weighted by their votes."""

    annotators: tuple[Reliability, ...]
    pool_side_bias: Estimate


@dataclass(frozen=True)
class Belief:
    """P(the answer of the lower number is better) of each pair that was voted on; and who voted."""

    labels: Mapping[Pair, float]
    voters: Voters


def believe(votes: Sequence[Vote]) -> Belief:
    """Fit an annotator model to `votes`.

    Raises:
        DataError: when there are no votes, or one compares an answer with itself.
    """
    names = sorted({vote.annotator for vote in votes})
    number = {name: place for place, name in enumerate(names)}
    answers: dict[tuple[str, str, int], int] = {}

    def answer(vote: Vote, shown: int) -> int:
        return answers.setdefault((vote.prompt_id, vote.attribute, shown), len(answers))

    rows = [
        (number[vote.annotator], answer(vote, vote.left), answer(vote, vote.right), OUTCOMES[vote.choice])
        for vote in votes
    ]
    model = fit_annotators(Ballots(*np.array(rows, dtype=np.int64).reshape(-1, 4).T))
    pairs = list(dict.fromkeys(map(pair_of, votes)))
    left, right = (
        np.array([answers[pair.prompt_id, pair.attribute, getattr(pair, side)] for pair in pairs])
        for side in ("left", "right")
    )
    labels = model.label_prob(left, right)
    return Belief(dict(zip(pairs, labels.tolist(), strict=True)), _voters(names, model))


def _voters(names: Sequence[str], model: AnnotatorModel) -> Voters:
    rows = zip(names, model.reliability(), model.side_bias(), strict=True)
    each = (Reliability(annotator=name, attention=attention, side_bias=side) for name, attention, side in rows)
    return Voters(annotators=tuple(each), pool_side_bias=model.pool_side_bias())
