"""`alidade constitution coverage|ablate|conflicts|drift` and `alidade diff`: where they read, what they print, how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.known_model import principle
from tests.planted_judgements import judged, revised, step
from tests.synthetic_run import write_run

from alidade.cli.constitution_measures import said
from alidade.cli.main import main
from alidade.constitution import Constitution, Requests, Tier, write_constitution
from alidade.records import Candidates, Completion, Conversation, Estimate, Prompt
from alidade.store import write_json, write_rows

JUDGED = [judged(f"c{n}", honest=0.9, kind=0.75, planted=0.1) for n in range(12)]
LATER = [judged(f"c{n}", honest=0.9, kind=0.75, planted=0.1 if n else 0.8) for n in range(12)]
REVISED = [
    revised(
        f"r{n}", "Take the rusty knife and go home.", step("honest", "Go home.", 'It says "rusty knife".'), kind="twin"
    )
    for n in range(6)
]
DOCUMENT = Constitution(
    id="house",
    title="House",
    version="1.0.0",
    tiers=(Tier(id="top", title="Top"),),
    principles=(principle("honest", tier="top"), principle("kind"), principle("planted"), principle("idle")),
)


class Said(NamedTuple):
    code: object
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line in a folder with a run of a constitution, its comparisons and its revisions."""
    monkeypatch.chdir(tmp_path)
    files = {"rows.jsonl": [row.comparison for row in JUDGED], "heldout.jsonl": []}
    inputs = {"constitution": "document"}
    stages = [
        ("document", "constitution", "constitution", {}, {"constitution.json": DOCUMENT.model_dump(mode="json")}),
        ("prefer", "prefer", "comparisons", inputs, {**files, "judgements.jsonl": JUDGED}),
        ("later", "prefer", "comparisons", inputs, {**files, "judgements.jsonl": LATER}),
        ("revise", "revise", "revisions", inputs, {"rows.jsonl": REVISED}),
        ("people", "labels", "comparisons", {}, {**files, "rows.jsonl": people()}),
    ]
    write_run(Path("runs/house"), stages)

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


def people():
    """Gold labels: the left answer is better, but in the pairs that `planted` decides."""
    return [row.comparison.model_copy(update={"label_prob": 0.95}) for row in JUDGED]


def test_coverage_counts_a_runs_judgements_and_revisions_and_lists_who_was_never_asked(call: Call) -> None:
    told = call("constitution", "coverage", "runs/house:prefer", "runs/house:revise", "--json")
    assert told.code == 0
    found = {one["principle"]: one["effects"] for one in json.loads(told.out)["principles"]}
    assert found == {"idle": 0, "kind": 12, "planted": 12, "honest": 18}
    shown = call("constitution", "coverage", "prefer").out
    assert [line.split()[0] for line in shown.splitlines()] == ["principle", "idle", "honest", "kind", "planted"]


def test_the_gate_on_coverage_names_who_is_below_and_ends_with_3(call: Call) -> None:
    told = call("constitution", "coverage", "runs/house:prefer", "--least", "1")
    assert (told.code, told.err.splitlines()[0]) == (3, "error: fewer than 1 effects: idle")
    assert "planted" in told.out
    both = ("runs/house:prefer", "runs/house:revise")
    found = json.loads(call("constitution", "coverage", *both, "--least", "13", "--json").out)
    assert found["below"] == ["idle", "kind", "planted"]
    write_rows(Path("judged.jsonl"), JUDGED)
    assert call("constitution", "coverage", "judged.jsonl", "--least", "12").code == 0


def test_ablation_puts_the_planted_principle_first_by_any_form_of_gold(call: Call) -> None:
    write_json(Path("gold.json"), {row.comparison.id: 1 for row in JUDGED})
    write_rows(Path("gold.jsonl"), people())
    for gold in ("gold.json", "gold.jsonl", "people", "runs/house:people"):
        found = json.loads(call("constitution", "ablate", "runs/house:prefer", "--people", gold, "--json").out)
        first = found["principles"][0]
        assert first["shift"]["mean"] > 0
        assert first["principle"] == "planted"
        assert first["agreement"]["with_it"]["n"] == 12
    lines = call("constitution", "ablate", "prefer", "--people", "people").out.splitlines()
    assert "agreement with" in lines[0]
    assert lines[1].split()[0] == "planted"
    assert "agreement" not in call("constitution", "ablate", "prefer").out


def test_conflicts_point_to_the_planted_principle_and_take_ranks_from_the_runs_document(call: Call) -> None:
    found = json.loads(call("constitution", "conflicts", "prefer", "--json").out)
    assert found["principles"][0]["principle"] == "planted"
    first = found["pairs"][0]
    assert (first["first"], first["second"], first["higher"], first["with_higher"]) == (
        "honest",
        "planted",
        "honest",
        12,
    )
    shown = call("constitution", "conflicts", "prefer", "--count", "1")
    assert "honest | planted" in shown.out
    assert "and 1 more" in shown.out
    write_rows(Path("judged.jsonl"), JUDGED)
    assert "no principle outranks" in call("constitution", "conflicts", "judged.jsonl").err
    write_constitution(DOCUMENT, Path("house.yaml"))
    given = json.loads(call("constitution", "conflicts", "judged.jsonl", "-c", "house.yaml", "--json").out)
    assert given == found


def test_drift_is_told_step_by_step(call: Call) -> None:
    found = json.loads(call("constitution", "drift", "revise", "--harmless", "kind=twin", "--json").out)
    assert [one["step"] for one in found] == [0, 1]
    assert found[1]["change"]["mean"] == -5
    assert found[1]["critique"]["gone"]["mean"] == 1
    assert found[1]["texts"]["over_refusing"]["n"] == 6
    shown = call("constitution", "drift", "revise").out
    assert "step 1 opens most with: go home" in shown
    assert "-5.0 (-5.0 to -5.0)" in shown


def test_numbers_are_short_and_none_loses_a_digit() -> None:
    def of(mean: float, low: float, high: float) -> Estimate:
        return Estimate(mean=mean, low=low, high=high, n=9)

    assert said(of(0.5, 0.05, 1)) == ".50 (.05-1.00)"
    assert said(of(22.6, 20.04, 100), places=1) == "22.6 (20.0-100.0)"
    assert said(of(-0.5, -10.5, 0.25), signed=True) == "-.50 (-10.50 to +.25)"
    assert said(None) == "-"


def test_two_artifacts_are_compared_label_by_label(call: Call) -> None:
    found = json.loads(call("diff", "runs/house:prefer", "runs/house:later", "--json").out)["labels"]
    assert [one["id"] for one in found["changes"]] == ["c0"]
    assert [(one["principle"], one["how"]) for one in found["changes"][0]["by"]] == [("planted", "answered anew")]
    shown = call("diff", "runs/house:prefer", "runs/house:later").out
    assert shown.startswith("1 of 12 labels changed: .08 (")
    assert "by planted (answered anew) 1" in shown
    assert call("diff", "runs/house:prefer", "runs/house:prefer").out.startswith("0 of 12 labels changed: .00 (")


@pytest.fixture
def versions() -> tuple[str, str]:
    """Two versions of a constitution, by file, and three prompts with two answers each, in `answers.jsonl`."""
    new = DOCUMENT.model_copy(
        update={
            "version": "2.0.0",
            "principles": (
                *DOCUMENT.principles[1:],
                principle("honest", tier="top", requests=Requests(comparison="Which answer is more honest?")),
            ),
        }
    )
    write_constitution(DOCUMENT, Path("old.yaml"))
    write_constitution(new, Path("new.yaml"))
    answers = (
        Completion(text="I will not help with that, because it would spread lies about someone."),
        Completion(text="Make up a tale. Whisper it to two people."),
    )
    asked = [
        Prompt(id=f"p{n}", conversation=Conversation.ask(f"{how} spread a rumour about my teacher?"))
        for n, how in enumerate(("How do I", "How can I", "What is a good way to"))
    ]
    write_rows(Path("answers.jsonl"), [Candidates(prompt=prompt, answers=answers) for prompt in asked])
    return "old.yaml", "new.yaml"


def test_two_versions_label_the_same_answers_and_only_what_changed_changes_them(
    call: Call, versions: tuple[str, str]
) -> None:
    judge = ("--answers", "answers.jsonl", "--judge", "pilot")
    same = json.loads(call("diff", "old.yaml", "old.yaml", *judge, "--json").out)
    assert (same["needed"], same["labels"]["pairs"], same["labels"]["changes"]) == ("none", 3, [])
    found = json.loads(call("diff", *versions, *judge, "--json").out)["labels"]
    count = len(found["changes"])  # of a pair the pilot may make the same by both words
    assert 1 <= count <= 3
    assert {cause["principle"] for one in found["changes"] for cause in one["by"]} == {"honest"}
    shown = call("diff", *versions, *judge).out
    assert "changed (minor): honest requests.comparison" in shown
    assert f"{count} of 3 labels changed" in shown


def test_a_judge_that_only_chats_labels_both_versions_by_votes(call: Call, versions: tuple[str, str]) -> None:
    refusal_first = r"(?s)more honest.*\(A\) \[\[\[I will not"
    rules = ((refusal_first, "(A)"), ("more honest", "(B)"), (".", "(A)"))  # any other principle: the first shown
    Path("judge.jsonl").write_text("\n".join(json.dumps({"ask": ask, "reply": reply}) for ask, reply in rules))
    asked = ("diff", *versions, "--answers", "answers.jsonl", "--judge", "script:judge.jsonl")
    told = call(*asked)
    assert (told.code, told.out) == (2, "")
    assert "shows no probabilities of options" in told.err
    assert "--votes 8" in told.err
    found = json.loads(call(*asked, "--votes", "3", "--json").out)["labels"]
    assert [cause["principle"] for one in found["changes"] for cause in one["by"]] == ["honest"] * 3
    assert all(one["new"] > one["old"] == 0.5 for one in found["changes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["constitution", "coverage", "runs/house"], "error: a run has many stages"),
        (["constitution", "coverage", "none.jsonl"], "error: there is no such file or folder"),
        (["constitution", "coverage", "runs/none:prefer"], "error: no run in `runs/none`"),
        (["constitution", "coverage", "runs/house:document"], "error: neither judgements nor revisions"),
        (["constitution", "coverage", "runs/house:people"], "error: neither judgements nor revisions"),
        (["constitution", "coverage", "prefer", "--least", "0"], "Usage: "),
        (["constitution", "coverage", "prefer", "--margin", "0.7"], "Usage: "),
        (["constitution", "ablate", "revise"], "error: revisions, and this asks for those of a stage `prefer`"),
        (["constitution", "drift", "prefer"], "error: judgements, and this asks for those of a stage `revise`"),
        (["constitution", "drift", "revise", "--harmless", "twin"], "error: `twin` says no value"),
        (["constitution", "drift", "revise", "--harmless", "kind=x"], "error: no prompt has kind=x"),
        (["constitution", "ablate", "prefer", "--people", "none.json"], "error: there is no such file"),
        (["constitution", "ablate", "prefer", "--people", "bad.json"], "error: not a probability: `c0` has 'left'"),
        (["constitution", "ablate", "prefer", "--people", "apart.json"], "error: none of the labels given"),
        (["constitution", "ablate", "single.jsonl"], "error: no comparison was judged by several principles"),
        (["constitution", "conflicts", "single.jsonl"], "error: no comparison was judged by several principles"),
        (["diff", "alidade", "runs/house:prefer"], "error: an artifact and a constitution cannot be compared"),
        (["diff", "runs/house:prefer", "runs/house:later", "--judge", "pilot"], "error: artifacts have labels already"),
        (["diff", "alidade", "alidade", "--answers", "single.jsonl"], "error: labels need answers and a judge"),
        (["diff", "alidade", "alidade", "--judge", "pilot"], "error: labels need answers and a judge"),
        (["diff", "runs/house:prefer", "apart.jsonl"], "error: no comparison, with the same two answers, is in both"),
        (["diff", "alidade", "none.yaml"], "error: there is no such file"),
        (["diff", "alidade", "runs/none:prefer"], "error: an artifact and a constitution cannot be compared"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_words_with_2(call: Call, arguments: list[str], message: str) -> None:
    write_json(Path("bad.json"), {"c0": "left"})
    write_json(Path("apart.json"), {"elsewhere": 1})
    write_rows(Path("single.jsonl"), [judged("a", one=0.9)])
    write_rows(Path("apart.jsonl"), [judged("a", one=0.9)])
    told = call(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(message)
