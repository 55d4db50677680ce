"""Who may do what: roles, invitations, passwords, sessions and tokens. Of a secret only its sha256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from pydantic import Field

from alidade.errors import Conflict, NotAllowed, NotFound, UsageError
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.schema import invitations, keys, people
from alidade.records import Record

Role = Literal["viewer", "labeler", "lead", "admin"]
KeyKind = Literal["session", "token"]
RANK: Mapping[Role, int] = {"viewer": 0, "labeler": 1, "lead": 2, "admin": 3}
DAY = 86_400.0
INVITED, LOGGED_IN, TOKEN = 7 * DAY, DAY / 2, 90 * DAY
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
_HASHER = PasswordHasher()

_OWNER = (
    sa.select(people)
    .join(keys)
    .where(
        keys.c.secret == sa.bindparam("secret"),
        keys.c.kind == sa.bindparam("kind"),
        keys.c.expires_at > sa.bindparam("now"),
        people.c.active,
    )
)


class Person(Record):
    """Somebody with a role; `groups` are what they say of themselves, by question."""

    id: int
    name: str
    role: Role
    active: bool = True
    sees_harmful: bool = False
    groups: Mapping[str, str] = Field(default_factory=dict)

    def may(self, role: Role) -> bool:
        """Whether this person can do what `role` can do. A viewer looks at progress and votes on nothing."""
        return RANK[self.role] >= RANK[role]


def role_named(name: str) -> Role:
    """A role by its name.

    Raises:
        UsageError: when there is none of that name.
    """
    known: dict[str, Role] = {each: each for each in RANK}
    if name not in known:
        raise UsageError(f"there is no role {name!r}", hint=f"one of {', '.join(known)}")
    return known[name]


def invite(book: Votebook, role: Role) -> str:
    """The secret of an invitation that one person can use within seven days."""
    secret = secrets.token_urlsafe(24)
    with book.writing() as connection:
        row = {"secret": _kept(secret), "role": role, "expires_at": book.now() + INVITED}
        connection.execute(invitations.insert(), row)
    return secret


def invited_role(book: Votebook, secret: str) -> Role:
    """What an invitation is for.

    Raises:
        NotFound: when it is unknown, used or too old.
    """
    with book.reading() as connection:
        return _invitation(connection, secret, book.now()).role


def join(book: Votebook, secret: str, name: str, password: str) -> Person:
    """Use an invitation.

    Raises:
        NotFound: when the invitation is unknown, used or too old.
        UsageError: when the name or the password cannot be used.
        Conflict: when somebody has that name.
    """
    name = _usable_name(name)
    hashed = _hashed(password)
    with book.writing() as connection:
        invitation = _invitation(connection, secret, book.now())
        if connection.scalar(sa.select(people.c.id).where(people.c.name == name)) is not None:
            raise Conflict(f"somebody is called {name}", hint="choose another name")
        added = people.insert().values(
            name=name,
            role=invitation.role,
            password=hashed,
            joined_at=book.now(),
            active=True,
            sees_harmful=False,
            groups={},
        )
        number = connection.execute(added.returning(people.c.id)).scalar_one()
        connection.execute(invitations.update().where(invitations.c.secret == _kept(secret)).values(used_by=number))
    return Person(id=number, name=name, role=invitation.role)


def log_in(book: Votebook, name: str, password: str) -> str:
    """The secret of a session of twelve hours.

    Raises:
        NotAllowed: when name and password do not belong together.
    """
    with book.reading() as connection:
        known = sa.select(people).where(people.c.name == name.strip().replace("\x00", ""))
        row = connection.execute(known).one_or_none()
    is_right = _matches(row.password if row else _nobodys(), password)
    if row is None or not is_right or not row.active:
        raise NotAllowed("name and password do not belong together")
    return new_key(book, row.id, "session", "", LOGGED_IN)


def new_key(book: Votebook, person_id: int, kind: KeyKind, label: str, seconds: float) -> str:
    """The secret by which somebody is known for so many seconds: of a session, or a token for programs."""
    secret = secrets.token_urlsafe(32)
    row = {"secret": _kept(secret), "person_id": person_id, "kind": kind, "label": label}
    with book.writing() as connection:
        connection.execute(keys.delete().where(keys.c.expires_at < book.now()))
        connection.execute(keys.insert(), {**row, "expires_at": book.now() + seconds})
    return secret


def owner_of(book: Votebook, secret: str, kind: KeyKind) -> Person | None:
    """Who is known by a secret, or None."""
    given = {"secret": _kept(secret), "kind": kind, "now": book.now()}
    with book.reading() as connection:
        row = connection.execute(_OWNER, given).one_or_none()
    return None if row is None else _person(row)


def log_out(book: Votebook, secret: str) -> None:
    """End a session, or a token's life."""
    with book.writing() as connection:
        connection.execute(keys.delete().where(keys.c.secret == _kept(secret)))


def set_person(book: Votebook, person_id: int, **what: Any) -> None:
    """Change `active`, `sees_harmful`, `role` or `groups` of a person; who is made inactive is logged out at once.

    Raises:
        NotFound: when there is no such person.
    """
    with book.writing() as connection:
        changed = connection.execute(people.update().where(people.c.id == person_id).values(**what))
        if not changed.rowcount:
            raise NotFound("no such person")
        if what.get("active") is False:
            connection.execute(keys.delete().where(keys.c.person_id == person_id))


def everyone(book: Votebook) -> list[Person]:
    """All people, by name."""
    with book.reading() as connection:
        return [_person(row) for row in connection.execute(sa.select(people).order_by(people.c.name))]


def _person(row: Any) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        role=row.role,
        active=row.active,
        sees_harmful=row.sees_harmful,
        groups=row.groups,
    )


def _invitation(connection: sa.Connection, secret: str, now: float) -> Any:
    found = sa.select(invitations).where(
        invitations.c.secret == _kept(secret), invitations.c.used_by.is_(None), invitations.c.expires_at > now
    )
    row = connection.execute(found.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("this invitation is used, too old or unknown", hint="ask for a new one")
    return row


def _usable_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise UsageError("a name has 1 to 80 characters that can be seen")
    return name


def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _HASHER.hash(password)


@cache
def _nobodys() -> str:
    """Checked where there is no such person, so that both take as long."""
    return _HASHER.hash(secrets.token_urlsafe())


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password[:LONGEST_PASSWORD])
    except (VerifyMismatchError, InvalidHashError):
        return False


def _kept(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
