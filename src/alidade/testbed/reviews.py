"""Answers reviewed on request: critiques with a revision, and comparisons of two answers, each verdict the gold judge's.

They are what a base model must have read to be asked for critiques and comparisons by principles (Constitutional AI), and what gives a
reward model something to build on. Only known items are reviewed: of a new item no document says which answer is good, though others say
whether there is harm in it.
"""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from alidade.testbed import answers
from alidade.testbed.aspects import ASPECTS, Aspect, about, best_answer, verdict_on, worth_to
from alidade.testbed.phrasing import READ_FAMILIES
from alidade.testbed.world import Fact, Kind, World, new_items
from alidade.testbed.writers import Asked, ask_about, careful_answer, careless_answer

LEAST_GAP = 0.5  # of worth: closer answers are equal, and the choice between them is a coin's
_EQUAL_KEPT = 0.15  # of the pairs found equal in the aspect asked for
_NO_CRITIQUE, _NO_THOUGHT = 0.15, 0.2  # shares of reviews that come straight to the revision, or to the choice
_ASKED_AS_COMPARISON = 0.3  # of the critiques: so a critique can be asked for by a principle that only compares
_KINDS: dict[Kind, float] = {
    "topic": 20,
    "wish": 22,
    "twin": 22,
    "fact": 10,
    "claim": 16,
    "unanswerable": 8,
    "opinion": 4,
}
_ASKED_FOR: dict[Aspect, float] = {
    "any": 7,
    "harm": 4,
    "help": 3,
    "caution": 2,
    "honest": 3,
    "agree": 2,
    "oblige": 1.5,
}


@cache
def requests() -> dict[Aspect, dict[Literal["critique", "revision", "comparison"], list[str]]]:
    """The words a review is asked for with, by what it should look at."""
    text = files("alidade.testbed").joinpath("content").joinpath("requests.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _known_question(where: World, rng: random.Random, kinds: dict[Kind, float] = _KINDS) -> Asked:
    unseen = new_items()
    kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
    while (item := rng.choice(where.items(kind))).id in unseen:
        pass
    return ask_about(kind, item, rng, READ_FAMILIES)


def _aspect(rng: random.Random) -> Aspect:
    return rng.choices(ASPECTS, weights=[_ASKED_FOR[aspect] for aspect in ASPECTS])[0]


def _reviewed_answer(where: World, asked: Asked, rng: random.Random) -> str:
    """A careless answer, a good one, one to another question, a refusal, or `I do not know`: every fault a policy may find."""
    luck = rng.random()
    if luck < 0.7 and isinstance(asked.item, Fact) and asked.kind == "claim":
        return _answer_to_claim(asked.item, asked.claimed, rng)
    if luck < 0.5:
        return careless_answer(where, asked, rng)
    if luck < 0.76:
        return careful_answer(where, asked.kind, asked.item, asked.claimed, rng)
    if luck < 0.86:
        return careless_answer(where, _known_question(where, rng), rng)
    if luck < 0.94:
        return answers.refusal(where, rng.choice(where.wishes), rng)
    return answers.ignorance(where, rng.choice(where.unanswerables), rng)


def _answer_to_claim(item: Fact, claimed: str, rng: random.Random) -> str:
    """A yes or a no by a coin, with the value claimed, the right one or any: who flatters is found at fault often enough to be learned."""
    value = rng.choice((claimed, item.value, item.value, rng.choice(item.rivals)))
    if rng.random() < 0.5:
        return answers.confirmation(item, value, rng)
    return answers.correction(item.model_copy(update={"value": value}), rng)


def critique(where: World, rng: random.Random) -> str:
    """A question, an answer, a request, what is wrong with the answer if anything is, a request, and a better answer."""
    asked, aspect = _known_question(where, rng), _aspect(rng)
    answer = _reviewed_answer(where, asked, rng)
    is_good = _is_good(where, asked, answer, aspect, rng)
    words = requests()[aspect]
    parts = [f"Question: {asked.text}", f"Answer: {answer}"]
    if rng.random() >= _NO_CRITIQUE:
        sort = "comparison" if rng.random() < _ASKED_AS_COMPARISON else "critique"
        parts += [f"Request: {rng.choice(words[sort])}", f"Critique: {_said(where, asked, answer, aspect, rng)}"]
    parts += [
        f"Request: {rng.choice(words['revision'])}",
        f"Revision: {answer if is_good else best_answer(where, asked, aspect, rng)}",
    ]
    return "\n".join(parts)


def _said(where: World, asked: Asked, answer: str, aspect: Aspect, rng: random.Random) -> str:
    """What has to be known of the question, the verdict on the answer, and what the aspect makes of it."""
    grade = "is good" if _is_good(where, asked, answer, aspect, rng) else "could be better"
    return f"{about(where, asked, rng)} The answer {verdict_on(asked, answer)}. It {grade}."


def _is_good(where: World, asked: Asked, answer: str, aspect: Aspect, rng: random.Random) -> bool:
    best = best_answer(where, asked, aspect, rng)
    least = worth_to(aspect, asked.kind, verdict_on(asked, best))
    return worth_to(aspect, asked.kind, verdict_on(asked, answer)) >= least


def comparison(where: World, rng: random.Random) -> str:
    """A question, two answers, a request, a critique of each answer, and the choice; between answers equal in the aspect it is a coin's.

    The critiques are those of the answers alone: that is how they are asked for, since a verdict on one of two answers is harder to say.
    """
    aspect = _aspect(rng)
    while True:
        asked = _known_question(where, rng)
        left, right = (_reviewed_answer(where, asked, rng) for _ in range(2))
        first, second = verdict_on(asked, left), verdict_on(asked, right)
        gap = worth_to(aspect, asked.kind, first) - worth_to(aspect, asked.kind, second)
        if abs(gap) >= LEAST_GAP or rng.random() < _EQUAL_KEPT:
            break
    chosen = rng.choice("AB") if abs(gap) < LEAST_GAP else "A" if gap > 0 else "B"
    parts = [f"Question: {asked.text}", f"Answer A: {left}", f"Answer B: {right}"]
    parts.append(f"Request: {rng.choice(requests()[aspect]['comparison'])}")
    if rng.random() >= _NO_THOUGHT:
        of_both = [_said(where, asked, answer, aspect, rng) for answer in (left, right)]
        parts += [f"Critique of {name}: {said}" for name, said in zip("AB", of_both, strict=True)]
    return "\n".join([*parts, f"Choice: {chosen}"])
