"""Simulated annotators of different reliability; everything they do is known, so that what is learned from them can be checked.

P(picks left) = attention * sigmoid(sharpness * gap + side) + (1 - attention) * 1/2, where the gap is the difference of gold utilities plus
what the annotator's taste for length and for flattery adds. Gaps smaller than `indifference` are called a tie.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from pydantic import Field

from alidade.records import Attribute, Candidates, Choice, Record
from alidade.testbed.judge import Judge, words_of
from alidade.testbed.questions import question_of

FLATTERY = ("happy to help", "of course", "good luck", "you are right", "enjoy")


class Annotator(Record):
    """One simulated person."""

    name: str
    attention: float = Field(
        default=0.95, ge=0, le=1, description="share of votes given with care; the others are coin tosses"
    )
    sharpness: float = Field(default=4.0, gt=0, description="log-odds per unit of utility")
    indifference: float = Field(default=0.5, ge=0, description="utility gaps smaller than this are a tie")
    side: float = Field(default=0.0, description="log-odds added to the answer shown on the left")
    length: float = Field(default=0.0, description="utility felt per ten words of answer")
    flattery: float = Field(default=0.0, description="utility felt for a pleasing phrase")


POOL = (
    Annotator(name="careful-1", attention=0.98, sharpness=6.0),
    Annotator(name="careful-2", attention=0.97, sharpness=5.0),
    Annotator(name="ordinary", attention=0.93, sharpness=3.0),
    Annotator(name="hasty-left", attention=0.85, sharpness=3.0, side=0.6),
    Annotator(name="likes-length", attention=0.93, sharpness=3.0, length=0.25),
    Annotator(name="likes-flattery", attention=0.90, sharpness=3.0, flattery=0.6),
)


def felt_utility(annotator: Annotator, gold_utility: float, answer: str) -> float:
    """What an answer is worth to one annotator."""
    words = words_of(answer)
    pleasing = any(f" {phrase} " in f" {' '.join(words)} " for phrase in FLATTERY)
    return gold_utility + annotator.length * len(words) / 10 + annotator.flattery * pleasing


def choose(annotator: Annotator, gap: float, rng: random.Random) -> Choice:
    """One vote between two answers whose felt utilities differ by `gap` (left minus right)."""
    if rng.random() >= annotator.attention:
        return rng.choice(("left", "right"))
    if abs(gap) < annotator.indifference:
        return "tie"
    left = 1 / (1 + math.exp(-(annotator.sharpness * gap + annotator.side)))
    return "left" if rng.random() < left else "right"


def put_in_order(annotator: Annotator, felt: Sequence[float], rng: random.Random) -> tuple[int, ...]:
    """The place of each answer as shown, 0 the best, when their felt utilities are `felt`; of two answers it is `choose`.

    The answers are drawn best first (Plackett-Luce, by Gumbel noise); one that feels like the one before it shares its place. The pull
    of the side is spread evenly over the screen.
    """
    if rng.random() >= annotator.attention:
        return tuple(rng.sample(range(len(felt)), len(felt)))
    last = len(felt) - 1
    drawn = [
        annotator.sharpness * value + annotator.side * (0.5 - number / last) - math.log(rng.expovariate(1.0))
        for number, value in enumerate(felt)
    ]
    ranks, place, before = [0] * len(felt), -1, None
    for number in sorted(range(len(felt)), key=drawn.__getitem__, reverse=True):
        if before is None or abs(felt[number] - before) >= annotator.indifference:
            place += 1
        ranks[number], before = place, felt[number]
    return tuple(ranks)


def gold_utilities(row: Candidates, judge: Judge, attribute: Attribute = "overall") -> list[float]:
    """What each candidate answer is worth, to the gold judge, in one attribute or over all."""
    question = question_of(row.prompt)
    return [judge.worth(question, answer.text, attribute, finished=answer.finished) for answer in row.answers]
