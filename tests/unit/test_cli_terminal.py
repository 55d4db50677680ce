"""Progress for people: bars in a terminal, lines elsewhere, results apart from chatter."""

import io

import pytest
from rich.console import Console

from alidade.cli import terminal


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (8.44, "8.4 s"), (59.9, "59.9 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")]
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert terminal.seconds_in_words(seconds) == words


def test_a_line_tells_how_far_how_fast_and_how_long_still() -> None:
    tracker = terminal._LineTracker(300, "sft", "rows", done=100)
    tracker.advance(50)
    began = tracker._began
    assert terminal.progress_line(tracker, began + 10) == "sft: 150/300 rows, 5.0 rows/s, 30.0 s left"
    tracker.advance(150)
    assert terminal.progress_line(tracker, began + 10) == "sft: 300/300 rows, 20.0 rows/s"


def test_lines_come_every_ten_seconds_and_no_oftener(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.LineProgress().track(10, "sft", "rows") as tracker:
        for _ in range(5):
            tracker.advance()
        assert capsys.readouterr().err == ""
        tracker._printed -= terminal.LINE_EVERY_SECONDS
        tracker.advance(note="loss 2.1")
        tracker.advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("      sft: 6/10 rows, ")
    assert said.err.endswith(", loss 2.1\n")


def test_bars_show_rate_time_left_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "chatter", lambda: Console(file=screen, force_terminal=True, width=120))
    progress = terminal.BarProgress()
    with progress.track(10, "outer", "stages") as outer, progress.track(200, "sft", "rows", done=100) as inner:
        inner.advance(50, note="loss 2.1")
        outer.advance()
        assert progress._bars is not None
        progress._bars.refresh()
    drawn = screen.getvalue()
    assert "150/200" in drawn
    assert "rows/s" in drawn
    assert "loss 2.1" in drawn
    assert "1/10" in drawn
    assert progress._open == 0


def test_outside_a_terminal_lines_are_chosen() -> None:
    assert isinstance(terminal.progress_for_terminal(), terminal.LineProgress)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.results().no_color
