"""What sets two versions of a constitution apart, and how far the version has to be raised for it.

The rule, after semantic versioning: what a constitution promises is which answers it wants.

- **major**: other answers are wanted. A principle is removed or reworded, its polarity, kind, scope, tier or hardness changed; a tier
  is reworded, removed or moved.
- **minor**: more is wanted, or the same is asked otherwise. A principle or tier is added, an id renamed, a request, a weight or
  the preamble changed.
- **patch**: nothing that is wanted or asked changes. Titles, rationales, origins, examples; and white space, case and punctuation anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Literal

from alidade.constitution.principles import Constitution, Principle, Tier
from alidade.records import Record

Step = Literal["none", "patch", "minor", "major"]
_STEPS: tuple[Step, ...] = ("none", "patch", "minor", "major")
_TOKEN = re.compile(r"\s+|[^\W_]+(?:['’][^\W_]+)*|[\W_]")
_WORDED = {"text": "major", "requests.critique": "minor", "requests.revision": "minor", "requests.comparison": "minor"}
_STEP_OF: Mapping[str, Step] = {
    "polarity": "major",
    "kind": "major",
    "scope": "major",
    "tier": "major",
    "hard": "major",
    "weight": "minor",
    "title": "patch",
    "rationale": "patch",
    "origin": "patch",
    "examples": "patch",
}


class Piece(Record):
    """Words that stayed, went or came."""

    sign: Literal["same", "gone", "new"]
    text: str


class Change(Record):
    """One field that differs: of a principle, a tier, or (with an empty `of`) of the document."""

    of: str
    field: str
    old: str
    new: str
    step: Step

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The two texts word by word."""
        return tuple(word_difference(self.old, self.new))


class Renamed(Record):
    """A principle that stands under another id, its text the same."""

    old: str
    new: str


class Difference(Record):
    """What changed from one version to another."""

    old_version: str
    new_version: str
    added: tuple[Principle, ...]
    removed: tuple[Principle, ...]
    renamed: tuple[Renamed, ...]
    tiers_added: tuple[str, ...]
    tiers_removed: tuple[str, ...]
    are_tiers_moved: bool
    changes: tuple[Change, ...]

    @property
    def needed(self) -> Step:
        """How far the version has to be raised; see the rule of this module."""
        steps: list[Step] = [one.step for one in self.changes]
        if self.removed or self.tiers_removed or self.are_tiers_moved:
            steps.append("major")
        if self.added or self.renamed or self.tiers_added:
            steps.append("minor")
        return max(steps, key=_STEPS.index, default="none")

    @property
    def least_version(self) -> str:
        """The lowest version that is raised enough."""
        major, minor, patch = version_key(self.old_version)
        raised = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
        return ".".join(map(str, raised.get(self.needed, (major, minor, patch))))

    @property
    def is_raised_enough(self) -> bool:
        """Whether the new version is at or above the least one."""
        return version_key(self.new_version) >= version_key(self.least_version)


def difference(old: Constitution, new: Constitution) -> Difference:
    """What changed from `old` to `new`, principles matched by id and then by text."""
    before, after = {one.id: one for one in old.principles}, {one.id: one for one in new.principles}
    removed = [one for one in old.principles if one.id not in after]
    added = [one for one in new.principles if one.id not in before]
    pairs = list(_same_text(removed, added))
    kept = [(before[name], after[name]) for name in after if name in before] + pairs
    tiers_before, tiers_after = [one.id for one in old.tiers], [one.id for one in new.tiers]
    common = [
        [name for name in names if name in set(tiers_before) & set(tiers_after)]
        for names in (tiers_before, tiers_after)
    ]
    moved = {(left.id, right.id) for left, right in pairs}
    return Difference(
        old_version=old.version,
        new_version=new.version,
        added=tuple(one for one in added if one.id not in {name for _, name in moved}),
        removed=tuple(one for one in removed if one.id not in {name for name, _ in moved}),
        renamed=tuple(Renamed(old=left, new=right) for left, right in sorted(moved)),
        tiers_added=tuple(name for name in tiers_after if name not in tiers_before),
        tiers_removed=tuple(name for name in tiers_before if name not in tiers_after),
        are_tiers_moved=common[0] != common[1],
        changes=(
            *_of_document(old, new),
            *(change for tiers in _matched(old.tiers, new.tiers) for change in _of_tier(*tiers)),
            *(change for principles in kept for change in _of_principle(*principles)),
        ),
    )


def word_difference(old: str, new: str) -> Iterator[Piece]:
    """Two texts word by word; joined, what is not new is the old text, and what is not gone the new one."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    for sign, old_from, old_to, new_from, new_to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[old_from:old_to]), "".join(after[new_from:new_to])
        if sign == "equal":
            yield Piece(sign="same", text=gone)
            continue
        if gone:
            yield Piece(sign="gone", text=gone)
        if come:
            yield Piece(sign="new", text=come)


def version_key(version: str) -> tuple[int, int, int]:
    """The three numbers of a version, for comparing."""
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def _same_text(removed: Iterable[Principle], added: Iterable[Principle]) -> Iterator[tuple[Principle, Principle]]:
    left = {one.id: one for one in added}
    for gone in removed:
        found = next((one for one in left.values() if one.text == gone.text), None)
        if found is not None:
            del left[found.id]
            yield gone, found


def _matched(old: Iterable[Tier], new: Iterable[Tier]) -> Iterator[tuple[Tier, Tier]]:
    before = {one.id: one for one in old}
    return ((before[one.id], one) for one in new if one.id in before)


def _of_document(old: Constitution, new: Constitution) -> Iterator[Change]:
    for field, step in (("id", "minor"), ("title", "patch"), ("preamble", "minor")):
        yield from _worded("", field, (getattr(old, field), getattr(new, field)), step)
    # The version, the parent and the changelog are meant to differ from version to version, and are no change by themselves.


def _of_tier(old: Tier, new: Tier) -> Iterator[Change]:
    yield from _worded(new.id, "title", (old.title, new.title), "patch")
    yield from _worded(new.id, "text", (old.text, new.text), "major")


def _of_principle(old: Principle, new: Principle) -> Iterator[Change]:
    for field, step in _WORDED.items():
        first, _, second = field.partition(".")
        texts = [getattr(getattr(one, first), second) if second else getattr(one, first) for one in (old, new)]
        yield from _worded(new.id, field, (texts[0], texts[1]), "major" if step == "major" else "minor")
    for field, step in _STEP_OF.items():
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield Change(of=new.id, field=field, old=_said(before), new=_said(after), step=step)


def _worded(of: str, field: str, texts: tuple[str, str], step: Step) -> Iterator[Change]:
    old, new = texts
    if old != new:
        same_words = _words(old) == _words(new)
        yield Change(of=of, field=field, old=old, new=new, step="patch" if same_words else step)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _said(value: object) -> str:
    if isinstance(value, Record):
        return value.model_dump_json(exclude_defaults=True)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
