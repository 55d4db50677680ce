"""The tables of a votebook. Acts are rows of `events`, appended and never changed; all else is a state that guides the work.

`items.taken` counts the leases of an item that are held or done, and a constraint keeps it at or below `items.target`: whatever
the code does, the database refuses to assign an item once too often.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)

# The chain: `hash` covers the row and the hash before it; `head` is its end, and the lock that makes appending one at a time.
events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("person", String(80), nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(8), nullable=False),
    Column("password", Text, nullable=False),
    Column("joined_at", Float, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("sees_harmful", Boolean, nullable=False),
    Column("groups", JSON, nullable=False),
)
invitations = Table(
    "invitations",
    metadata,
    Column("secret", String(64), primary_key=True),
    Column("role", String(8), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_by", Integer, ForeignKey("people.id")),
)
# Of a session or a token only the sha256 is kept: who reads the database cannot log in with it.
keys = Table(
    "keys",
    metadata,
    Column("secret", String(64), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("label", String(80), nullable=False),
    Column("expires_at", Float, nullable=False),
    Index(None, "person_id"),
)

guidelines = Table(
    "guidelines",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("at", Float, nullable=False),
)
queues = Table(
    "queues",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("settings", JSON, nullable=False),
    Column("guideline", String(64), ForeignKey("guidelines.id")),
    Column("open", Boolean, nullable=False),
)
items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("queue_id", Integer, ForeignKey("queues.id"), nullable=False),
    Column("key", String(300), nullable=False),
    Column("place", Integer, nullable=False),
    Column("arm", String(16), nullable=False),
    Column("target", Integer, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("content", JSON, nullable=False),
    Column("gold", JSON),
    UniqueConstraint("queue_id", "key"),
    CheckConstraint("taken >= 0 AND taken <= target", name="never_over_assigned"),
    Index(None, "queue_id", "arm", "place"),
    Index(
        "ix_items_waiting",
        "queue_id",
        "place",
        sqlite_where=text("taken < target"),
        postgresql_where=text("taken < target"),
    ),
)
leases = Table(
    "leases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), nullable=False),
    Column("queue_id", Integer, ForeignKey("queues.id"), nullable=False),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("purpose", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    Column("order", JSON, nullable=False),
    Column("guideline", String(64), nullable=False),
    Column("shown_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("draft", JSON),
    Column("event", Integer, ForeignKey("events.seq")),
    UniqueConstraint("item_id", "person_id", "purpose"),
    Index(None, "person_id", "queue_id", "state"),
    Index(None, "state", "expires_at"),
)
# Where a person's talk stands: it began behind event `after`; `messages` were said in all, and `message` waits for answers.
talks = Table(
    "talks",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("queue_id", Integer, ForeignKey("queues.id"), primary_key=True),
    Column("after", Integer, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("message", Text, nullable=False),
)
# What was answered to a submission, by the key its sender chose: sent again, it is answered again and not done again.
receipts = Table(
    "receipts",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("event", Integer, ForeignKey("events.seq"), nullable=False),
)
