"""How far the work is: of a queue, of everybody in it, and of one person's day."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.leases import DONE, HELD, SKIPPED
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import QueueSettings
from alidade.preferences.votebook.schema import events, items, leases, people, queues
from alidade.records import Record

PAUSE = 30 * 60.0  # seconds without an answer that end a sitting
HOUR = 3600.0


class QueueProgress(Record):
    """A queue: votes wanted in all, given, and being worked on."""

    name: str
    settings: QueueSettings
    open: bool
    wanted: int
    done: int
    held: int
    skipped: int
    people: int


class Share(Record):
    """What one person has done in a queue."""

    name: str
    done: int
    skipped: int
    held: int


class Sitting(Record):
    """A person's own work: answers in a queue in all, in the last hour, and for how long without a break (seconds)."""

    done: int
    last_hour: int
    seconds: float


def queues_progress(book: Votebook) -> list[QueueProgress]:
    """All queues, by name."""
    wanted = dict(_pairs(book, sa.select(items.c.queue_id, sa.func.sum(items.c.target)).group_by(items.c.queue_id)))
    counted = sa.select(leases.c.queue_id, leases.c.state, sa.func.count()).where(leases.c.purpose == "work")
    who = sa.select(leases.c.queue_id, sa.func.count(sa.distinct(leases.c.person_id))).group_by(leases.c.queue_id)
    voters = dict(_pairs(book, who))
    with book.reading() as connection:
        rows = connection.execute(sa.select(queues).order_by(queues.c.name)).all()
        states = connection.execute(counted.group_by(leases.c.queue_id, leases.c.state)).all()
    count = {(queue, state): number for queue, state, number in states}
    return [
        QueueProgress(
            name=row.name,
            settings=QueueSettings.model_validate(row.settings),
            open=row.open,
            wanted=int(wanted.get(row.id) or 0),
            done=count.get((row.id, DONE), 0),
            held=count.get((row.id, HELD), 0),
            skipped=count.get((row.id, SKIPPED), 0),
            people=voters.get(row.id, 0),
        )
        for row in rows
    ]


def shares(book: Votebook, queue: str) -> list[Share]:
    """What each person has done in a queue, by name."""
    counted = (
        sa.select(people.c.name, leases.c.state, sa.func.count())
        .join(leases, leases.c.person_id == people.c.id)
        .join(queues, queues.c.id == leases.c.queue_id)
        .where(queues.c.name == queue)
        .group_by(people.c.name, leases.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    with book.reading() as connection:
        for name, state, number in connection.execute(counted):
            found.setdefault(name, {})[state] = number
    return [
        Share(name=name, done=states.get(DONE, 0), skipped=states.get(SKIPPED, 0), held=states.get(HELD, 0))
        for name, states in sorted(found.items())
    ]


def sitting(book: Votebook, person: Person, queue: str) -> Sitting:
    """A person's own progress and pace."""
    mine = (leases.c.person_id == person.id) & leases.c.event.is_not(None)
    here = sa.select(sa.func.count()).select_from(leases).join(queues).where(mine, queues.c.name == queue)
    recent = (
        sa.select(events.c.at)
        .join(leases, leases.c.event == events.c.seq)
        .where(mine, events.c.at > book.now() - 8 * HOUR)
        .order_by(events.c.at.desc())
    )
    with book.reading() as connection:
        done = connection.scalar(here) or 0
        times = list(connection.scalars(recent))
    return Sitting(
        done=done, last_hour=sum(at > book.now() - HOUR for at in times), seconds=_unbroken(book.now(), times)
    )


def _unbroken(now: float, times: list[float]) -> float:
    """Seconds since the first of the answers that followed each other, up to now, without a pause."""
    began = now
    for at in times:
        if began - at > PAUSE:
            break
        began = at
    return now - began


def _pairs(book: Votebook, query: sa.Executable) -> list[tuple[Any, ...]]:
    with book.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]
