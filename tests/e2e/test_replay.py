"""A ledger's chunk is made again from model, principles, settings and seed: equal bytes, and a byte that was changed is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alidade.cli.main import app
from alidade.cli.row_lineage import conversations, related
from alidade.errors import DataError, GateFailed, UsageError
from alidade.pipeline import explain, load_recipe, run
from alidade.records import Candidates, Completion, Conversation, Prompt
from alidade.stages import load_all
from alidade.store import Store, read_json, write_rows

pytestmark = pytest.mark.slow
TALKS = ["How do I boil an egg?", "How do I break into a car?", "Is the earth flat?"]
LEAK = "How can I break into a car?"


def recipe(folder: Path) -> Path:
    answers = tuple(Completion(text=text) for text in ("You do it.", "Ask somebody who knows.", "I do not know."))
    for name, talks in (("mine", TALKS), ("others", ["Where is north?"])):
        (folder / name).mkdir()
        rows = [
            Candidates(prompt=Prompt(id=f"p{n}", conversation=Conversation.ask(talk)), answers=answers)
            for n, talk in enumerate(talks)
        ]
        write_rows(folder / name / "answers.jsonl", rows)
    shot = {
        "answer": "Yes.",
        "critique_request": "Why?",
        "critique": "Bad.",
        "revision_request": "So?",
        "revision": "No.",
    }
    critiques = [{"prompt": prompt, **shot} for prompt in (LEAK, "What is rain made of?")]
    (folder / "examples.yaml").write_text(json.dumps({"critiques": critiques}))
    path = folder / "recipe.yaml"
    path.write_text(f"""
name: replayed
stages:
  base: {{use: pilot}}
  constitution: {{use: constitution, with: {{document: pilot}}}}
  answers: {{use: answers-folder, with: {{folder: {folder}/mine, heldout_share: 0}}}}
  strangers: {{use: answers-folder, with: {{folder: {folder}/others, heldout_share: 0}}}}
  revised:
    use: revise
    in: {{critic: base, constitution: constitution, answers: answers}}
    with: {{wording: reviews, examples: {folder}/examples.yaml, revision: {{steps: 2, max_new_tokens: 24}}}}
  preferred:
    use: prefer
    in: {{judge: base, constitution: constitution, answers: answers}}
    with: {{wording: reviews, pairs_per_prompt: 2, preference: {{thoughts: true, thought_tokens: 16, votes: 3}}}}
""")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    load_all()
    folder = tmp_path_factory.mktemp("replay")
    run(load_recipe(recipe(folder)), Store(folder / "run" / "store"), out=folder / "run")
    return folder


def ledger(folder: Path, stage: str) -> Path:
    store = Store(folder / "run" / "store")
    digest = next(one.digest for one in store.manifests() if one.name == stage)
    return store.root / "data" / digest


def replayed(folder: Path, asked: str, *options: str):
    return CliRunner().invoke(app, ["why", asked, "--out", str(folder / "run"), "--replay", *options])


def test_a_chunk_made_again_has_equal_bytes(made):
    for asked, chunk in (
        ("p1/revision1", "revised/rows.jsonl: chunk 0 (3 rows)"),
        ("p1/1", "preferred/judgements.jsonl: chunk 0 (6 rows)"),
    ):
        result = replayed(made, asked)
        assert result.exit_code == 0, result.output
        assert result.output.count(f"{chunk} made again: equal bytes") == 1


def test_a_changed_byte_in_the_ledger_is_found(made):
    path = ledger(made, "preferred") / "judgements.jsonl"
    whole = path.read_bytes()
    votes = json.loads(whole.splitlines()[0])["votes"]
    path.chmod(0o644)
    path.write_bytes(whole.replace(f'"votes": {votes}'.encode(), f'"votes": {votes + 1}'.encode(), 1))
    result = replayed(made, "p0", "--json")
    path.write_bytes(whole)
    assert isinstance(result.exception, GateFailed)
    (told,) = json.loads(result.stdout)["replayed"]
    assert told["equal"] is False
    assert told["differences"] == [f"line 1: votes is {votes + 1} in the ledger, and {votes} when made again"]


def test_a_file_of_examples_that_changed_is_said_and_not_asked_with(made):
    path = made / "examples.yaml"
    text = path.read_text()
    path.write_text(text.replace("rain", "snow"))
    result = replayed(made, "p1/revision1")
    path.write_text(text)
    assert isinstance(result.exception, UsageError)
    assert "`examples` is not what it was" in str(result.exception)


def test_an_example_whose_prompt_is_asked_is_left_out_and_named(made):
    counts = read_json(ledger(made, "revised") / "counts.json")
    assert counts["examples left out"] == [f"{made}/examples.yaml: critiques.0 ({LEAK})"]
    shown = read_json(ledger(made, "revised") / "examples.json")
    assert [one["prompt"] for one in shown["critiques"]] == ["What is rain made of?"]


def test_a_stranger_of_the_same_id_is_not_in_a_rows_lineage(made):
    store = Store(made / "run" / "store")
    found = explain(store, "p0").rows
    assert "strangers" in {row.manifest.name for row in explain(store, "p0/revision1").rows}
    kept = related(explain(store, "p0/revision1").rows, store.manifests(), "revised")
    assert {row.manifest.name for row in kept} == {"answers", "revised", "preferred"}
    assert "strangers" not in {row.manifest.name for row in kept}
    assert "strangers" not in {row.manifest.name for row in related(found, store.manifests(), "preferred")}
    assert conversations(found)


def test_examples_of_the_wrong_kind_are_refused_before_anything_runs(made, tmp_path):
    wrong = load_recipe(made / "recipe.yaml", [f"preferred.examples={made}/examples.yaml"])
    with pytest.raises(DataError, match="none of these examples can be shown here: critiques"):
        run(wrong, Store(tmp_path / "store"))
    assert not (tmp_path / "store" / "data").exists()
