"""Acts as records: what stands in the chain and was not undone, ready to be tallied, reported and exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from alidade.preferences.votebook.acts import Best, Edit, Order, Pick, Picks, Skip, Submission, read_submission
from alidade.preferences.votebook.chain import Event, read_events
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import Content, queue_named
from alidade.preferences.votebook.schema import items, queues
from alidade.records import Demonstration, RankingVote, Source, Vote

CAST = frozenset({"pick", "picks", "order", "best", "edit", "skip"})


@dataclass
class Collected:
    """What people said in a queue. `repeats` and `checks` (votes on gold items) measure people and are no labels.

    `gold` maps an item's key to its better answer's number; `skipped` are reasons, `flagged` what a lead should look at.
    """

    votes: list[Vote] = field(default_factory=list)
    rankings: list[RankingVote] = field(default_factory=list)
    demonstrations: list[Demonstration] = field(default_factory=list)
    repeats: list[Vote | RankingVote] = field(default_factory=list)
    checks: list[Vote | RankingVote] = field(default_factory=list)
    gold: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    flagged: list[dict[str, str]] = field(default_factory=list)


def collect(book: Votebook, queue: str) -> Collected:
    """All that was said in a queue and not undone, in the order it was said."""
    _, settings = queue_named(book, queue)
    asked = _items(book, queue)
    found = Collected(gold={key: item.gold for key, item in asked.items() if item.gold is not None})
    kind: dict[str, Any] = {"attribute": settings.attribute, "source": settings.source}
    for event in standing(read_events(book), queue):
        act = read_submission(event.body["act"])
        item = asked[event.body["item"]]
        if isinstance(act, Skip):
            _note_skip(found, event, act)
        elif isinstance(act, Edit):
            # Who corrects an answer again is asked to see how they do, and has taught it before.
            if event.body["purpose"] == "work":
                found.demonstrations.append(_demonstration(event, item.content, act, settings.source))
        else:
            _sort(found, event.body["purpose"], list(_votes(event, item, act, kind)))
    return found


def standing(events: Iterator[Event], queue: str) -> Iterator[Event]:
    """The submissions of a queue that were not undone."""
    kept: dict[int, Event] = {}
    for event in events:
        if event.body.get("queue") != queue:
            continue
        if event.kind == "undo":
            kept.pop(event.body["undone"], None)
        elif event.kind in CAST:
            kept[event.seq] = event
    yield from kept.values()


class _Asked(NamedTuple):
    """An item as votes on it need to know it."""

    content: Content
    arm: str
    gold: int | None


def _items(book: Votebook, queue: str) -> dict[str, _Asked]:
    columns = (items.c.key, items.c.content, items.c.arm, items.c.gold)
    query = sa.select(*columns).join(queues).where(queues.c.name == queue)
    with book.reading() as connection:
        rows = connection.execute(query).all()
    return {row.key: _Asked(Content.model_validate(row.content), row.arm, row.gold) for row in rows}


def _sort(found: Collected, purpose: str, votes: Sequence[Vote | RankingVote]) -> None:
    if purpose == "gold":
        found.checks.extend(votes)
    elif purpose == "repeat":
        found.repeats.extend(votes)
    else:
        found.votes.extend(vote for vote in votes if isinstance(vote, Vote))
        found.rankings.extend(vote for vote in votes if isinstance(vote, RankingVote))


def _votes(event: Event, item: _Asked, act: Submission, kind: Mapping[str, Any]) -> Iterator[Vote | RankingVote]:
    order: list[int] = event.body["order"]
    about = {**_about(event, item), **kind}
    if isinstance(act, Pick):
        yield Vote(**about, left=order[0], right=order[1], choice=act.choice, strength=act.strength)
    elif isinstance(act, Picks):
        for attribute, choice in act.choices.items():
            named: dict[str, Any] = about | {"id": f"{about['id']}.{attribute}", "attribute": attribute}
            yield Vote(**named, left=order[0], right=order[1], choice=choice)
    elif isinstance(act, Order):
        yield RankingVote(**about, shown=tuple(order), ranks=act.ranks)
    elif isinstance(act, Best):
        ranks = tuple(int(place != act.place) for place in range(len(order)))
        yield RankingVote(**about, shown=tuple(order), ranks=ranks)


def _about(event: Event, item: _Asked) -> dict[str, Any]:
    return {
        "id": f"{event.body['queue']}/{event.seq}",
        "prompt_id": item.content.prompt_id,
        "annotator": event.person,
        "guideline": event.body["guideline"],
        "seconds": event.body["seconds"],
        "at": event.at,
        "arm": item.arm,
    }


def _demonstration(event: Event, content: Content, act: Edit, source: Source) -> Demonstration:
    name = f"{event.body['queue']}/{event.seq}"
    return Demonstration(id=name, prompt=content.prompt, answer=act.text, source=source)


def _note_skip(found: Collected, event: Event, act: Skip) -> None:
    found.skipped[act.reason] = found.skipped.get(act.reason, 0) + 1
    if act.flagged:
        found.flagged.append({"item": event.body["item"], "by": event.person, "reason": act.reason, "note": act.note})


def groups_of(people: Sequence[Person]) -> Mapping[str, Mapping[str, str]]:
    """What people say of themselves, by name."""
    return {person.name: dict(person.groups) for person in people if person.groups}
