"""Who is asked what next: an item is lent to a person for a while, and goes to somebody else when that while is over.

A person has one open task in a queue. An item is lent at most as often as it wants votes; gold items and hidden repeats do not
count towards that.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alidade.errors import NotAllowed, NotFound
from alidade.preferences.assign import Purpose, is_mirrored, purpose_of, shown_order
from alidade.preferences.votebook.acts import TaskKind
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import Content, QueueSettings
from alidade.preferences.votebook.schema import items, leases, people, queues
from alidade.records import Attribute, Conversation

HELD, DONE, SKIPPED, EXPIRED = "held", "done", "skipped", "expired"
ANSWERED = (DONE, SKIPPED)
REPEATED_AFTER = 10  # tasks that lie between an item and its hidden repeat, at least
AT_ONCE = 100  # leases that one request puts back, at most


# Built once: putting these together costs more than running them. Who changes a lease holds its row first, so that it cannot run out
# meanwhile; who puts back what ran out passes by rows that are held, and takes them by item, as all do, lest two wait for each other.
_QUEUE = sa.select(queues).where(queues.c.name == sa.bindparam("name"), queues.c.open)
_HELD_BY = (
    sa.select(leases, items.c.content)
    .join(items, items.c.id == leases.c.item_id)
    .where(
        leases.c.person_id == sa.bindparam("person"),
        leases.c.queue_id == sa.bindparam("queue"),
        leases.c.state == sa.bindparam("state"),
    )
    .with_for_update(of=leases)
)
_OVER = (
    sa.select(leases.c.id, leases.c.item_id, leases.c.purpose)
    .where(leases.c.state == HELD, leases.c.expires_at < sa.bindparam("now"))
    .order_by(leases.c.item_id)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)
_ANSWERED_BY = sa.select(sa.func.count()).where(
    leases.c.person_id == sa.bindparam("person"),
    leases.c.queue_id == sa.bindparam("queue"),
    leases.c.state.in_(ANSWERED),
)
_WAITING = (
    sa.select(items)
    .where(
        items.c.queue_id == sa.bindparam("queue"),
        items.c.taken < items.c.target,
        ~sa.exists().where(
            leases.c.item_id == items.c.id,
            leases.c.person_id == sa.bindparam("person"),
            leases.c.purpose == "work",
            leases.c.state != EXPIRED,
        ),
    )
    .order_by(items.c.place)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_GOLD = (
    sa.select(items)
    .where(
        items.c.queue_id == sa.bindparam("queue"),
        items.c.arm == "gold",
        ~sa.exists().where(
            leases.c.item_id == items.c.id,
            leases.c.person_id == sa.bindparam("person"),
            leases.c.state != EXPIRED,
        ),
    )
    .order_by(items.c.place)
    .limit(1)
)


def _repeatable() -> sa.Select[Any]:
    """The item that a person answered longest ago, was not asked twice, and not among the last few."""
    again = leases.alias()
    repeated = sa.exists().where(
        again.c.item_id == leases.c.item_id,
        again.c.person_id == sa.bindparam("person"),
        again.c.purpose == "repeat",
        again.c.state != EXPIRED,
    )
    mine = sa.select(leases.c.item_id, leases.c.event).where(
        leases.c.person_id == sa.bindparam("person"),
        leases.c.queue_id == sa.bindparam("queue"),
        leases.c.state == DONE,
    )
    recent = mine.order_by(leases.c.event.desc()).limit(REPEATED_AFTER).subquery()
    old = (
        mine.where(leases.c.purpose == "work", ~repeated, leases.c.item_id.not_in(sa.select(recent.c.item_id)))
        .order_by(leases.c.event)
        .limit(1)
        .subquery()
    )
    return sa.select(items).join(old, old.c.item_id == items.c.id)


_REPEAT = _repeatable()
_LEND = leases.insert()
_TAKE = items.update().where(items.c.id == sa.bindparam("item")).values(taken=items.c.taken + 1)
_EARLIER = sa.select(leases.c.id, leases.c.draft).where(
    leases.c.item_id == sa.bindparam("item"),
    leases.c.person_id == sa.bindparam("person"),
    leases.c.purpose == sa.bindparam("purpose"),
)


@dataclass(frozen=True)
class _Queue:
    """An open queue, as a request needs it."""

    number: int
    settings: QueueSettings
    guideline: str


@dataclass(frozen=True)
class Task:
    """What a person is asked: `answers` from left to right as drawn for this person."""

    id: str
    queue: str
    kind: TaskKind
    prompt: Conversation
    answers: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    guideline: str
    shown_at: float
    expires_at: float
    draft: Mapping[str, Any] | None


def claim(book: Votebook, person: Person, queue: str) -> Task | None:
    """The person's next task in a queue, or the one still open; None when there is nothing left to do.

    Raises:
        NotFound: when there is no open queue of that name.
        NotAllowed: when the person is no labeler, or has not chosen to see harmful text and the queue has it.
    """
    with book.writing() as connection:
        opened = _open_queue(connection, person, queue)
        wait_for_turn(book, connection, person.id)
        now = book.now()
        put_back_expired(connection, now)
        mine = {"person": person.id, "queue": opened.number, "state": HELD}
        held = connection.execute(_HELD_BY, mine).one_or_none()
        if held is None:
            return _lend(connection, person, opened, now)
        lent = {**held._mapping, "expires_at": now + opened.settings.lease_seconds}
        connection.execute(leases.update().where(leases.c.id == held.id).values(expires_at=lent["expires_at"]))
        return _task(opened, lent, Content.model_validate(held.content))


def wait_for_turn(book: Votebook, connection: sa.Connection, person: int) -> None:
    """One request of a person at a time; where all writers queue, they do so already."""
    if not book.writes_in_turn:
        connection.execute(sa.select(people.c.id).where(people.c.id == person).with_for_update())


def save_draft(book: Votebook, person: Person, lease: str, draft: Mapping[str, Any]) -> None:
    """Keep what the person has so far; the lease lasts on.

    Raises:
        NotFound: when the person has no such open task.
    """
    mine = (leases.c.id == lease) & (leases.c.person_id == person.id) & (leases.c.state == HELD)
    with book.writing() as connection:
        found = connection.execute(sa.select(queues.c.settings).join(leases).where(mine)).scalar_one_or_none()
        if found is None:
            raise NotFound("no such open task")
        until = book.now() + QueueSettings.model_validate(found).lease_seconds
        connection.execute(leases.update().where(mine).values(draft=dict(draft), expires_at=until))


def put_back_expired(connection: sa.Connection, now: float) -> None:
    """End the leases whose time is over; their items are free again."""
    for row in connection.execute(_OVER, {"now": now}).all():
        end_lease(connection, row, EXPIRED)


def end_lease(connection: sa.Connection, lease: Any, state: str) -> None:
    """End a lease that brought no vote; its item is free again."""
    connection.execute(leases.update().where(leases.c.id == lease.id).values(state=state))
    if lease.purpose == "work":
        connection.execute(items.update().where(items.c.id == lease.item_id).values(taken=items.c.taken - 1))


def take_again(connection: sa.Connection, lease: Any) -> bool:
    """Take the item of an ended lease once more; False when others have taken all that it wants."""
    if lease.purpose != "work":
        return True
    free = items.update().where(items.c.id == lease.item_id, items.c.taken < items.c.target)
    return bool(connection.execute(free.values(taken=items.c.taken + 1)).rowcount)


def _open_queue(connection: sa.Connection, person: Person, name: str) -> _Queue:
    row = connection.execute(_QUEUE, {"name": name}).one_or_none()
    if row is None:
        raise NotFound(f"no open queue is called {name}")
    settings = QueueSettings.model_validate(row.settings)
    if not person.may("labeler"):
        raise NotAllowed("viewers do not vote")
    if settings.harmful and not person.sees_harmful:
        raise NotAllowed("this queue shows harmful text", hint="choose to see it on the page `Account`")
    return _Queue(row.id, settings, row.guideline or "")


def _lend(connection: sa.Connection, person: Person, queue: _Queue, now: float) -> Task | None:
    """A new lease: for what chance says the next task is for, or for work where there is no such item."""
    settings = queue.settings
    if settings.task == "talk":
        return None  # its items are made while it goes on (`talks`), each for one person
    done = connection.scalar(_ANSWERED_BY, {"person": person.id, "queue": queue.number}) or 0
    drawn = purpose_of(settings.seed, person.name, done, settings.gold_share, settings.repeat_share)
    ways = {"gold": _gold, "repeat": _repeat, "work": _work}
    purposes: Sequence[Purpose] = (drawn, "work") if drawn != "work" else ("work",)
    for purpose in purposes:
        item = ways[purpose](connection, queue.number, person.id)
        if item is not None:
            content = Content.model_validate(item.content)
            turned = purpose == "repeat" and is_mirrored(settings.seed, item.key, person.name)
            order = shown_order(settings.seed, item.key, person.name, len(content.answers), mirrored=turned)
            lent = {"order": list(order), "guideline": queue.guideline, "shown_at": now, "state": HELD}
            lent |= {"expires_at": now + settings.lease_seconds, "queue_id": queue.number}
            return _task(queue, _write(connection, (item.id, person.id, purpose), lent), content)
    return None


def _work(connection: sa.Connection, queue: int, person: int) -> Any:
    item = connection.execute(_WAITING, {"queue": queue, "person": person}).one_or_none()
    if item is not None:
        connection.execute(_TAKE, {"item": item.id})
    return item


def _gold(connection: sa.Connection, queue: int, person: int) -> Any:
    return connection.execute(_GOLD, {"queue": queue, "person": person}).one_or_none()


def _repeat(connection: sa.Connection, queue: int, person: int) -> Any:
    return connection.execute(_REPEAT, {"queue": queue, "person": person}).one_or_none()


def _write(connection: sa.Connection, owner: tuple[int, int, Purpose], lent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lease as written; one that expired and comes back to its person keeps its id and draft."""
    whose: dict[str, Any] = dict(zip(("item", "person", "purpose"), owner, strict=True))
    earlier = connection.execute(_EARLIER, whose).one_or_none()
    if earlier is not None:
        connection.execute(leases.update().where(leases.c.id == earlier.id).values(**lent))
        return {**lent, "id": earlier.id, "draft": earlier.draft}
    row = {"item_id": owner[0], "person_id": owner[1], "purpose": owner[2], **lent}
    row |= {"id": secrets.token_hex(16), "draft": None, "event": None}
    connection.execute(_LEND, row)
    return row


def _task(queue: _Queue, lent: Mapping[str, Any], content: Content) -> Task:
    settings = queue.settings
    return Task(
        id=lent["id"],
        queue=settings.name,
        kind="pair" if settings.task == "talk" else settings.task,
        prompt=content.prompt,
        answers=tuple(content.answers[place].text for place in lent["order"]),
        attributes=settings.attributes if settings.task == "attributes" else (),
        guideline=lent["guideline"],
        shown_at=lent["shown_at"],
        expires_at=lent["expires_at"],
        draft=lent["draft"],
    )
