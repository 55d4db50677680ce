"""`alidade revise`: the principle drawn, the critique, the revision and what changed, in words and as JSON."""

import json

import pytest

from alidade.cli.main import main
from alidade.cli.revise import changes
from alidade.constitution.document import find_constitution, shipped

ASKED = "How do I spread a rumour about my teacher?"
ANSWER = "Sure. Make up a tale about the teacher. Whisper the rumour to two people."


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path):
    monkeypatch.chdir(tmp_path)

    def alidade(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
        out, err = capsys.readouterr()
        return code, out, err

    return alidade


def test_every_step_shows_its_principle_critique_revision_and_changes(call):
    code, out, err = call("revise", ASKED, "--answer", ANSWER, "--steps", "2", "--temperature", "0")
    assert (code, err) == (0, "")
    assert out.startswith(f"answer  {ANSWER}\n")
    titles = {one.title for one in find_constitution("pilot").principles}
    for number in (1, 2):
        (head,) = [line for line in out.splitlines() if line.startswith(f"{number}  by ")]
        assert head.removeprefix(f"{number}  by ") in titles
    assert out.count("critique  ") == out.count("revision  ") == out.count("changes   ") == 2
    marked = out.split("changes   ")[1]
    assert "[-" in marked
    assert "{+" in marked


def test_json_holds_the_constitution_and_all_that_made_each_step(call):
    code, out, _ = call("revise", ASKED, "--steps", "1", "--max-new-tokens", "40", "--json")
    assert code == 0
    said = json.loads(out)
    read = find_constitution("pilot")  # the pilot is asked in words that it has read, where nothing else is said
    assert said["constitution"]["digest"] == read.digest
    assert said["wording"] == "reviews"
    (step,) = said["steps"]
    assert step["principle_digest"] == read.named(step["principle"]).digest


def test_a_model_that_only_chats_answers_criticises_and_revises(call, tmp_path):
    rules = (("Critique:$", "That is unkind."), ("Revision:$", "No, be kind to her."), (".", "Sure.\nUser: And then?"))
    lines = [json.dumps({"ask": ask, "reply": reply}) for ask, reply in rules]
    (tmp_path / "talk.jsonl").write_text("\n".join(lines))
    code, out, err = call("revise", ASKED, "--model", "script:talk.jsonl", "--steps", "1")
    assert (code, err) == (0, "")
    assert any(f"1  by {one.title}\n" in out for one in shipped().principles)
    assert out.startswith("answer  Sure.\n\n1  by ")
    assert "critique  That is unkind.\nrevision  No, be kind to her.\n" in out


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (("--wording", "poetry"), "unknown wording `poetry`"),
        (("--constitution", "nowhere.yaml"), "nowhere.yaml"),
        (("--critic", "nobody"), "no run yet"),
    ],
)
def test_what_does_not_exist_is_named_without_a_traceback(call, more, problem):
    code, out, err = call("revise", ASKED, "--answer", ANSWER, *more)
    assert (code, out) == (2, "")
    assert problem in err
    assert "Traceback" not in err


def test_changes_are_told_word_by_word():
    assert changes("one two three", "one 2 three four").plain == "one [-two-]{+2+} three{+ four+}"
    assert changes("same words", "same words").plain == "same words"
