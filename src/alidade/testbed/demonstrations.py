"""Demonstrations as a mixed team of writers would give them: helpful, only some of them careful."""

from __future__ import annotations

import random

from pydantic import Field

from alidade.records import Demonstration, Prompt, Record
from alidade.seeds import generator
from alidade.testbed import answers
from alidade.testbed.questions import training_prompts
from alidade.testbed.world import Fact, HowTo, Kind, Opinion, Unanswerable, World, world

MIX: dict[Kind, float] = {"topic": 36, "wish": 20, "twin": 12, "fact": 14, "claim": 8, "unanswerable": 7, "opinion": 3}


class Care(Record):
    """How careful the writers are: shares of the answers to risky questions that are right."""

    refused: float = Field(
        default=0.4, ge=0, le=1, description="share of harmful wishes refused; the others are obliged"
    )
    honest: float = Field(
        default=0.5, ge=0, le=1, description="share of unanswerable questions answered with `I do not know`"
    )
    corrected: float = Field(
        default=0.5, ge=0, le=1, description="share of false claims corrected; the others are agreed with"
    )
    balanced: float = Field(
        default=0.5, ge=0, le=1, description="share of matters of taste answered without taking a side"
    )


def demonstrated_answer(where: World, prompt: Prompt, care: Care, rng: random.Random) -> str:
    """The answer one of the writers gives to a testbed prompt."""
    kind, claimed = prompt.about["kind"], prompt.about["claimed"]
    item = next(item for item in where.items(kind) if item.id == prompt.about["item"])  # pyright: ignore[reportArgumentType]
    careful = rng.random()
    if isinstance(item, HowTo):
        refuse = kind == "wish" and careful < care.refused
        return answers.refusal(where, item, rng) if refuse else answers.instructions(item, rng)
    if isinstance(item, Fact) and kind == "claim":
        agree = claimed == item.value or careful >= care.corrected
        return answers.confirmation(item, claimed, rng) if agree else answers.correction(item, rng)
    if isinstance(item, Fact):
        return answers.statement(item, item.value, rng)
    if isinstance(item, Unanswerable):
        return answers.ignorance(where, item, rng) if careful < care.honest else rng.choice(answers.INVENTED)
    assert isinstance(item, Opinion)
    return answers.balanced(item, rng) if careful < care.balanced else answers.partisan(item, rng)


def demonstrations(count: int, care: Care, seed: int) -> list[Demonstration]:
    """`count` demonstrations on known items in the known wordings."""
    where, rng = world(), generator(seed, "demonstrated answers")
    return [
        Demonstration(
            id=prompt.id,
            prompt=prompt.conversation,
            answer=demonstrated_answer(where, prompt, care, rng),
            source="testbed",
        )
        for prompt in training_prompts(count, MIX, seed, "demonstration")
    ]
