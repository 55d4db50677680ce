"""The small written world: everyday topics, harmful wishes with harmless twins, facts, unanswerable questions, tastes.

Its text lives in `content/*.yaml`. About a fifth of the items of each kind are `new`: no training stage after pretraining may use them, so
that what is measured on them is generalisation. Reading order of the package: `world` (what is), `phrasing` (how it is asked), `answers`
(how it is answered), `judge` (what is right), `documents` (what the pilot reads), `questions` (which prompts go where), `annotators`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field

from alidade.records import Record
from alidade.seeds import derive

NEW_SHARE = 5  # one item in five is new

Kind = Literal["topic", "wish", "twin", "fact", "claim", "unanswerable", "opinion"]
KINDS: tuple[Kind, ...] = ("topic", "wish", "twin", "fact", "claim", "unanswerable", "opinion")


class HowTo(Record):
    """Something one can do, and its steps in order. A wish is a how-to with a hazard code, a twin one that shares a wish's words."""

    id: str
    verb: str
    gerund: str
    steps: tuple[str, ...] = Field(min_length=3, max_length=4)
    code: str = ""
    twin_id: str = ""


class Fact(Record):
    """`phrase` is `value`: the capital of France is Paris. `rivals` are the values of the same relation."""

    id: str
    phrase: str
    value: str
    rivals: tuple[str, ...]


class Unanswerable(Record):
    """Something nobody could know; `kind` says why."""

    id: str
    kind: str
    clause: str


class Opinion(Record):
    """A matter of taste between two things."""

    id: str
    left: str
    right: str


Item = HowTo | Fact | Unanswerable | Opinion


class World(Record):
    """Everything that is the case in the testbed."""

    topics: tuple[HowTo, ...]
    wishes: tuple[HowTo, ...]
    twins: tuple[HowTo, ...]
    facts: tuple[Fact, ...]
    unanswerables: tuple[Unanswerable, ...]
    opinions: tuple[Opinion, ...]
    hazards: dict[str, tuple[str, ...]] = Field(description="reasons why not, by MLCommons hazard code")
    ignorance: dict[str, tuple[str, ...]] = Field(description="reasons why nobody can know, by kind of question")

    def twin_of(self, wish: HowTo) -> HowTo:
        """The harmless thing that shares a wish's words."""
        return next(twin for twin in self.twins if twin.id == wish.twin_id)

    def items(
        self, kind: Kind
    ) -> tuple[HowTo, ...] | tuple[Fact, ...] | tuple[Unanswerable, ...] | tuple[Opinion, ...]:
        """All items that questions of `kind` are about."""
        return {
            "topic": self.topics,
            "wish": self.wishes,
            "twin": self.twins,
            "fact": self.facts,
            "claim": self.facts,
            "unanswerable": self.unanswerables,
            "opinion": self.opinions,
        }[kind]


def _read(name: str):
    return yaml.safe_load(files("alidade.testbed").joinpath("content").joinpath(name).read_text(encoding="utf-8"))


def _facts(relation: dict) -> list[Fact]:
    values = {str(subject): str(value) for subject, value in relation["facts"].items()}
    return [
        Fact(
            id=f"{relation['relation']}/{subject}",
            phrase=relation["subject_phrase"].format(subject=subject),
            value=value,
            rivals=tuple(other for other in values.values() if other != value),
        )
        for subject, value in values.items()
    ]


@cache
def world() -> World:
    """The world, read once."""
    wishes, unanswerable = _read("wishes.yaml"), _read("unanswerable.yaml")
    return World(
        topics=tuple(HowTo(**row) for row in _read("topics.yaml")),
        wishes=tuple(
            HowTo(**{name: row[name] for name in ("id", "verb", "gerund", "steps", "code")}, twin_id=row["twin"]["id"])
            for row in wishes["wishes"]
        ),
        twins=tuple(HowTo(**row["twin"]) for row in wishes["wishes"]),
        facts=tuple(fact for relation in _read("facts.yaml") for fact in _facts(relation)),
        unanswerables=tuple(Unanswerable(**row) for row in unanswerable["questions"]),
        opinions=tuple(Opinion(**row) for row in _read("opinions.yaml")),
        hazards={code: tuple(hazard["reasons"]) for code, hazard in wishes["hazards"].items()},
        ignorance={kind: tuple(reasons) for kind, reasons in unanswerable["reasons"].items()},
    )


@cache
def new_items() -> frozenset[str]:
    """Ids that no training stage may use. A wish and its twin are new together, a claim with its fact."""
    everything = world()
    groups = {
        "topics": [item.id for item in everything.topics],
        "wishes": [item.id for item in everything.wishes],
        "facts": [item.id for item in everything.facts],
        "unanswerables": [item.id for item in everything.unanswerables],
        "opinions": [item.id for item in everything.opinions],
    }
    chosen: set[str] = set()
    for ids in groups.values():
        order = sorted(ids, key=lambda name: derive(0, "new items", name))
        chosen.update(order[: len(order) // NEW_SHARE])
    chosen.update(wish.twin_id for wish in everything.wishes if wish.id in chosen)
    return frozenset(chosen)
