"""`alidade constitution`: what it prints, what it writes, and with which code it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alidade.cli.main import app
from alidade.constitution import read_constitution, shipped
from alidade.constitution.document import as_yaml, parse_document
from alidade.errors import AlidadeError

ROOT = Path(__file__).parents[2]


def run(*arguments, code=0, group=("constitution",)):
    done = CliRunner().invoke(app, [*group, *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(run("show", "--yaml"), encoding="utf-8")
    return path


def test_show_prints_the_version_the_digest_and_each_principle_under_its_tier():
    text = run("show")
    one = shipped()
    assert text.splitlines()[:2] == [f"{one.title} (alidade {one.version})", f"digest {one.digest}"]
    places = [text.index(f"\n  {principle.id}") for principle in one.principles]
    assert places == sorted(places)
    assert "\n  stay-correctable [hard]\n" in text
    assert "\n  no-flattery [avoid]\n" in text


def test_show_gives_a_copy_to_adapt_and_json(mine):
    assert read_constitution(mine) == shipped()
    shown = json.loads(run("show", mine, "--json"))
    assert shown.pop("digest") == shipped().digest
    assert parse_document(json.dumps(shown), "x").constitution == shipped()


def test_lint_is_content_with_ours_and_ends_with_3_where_there_is_a_fault(mine):
    assert run("lint", "alidade") == "   good: 25 principles, 0 faults, 0 notes\n"
    text = mine.read_text().replace("version: 1.0.0\n\npreamble", "version: 1.0.1\n\npreamble")
    mine.write_text(text)
    line = text[: text.index("changelog:")].count("\n") + 1
    printed = run("lint", mine, code=3)
    assert f"bad: {mine}:{line}: changelog" in " ".join(printed.split())
    assert "hint: add `- version: 1.0.1`" in printed
    said = json.loads(run("lint", mine, "--json", code=3))
    assert (said["faults"], len(said["found"])) == (1, 1)
    assert said["found"][0] == {
        "check": "changelog",
        "severity": "fault",
        "where": f"{mine}:{line}",
        "principles": [],
        "what": "the changelog says nothing of version 1.0.1",
        "hint": "add `- version: 1.0.1` with a `text:` to `changelog:`",
    }


def test_lint_with_notes_alone_ends_with_0(mine):
    mine.write_text(mine.read_text().replace("    licence: Apache-2.0\n", "", 1))
    assert "0 faults, 1 notes" in run("lint", mine)


def test_lint_against_the_older_version_asks_for_a_higher_one(mine):
    mine.write_text(mine.read_text().replace("Answer the question that was asked", "Answer that question", 1))
    printed = " ".join(run("lint", mine, "--against", "alidade", code=3).split())
    assert "version-not-raised" in printed
    assert "raise `version` to at least 2.0.0" in printed


def test_import_writes_a_constitution_and_says_what_was_left(tmp_path):
    source, out, shots = tmp_path / "hf.json", tmp_path / "out.yaml", tmp_path / "shots.json"
    chat = [{"role": "user", "content": "Hey!"}]
    pair = {"critic": "Is it rude?", "revision": "Be civil."}
    source.write_text(json.dumps({"constitutions": [pair], "system_chat": [chat], "note": 1}))
    printed = run("import", source, out, "--id", "civil", "--title", "Civil")
    assert printed.splitlines() == [
        f"1 principles of hf in {out}",
        "  left behind: its examples; --shots FILE keeps them",
        "  left behind: note: 1",
    ]
    assert (read_constitution(out).id, read_constitution(out).title) == ("civil", "Civil")
    facts = json.loads(run("import", source, out, "--from", "hf", "--shots", shots, "--json"))
    assert facts == {
        "format": "hf",
        "principles": 1,
        "digest": read_constitution(out).digest,
        "left_behind": {"note": 1},
    }
    assert json.loads(shots.read_text())["chats"] == [[{"role": "user", "text": "Hey!"}]]


def test_diff_shows_the_words_and_how_far_the_version_must_be_raised(mine):
    assert run("diff", "alidade", mine, group=()) == "no word differs between 1.0.0 and 1.0.0\n"
    old = shipped()
    principles = (
        old.principles[0].model_copy(update={"text": old.principles[0].text.replace("Refuse", "Decline")}),
        *old.principles[2:],
    )
    new = old.model_copy(update={"principles": principles, "version": "1.1.0"})
    mine.write_text(as_yaml(new))
    lines = run("diff", "alidade", mine, group=()).splitlines()
    assert lines[0].startswith("removed: no-sexual-content-about-children: ")
    assert lines[1].startswith("changed (major): no-mass-casualties text: [-Refuse-]{+Decline+} everything")
    assert lines[2] == "a major change; 1.0.0 to 1.1.0 is not raised enough: at least 2.0.0"
    found = json.loads(run("diff", "alidade", mine, "--json", group=()))
    assert (found["needed"], found["least_version"], found["is_raised_enough"]) == ("major", "2.0.0", False)
    assert [one["id"] for one in found["removed"]] == ["no-sexual-content-about-children"]


def test_mistakes_are_told_in_words(tmp_path, mine):
    for arguments in (
        ("show", "alidad"),
        ("lint", tmp_path / "none.yaml"),
        ("import", tmp_path / "none.json", tmp_path / "out.yaml"),
        ("import", mine, tmp_path / "out.yaml"),
        ("import", mine, mine),
        ("import", mine, tmp_path / "no" / "out.yaml", "--from", "lines"),
        ("import", mine, tmp_path / "out.yaml", "--from", "cia"),
    ):
        done = CliRunner().invoke(app, ["constitution", *map(str, arguments)])
        assert isinstance(done.exception, AlidadeError), arguments
        assert done.exception.exit_code == 2
        assert done.exception.hint
    assert not (tmp_path / "out.yaml").exists()


def test_a_fault_of_the_file_ends_with_2_and_names_the_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("id: c\ntitle: C\nverson: 1.0.0\nprinciples: []\n")
    done = subprocess.run(
        [sys.executable, "-m", "alidade.cli.main", "constitution", "lint", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: unknown field `verson`",
        f"  at {path}:3 (verson)",
        "hint: did you mean `version`?",
    ]
