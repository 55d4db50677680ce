"""`doctor` on a run with trainings: what was measured before the first step, what the curves show, and what stopped."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alidade.cli.diagnosis import Finding, as_text, of_training
from alidade.cli.main import main
from alidade.store import write_json, write_rows
from alidade.training.preflight import FILE_NAME, PREFLIGHT, Checked, as_json, from_json, shares

HEALTHY = {"kl": 1.0, "entropy": 2.0, "length": 20.0}
GOOD = {name: Checked(name, float(about.at_least), float(about.at_least)) for name, about in PREFLIGHT.items()}


def trained(folder: Path, curves: list[dict[str, float]], checks: list[Checked]) -> list[Finding]:
    write_rows(folder / "metrics.jsonl", curves)
    write_json(folder / FILE_NAME, as_json(checks))
    return list(of_training("ppo", folder))


def test_a_healthy_training_is_said_to_be_healthy_with_its_numbers(tmp_path: Path) -> None:
    findings = trained(tmp_path, [HEALTHY] * 4, [Checked("reference", 3e-7, 1e-5), *GOOD.values()])
    assert {one.state for one in findings} == {"good"}
    assert findings[0].what == "ppo: KL is 0: policy and reference differ by 3e-07 nats at a token (at most 1e-05)"
    assert findings[-1].what == (
        "ppo: 4 rows of metrics.jsonl show no sign of negative KL, exploding KL, entropy collapse"
    )


@pytest.mark.parametrize("name", PREFLIGHT)
def test_what_is_wrong_before_the_first_step_is_named_with_cause_and_setting(tmp_path: Path, name: str) -> None:
    wrong = Checked(name, 0.5, 0.9 if PREFLIGHT[name].at_least else 0.1)
    first, *rest = [one for one in trained(tmp_path, [], [wrong, *GOOD.values()]) if one.state != "good"]
    assert not rest
    assert first.state == "warning"
    assert "0.5" in first.what or name == "dropout"
    assert first.hint == f"{PREFLIGHT[name].cause}; {PREFLIGHT[name].remedy}"


def test_a_number_that_is_none_keeps_no_bound() -> None:
    assert not Checked("reference", float("nan"), 1.0).is_good
    assert not Checked("trained", float("nan"), 0.0).is_good


def test_checks_survive_the_way_through_json_and_unknown_ones_are_passed_over() -> None:
    rows = json.loads(json.dumps(as_json(list(GOOD.values()))))
    assert from_json([*rows, {"name": "of tomorrow", "found": 1.0, "bound": 0.0}]) == list(GOOD.values())


def test_shares_of_rows_and_tokens_are_those_of_the_counts() -> None:
    counts = {"rows": 50, "dropped": {"too long": 2, "empty": 1}, "truncated": 5, "tokens": 1000, "trained_tokens": 10}
    assert {one.name: (one.found, one.is_good) for one in shares(counts)} == {
        "dropped": (0.06, False),
        "truncated": (0.1, False),
        "trained": (0.01, False),
    }


def test_a_sick_training_is_told_with_likely_cause_and_setting(tmp_path: Path) -> None:
    findings = trained(tmp_path, [HEALTHY, *[{**HEALTHY, "entropy": 0.1}] * 3], [])
    (sick,) = [one for one in findings if one.state == "warning"]
    assert sick.what == "ppo: entropy collapse: entropy fell from 2.00 to 0.10 nats a token"
    assert "took all of the probability" in sick.hint
    assert "`training.kl.beta`" in sick.hint
    assert findings[-1].what.endswith("no sign of negative KL, exploding KL")


def test_an_artifact_that_no_training_made_has_nothing_to_tell(tmp_path: Path) -> None:
    assert list(of_training("votes", tmp_path)) == []


def test_findings_fit_a_terminal_of_80_columns(tmp_path: Path) -> None:
    sick = [HEALTHY, *[{**HEALTHY, "entropy": 0.1, "kl": 90.0}] * 3]
    findings = trained(tmp_path, sick, [Checked(name, 0.5, 0.5) for name in PREFLIGHT])
    lines = [line for one in findings for line in as_text(one, 80).splitlines()]
    assert max(map(len, lines)) <= 80
    assert all(line.startswith((" " * 9, "   good: ", "warning: ")) for line in lines)
    assert as_text(Finding("note", "short", "do that"), 80) == "   note: short\n         hint: do that"


Call = Callable[..., tuple[object, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)

    def alidade(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        try:
            main()
        except SystemExit as leaving:
            said = capsys.readouterr()
            return leaving.code or 0, said.out or said.err
        return 0, capsys.readouterr().out

    return alidade


def test_a_training_that_stopped_at_a_number_that_is_none_is_bad_and_its_batches_are_pointed_to(call: Call) -> None:
    scratch = Path("runs/toy/store/scratch/abcdef")
    scratch.mkdir(parents=True)
    (scratch / "nonfinite-step-7.pt").write_bytes(b"")
    write_json(scratch / "nonfinite-step-7.json", {"wrong": {"loss": "nan"}})
    code, said = call("doctor", "runs/toy", "--json")
    (bad,) = [one for one in json.loads(said) if one["state"] == "bad"]
    assert code == 1
    path = scratch / "nonfinite-step-7.pt"
    assert bad["what"] == f"a training stopped at step 7: loss became nan; its batches are in {path}"
    assert "`training.optimiser.learning_rate`" in bad["hint"]
    assert "goes on from there" not in said


def test_a_folder_without_a_run_is_a_clear_error(call: Call) -> None:
    code, said = call("doctor", "runs/nothing")
    assert code == 2
    assert said == "error: no run here\n  at runs/nothing\nhint: make one: alidade align --out runs/nothing\n"
