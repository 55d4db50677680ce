"""Prose in Markdown: a document whose headings are its principles.

Where headings say who may overrule them, as in OpenAI's Model Spec (`## Title {#anchor authority=root}`), each that does is
a principle in the tier of its authority, and the other sections are the preamble. Where none does, the upper headings are
tiers and those below them principles.

Source: openai/model_spec.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

from alidade.constitution.importers.imported import Given, Imported, slug, unique
from alidade.constitution.principles import Constitution, Origin, Principle, Tier
from alidade.errors import DataError

AUTHORITIES = ("root", "platform", "system", "developer", "user", "guideline")
_ATTRIBUTES = re.compile(r"\s*\{([^{}]*)\}\s*$")


@dataclass(frozen=True)
class Section:
    """A heading, what its braces say, and the text up to the next heading."""

    level: int
    title: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""

    @property
    def name(self) -> str:
        """The anchor, or the title, as an id."""
        return slug(self.attributes.get("id", "")) or slug(self.title)

    @property
    def whole(self) -> str:
        """Heading and text as Markdown."""
        return f"{'#' * self.level} {self.title}\n\n{self.text}".strip()


def read_headings(given: Given) -> Imported:
    """A principle for each heading that binds.

    Raises:
        DataError: when there is no heading.
    """
    before, sections = _sections(given.text)
    if not sections:
        hint = "a list without headings is read with --from lines"
        raise DataError("no heading in this text", where=given.file, hint=hint)
    title = given.stem
    if (
        sections[0].level == 1
        and sum(one.level == 1 for one in sections) == 1
        and "authority" not in sections[0].attributes
    ):
        title, before, sections = sections[0].title, "\n\n".join(filter(None, [before, sections[0].text])), sections[1:]
    if any("authority" in one.attributes for one in sections):
        constitution = _by_authority(given, title, before, sections)
    else:
        constitution = _by_level(given, title, before, sections)
    left = Counter(name for one in sections for name in one.attributes if name not in {"id", "authority"})
    return Imported(constitution=constitution, format="markdown", left=dict(left))


def _by_authority(given: Given, title: str, before: str, sections: list[Section]) -> Constitution:
    binding = [one for one in sections if "authority" in one.attributes]
    used = list(dict.fromkeys(one.attributes["authority"] for one in binding))
    ordered = sorted(used, key=lambda name: AUTHORITIES.index(name) if name in AUTHORITIES else len(AUTHORITIES))
    tiers = [Tier(id=slug(name) or "other", title=name) for name in ordered]
    principles: list[Principle] = []
    for one in binding:
        principles.append(
            _principle(given, one, one.text or one.title, slug(one.attributes["authority"]) or "other", principles)
        )
    free = [one.whole for one in sections if "authority" not in one.attributes]
    return given.constitution(title, principles, tiers, "\n\n".join(filter(None, [before, *free])))


def _by_level(given: Given, title: str, before: str, sections: list[Section]) -> Constitution:
    top = min((one.level for one in sections), default=1)
    below = min((one.level for one in sections if one.level > top), default=top + 1)
    tiers: list[Tier] = []
    principles: list[Principle] = []
    for place, one in enumerate(sections):
        inner = list(_within(sections, place))
        if one.level == top and inner:
            tiers.append(
                Tier(id=unique(one.name or "tier", [tier.id for tier in tiers]), title=one.title, text=one.text)
            )
        elif one.level in {top, below}:
            text = "\n\n".join(filter(None, [one.text, *(deeper.whole for deeper in inner)])) or one.title
            tier = tiers[-1].id if one.level == below and tiers else None
            principles.append(_principle(given, one, text, tier, principles))
    return given.constitution(title, principles, tiers, before)


def _principle(given: Given, section: Section, text: str, tier: str | None, others: list[Principle]) -> Principle:
    name = unique(section.name or f"principle{len(others)}", [one.id for one in others])
    origin = Origin(source=f"{given.stem}, line {section.line}")
    return Principle(id=name, title=section.title or text[:60], text=text, origin=origin, tier=tier)


def _within(sections: list[Section], place: int) -> list[Section]:
    """The sections below one."""
    found: list[Section] = []
    for other in sections[place + 1 :]:
        if other.level <= sections[place].level:
            break
        found.append(other)
    return found


def _sections(text: str) -> tuple[str, list[Section]]:
    """What stands before the first heading, and the headings with their text; a `#` in a code block is none."""
    lines = text.splitlines()
    tokens = MarkdownIt("commonmark").parse(text)
    starts: list[tuple[int, int, int, str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            starts.append((token.map[0], token.map[1], int(token.tag[1:]), tokens[place + 1].content))
    if not starts:
        return text.strip(), []
    ends = [*(start for start, *_ in starts[1:]), len(lines)]
    sections: list[Section] = []
    for (start, after, level, heading), end in zip(starts, ends, strict=True):
        title, attributes = _attributes(heading)
        body = "\n".join(lines[after:end]).strip()
        sections.append(Section(level, title, start + 1, attributes, body))
    return "\n".join(lines[: starts[0][0]]).strip(), sections


def _attributes(heading: str) -> tuple[str, dict[str, str]]:
    found = _ATTRIBUTES.search(heading)
    if found is None:
        return heading.strip(), {}
    attributes: dict[str, str] = {}
    for part in found[1].split():
        name, sign, value = part.partition("=")
        if sign:
            attributes[name] = value.strip("\"'")
        elif part.startswith("#"):
            attributes["id"] = part[1:]
    return heading[: found.start()].strip(), attributes
