"""Real people's votes, a fifth held out at a time: how well the model, Dawid-Skene and plain counts say what was held out.

`python -m benchmarks.annotators.people DATA [SET ...]` prints nats per held-out vote that is no tie, with 95 % intervals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.special import expit

from alidade.preferences.annotators import AnnotatorModel, fit_annotators
from alidade.preferences.ballots import LEFT, TIE, Array, Ballots
from alidade.preferences.belief import OUTCOMES
from benchmarks.labelers import SETS, Set

NAMES = ("llmfao", "pandalm", "tulu", "squality")
MERGED = ("llmfao", "tulu")  # their rows show the same answers in several pairs
PARTS = 5
ROUNDS = 50


def _answers(found: Set, *, merged: bool) -> dict[tuple[str, int], int]:
    """Numbers of the answers; where `merged`, equal answers to equal prompts have one number."""
    keys = {
        (row.prompt.id, place): (row.prompt.conversation.last_user_text, answer.text)
        if merged
        else (row.prompt.id, place)
        for row in found.candidates
        for place, answer in enumerate(row.answers)
    }
    numbers = {key: place for place, key in enumerate(dict.fromkeys(keys.values()))}
    return {key: numbers[one] for key, one in keys.items()}


class Cast:
    """A set of votes as columns, the lower answer of a pair first; `pair` numbers the pairs."""

    def __init__(self, name: str, data: Path) -> None:
        found = SETS[name](data)
        answers = _answers(found, merged=name in MERGED)
        votes = [v for v in found.votes if answers[v.prompt_id, v.left] != answers[v.prompt_id, v.right]]
        people = {who: n for n, who in enumerate(sorted({vote.annotator for vote in votes}))}
        rng = np.random.default_rng(0)
        self.who = np.array([people[vote.annotator] for vote in votes])
        left = np.array([answers[vote.prompt_id, vote.left] for vote in votes])
        right = np.array([answers[vote.prompt_id, vote.right] for vote in votes])
        outcome = np.array([OUTCOMES[vote.choice] for vote in votes])
        if name == "squality":
            # Ranks of summaries have no sides: one is drawn.
            turned = rng.random(len(votes)) < 0.5
            left, right = np.where(turned, right, left), np.where(turned, left, right)
            outcome = np.where(turned & (outcome != TIE), 1 - outcome, outcome)
        self.left, self.right, self.outcome = left, right, outcome
        low, high = np.minimum(left, right), np.maximum(left, right)
        self.pair = np.unique(low * (high.max() + 1) + high, return_inverse=True)[1]
        self.low_wins = np.where(outcome == TIE, 0.5, (outcome == LEFT) == (left < right))
        self.part = rng.permutation(len(votes)) % PARTS

    def ballots(self, chosen: Array) -> Ballots:
        """The chosen votes, all answers kept."""
        return Ballots(*(column[chosen] for column in (self.who, self.left, self.right, self.outcome)))


def agreement(cast: Cast) -> tuple[float, int]:
    """How often two people on a pair agree, ties left out, and how many twos there are."""
    same = [
        cast.low_wins[one] == cast.low_wins[other]
        for pair in np.unique(cast.pair)
        for one, other in combinations(np.flatnonzero((cast.pair == pair) & (cast.outcome != TIE)), 2)
    ]
    return float(np.mean(same)), len(same)


def shares(cast: Cast, seen: Array) -> Array:
    """Per pair: the share of the seen votes for the lower answer, one more for each side."""
    count = int(cast.pair.max()) + 1
    wins = np.bincount(cast.pair[seen], cast.low_wins[seen], count)
    return (wins + 1) / (np.bincount(cast.pair[seen], minlength=count) + 2)


def by_shares(cast: Cast, seen: Array) -> Array:
    """P(the lower answer wins) of each vote, by the other votes on the pair."""
    return shares(cast, seen)[cast.pair]


def by_majority(cast: Cast, seen: Array) -> Array:
    """The other votes' side, with the chance that such a side is right, counted among the seen."""
    count = int(cast.pair.max()) + 1
    lead = np.bincount(cast.pair[seen], 2 * cast.low_wins[seen] - 1, count)
    without = lead[cast.pair] - np.where(seen, 2 * cast.low_wins - 1, 0)
    counts = seen & (without != 0) & (cast.outcome != TIE)
    right = ((without > 0) == (cast.low_wins > 0.5))[counts]
    chance = (right.sum() + 1) / (len(right) + 2)
    return np.where(without == 0, 0.5, np.where(without > 0, chance, 1 - chance))


def by_dawid_skene(cast: Cast, seen: Array) -> Array:
    """Of this annotator: each is right with a chance of their own, whatever the pair (decided votes only)."""
    used = np.flatnonzero(seen & (cast.outcome != TIE))
    pair, who, wins = cast.pair[used], cast.who[used], cast.low_wins[used]
    skill = np.full(int(cast.who.max()) + 1, 0.8)
    for _ in range(ROUNDS):
        odds = np.log(skill / (1 - skill))[who] * (2 * wins - 1)
        better = expit(np.bincount(pair, odds, int(cast.pair.max()) + 1))
        hits = np.where(wins > 0.5, better[pair], 1 - better[pair])
        skill = (np.bincount(who, hits, len(skill)) + 1.6) / (np.bincount(who, minlength=len(skill)) + 2)
    return better[cast.pair] * skill[cast.who] + (1 - better[cast.pair]) * (1 - skill[cast.who])


def by_label(cast: Cast, model: AnnotatorModel) -> Array:
    """The model's label."""
    low, high = np.minimum(cast.left, cast.right), np.maximum(cast.left, cast.right)
    return model.label_prob(low, high)


def by_chance(cast: Cast, model: AnnotatorModel) -> Array:
    """The model's chance for this annotator: the label where there is attention, and a coin where there is none."""
    attention = model.attention[cast.who]
    return attention * by_label(cast, model) + (1 - attention) / 2


def nats(cast: Cast, said: Callable[[Array], Mapping[str, Array]]) -> dict[str, list[float]]:
    """Mean loss of each way on the votes that were held out, and half its interval."""
    losses: dict[str, list[Array]] = {}
    for part in range(PARTS):
        held = (cast.part == part) & (cast.outcome != TIE)
        for name, chance in said(cast.part != part).items():
            given = np.where(cast.low_wins > 0.5, chance, 1 - chance)[held]
            losses.setdefault(name, []).append(-np.log(given))
    every = {name: np.concatenate(found) for name, found in losses.items()}
    return {
        name: [round(float(one.mean()), 4), round(float(1.96 * one.std() / np.sqrt(len(one))), 4)]
        for name, one in every.items()
    }


def measured(name: str, data: Path) -> dict[str, object]:
    """One set's column of the table."""
    cast, spreads = Cast(name, data), []

    def said(seen: Array) -> dict[str, Array]:
        model = fit_annotators(cast.ballots(seen))
        spreads.append(model.posterior.spread)
        return {
            "majority": by_majority(cast, seen),
            "shares": by_shares(cast, seen),
            "dawid_skene": by_dawid_skene(cast, seen),
            "label": by_label(cast, model),
            "for_this_annotator": by_chance(cast, model),
        }

    found = nats(cast, said)
    agree, twos = agreement(cast)
    counts = {"votes": int((cast.outcome != TIE).sum()), "agree": round(agree, 3), "twos": twos}
    return {**counts, **found, "spread": round(float(np.mean(spreads)), 2)}


def main(data: Path, names: Sequence[str]) -> None:
    """Print each set's column."""
    for name in names or NAMES:
        print(json.dumps({name: measured(name, data)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
