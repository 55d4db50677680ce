"""What a person sees while and after something runs: progress on stderr, results on stdout.

In a terminal a bar with rate and time left; elsewhere (a file, CI) a plain line every ten seconds.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from alidade.progress import Progress, Tracker

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from alidade.pipeline import Event
    from alidade.preferences.votebook import Votebook

LINE_EVERY_SECONDS = 10.0
_PLAIN_WIDTH = 120


def results() -> Console:
    """The console for results: stdout, coloured only in a terminal that wants colour."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def chatter() -> Console:
    """The console for everything else: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PLAIN_WIDTH)


def width() -> int:
    """Characters of a line on stdout."""
    return shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns if sys.stdout.isatty() else _PLAIN_WIDTH


def echo_json(value: Any) -> None:
    """Print a JSON value on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def progress_for_terminal() -> Progress:
    """Bars in a terminal, lines elsewhere."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


def seconds_in_words(seconds: float) -> str:
    """A duration, as short as it can be read: 8.4 s, 3 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def show_event(event: Event) -> None:
    """One line on stderr for what happened to a stage."""
    head = f"[{event.number}/{event.of}] {event.stage}"
    if event.what == "started":
        typer.echo(f"{head}: running - {event.because}", err=True)
    elif event.what == "made":
        typer.echo(f"{head}: done in {seconds_in_words(event.seconds)}", err=True)
    else:
        typer.echo(f"{head}: reused - {event.because}", err=True)


class BarProgress:
    """Bars with rate, time left and a note; one display for all open bars."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._open = 0

    @contextmanager
    def track(self, total: int, label: str, unit: str, done: int = 0) -> Generator[Tracker]:
        """Open a bar; it disappears when it is closed."""
        bars = self._bars = self._bars or _new_bars()
        if self._open == 0:
            bars.start()
        self._open += 1
        task = bars.add_task(
            label, total=total, completed=done, unit=unit, note="", began=time.monotonic(), before=done
        )
        try:
            yield _BarTracker(bars, task)
        finally:
            bars.remove_task(task)
            self._open -= 1
            if self._open == 0:
                bars.stop()


class _BarTracker:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move the bar."""
        self._bars.update(self._task, advance=amount)
        if note:
            self._bars.update(self._task, note=note)


def _new_bars() -> Bars:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Units per second since the bar was opened."""

        def render(self, task: Any) -> Text:
            elapsed = time.monotonic() - task.fields["began"]
            rate = (task.completed - task.fields["before"]) / elapsed if elapsed > 0 else 0.0
            return Text(f"{rate:.1f} {task.fields['unit']}/s")

    return Bars(
        TextColumn("      {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=chatter(),
        transient=True,
    )


class LineProgress:
    """A plain line on stderr every ten seconds."""

    @contextmanager
    def track(self, total: int, label: str, unit: str, done: int = 0) -> Generator[Tracker]:
        """Open a count that is printed now and then."""
        yield _LineTracker(total, label, unit, done)


class _LineTracker:
    def __init__(self, total: int, label: str, unit: str, done: int) -> None:
        self._total = total
        self._label = label
        self._unit = unit
        self._before = self._done = done
        self._began = self._printed = time.monotonic()

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count, and print when it is time."""
        self._done += amount
        now = time.monotonic()
        if now - self._printed < LINE_EVERY_SECONDS:
            return
        self._printed = now
        typer.echo(f"      {progress_line(self, now)}" + (f", {note}" if note else ""), err=True)

    def at(self, now: float) -> tuple[str, int, int, str, float]:
        """(label, done, total, unit, units per second)."""
        rate = (self._done - self._before) / max(now - self._began, 1e-9)
        return self._label, self._done, self._total, self._unit, rate


def progress_line(tracker: _LineTracker, now: float) -> str:
    """How far, how fast, how long still."""
    label, done, total, unit, rate = tracker.at(now)
    left = f", {seconds_in_words((total - done) / rate)} left" if rate > 0 and total > done else ""
    return f"{label}: {done}/{total} {unit}, {rate:.1f} {unit}/s{left}"


@contextmanager
def opened(book: Votebook) -> Generator[Votebook]:
    """A votebook, closed when this is left."""
    try:
        yield book
    finally:
        book.close()
