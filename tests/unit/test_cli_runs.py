"""`align`, `plan` and `run` at the command line: results on stdout, chatter on stderr, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.cli.main import main


class Said(NamedTuple):
    code: object
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line, called in an empty folder that holds the recipe `toy.yaml`."""
    monkeypatch.chdir(tmp_path)
    write_recipe(Path(), SUM)

    def alidade(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        return Said(code, *capsys.readouterr())

    return alidade


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*"))


def test_plan_prints_a_line_for_every_stage_and_writes_nothing(call: Call) -> None:
    said = call("plan", "toy.yaml")
    assert said == Said(0, "one: run - never made\ntwo: run - never made\nsum: run - never made\n", "")
    assert files() == ["toy.yaml"]


def test_plan_refuses_what_run_would_refuse_in_the_same_words(call: Call) -> None:
    Path("empty.txt").touch()
    write_recipe(Path(), "  a: {use: toy-file, with: {files: [empty.txt]}}\n", "bad")
    planned, ran = call("plan", "bad.yaml"), call("run", "bad.yaml")
    assert planned == Said(2, "", "error: an empty file\n  at empty.txt:1\nhint: give a file with something in it\n")
    assert planned == ran == call("plan", "bad.yaml", "--json")
    assert files() == ["bad.yaml", "empty.txt", "toy.yaml"]


def test_run_makes_the_stages_and_the_second_time_reuses_them(call: Call) -> None:
    first = call("run", "toy.yaml")
    assert first.code == 0
    assert first.err.startswith("[1/3] one: running - never made\n[1/3] one: done in 0.")
    assert "sum" in first.out
    assert Path("runs/toy/run.json").exists()
    second = call("run", "toy.yaml")
    assert second.err == (
        "[1/3] one: reused - unchanged\n[2/3] two: reused - unchanged\n[3/3] sum: reused - unchanged\n"
    )
    assert call("plan", "toy.yaml").out.startswith("one: reuse - unchanged\n")


def test_json_on_stdout_is_nothing_but_json(call: Call) -> None:
    planned = json.loads(call("plan", "toy.yaml", "--json").out)
    assert [(one["name"], one["action"], one["because"]) for one in planned] == [
        ("one", "run", "never made"),
        ("two", "run", "never made"),
        ("sum", "run", "never made"),
    ]
    record = json.loads(call("run", "toy.yaml", "--json", "--out", "there").out)
    assert record["command"] == "alidade align toy.yaml --seed 0 --out there"
    assert record == json.loads(Path("there/run.json").read_text())


def test_values_seed_and_folder_come_from_the_command_line(call: Call) -> None:
    record = json.loads(call("run", "toy.yaml", "--json", "-o", "x", "-s", "one.value=7", "-s", "seed=3").out)
    assert record["recipe"]["stages"]["one"]["with"]["value"] == 7
    assert record["seed"] == 3
    assert (
        json.loads(call("align", "toy.yaml", "--json", "-o", "x", "--seed", "4", "--only", "one").out)["run"]["seed"]
        == 4
    )


def test_quick_runs_have_a_folder_of_their_own(call: Call) -> None:
    call("run", "toy.yaml", "--quick", "--only", "one")
    assert Path("runs/toy-quick/store").is_dir()
    assert not Path("runs/toy").exists()


def test_only_runs_the_stages_named(call: Call) -> None:
    record = json.loads(call("run", "toy.yaml", "--only", "one", "--only", "two", "--json").out)
    assert [stage["name"] for stage in record["stages"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["run", "toy.yaml", "--set", "one.valu=2"],
            2,
            "error: unknown field `valu`\n  at --set one.valu=2 (stages.one.with.valu)\nhint: did you mean `value`?\n",
        ),
        (["run", "none.yaml"], 2, "error: no such recipe\n  at none.yaml\nhint: "),
        (["align", "tuor"], 2, "error: no recipe is called `tuor`\nhint: did you mean `tour`?\n"),
        (["run", "toy.yaml", "--only", "smu"], 2, "error: the recipe has no stage `smu`\nhint: did you mean `sum`?\n"),
        (["run", "toy.yaml", "--only", "sum"], 2, "error: stage `sum` needs `one`, which is not made yet (never made)"),
        (["run", "toy.yaml", "--seed", "-1"], 2, ""),
        (["run", "toy.yaml", "--no-such-option"], 2, ""),
        (["rnu"], 2, ""),
        (["why", "sum"], 2, "error: no run yet\n  at runs\nhint: make one: alidade align\n"),
        (["report", "nowhere"], 2, "error: no run here\n  at nowhere\nhint: make one: alidade align --out nowhere\n"),
    ],
)  # fmt: skip
def test_a_mistake_exits_with_2_says_so_on_stderr_and_writes_nothing(
    call: Call, arguments: list[str], code: int, message: str
) -> None:
    said = call(*arguments)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(message)
    assert said.err
    assert files() == ["toy.yaml"]


def test_a_failed_stage_exits_with_1(call: Call) -> None:
    write_recipe(Path(), "  bad: {use: toy-fail}\n", "bad")
    said = call("run", "bad.yaml")
    assert said.code == 1
    assert said.err == (
        "[1/1] bad: running - never made\n"
        "error: stage `bad` failed: ValueError: oops\n"
        "  at bad.yaml:4 (stages.bad)\n"
        "hint: --debug shows the traceback; finished stages are kept, so the same command goes on from here\n"
    )


def test_debug_shows_the_error_itself(call: Call) -> None:
    from alidade.errors import StageFailed

    write_recipe(Path(), "  bad: {use: toy-fail}\n", "bad")
    with pytest.raises(StageFailed):
        call("run", "bad.yaml", "--debug")


def test_an_interrupt_says_how_to_go_on(call: Call) -> None:
    write_recipe(Path(), "  stop: {use: toy-fail, with: {how: interrupt}}\n", "stop")
    said = call("run", "stop.yaml")
    assert said.code == 130
    assert said.err.endswith("interrupted; run the same command again to continue\n")


def test_warnings_of_a_stage_are_chatter(call: Call) -> None:
    write_recipe(Path(), "  quiet: {use: toy-fail, with: {how: nothing}}\n", "quiet")
    said = call("run", "quiet.yaml")
    assert said.code == 1
    assert "wrote no `value.json`" in said.err


def test_version_and_help_need_nothing(call: Call) -> None:
    from alidade import __version__

    assert call("--version") == Said(0, f"alidade {__version__}\n", "")
    said = call("--help")
    assert said.code == 0
    for command in ("align", "plan", "run", "show", "why", "chat", "compare", "report", "doctor"):
        assert f"\n  {command} " in said.out


def test_no_short_description_of_a_command_is_cut_off(call: Call) -> None:
    assert "..." not in call("--help").out.partition("Commands:")[2]


def test_every_command_that_prints_results_can_print_json(call: Call) -> None:
    commands = ["align", "plan", "run", "why", "compare", "report", "doctor"]
    shown = [["show", what] for what in ("recipe", "tokens", "artifact", "rows")]
    for command in [[name] for name in commands] + shown:
        assert "--json" in call(*command, "--help").out, command
