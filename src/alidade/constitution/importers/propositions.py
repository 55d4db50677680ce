"""OpenAI's rule-based rewards: yes-or-no propositions about an answer, and the classes of answers that they define.

A proposition becomes a principle. Whether its yes is wanted follows from the class `ideal`: what every way to be ideal that
names it wants. Most are named by some ways only, such as a refusal: the rationale says by which, and as no field of ours holds
that condition it is counted. Where one way wants it and another does not, or none names it, the polarity stays `encourage`, counted too.

Source: openai/safety-rbr-code-and-data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

from alidade.constitution.importers.imported import Given, Imported, fields_of, slug, unique, words_of
from alidade.constitution.principles import Origin, Polarity, Principle
from alidade.errors import DataError
from alidade.yaml_source import read_source

SIMPLE, DERIVED, CLASSES = "simple_propositions", "derived_propositions", "completion_classes"
_HINT = "a proposition is `NAME: {prompt: TEXT}`"
_DEEPEST = 20
_ORIGIN = Origin(source="openai/safety-rbr-code-and-data")
Wanted = dict[str, dict[bool, set[str]]]


def read_propositions(given: Given) -> Imported:
    """A principle for each simple proposition, its words the question that a grader is asked.

    Raises:
        DataError: with file:line, for what is no YAML or no proposition.
    """
    source = read_source(given.text, given.file, noun="file of propositions", hint=_HINT, error=DataError)
    propositions = fields_of(source.tree.get(SIMPLE), source.where(SIMPLE), _HINT)
    wanted = _wanted(source.tree)
    all_ways = {way for ways in wanted.values() for names in ways.values() for way in names}
    left = Counter({name: 1 for name in source.tree if name != SIMPLE})
    principles: list[Principle] = []
    for name, value in propositions.items():
        where = source.where(SIMPLE, name)
        proposition = fields_of(value, where, _HINT)
        text = words_of(proposition.get("prompt"), source.where(SIMPLE, name, "prompt"))
        left.update(f"{SIMPLE}.{field}" for field in proposition if field != "prompt")
        ways = wanted.get(name, {})
        left.update(["polarity"] * (len(ways) != 1))
        left.update(["condition of a polarity"] * (len(ways) == 1 and set().union(*ways.values()) != all_ways))
        polarity: Polarity = "avoid" if set(ways) == {False} else "encourage"
        principles.append(
            Principle(
                id=unique(slug(name) or "proposition", [one.id for one in principles]),
                title=name.replace("_", " "),
                text=text,
                rationale=_told(ways),
                origin=_ORIGIN,
                polarity=polarity,
            )
        )
    return Imported(constitution=given.constitution(given.stem, principles), format="rbr", left=dict(left))


def _wanted(tree: Mapping[str, Any]) -> Wanted:
    """By proposition: which answer is wanted, and in which ways to be ideal."""
    derived = tree.get(DERIVED)
    known: Mapping[str, Any] = cast("dict[str, Any]", derived) if isinstance(derived, dict) else {}
    classes = tree.get(CLASSES)
    ideal: Any = cast("dict[str, Any]", classes).get("ideal") if isinstance(classes, dict) else None
    found: Wanted = defaultdict(lambda: defaultdict(set))
    for way, conditions in cast("dict[str, Any]", ideal).items() if isinstance(ideal, dict) else ():
        for name, value in _conditions(conditions, known, _DEEPEST):
            found[name][value].add(way)
    return found


def _conditions(conditions: Any, known: Mapping[str, Any], depth: int) -> Iterator[tuple[str, bool]]:
    """What all must hold, derived propositions taken apart; a denied one says only that not all of its parts hold."""
    if not isinstance(conditions, dict) or depth == 0:
        return
    for name, value in cast("dict[str, Any]", conditions).items():
        if name not in known:
            yield name, bool(value)
        elif value is True:
            yield from _conditions(known[name], known, depth - 1)


def _told(ways: Mapping[bool, set[str]]) -> str:
    said = [
        f"{'yes' if value else 'no'} for {', '.join(sorted(names))}"
        for value, names in sorted(ways.items(), reverse=True)
    ]
    return f"In an ideal completion: {'; '.join(said)}." if said else ""
