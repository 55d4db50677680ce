"""Principles learned from comparisons, as ICAI writes them: a list or a table of texts, with votes for and against.

Read are a list of texts; an object from number to text; one from text to votes; a list of objects of both; two objects
`principles` and `votes` by number; and the annotated pairs of version 2, where a principle's votes are counted against
those of the default annotator.

Source: rdnfn/icai.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from alidade.constitution.importers.imported import (
    Given,
    Imported,
    choosing,
    counted,
    fields_of,
    items_of,
    short_title,
    words_of,
)
from alidade.constitution.principles import Origin, Principle
from alidade.errors import DataError

TEXTS = ("principle", "text", "description", "statement")
VOTES = (("agree", "disagree"), ("for", "against"), ("agreed", "disagreed"), ("correct", "incorrect"))
_HINT = 'a list of texts, or {TEXT: {"agree": N, "disagree": N}}'
_ORIGIN = Origin(source="learned from comparisons")
Learned = tuple[Any, tuple[int, int] | None, str]


def read_learned(given: Given) -> Imported:
    """A principle for each learned text; with votes its weight is the share that agreed, one vote added on either side.

    Raises:
        DataError: naming the place that is of another make.
    """
    value = given.json()
    left = Counter[str]()
    principles: list[Principle] = []
    for text, votes, where in _learned(given, value, left):
        weight, rationale = counted(*votes) if votes else (1.0, "")
        said = words_of(text, where).strip()
        principles.append(
            Principle(
                id=f"learned{len(principles) + 1}",
                title=short_title(said),
                text=said,
                rationale=rationale,
                origin=_ORIGIN,
                requests=choosing(said),
                weight=weight,
            )
        )
    return Imported(constitution=given.constitution(given.stem, principles), format="icai", left=dict(left))


def _learned(given: Given, value: Any, left: Counter[str]) -> Iterator[Learned]:
    if isinstance(value, list):
        yield from _listed(given, cast("list[Any]", value), left)
        return
    tree = fields_of(value, given.file, _HINT)
    if "annotators" in tree and "comparisons" in tree:
        yield from _annotated(given, tree)
    elif "principles" in tree:
        votes = fields_of(tree.get("votes", {}), given.at("votes"), _HINT)
        left.update(name for name in tree if name not in {"principles", "votes"})
        for name, text in _numbered(tree["principles"], given.at("principles")).items():
            at = given.at("votes", name)
            yield (text, _votes(votes[name], at) if name in votes else None, given.at("principles", name))
    else:
        for name, about in tree.items():
            where = given.at(name)
            yield (about, None, where) if isinstance(about, str) else (name, _votes(about, where), where)


def _numbered(texts: Any, where: str) -> Mapping[str, Any]:
    """Texts by name; those of a list by their number, as a JSON object would have them."""
    if isinstance(texts, list):
        return {str(place): text for place, text in enumerate(cast("list[Any]", texts))}
    return fields_of(texts, where, _HINT)


def _listed(given: Given, values: list[Any], left: Counter[str]) -> Iterator[Learned]:
    for place, one in enumerate(values):
        where = given.at(place)
        if not isinstance(one, dict):
            yield one, None, where
            continue
        row = cast("dict[str, Any]", one)
        name = next((name for name in TEXTS if name in row), None)
        if name is None:
            raise DataError("no principle in this row", where=where, hint=f"one of the fields {', '.join(TEXTS)}")
        pair = _pair_of(row)
        left.update(field for field in row if field not in {name, *pair})
        yield row[name], _votes(row, where) if pair else None, where


def _pair_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    return next((pair for pair in VOTES if pair[0] in row and pair[1] in row), ())


def _votes(value: Any, where: str) -> tuple[int, int]:
    row = fields_of(value, where, _HINT)
    pair = _pair_of(row)
    if not pair:
        raise DataError("no votes here", where=where, hint='{"agree": N, "disagree": N} or {"for": N, "against": N}')
    numbers = [row[name] for name in pair]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise DataError(
            f"no counts: {numbers[0]!r}, {numbers[1]!r}", where=where, hint="votes are whole numbers from 0"
        )
    return numbers[0], numbers[1]


def _annotated(given: Given, tree: Mapping[str, Any]) -> Iterator[Learned]:
    annotators = fields_of(tree["annotators"], given.at("annotators"), "an object of annotators")
    metadata = fields_of(tree.get("metadata", {}), given.at("metadata"), "an object")
    against = metadata.get("default_annotator")
    votes: dict[str, Counter[bool]] = {}
    for place, comparison in enumerate(items_of(tree["comparisons"], given.at("comparisons"), "a list of comparisons")):
        where = given.at("comparisons", place)
        said = fields_of(
            fields_of(comparison, where, "an object").get("annotations", {}), where, "an object by annotator"
        )
        truth = _preference(said.get(str(against)))
        for name, annotation in said.items():
            if truth and (own := _preference(annotation)):
                votes.setdefault(name, Counter())[own == truth] += 1
    for name, value in annotators.items():
        about = fields_of(value, given.at("annotators", name), "an object with `type`")
        if about.get("type") == "principle":
            found = votes.get(name)
            yield about.get("description"), (found[True], found[False]) if found else None, given.at("annotators", name)


def _preference(annotation: Any) -> str | None:
    said = cast("dict[str, Any]", annotation).get("pref") if isinstance(annotation, dict) else None
    return said if said in {"a", "b"} else None
