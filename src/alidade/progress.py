"""Progress as an interface: library code reports, the command line draws."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Tracker(Protocol):
    """One bar: told how far the work is."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Add `amount` finished units; `note` is shown behind the bar (a loss, a rate)."""
        ...


class Progress(Protocol):
    """Something that can show work in progress."""

    def track(self, total: int, label: str, unit: str, done: int = 0) -> AbstractContextManager[Tracker]:
        """Open a bar of `total` units of which `done` are finished already (a resumed run)."""
        ...


class _SilentTracker:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Show nothing."""


class SilentProgress:
    """Shows nothing; for tests and libraries."""

    @contextmanager
    def track(self, total: int, label: str, unit: str, done: int = 0) -> Generator[Tracker]:
        """Open a bar that is not drawn."""
        yield _SilentTracker()
