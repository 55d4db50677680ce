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
        number, settings, guideline = _open_queue(connection, person, queue)
        connection.execute(sa.select(people.c.id).where(people.c.id == person.id).with_for_update())
        now = book.now()
        put_back_expired(connection, now)
        held = connection.scalar(
            sa.select(leases.c.id).where(
                leases.c.person_id == person.id, leases.c.queue_id == number, leases.c.state == HELD
            )
        )
        key = held or _lend(connection, person, (number, settings, guideline), now)
        if key is None:
            return None
        if held:
            connection.execute(leases.update().where(leases.c.id == held).values(expires_at=now + _while(settings)))
        return _task(connection, key)


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
        until = book.now() + _while(QueueSettings.model_validate(found))
        connection.execute(leases.update().where(mine).values(draft=dict(draft), expires_at=until))


def put_back_expired(connection: sa.Connection, now: float) -> None:
    """End the leases whose time is over; their items are free again."""
    over = sa.select(leases.c.id, leases.c.item_id, leases.c.purpose).where(
        leases.c.state == HELD, leases.c.expires_at < now
    )
    for row in connection.execute(over.limit(AT_ONCE).with_for_update(skip_locked=True)).all():
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


def _open_queue(connection: sa.Connection, person: Person, name: str) -> tuple[int, QueueSettings, str]:
    row = connection.execute(sa.select(queues).where(queues.c.name == name, queues.c.open)).one_or_none()
    if row is None:
        raise NotFound(f"no open queue is called {name}")
    settings = QueueSettings.model_validate(row.settings)
    if not person.may("labeler"):
        raise NotAllowed("viewers do not vote")
    if settings.harmful and not person.sees_harmful:
        raise NotAllowed("this queue shows harmful text", hint="choose to see it on the page of queues")
    return row.id, settings, row.guideline or ""


def _lend(connection: sa.Connection, person: Person, queue: tuple[int, QueueSettings, str], now: float) -> str | None:
    """A new lease: for what chance says the next task is for, or for work where there is no such item."""
    number, settings, guideline = queue
    answered = sa.select(sa.func.count()).where(
        leases.c.person_id == person.id, leases.c.queue_id == number, leases.c.state.in_(ANSWERED)
    )
    done = connection.scalar(answered) or 0
    drawn = purpose_of(settings.seed, person.name, done, settings.gold_share, settings.repeat_share)
    ways = {"gold": _gold, "repeat": _repeat, "work": _work}
    purposes: Sequence[Purpose] = (drawn, "work") if drawn != "work" else ("work",)
    for purpose in purposes:
        item = ways[purpose](connection, number, person.id)
        if item is not None:
            content = Content.model_validate(item.content)
            turned = purpose == "repeat" and is_mirrored(settings.seed, item.key, person.name)
            order = shown_order(settings.seed, item.key, person.name, len(content.answers), mirrored=turned)
            lent = {"order": list(order), "guideline": guideline, "shown_at": now, "state": HELD}
            return _write(
                connection, (item.id, number, person.id, purpose), lent | {"expires_at": now + _while(settings)}
            )
    return None


def _work(connection: sa.Connection, queue: int, person: int) -> Any:
    seen = sa.exists().where(
        leases.c.item_id == items.c.id,
        leases.c.person_id == person,
        leases.c.purpose == "work",
        leases.c.state != EXPIRED,
    )
    waiting = (
        sa.select(items)
        .where(items.c.queue_id == queue, items.c.taken < items.c.target, ~seen)
        .order_by(items.c.place)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    item = connection.execute(waiting).one_or_none()
    if item is not None:
        connection.execute(items.update().where(items.c.id == item.id).values(taken=items.c.taken + 1))
    return item


def _gold(connection: sa.Connection, queue: int, person: int) -> Any:
    seen = sa.exists().where(leases.c.item_id == items.c.id, leases.c.person_id == person, leases.c.state != EXPIRED)
    known = sa.select(items).where(items.c.queue_id == queue, items.c.arm == "gold", ~seen)
    return connection.execute(known.order_by(items.c.place).limit(1)).one_or_none()


def _repeat(connection: sa.Connection, queue: int, person: int) -> Any:
    again = leases.alias()
    repeated = sa.exists().where(
        again.c.item_id == leases.c.item_id,
        again.c.person_id == person,
        again.c.purpose == "repeat",
        again.c.state != EXPIRED,
    )
    mine = sa.select(leases.c.item_id, leases.c.event).where(
        leases.c.person_id == person, leases.c.queue_id == queue, leases.c.state == DONE
    )
    recent = mine.order_by(leases.c.event.desc()).limit(REPEATED_AFTER).subquery()
    old = (
        mine.where(leases.c.purpose == "work", ~repeated, leases.c.item_id.not_in(sa.select(recent.c.item_id)))
        .order_by(leases.c.event)
        .limit(1)
        .subquery()
    )
    return connection.execute(sa.select(items).join(old, old.c.item_id == items.c.id)).one_or_none()


def _write(connection: sa.Connection, owner: tuple[int, int, int, Purpose], lent: Mapping[str, Any]) -> str:
    """The lease's id; one that expired and comes back to its person keeps its id and draft."""
    item, queue, person, purpose = owner
    same = (leases.c.item_id == item) & (leases.c.person_id == person) & (leases.c.purpose == purpose)
    earlier = connection.scalar(sa.select(leases.c.id).where(same))
    if earlier is not None:
        connection.execute(leases.update().where(leases.c.id == earlier).values(**lent))
        return earlier
    key = secrets.token_hex(16)
    row = {"id": key, "item_id": item, "queue_id": queue, "person_id": person, "purpose": purpose, **lent}
    connection.execute(leases.insert(), row)
    return key


def _task(connection: sa.Connection, lease: str) -> Task:
    columns = (leases, items.c.content, queues.c.name, queues.c.settings)
    joined = (
        sa.select(*columns).join(items, items.c.id == leases.c.item_id).join(queues, queues.c.id == leases.c.queue_id)
    )
    row = connection.execute(joined.where(leases.c.id == lease)).one()
    content, settings = Content.model_validate(row.content), QueueSettings.model_validate(row.settings)
    return Task(
        id=row.id,
        queue=row.name,
        kind=settings.task,
        prompt=content.prompt,
        answers=tuple(content.answers[place].text for place in row.order),
        attributes=settings.attributes if settings.task == "attributes" else (),
        guideline=row.guideline,
        shown_at=row.shown_at,
        expires_at=row.expires_at,
        draft=row.draft,
    )


def _while(settings: QueueSettings) -> float:
    return settings.lease_minutes * 60
