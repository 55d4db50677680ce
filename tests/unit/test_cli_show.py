"""`show`, `why` and `doctor` on a run of toy stages."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.toy_stages import write_recipe

from alidade.cli.main import main
from alidade.pipeline import load_recipe, run
from alidade.store import Store

PAIRS = """\
  votes: {use: toy-votes, with: {rows: 4}}
  pairs: {use: toy-pairs, in: {votes: votes}, with: {rows: 2}}
  one: {use: toy-number}
"""
Call = Callable[..., tuple[object, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line (exit code, stdout) in a folder with one finished run."""
    monkeypatch.chdir(tmp_path)
    out = Path("runs/toy")
    run(load_recipe(write_recipe(Path(), PAIRS)), Store(out / "store"), out=out)

    def alidade(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        capsys.readouterr()
        try:
            main()
        except SystemExit as leaving:
            said = capsys.readouterr()
            return leaving.code or 0, said.out or said.err
        return 0, capsys.readouterr().out

    return alidade


def manifest(name: str) -> dict[str, str]:
    found = [json.loads(path.read_text()) for path in Path("runs/toy/store/made").iterdir()]
    return next(one for one in found if one["name"] == name)


def damage(name: str) -> str:
    digest = manifest(name)["digest"]
    path = next(path for path in (Path("runs/toy/store/data") / digest).iterdir())
    path.chmod(0o644)
    path.write_text("damaged")
    return digest


def test_why_prints_the_way_up_from_a_stage(call: Call) -> None:
    code, said = call("why", "pairs")
    pairs, votes = manifest("pairs"), manifest("votes")
    assert code == 0
    assert said == (
        f"pairs (rows {pairs['digest'][:12]}): stage toy-pairs, version 1, seed {pairs['seed']}\n"
        "    with rows=2\n"
        f"  votes: votes (rows {votes['digest'][:12]}): stage toy-votes, version 1, seed {votes['seed']}\n"
        "      with rows=4\n"
    )


def test_why_prints_the_rows_behind_a_row(call: Call) -> None:
    _, said = call("why", "p0/0-1")
    assert said.splitlines()[:3] == [
        'votes/rows.jsonl:1  {"id": "v0", "prompt_id": "p0", "choice": "left"}',
        'votes/rows.jsonl:3  {"id": "v2", "prompt_id": "p0", "choice": "left"}',
        'pairs/rows.jsonl:1  {"id": "p0/0-1", "left": "a", "right": "b"}',
    ]


def test_why_as_json_holds_the_whole_tree(call: Call) -> None:
    _, said = call("why", "p0/0-1", "--json")
    found = json.loads(said)
    assert [row["stage"] for row in found["rows"]] == ["votes", "votes", "pairs"]
    assert found["steps"][0]["inputs"]["votes"]["manifest"]["name"] == "votes"


def test_why_of_something_unknown_is_a_mistake(call: Call) -> None:
    code, said = call("why", "piars")
    assert code == 2
    assert "hint: did you mean `pairs`?" in said


def test_show_recipe_prints_yaml_that_is_a_recipe_again(call: Call, tmp_path: Path) -> None:
    _, said = call("show", "recipe", "toy.yaml", "--set", "one.value=1e-6")
    (tmp_path / "again.yaml").write_text(said)
    assert load_recipe(tmp_path / "again.yaml").stages["one"].config.model_dump()["value"] == 1e-6


def test_show_artifact_prints_where_it_is_and_what_it_holds(call: Call) -> None:
    code, said = call("show", "artifact", "pairs")
    digest = manifest("pairs")["digest"]
    assert code == 0
    assert said.startswith(f"pairs: rows {digest}\nmade by toy-pairs, version 1, in 0.")
    assert f"lies in runs/toy/store/data/{digest}\n" in said
    assert "  from votes = votes (rows " in said
    assert said.endswith("  rows.jsonl\n")
    assert set(json.loads(call("show", "artifact", digest[:8], "--json")[1])) == {"manifest", "path", "files"}


def test_show_rows_prints_the_first_rows_of_a_stage_or_a_file(call: Call) -> None:
    assert [row["id"] for row in json.loads(call("show", "rows", "votes", "-n", "2", "--json")[1])] == ["v0", "v1"]
    path = f"runs/toy/store/data/{manifest('pairs')['digest']}/rows.jsonl"
    assert len(json.loads(call("show", "rows", path, "--json")[1])) == 2


def test_show_rows_of_a_file_that_is_not_there_names_those_that_are(call: Call) -> None:
    code, said = call("show", "rows", "votes", "--file", "other.jsonl")
    assert code == 2
    assert said.endswith("hint: its rows: rows.jsonl\n")


def test_doctor_finds_a_sound_run_sound_and_tells_what_was_dropped(call: Call) -> None:
    code, said = call("doctor", "runs/toy")
    assert code == 0, said
    assert "   good: 3 artifacts are whole\n" in said
    assert "   note: votes: dropped 2 (too long)\n" in said
    assert "   note: votes: truncated 1 (in all)\n" in said
    assert "   note: votes, heldout: dropped 3 (too long)\n" in said


def test_doctor_finds_damage_and_repairs_it(call: Call) -> None:
    digest = damage("one")
    code, said = call("doctor", "runs/toy")
    assert code == 1
    assert (
        f"    bad: artifact {digest[:12]} of one: its files are not those that were committed\n"
        "         hint: alidade doctor runs/toy --repair\n"
    ) in said
    assert call("doctor", "runs/toy", "--repair")[0] == 0
    assert call("plan", "toy.yaml")[1].splitlines()[2] == "one: run - its artifact is no longer in the store"


def test_doctor_names_half_done_stages(call: Call) -> None:
    scratch = Path("runs/toy/store/scratch/abcdef")
    scratch.mkdir(parents=True)
    (scratch / "checkpoint").write_text("")
    assert "a stage stopped half way (abcdef)" in call("doctor", "runs/toy")[1]


def test_doctor_as_json_lists_findings(call: Call) -> None:
    findings = json.loads(call("doctor", "--json")[1])
    assert {"state", "what", "hint"} == set(findings[0])
    assert findings[0]["what"].startswith("Python 3.")


def test_the_newest_run_is_meant_when_none_is_named(call: Call) -> None:
    write_recipe(Path(), "  other: {use: toy-number}\n", "later")
    run(load_recipe(Path("later.yaml")), Store(Path("runs/later/store")), out=Path("runs/later"))
    assert call("why", "other")[0] == 0
    assert call("why", "pairs", "--out", "runs/toy")[0] == 0
