"""What was answered: a task's end becomes an event in the chain, once, and can be undone by another event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alidade.digest import digest_of
from alidade.errors import Conflict, LeaseLost, NotFound, UsageError
from alidade.preferences.votebook.acts import Skip, Submission, refuse_unfitting
from alidade.preferences.votebook.chain import append
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.leases import (
    ANSWERED,
    DONE,
    EXPIRED,
    HELD,
    SKIPPED,
    end_lease,
    take_again,
    wait_for_turn,
)
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import Content, QueueSettings
from alidade.preferences.votebook.schema import events, items, leases, queues, receipts

LONGEST_KEY = 80
# Built once: putting these together costs more than running them.
_JOINED = (
    sa.select(leases, items.c.key, items.c.content, queues.c.name, queues.c.settings)
    .join(items, items.c.id == leases.c.item_id)
    .join(queues, queues.c.id == leases.c.queue_id)
)
_MINE = _JOINED.where(
    leases.c.id == sa.bindparam("lease"), leases.c.person_id == sa.bindparam("person")
).with_for_update(of=leases)
_RECEIPT = (
    sa.select(receipts.c.request, events.c.seq, events.c.hash)
    .join(events, events.c.seq == receipts.c.event)
    .where(receipts.c.person_id == sa.bindparam("person"), receipts.c.key == sa.bindparam("key"))
)
_WRITE_RECEIPT = receipts.insert()
_CLOSE = (
    leases.update()
    .where(leases.c.id == sa.bindparam("lease"))
    .values(state=sa.bindparam("end"), event=sa.bindparam("act"), draft=None)
)


@dataclass(frozen=True)
class Receipt:
    """An acknowledged act: its number in the chain, and the chain's hash there."""

    seq: int
    hash: str


def cast(book: Votebook, person: Person, lease: str, act: Submission, key: str) -> Receipt:
    """Answer a task. `key` is the sender's own name for this submission: sent again, the same receipt comes back.

    A lease that has expired is taken up again where the item is still free.

    Raises:
        NotFound: when the person was given no such task.
        UsageError: when `act` does not answer it, or the key cannot be used.
        Conflict: when it is answered already, or the key stood for something else.
        LeaseLost: when it took too long and others have answered meanwhile.
    """
    refuse_bad_key(key)
    request = digest_of([lease, act.model_dump(mode="json")])
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        earlier = receipt_of(connection, person.id, key, request)
        if earlier is not None:
            return earlier
        row = _lease(connection, person.id, lease)
        settings, content = QueueSettings.model_validate(row.settings), Content.model_validate(row.content)
        refuse_unfitting(settings.task, act, len(content.answers), settings.attributes)
        _hold(connection, row)
        body = {
            "queue": row.name,
            "item": row.key,
            "lease": row.id,
            "purpose": row.purpose,
            "order": [content.answers[place].number for place in row.order],
            "guideline": row.guideline,
            "seconds": round(max(book.now() - row.shown_at, 0.0), 3),
            "act": act.model_dump(mode="json", exclude_none=True),
        }
        event = append(connection, book.now(), act.kind, person.name, body)
        _close(connection, row, act, event.seq)
        write_receipt(connection, person.id, key, request, event.seq)
    return Receipt(event.seq, event.hash)


def undo(book: Votebook, person: Person, queue: str, key: str) -> Receipt:
    """Take back the person's last answer in a queue; its task is open again, and the one that was open is put back.

    Raises:
        NotFound: when there is nothing to take back.
        Conflict: when the item was skipped and has since gone to others.
    """
    refuse_bad_key(key)
    request = digest_of(["undo", queue])
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        earlier = receipt_of(connection, person.id, key, request)
        if earlier is not None:
            return earlier
        row = _last_answered(connection, person.id, queue)
        if row.state == SKIPPED and not take_again(connection, row):
            raise Conflict("others have answered what you skipped")
        mine = (leases.c.person_id == person.id) & (leases.c.queue_id == row.queue_id) & (leases.c.state == HELD)
        for held in connection.execute(sa.select(leases).where(mine).with_for_update()).all():
            end_lease(connection, held, EXPIRED)
        until = book.now() + QueueSettings.model_validate(row.settings).lease_seconds
        opened = {"state": HELD, "event": None, "shown_at": book.now(), "expires_at": until}
        connection.execute(leases.update().where(leases.c.id == row.id).values(**opened))
        event = append(connection, book.now(), "undo", person.name, {"queue": queue, "undone": row.event})
        write_receipt(connection, person.id, key, request, event.seq)
    return Receipt(event.seq, event.hash)


def _lease(connection: sa.Connection, person: int, lease: str) -> Any:
    """The lease with its item and queue. Somebody else's is not told apart from one that does not exist."""
    row = connection.execute(_MINE, {"lease": lease, "person": person}).one_or_none()
    if row is None:
        raise NotFound("no such task")
    return row


def _last_answered(connection: sa.Connection, person: int, queue: str) -> Any:
    mine = _JOINED.where(leases.c.person_id == person, queues.c.name == queue, leases.c.state.in_(ANSWERED))
    row = connection.execute(mine.order_by(leases.c.event.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound("there is nothing to take back")
    return row


def _hold(connection: sa.Connection, row: Any) -> None:
    if row.state in ANSWERED:
        raise Conflict("this task is answered already", hint="undo it to answer again")
    if row.state == EXPIRED and not take_again(connection, row):
        raise LeaseLost("this took longer than a task may, and others have answered it", hint="go on with the next")


def _close(connection: sa.Connection, row: Any, act: Submission, seq: int) -> None:
    """A vote keeps its place among those that the item wants; a skip gives it back."""
    if isinstance(act, Skip):
        end_lease(connection, row, SKIPPED)
    closed = {"lease": row.id, "end": SKIPPED if isinstance(act, Skip) else DONE, "act": seq}
    connection.execute(_CLOSE, closed)


def receipt_of(connection: sa.Connection, person: int, key: str, request: str) -> Receipt | None:
    """What a person's submission was acknowledged by; None where it is new.

    Raises:
        Conflict: when the key stood for another request.
    """
    row = connection.execute(_RECEIPT, {"person": person, "key": key}).one_or_none()
    if row is None:
        return None
    if row.request != request:
        raise Conflict("this key was used for something else", hint="a new submission needs a new key")
    return Receipt(row.seq, row.hash)


def write_receipt(connection: sa.Connection, person: int, key: str, request: str, seq: int) -> None:
    """Keep that event `seq` acknowledges a request."""
    connection.execute(_WRITE_RECEIPT, {"person_id": person, "key": key, "request": request, "event": seq})


def refuse_bad_key(key: str) -> None:
    """Raise a `UsageError` for what cannot name a submission."""
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise UsageError(f"a submission's key has 1 to {LONGEST_KEY} characters")
