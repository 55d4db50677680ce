"""The recipe `constitution`, small: the helper's answers are revised, what is trained on is what the revisions say, and a kill loses nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from alidade.constitution.document import shipped
from alidade.constitution.prefer import Preferred
from alidade.constitution.revise import Revised
from alidade.errors import DataError, RecipeError, StageFailed
from alidade.pipeline import Recipe, load_recipe, run
from alidade.pipeline.run import Run
from alidade.records import Comparison, Demonstration
from alidade.stages import constitution, load_all
from alidade.store import Store, read_json, read_rows

pytestmark = pytest.mark.slow
RECIPE = Path(__file__).parents[2] / "recipes" / "constitution.yaml"
SMALL = (
    "demonstrations.rows=80",
    "prompts.rows=24",
    "helpful_prompts.rows=60",
    "revised.revision.steps=2",
    "revised.revision.max_new_tokens=24",
    "answers.max_new_tokens=24",
    "helpful.max_new_tokens=60",
)
UPTO = ("base", "demonstrations", "helper", "prompts", "answers", "constitution", "revised")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    load_all()
    return load_recipe(RECIPE, SMALL)


@pytest.fixture(scope="module")
def made(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    store = Store(tmp_path_factory.mktemp("constitution") / "store")
    return store, run(recipe, store, only=(*UPTO, "helpful_prompts", "helpful", "lessons"))


def folder(made: tuple[Store, Run], name: str) -> Path:
    store, done = made
    stage = next(stage for stage in done.stages if stage.name == name)
    return store.artifact(stage.digest, stage.kind).path


def test_every_step_names_the_words_of_the_principle_that_was_drawn(made):
    document = read_json(folder(made, "constitution") / "constitution.json")
    rows = read_rows(folder(made, "revised") / "rows.jsonl", Revised)
    assert 12 <= len(rows) <= 24
    digests = {one.id: one.digest for one in shipped().principles}
    assert {step.principle for row in rows for step in row.steps} <= {one["id"] for one in document["principles"]}
    assert all(step.principle_digest == digests[step.principle] for row in rows for step in row.steps)
    assert all(len(row.steps) == 2 for row in rows)


def test_what_is_trained_on_are_the_revisions_of_all_steps_and_help_at_its_share(made):
    rows = read_rows(folder(made, "revised") / "rows.jsonl", Revised)
    lessons = read_rows(folder(made, "lessons") / "rows.jsonl", Demonstration)
    revisions = Counter(step.revision for row in rows for step in row.steps if not step.fault)
    assert Counter(one.answer for one in lessons if one.source == "constitution") == revisions
    share = sum(one.source != "constitution" for one in lessons) / len(lessons)
    assert share == pytest.approx(0.35, abs=0.5 / len(lessons) + 0.01)


def test_a_run_killed_between_chunks_ends_in_the_same_bytes(recipe, made, tmp_path, monkeypatch):
    """The same chunks are asked as in a run that was never killed; what was finished is not asked again."""
    monkeypatch.setattr(constitution, "CHUNK", 8)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    calls, asked = [], constitution.Reviser.revise

    def dies_at_the_second(self, rows, seed, chunk=0, progress=None):
        calls.append(chunk)
        if calls == [0, 1]:
            raise OSError("killed")
        return asked(self, rows, seed, chunk, progress)

    expected = run(recipe, whole, only=UPTO)
    monkeypatch.setattr(constitution.Reviser, "revise", dies_at_the_second)
    with pytest.raises(StageFailed):
        run(recipe, broken, only=UPTO)
    resumed = run(recipe, broken, only=UPTO)
    assert calls[:3] == [0, 1, 1]
    assert calls.count(0) == 1
    assert [stage.digest for stage in resumed.stages] == [stage.digest for stage in expected.stages]


def test_answers_are_compared_by_principles_with_every_judgement_kept(recipe, made, tmp_path):
    store, _ = made
    text = RECIPE.read_text().split("  # Answers to harmless prompts")[0]
    (tmp_path / "prefer.yaml").write_text(
        text
        + "  preferred: {use: prefer, in: {judge: base, constitution: constitution, answers: answers},"
        + " with: {wording: reviews, preference: {shots: 0}}}\n"
    )
    small = [one for one in SMALL if not one.startswith("helpful")]
    done = run(load_recipe(tmp_path / "prefer.yaml", small), store, only=(*UPTO[:6], "preferred"))
    out = folder((store, done), "preferred")
    rows, kept = read_rows(out / "rows.jsonl", Comparison), read_rows(out / "judgements.jsonl", Preferred)
    assert [one.comparison for one in kept] == rows
    assert rows
    for one in kept:
        assert [judgement.shown for judgement in one.judgements] == ["left first", "right first"]
        mean = sum(judgement.left_prob for judgement in one.judgements) / 2
        assert one.comparison.label_prob == pytest.approx(mean)
    assert json.loads((out / "cards.json").read_text())[0]["comparisons"] == len(rows)


def test_too_little_help_is_said_with_what_is_needed(recipe, made):
    greedy = load_recipe(RECIPE, (*SMALL, "lessons.helpful_share=0.9"))
    with pytest.raises((DataError, StageFailed), match="need .* helpful answers"):
        run(greedy, made[0], only=(*UPTO, "helpful_prompts", "helpful", "lessons"))


def test_a_constitution_with_a_fault_is_refused_before_anything_runs(tmp_path):
    load_all()
    (tmp_path / "mine.yaml").write_text("id: mine\ntitle: Mine\nversion: one\nprinciples: []\n")
    faulty = load_recipe(RECIPE, (*SMALL, f"constitution.document={tmp_path / 'mine.yaml'}"))
    with pytest.raises((DataError, RecipeError), match="mine.yaml:3"):
        run(faulty, Store(tmp_path / "store"), only=("constitution",))
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").glob("data/*"))
