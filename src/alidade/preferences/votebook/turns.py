"""SQLite's writers, one at a time and several to a commit: waiting for the disk is most of what a write costs, and is done once for all.

SQLite's own waiting is by polling, which starves some when many write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

MOST = 32  # writers to a commit


@final
class Turns:
    """Whose turn it is to write. Nobody's `writing` ends before the commit that it is part of."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._turn, self._counting, self._waiting = Lock(), Lock(), 0
        self._shared: _Shared | None = None

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One writer's part of a transaction: on the disk once this is left without an error, undone alone by an error of its own."""
        self._wait()
        try:
            shared = self._shared = self._shared or _Shared(self._engine)
            with shared.part() as connection:
                yield connection
        finally:
            self._leave()
        shared.wait()

    def _wait(self) -> None:
        with self._counting:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._waiting -= 1

    def _leave(self) -> None:
        """Let the next writer in; the last one for now commits for all before it does."""
        shared = self._shared
        if shared is not None and (shared.fault or not self._waiting or shared.parts >= MOST):
            self._shared = None
            shared.end()
        self._turn.release()


@final
class _Shared:
    """A transaction of several writers; `fault` is what made all of it fail."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect()
        self._transaction = self._connection.begin()
        self._ended = Event()
        self.parts = 0
        self.fault: Exception | None = None

    @contextmanager
    def part(self) -> Iterator[sa.Connection]:
        """What one writer does; an error undoes it and nothing else."""
        self.parts += 1
        self._connection.exec_driver_sql("SAVEPOINT part")
        try:
            yield self._connection
        except BaseException:
            self._undo()
            raise
        self._connection.exec_driver_sql("RELEASE part")

    def end(self) -> None:
        """Commit what all did."""
        try:
            if self.fault is None:
                self._transaction.commit()
        except Exception as error:
            self.fault = error
        finally:
            self._connection.close()
            self._ended.set()

    def wait(self) -> None:
        """Return once all of it is on the disk, or raise what kept it from getting there."""
        self._ended.wait()
        if self.fault is not None:
            raise self.fault

    def _undo(self) -> None:
        try:
            self._connection.exec_driver_sql("ROLLBACK TO part")
            self._connection.exec_driver_sql("RELEASE part")
        except DBAPIError as error:  # a full disk makes SQLite itself roll back everybody's part
            self.fault = error
