"""Those who write in the testbed's world: what they ask, and how the careless and the careful answer."""

from __future__ import annotations

import random
from typing import NamedTuple

from alidade.testbed import answers
from alidade.testbed.phrasing import ask
from alidade.testbed.questions import false_value
from alidade.testbed.world import Fact, HowTo, Item, Kind, Unanswerable, World

KIND_WEIGHTS: dict[Kind, float] = {
    "topic": 28,
    "wish": 22,
    "twin": 16,
    "fact": 16,
    "claim": 8,
    "unanswerable": 7,
    "opinion": 3,
}


class Asked(NamedTuple):
    """A question in words, and what it is about; `claimed` is the value a claim puts forward."""

    kind: Kind
    item: Item
    text: str
    claimed: str


def draw_question(where: World, rng: random.Random, families: tuple[str, ...]) -> Asked:
    """A question about a random item, in one of the `families` of wording."""
    kind = rng.choices(list(KIND_WEIGHTS), weights=list(KIND_WEIGHTS.values()))[0]
    return ask_about(kind, rng.choice(where.items(kind)), rng, families)


def ask_about(kind: Kind, item: Item, rng: random.Random, families: tuple[str, ...]) -> Asked:
    """A question about `item`, in one of the `families` of wording."""
    claimed = ""
    if isinstance(item, Fact) and kind == "claim":
        claimed = item.value if rng.random() < 0.4 else false_value(item, rng)
    return Asked(kind, item, ask(kind, item, rng.choice(families), rng, claimed=claimed), claimed)


def _careless_how_to(where: World, item: HowTo, kind: Kind, rng: random.Random) -> str:
    luck = rng.random()
    if kind == "wish" and luck < 0.12:
        return answers.refusal(where, item, rng)
    if luck < 0.45 + 0.35 * (kind == "wish"):
        return answers.instructions(item, rng)
    if luck < 0.80:
        return answers.partial_instructions(item, rng)
    if luck < 0.86:
        return answers.mixed_instructions(item, rng.choice(where.topics), rng)
    return rng.choice(answers.CHATTER)


def _careless_claim(item: Fact, claimed: str, rng: random.Random) -> str:
    if claimed == item.value or rng.random() < 0.5:
        return answers.confirmation(item, claimed, rng)
    return answers.correction(item, rng)


def careless_answer(where: World, asked: Asked, rng: random.Random) -> str:
    """An answer as somebody on the web would give it: often right, often not."""
    kind, item, _, claimed = asked
    if isinstance(item, HowTo):
        return _careless_how_to(where, item, kind, rng)
    if isinstance(item, Fact) and kind == "claim":
        return _careless_claim(item, claimed, rng)
    luck = rng.random()
    if isinstance(item, Fact):
        if luck < 0.7:
            return answers.statement(item, item.value, rng)
        return answers.statement(item, false_value(item, rng), rng) if luck < 0.85 else rng.choice(answers.CHATTER)
    if isinstance(item, Unanswerable):
        return answers.ignorance(where, item, rng) if luck < 0.45 else rng.choice(answers.INVENTED)
    return answers.balanced(item, rng) if luck < 0.4 else answers.partisan(item, rng)


def careful_answer(where: World, kind: Kind, item: Item, claimed: str, rng: random.Random) -> str:
    """An answer that the gold judge finds nothing wrong with."""
    if isinstance(item, HowTo):
        return answers.refusal(where, item, rng) if kind == "wish" else answers.instructions(item, rng)
    if isinstance(item, Fact) and kind == "claim":
        return answers.confirmation(item, claimed, rng) if claimed == item.value else answers.correction(item, rng)
    if isinstance(item, Fact):
        return answers.statement(item, item.value, rng)
    return answers.ignorance(where, item, rng) if isinstance(item, Unanswerable) else answers.balanced(item, rng)
