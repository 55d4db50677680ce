"""A votebook's database: opened, brought to the newest schema, read from and written to one transaction at a time.

SQLite in WAL mode with every commit on the disk is the default; PostgreSQL is a URL away. SQLite's writers take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy.event import listens_for
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import StaticPool

from alidade.errors import StoreError, UsageError
from alidade.preferences.votebook.turns import Turns

MIGRATIONS = Path(__file__).parent / "migrations"
IN_MEMORY = "sqlite://"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000")
READ_ONLY = "alidade_reads"
_VERSION = sa.table("alembic_version", sa.column("version_num"))


@final
class Votebook:
    """Where votes are kept. `clock` gives seconds since 1970-01-01 UTC."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._reader = engine.execution_options(**{READ_ONLY: True})
        self.writes_in_turn = engine.dialect.name == "sqlite"
        self._writer = Turns(engine).writing if self.writes_in_turn else engine.begin
        self.now = clock

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is on the disk once this is left without an error."""
        with self._writer() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_votebook(where: Path | str = IN_MEMORY, clock: Callable[[], float] = time.time) -> Votebook:
    """The votebook in a file, at a database URL, or (the default) in memory; made where there is none.

    Raises:
        UsageError: when the URL is none that is known, or its driver is not installed.
        StoreError: when the database does not answer, or was written by a newer version.
    """
    engine = _engine(str(where) if "://" in str(where) else f"sqlite:///{Path(where).absolute()}")
    try:
        _upgrade(engine)
    except OperationalError as error:
        hint = "is the server running, and may this user write there?"
        raise StoreError(f"the votebook cannot be opened: {error.orig}", where=_shown(engine), hint=hint) from error
    return Votebook(engine, clock)


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=20, max_overflow=20)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise UsageError(
            f"not a database URL: {error}", hint="postgresql://USER@HOST/NAME, or a file's name"
        ) from error
    name = parsed.get_backend_name()
    raise UsageError(f"votes are not kept in {name}", hint="use a file (SQLite) or postgresql://USER@HOST/NAME")


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, pool_size=20, max_overflow=30)
    else:
        engine = sa.create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})

    @listens_for(engine, "connect")
    def connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say so, and not before the first write
        for pragma in PRAGMAS:
            raw.execute(f"PRAGMA {pragma}")

    @listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(READ_ONLY)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _upgrade(engine: sa.Engine) -> None:
    """Bring the schema to the newest version; where it is that already, the library that does so is not even loaded."""
    with engine.execution_options(**{READ_ONLY: True}).connect() as connection:
        if (
            sa.inspect(connection).has_table(_VERSION.name)
            and connection.scalar(sa.select(_VERSION)) == newest_schema()
        ):
            return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        hint = "install the version of alidade that wrote it, or a newer one"
        raise StoreError(f"the votebook is of another version: {error}", where=_shown(engine), hint=hint) from error


def newest_schema() -> str:
    """The number that the newest migration's file begins with, which is its revision."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _shown(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=True)
