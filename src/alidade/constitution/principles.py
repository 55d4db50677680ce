"""A constitution: principles in words, each with how it is asked, and tiers that say which of two yields.

One document holds both styles of the field: a list of principles with their questions (Bai et al. 2022, arXiv 2212.08073), and prose
in tiers, where a tier's text speaks for itself and principles stand below it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from alidade.digest import digest_of
from alidade.records import Record

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=80)]
SemanticVersion = Annotated[str, Field(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")]
Hazard = Annotated[str, Field(pattern=r"^S([1-9]|1[0-4])$")]
Polarity = Literal["encourage", "avoid"]
PrincipleKind = Literal["behaviour", "trait", "process"]


class Scope(Record):
    """Where a principle speaks; what is left empty is everywhere."""

    hazards: tuple[Hazard, ...] = Field(default=(), description="MLCommons hazard codes, S1 to S14")
    languages: tuple[str, ...] = Field(default=(), description="language tags, such as `en`")
    audience: str = Field(default="", description="whom the answer is for")


class Example(Record):
    """An answer that shows a principle kept or broken."""

    prompt: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    why: str = ""


class Examples(Record):
    """Answers that keep a principle, and answers that break it."""

    kept: tuple[Example, ...] = ()
    broken: tuple[Example, ...] = ()


class Origin(Record):
    """Where a principle's words come from, and under which licence."""

    source: str = ""
    licence: str = ""


class Requests(Record):
    """The ways of asking a model about a principle: the words between the frames of `wording`.

    A principle without `critique` is never drawn for a critique, one without `comparison` never for a comparison.
    """

    critique: str = Field(default="", description="asks what in an answer goes against the principle")
    revision: str = Field(default="", description="asks for the answer rewritten")
    comparison: str = Field(default="", description="asks which of two answers keeps the principle better")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.critique and not self.revision:
            raise ValueError("a `critique` needs a `revision`")
        return self


class Principle(Record):
    """One value in words, and how a model is asked about it."""

    id: Identifier
    title: str = Field(min_length=1)
    text: str = Field(min_length=1, description="what is valued, as a sentence a person can check an answer against")
    rationale: str = ""
    origin: Origin = Origin()
    polarity: Polarity = "encourage"
    kind: PrincipleKind = "behaviour"
    scope: Scope = Scope()
    tier: Identifier | None = Field(default=None, description="id of a tier; none stands below all tiers")
    hard: bool = Field(default=False, description="a constraint that yields to nothing")
    requests: Requests = Requests()
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False, description="relative chance of being drawn")
    examples: Examples = Examples()

    @property
    def digest(self) -> str:
        """The sha256 of everything the principle says."""
        return digest_of(["principle/1", self.model_dump(mode="json")])


class Tier(Record):
    """A rank of principles; the first tier of a constitution outranks the others."""

    id: Identifier
    title: str = Field(min_length=1)
    text: str = Field(default="", description="prose that holds for everything in the tier")


class Change(Record):
    """What a version changed, in one sentence."""

    version: SemanticVersion
    text: str = Field(min_length=1)


class Constitution(Record):
    """A versioned document of principles. Equal digests are equal words, whatever the file's layout."""

    id: Identifier
    title: str = Field(min_length=1)
    version: SemanticVersion
    parent: str | None = Field(default=None, description="digest of the version this one was made from")
    preamble: str = ""
    changelog: tuple[Change, ...] = ()
    tiers: tuple[Tier, ...] = Field(default=(), description="highest first")
    principles: tuple[Principle, ...] = Field(min_length=1)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the document's canonical JSON."""
        return digest_of(["constitution/1", self.model_dump(mode="json")])

    @property
    def critics(self) -> tuple[Principle, ...]:
        """The principles that can be drawn for a critique and revision, in order."""
        return tuple(one for one in self.principles if one.requests.critique and one.weight > 0)

    @property
    def judges(self) -> tuple[Principle, ...]:
        """The principles that can be drawn for a comparison, in order."""
        return tuple(one for one in self.principles if one.requests.comparison and one.weight > 0)

    def named(self, name: str) -> Principle:
        """The principle with that id.

        Raises:
            KeyError: when there is none.
        """
        for one in self.principles:
            if one.id == name:
                return one
        raise KeyError(name)

    def rank(self, principle: Principle) -> int:
        """How high a principle stands, 0 the highest: hard constraints, then its tier, then what has no tier."""
        if principle.hard:
            return 0
        places = {tier.id: place for place, tier in enumerate(self.tiers, 1)}
        return places.get(principle.tier or "", len(self.tiers) + 1)

    @model_validator(mode="after")
    def _names_hold(self) -> Self:
        for noun, ids in (("tier", [one.id for one in self.tiers]), ("principle", [one.id for one in self.principles])):
            if twice := sorted({name for name in ids if ids.count(name) > 1}):
                raise ValueError(f"{noun} `{twice[0]}` comes twice")
        known = {tier.id for tier in self.tiers}
        if stray := [one for one in self.principles if one.tier is not None and one.tier not in known]:
            raise ValueError(f"principle `{stray[0].id}` names the tier `{stray[0].tier}`, which is not there")
        return self
