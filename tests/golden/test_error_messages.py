"""The wording of errors, as a person sees them at the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from alidade.cli.main import _explained, error_text
from alidade.errors import (
    AlidadeError,
    DataError,
    GateFailed,
    MissingExtra,
    ModelError,
    ModelUnavailable,
    RecipeError,
    StageFailed,
    StoreBusy,
    StoreError,
    TrainingStopped,
    UsageError,
)

ROOT = Path(__file__).parents[2]


def test_an_error_has_three_lines() -> None:
    error = RecipeError("unknown field `bata`", where="recipes/dpo.yaml:14", hint="did you mean `beta`?")
    assert error_text(error) == "error: unknown field `bata`\n  at recipes/dpo.yaml:14\nhint: did you mean `beta`?"


def test_an_error_without_place_or_hint_has_one_line() -> None:
    assert error_text(StoreError("the disk is full")) == "error: the disk is full"


def test_what_nobody_foresaw_has_a_message_too() -> None:
    assert error_text(_explained(KeyError("x"))) == "error: unexpected KeyError: 'x'\nhint: --debug shows where"
    full = error_text(_explained(OSError(28, "No space left on device")))
    assert full.startswith("error: the disk is full\n")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AlidadeError, 1),
        (RecipeError, 2),
        (DataError, 2),
        (ModelError, 2),
        (ModelUnavailable, 1),
        (MissingExtra, 2),
        (UsageError, 2),
        (StoreError, 1),
        (StoreBusy, 1),
        (StageFailed, 1),
        (TrainingStopped, 1),
        (GateFailed, 3),
    ],
)
def test_exit_codes_tell_whose_turn_it_is(kind: type[AlidadeError], code: int) -> None:
    assert kind("x").exit_code == code


def test_the_command_itself_speaks_on_stderr_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        "name: my\nstages:\n  a: {use: testbed-demonstrations}\n  b: {use: testbed-demonstration}\n"
    )
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from alidade.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "src"), "plan", "my.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: unknown stage `testbed-demonstration`\n  at my.yaml:4 (stages.b.use)\n"
        "hint: did you mean `testbed-demonstrations`?\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["my.yaml"]
