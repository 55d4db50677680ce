"""Simulated annotators of different reliability; everything they do is known, so that what is learned from them can be checked.

P(picks left) = attention * sigmoid(sharpness * gap + side) + (1 - attention) * 1/2, where the gap is the difference of gold utilities plus
what the annotator's taste for length and for flattery adds. Gaps smaller than `indifference` are called a tie.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations

from pydantic import Field

from alidade.records import Attribute, Candidates, Choice, Record, Vote
from alidade.seeds import generator
from alidade.testbed.judge import Judge, gold_judge, words_of
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


def gold_utilities(row: Candidates, judge: Judge, attribute: Attribute = "overall") -> list[float]:
    """What each candidate answer is worth, to the gold judge, in one attribute or over all."""
    question = question_of(row.prompt)
    return [judge.worth(question, answer.text, attribute, finished=answer.finished) for answer in row.answers]


def votes(
    rows: Sequence[Candidates],
    annotators_per_prompt: int,
    seed: int,
    attribute: Attribute = "overall",
    *,
    pool: Sequence[Annotator] = POOL,
) -> list[Vote]:
    """Every pair of every row's answers, voted on by a few annotators drawn for the row; display order drawn per vote."""
    judge, cast = gold_judge(), []
    for row in rows:
        rng = generator(seed, "votes", row.prompt.id)
        utilities = gold_utilities(row, judge, attribute)
        for annotator in rng.sample(pool, annotators_per_prompt):
            felt = [
                felt_utility(annotator, value, answer.text)
                for value, answer in zip(utilities, row.answers, strict=True)
            ]
            for pair in combinations(range(len(felt)), 2):
                left, right = pair if rng.random() < 0.5 else pair[::-1]
                cast.append(
                    Vote(
                        id=f"{row.prompt.id}/{left}-{right}/{annotator.name}",
                        prompt_id=row.prompt.id,
                        left=left,
                        right=right,
                        choice=choose(annotator, felt[left] - felt[right], rng),
                        annotator=annotator.name,
                        attribute=attribute,
                        source="testbed",
                    )
                )
    return cast
