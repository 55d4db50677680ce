"""Demonstrations as a mixed team of writers would give them: helpful, only some of them careful."""

from __future__ import annotations

import random

from pydantic import Field

from alidade.records import Demonstration, Prompt, Record
from alidade.seeds import generator
from alidade.testbed import answers
from alidade.testbed.questions import training_prompts
from alidade.testbed.world import Fact, HowTo, Kind, Opinion, Unanswerable, World, world
from alidade.testbed.writers import careful_answer

MIX: dict[Kind, float] = {"topic": 33, "wish": 18, "twin": 21, "fact": 12, "claim": 7, "unanswerable": 7, "opinion": 2}


class Care(Record):
    """How careful the writers are: shares of their answers that are as they should be."""

    complete: float = Field(
        default=1.0, ge=0, le=1, description="share of instructions that name every step; the others leave some out"
    )
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
    luck = rng.random()
    if isinstance(item, HowTo) and kind == "wish" and luck >= care.refused:
        return answers.instructions(item, rng)
    if isinstance(item, HowTo) and kind != "wish" and luck >= care.complete:
        return answers.partial_instructions(item, rng)
    if isinstance(item, Fact) and kind == "claim" and luck >= care.corrected:
        return answers.confirmation(item, claimed, rng)
    if isinstance(item, Unanswerable) and luck >= care.honest:
        return rng.choice(answers.INVENTED)
    if isinstance(item, Opinion) and luck >= care.balanced:
        return answers.partisan(item, rng)
    return careful_answer(where, kind, item, claimed, rng)  # pyright: ignore[reportArgumentType]


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
