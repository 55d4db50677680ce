"""What an annotator model makes of votes: a label for each pair, and a line about each annotator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from alidade.errors import DataError
from alidade.preferences.annotators import AnnotatorModel, fit_annotators
from alidade.preferences.ballots import LEFT, RIGHT, TIE, Ballots, Orders
from alidade.preferences.tally import Pair, implied_votes, pair_of
from alidade.records import Choice, Estimate, RankingVote, Record, Vote

OUTCOMES: Mapping[Choice, int] = {"left": LEFT, "right": RIGHT, "tie": TIE}
Answer = tuple[str, int]  # a prompt and the number of an answer to it


class Reliability(Record):
    """One annotator: the share of votes given with attention, skill, and how much oftener than half the left of equals is picked.

    `skill` is how often the better of two answers a typical gap apart is picked, whichever is shown left; 1/2 is a coin.
    """

    annotator: str
    attention: Estimate
    skill: Estimate
    side_bias: Estimate


class Voters(Record):
    """Who voted; the pool's side bias, which is the annotators' own, weighted by their votes; and the gap that skill is measured at.

    `typical_gap` is the median of what was voted on, in log-odds of a careful vote.
    """

    annotators: tuple[Reliability, ...]
    pool_side_bias: Estimate
    typical_gap: float


@dataclass(frozen=True)
class Belief:
    """P(the answer of the lower number is better) of each pair that was voted on; and who voted."""

    labels: Mapping[Pair, float]
    voters: Voters


def believe(
    votes: Sequence[Vote], rankings: Sequence[RankingVote] = (), *, scores: Mapping[Answer, float] | None = None
) -> Belief:
    """Fit an annotator model to `votes` and `rankings`.

    A ranking of two answers is a vote; one of more answers that are all tied says nothing.
    `scores` says what is known of the answers beforehand, such as a reward model's scores; how much they count is fitted. They should come
    from a model that has not been trained on the prompt, or its votes count twice.

    Raises:
        DataError: when there are no votes, one compares an answer with itself, or one is about an answer without a score.
    """
    asked = [*votes, *implied_votes(ranking for ranking in rankings if len(ranking.shown) == 2)]
    longer = [ranking for ranking in rankings if len(ranking.shown) > 2 and len(set(ranking.ranks)) > 1]
    for vote in asked:
        if vote.left == vote.right:
            raise DataError("an answer is compared with itself", where=f"vote {vote.id}")
    room = _Room(scores)
    names = sorted({act.annotator for act in (*asked, *longer)})
    number = {name: place for place, name in enumerate(names)}
    model = fit_annotators(room.ballots(asked, number, room.orders(longer, number)))
    pairs = list(dict.fromkeys([*map(pair_of, asked), *(pair for ranking in longer for pair in _pairs_of(ranking))]))
    left, right = (
        np.array([room.number(pair.prompt_id, pair.attribute, getattr(pair, side)) for pair in pairs])
        for side in ("left", "right")
    )
    known = np.array([room.known(pair.prompt_id, pair.left, pair.right) for pair in pairs])
    labels = model.label_prob(left, right, known)
    return Belief(dict(zip(pairs, labels.tolist(), strict=True)), _voters(names, model))


def believe_with_scores(
    votes: Sequence[Vote], scored: Callable[[Belief], Mapping[Answer, float]], *, rounds: int = 2
) -> Belief:
    """Fit annotators and a scorer in turns: `scored` learns from the labels of a belief, and its scores support the next one."""
    belief = believe(votes)
    for _ in range(rounds):
        belief = believe(votes, scores=scored(belief))
    return belief


@dataclass(frozen=True)
class _Room:
    """Numbers for answers, as they are met."""

    scores: Mapping[Answer, float] | None
    numbers: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def number(self, prompt_id: str, attribute: str, answer: int) -> int:
        return self.numbers.setdefault((prompt_id, attribute, answer), len(self.numbers))

    def score(self, prompt_id: str, answer: int) -> float:
        if self.scores is None:
            return 0.0
        if (prompt_id, answer) not in self.scores:
            message = f"answer {answer} was voted on and has no score"
            raise DataError(message, where=f"prompt {prompt_id}", hint="score every answer")
        return self.scores[prompt_id, answer]

    def known(self, prompt_id: str, left: int, right: int) -> float:
        return self.score(prompt_id, left) - self.score(prompt_id, right)

    def ballots(self, votes: Sequence[Vote], number: Mapping[str, int], orders: Sequence[Orders]) -> Ballots:
        rows = [
            (
                number[vote.annotator],
                self.number(vote.prompt_id, vote.attribute, vote.left),
                self.number(vote.prompt_id, vote.attribute, vote.right),
                OUTCOMES[vote.choice],
                (vote.strength or 0) if vote.choice != "tie" else 0,
            )
            for vote in votes
        ]
        *columns, strength = np.array(rows, dtype=np.int64).reshape(-1, 5).T
        known = np.array([self.known(vote.prompt_id, vote.left, vote.right) for vote in votes])
        return Ballots(*columns, known=None if self.scores is None else known, strength=strength, orders=tuple(orders))

    def orders(self, rankings: Sequence[RankingVote], number: Mapping[str, int]) -> list[Orders]:
        """Those with as many answers, tied in the same places, together."""
        groups: dict[tuple[int, ...], list[tuple[int, list[int], list[int], list[float]]]] = defaultdict(list)
        for ranking in rankings:
            places = sorted(range(len(ranking.shown)), key=lambda place: ranking.ranks[place])
            tied = tuple(ranking.ranks.count(rank) for rank in sorted(set(ranking.ranks)))
            answers = [self.number(ranking.prompt_id, ranking.attribute, ranking.shown[place]) for place in places]
            worth = [self.score(ranking.prompt_id, ranking.shown[place]) for place in places]
            groups[tied].append((number[ranking.annotator], answers, places, worth))
        found = []
        for tied, rows in groups.items():
            who, answers, places, worth = map(np.array, zip(*rows, strict=True))
            found.append(Orders(who, answers, places, tied, None if self.scores is None else worth))
        return found


def _pairs_of(ranking: RankingVote) -> list[Pair]:
    return [Pair(ranking.prompt_id, *pair, ranking.attribute) for pair in combinations(sorted(ranking.shown), 2)]


def _voters(names: Sequence[str], model: AnnotatorModel) -> Voters:
    rows = zip(names, model.reliability(), model.skill(), model.side_bias(), strict=True)
    each = (
        Reliability(annotator=name, attention=attention, skill=skill, side_bias=side)
        for name, attention, skill, side in rows
    )
    return Voters(annotators=tuple(each), pool_side_bias=model.pool_side_bias(), typical_gap=model.typical_gap)
