"""Acts as a chain: every event carries the sha256 of itself and of the hash before it, so none can be changed or taken out unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alidade.digest import canonical_json, digest_of
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.schema import events, head

FIRST = "0" * 64
# Built once: putting these together costs more than running them.
_END = sa.select(head.c.seq, head.c.hash).with_for_update()
_ADD, _MOVE_END = events.insert(), head.update()


@dataclass(frozen=True)
class Event:
    """One act: its number from 1, when it was acknowledged, of which kind, by whom, and what it says."""

    seq: int
    at: float
    kind: str
    person: str
    body: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class Checked:
    """A chain's length and last hash; `fault` says where it is broken, or nothing."""

    events: int
    head: str
    fault: str = ""


def append(connection: sa.Connection, at: float, kind: str, person: str, body: Mapping[str, Any]) -> Event:
    """Add an act at the end of the chain, `at` to the millisecond; late in a transaction, as nobody else can append until that ends."""
    at = round(at, 3)
    last = connection.execute(_END).one()
    seq, written = last.seq + 1, canonical_json(body).decode()
    found = _hash(last.hash, seq, at, kind, person, written)
    row = {"seq": seq, "at": at, "kind": kind, "person": person, "body": written, "hash": found}
    connection.execute(_ADD, row)
    connection.execute(_MOVE_END, {"seq": seq, "hash": found})
    return Event(seq, at, kind, person, body, found)


def read_events(book: Votebook, after: int = 0, limit: int | None = None, person: str | None = None) -> Iterator[Event]:
    """Acts in order, from the one behind number `after`; of one person, or of all."""
    mine = sa.true() if person is None else events.c.person == person
    query = sa.select(events).where(events.c.seq > after, mine).order_by(events.c.seq).limit(limit)
    with book.reading() as connection, connection.execution_options(yield_per=1000).execute(query) as rows:
        for row in rows:
            yield Event(row.seq, row.at, row.kind, row.person, json.loads(row.body), row.hash)


def verify(book: Votebook, known: str = "") -> Checked:
    """Reckon the whole chain anew; `known` is a hash noted down earlier that must still be in it."""
    last, count, is_known = FIRST, 0, not known
    with book.reading() as connection:
        end = connection.execute(sa.select(head.c.seq, head.c.hash)).one()
        query = sa.select(events).order_by(events.c.seq)
        with connection.execution_options(yield_per=1000).execute(query) as rows:
            for row in rows:
                count += 1
                if row.seq != count:
                    return Checked(count - 1, last, f"event {count} is missing")
                if _hash(last, row.seq, row.at, row.kind, row.person, row.body) != row.hash:
                    return Checked(count - 1, last, f"event {row.seq} is not what was written")
                last, is_known = row.hash, is_known or row.hash.startswith(known)
    if (end.seq, end.hash) != (count, last):
        return Checked(count, last, f"{end.seq} events were written, {count} are there")
    return Checked(count, last, "" if is_known else f"no event has the hash {known}")


def _hash(before: str, seq: int, at: float, kind: str, person: str, body: str) -> str:
    return digest_of(["event/1", before, seq, at, kind, person, body])
