"""A new version in the making: a constitution as opened, and what a person has changed of it so far. Nothing here is written to a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from alidade.constitution.difference import Difference, difference, version_key
from alidade.constitution.principles import Change, Constitution, Principle
from alidade.errors import Conflict, NotFound
from alidade.store import explain_invalid

FORM = {  # a field of the form, and where it stands in the principle
    "title": ("title",),
    "text": ("text",),
    "rationale": ("rationale",),
    "polarity": ("polarity",),
    "kind": ("kind",),
    "tier": ("tier",),
    "weight": ("weight",),
    "audience": ("scope", "audience"),
    "source": ("origin", "source"),
    "licence": ("origin", "licence"),
    "critique": ("requests", "critique"),
    "revision": ("requests", "revision"),
    "comparison": ("requests", "comparison"),
}
LISTS = {"hazards": ("scope", "hazards"), "languages": ("scope", "languages")}
SIDES = ("kept", "broken")
PARTS = ("prompt", "answer", "why")
_WRONG = {
    "id": "an id is of small letters and digits, with - or . between them, such as be-honest",
    "hazards": "hazards are MLCommons codes, S1 to S14, with commas between",
    "weight": "a weight is a number from 0 up; 1 is usual",
    "revision": "a principle that is critiqued needs a revision request, too",
}
_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
LONGEST_SENTENCE = 400


@dataclass(frozen=True)
class Fault:
    """What is wrong with what a person sent: in which field, in words."""

    field: str
    what: str


@dataclass(frozen=True)
class Draft:
    """A constitution with principles changed, removed and added."""

    base: Constitution
    changed: Mapping[str, Principle] = field(default_factory=dict[str, Principle])
    removed: frozenset[str] = frozenset()
    added: tuple[Principle, ...] = ()

    @property
    def principles(self) -> tuple[Principle, ...]:
        """All principles in order; one that is new stands behind the others of its tier."""
        found = [self.changed.get(one.id, one) for one in self.base.principles if one.id not in self.removed]
        for new in self.added:
            places = [place for place, one in enumerate(found) if one.tier == new.tier]
            found.insert(places[-1] + 1 if places else len(found), new)
        return tuple(found)

    @property
    def count(self) -> int:
        """How many principles differ."""
        return len(self.changed) + len(self.removed) + len(self.added)

    def named(self, name: str) -> Principle:
        """The principle with that id.

        Raises:
            NotFound: when there is none.
        """
        for one in self.principles:
            if one.id == name:
                return one
        raise NotFound(f"no principle is called `{name}` in this version")

    def with_changed(self, new: Principle) -> Draft:
        """The draft with a principle that is there become another."""
        if any(one.id == new.id for one in self.added):
            return replace(self, added=tuple(new if one.id == new.id else one for one in self.added))
        others = {name: one for name, one in self.changed.items() if name != new.id}
        return replace(self, changed=others if new == self.base.named(new.id) else {**others, new.id: new})

    def with_added(self, new: Principle) -> Draft:
        """The draft with one more principle.

        Raises:
            Conflict: when its id is taken.
        """
        if any(one.id == new.id for one in (*self.principles, *self.base.principles)):
            raise Conflict(f"a principle `{new.id}` is there already")
        return replace(self, added=(*self.added, new))

    def without(self, name: str) -> Draft:
        """The draft without a principle.

        Raises:
            NotFound: when there is none of that id.
            Conflict: when it is the last one.
        """
        self.named(name)
        if len(self.principles) == 1:
            raise Conflict("a constitution has at least one principle", hint="add another one first")
        left = self.restored(name)
        return (
            left
            if name not in {one.id for one in self.base.principles}
            else replace(left, removed=left.removed | {name})
        )

    def restored(self, name: str) -> Draft:
        """The draft with a principle as it was before it was changed, removed or added.

        Raises:
            Conflict: when nothing would be left.
        """
        back = Draft(
            self.base,
            {key: one for key, one in self.changed.items() if key != name},
            self.removed - {name},
            tuple(one for one in self.added if one.id != name),
        )
        if not back.principles:
            raise Conflict("a constitution has at least one principle", hint="put another one back first")
        return back

    def difference(self) -> Difference:
        """What a new version would change."""
        return difference(self.base, self.as_constitution(self.base.version, ""))

    def as_constitution(self, version: str, sentence: str) -> Constitution:
        """The new version, with its parent and, where there is a sentence, its changelog."""
        tree = self.base.model_dump(mode="json") | {"version": version, "parent": self.base.digest}
        change = (Change(version=version, text=sentence),) if sentence else ()
        tree["changelog"] = [one.model_dump() for one in (*self.base.changelog, *change)]
        tree["principles"] = [one.model_dump(mode="json") for one in self.principles]
        return Constitution.model_validate(tree)


def faults_of_version(least: str, version: str, sentence: str) -> list[Fault]:
    """What is wrong with a new version's number or its sentence in the changelog."""
    found: list[Fault] = []
    if not _VERSION.fullmatch(version):
        found.append(Fault("version", "a version is three numbers, such as 1.0.0"))
    elif version_key(version) < version_key(least):
        found.append(Fault("version", f"what changed asks for {least} at least"))
    if not sentence:
        found.append(Fault("sentence", "say in a sentence what this version changes"))
    elif len(sentence) > LONGEST_SENTENCE:
        found.append(Fault("sentence", f"at most {LONGEST_SENTENCE} characters"))
    return found


def sent_of(one: Principle | None) -> dict[str, str]:
    """A principle as the fields of its form; empty ones of none, with room for one more example of either sort."""
    tree = one.model_dump(mode="json") if one else Principle.model_construct().model_dump(mode="json", warnings=False)
    sent = {name: _said(_at(tree, place)) for name, place in FORM.items()}
    sent |= {name: ", ".join(_at(tree, place)) for name, place in LISTS.items()}
    sent |= {"id": _said(tree.get("id")), "hard": "yes" if tree["hard"] else ""}
    for side in SIDES:
        for number, example in enumerate([*tree["examples"][side], {}]):
            sent |= {f"{side}-{number}-{part}": example.get(part, "") for part in PARTS}
    return sent


def principle_of(sent: Mapping[str, str], was: Principle | None) -> tuple[Principle | None, list[Fault]]:
    """The principle that a form says, or what is wrong with it; what a browser changes by itself counts as unchanged."""
    before = sent_of(was) if was else {}
    said = {name: _unchanged(before.get(name, ""), text) for name, text in sent.items()}
    tree: dict[str, Any] = {"id": was.id if was else said.get("id", "").strip(), "hard": said.get("hard") == "yes"}
    for name, place in FORM.items():
        _put(tree, place, said.get(name, ""))
    for name, place in LISTS.items():
        _put(tree, place, [one.strip() for one in said.get(name, "").split(",") if one.strip()])
    tree["tier"] = tree["tier"] or None
    tree["examples"] = {side: examples_of(said, side) for side in SIDES}
    try:
        return Principle.model_validate(tree), []
    except ValidationError as error:
        faults = {_field(one["loc"]): one for one in error.errors()}
        return None, [Fault(name, _WRONG.get(name) or _words(one, error)) for name, one in faults.items()]


def examples_of(said: Mapping[str, str], side: str) -> list[dict[str, str]]:
    """The examples of one sort that a form has; one that was emptied is none."""
    numbers = sorted({int(name.split("-")[1]) for name in said if re.fullmatch(rf"{side}-\d{{1,4}}-\w+", name)})
    found = [{part: said.get(f"{side}-{number}-{part}", "") for part in PARTS} for number in numbers]
    return [one for one in found if any(text.strip() for text in one.values())]


def _field(place: tuple[int | str, ...]) -> str:
    names = {where: name for name, where in {**FORM, **LISTS}.items()}
    if place == ("requests",):
        return "revision"
    if place[0] == "examples":
        return "-".join(map(str, place[1:]))
    return names.get(place[:2], "") or names.get(place[:1], str(place[0]))  # pyright: ignore[reportArgumentType, reportCallIssue]


def _words(one: Any, error: ValidationError) -> str:
    return "it is empty" if one["type"] == "string_too_short" else explain_invalid(error)


def _said(value: Any) -> str:
    return "" if value is None else str(value)


def _at(tree: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    found: Any = tree
    for part in place:
        found = found.get(part)
    return found


def _put(tree: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for part in place[:-1]:
        tree = tree.setdefault(part, {})
    tree[place[-1]] = value


def _unchanged(before: str, sent: str) -> str:
    """A browser sends line ends of its own: text that differs in these alone stays as it was, and blanks alone are nothing."""
    lines = sent.replace("\r\n", "\n").replace("\r", "\n")
    if lines == before.replace("\r\n", "\n").replace("\r", "\n"):
        return before
    return lines if lines.strip() else ""
