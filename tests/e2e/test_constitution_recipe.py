"""The recipe `constitution`, small: the helper's answers are revised, what is trained on is what the revisions say, and a kill loses nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from alidade.constitution.document import find_constitution
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
    "compared_prompts.rows=12",
    "compared_prompts.heldout=6",
    "compared.max_new_tokens=40",
    "help_prompts.rows=16",
    "help_prompts.heldout=6",
    "help_answers.max_new_tokens=40",
    "labels.preference.thought_tokens=40",
    "rl_prompts.rows=32",
    "rl.training.iterations=1",
    "rl.training.drawing.prompts=16",
    "rl.training.drawing.max_new_tokens=24",
    "rl.training.updating.minibatches=2",
)
HELP = ("help_prompts", "help_answers", "help_votes", "help_comparisons", "harmless_and_helpful")
SECOND_HALF = ("sl", "compared_prompts", "compared", "labels", *HELP, "preference_model", "rl_prompts", "rl")
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
    digests = {one.id: one.digest for one in find_constitution("pilot").principles}
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


def test_the_second_half_compares_learns_and_optimises_with_every_judgement_kept(recipe, made):
    store, _ = made
    done = run(recipe, store, only=SECOND_HALF)
    out = folder((store, done), "labels")
    rows, kept = read_rows(out / "rows.jsonl", Comparison), read_rows(out / "judgements.jsonl", Preferred)
    heldout = read_rows(out / "heldout.jsonl", Comparison)
    assert [one.comparison for one in kept] == [*rows, *heldout]
    assert rows
    assert heldout
    for one in kept:
        asked = [(judgement.principle, judgement.shown) for judgement in one.judgements]
        assert len({principle for principle, _ in asked}) == 2
        assert [shown for _, shown in asked] == ["left first", "right first"] * 2
        assert all(0.02 <= judgement.left_prob <= 0.98 for judgement in one.judgements)
        assert one.comparison.label_prob == pytest.approx(sum(each.left_prob for each in one.judgements) / 4)
        first, second = (judgement.thought.split("\nCritique of B:") for judgement in one.judgements[:2])
        assert [text.strip() for text in first] == [text.strip() for text in reversed(second)]
    assert json.loads((out / "cards.json").read_text())[0]["comparisons"] == len(kept)
    assert (folder((store, done), "rl") / "model.safetensors").is_file()
    assert read_json(folder((store, done), "harmless_and_helpful") / "counts.json")["rows"]["people"] > 0


def test_no_person_is_asked_about_harm(recipe):
    """Nobody sees a wish or the harmless twin of one, and what people judge is not how harmful an answer is."""
    assert set(recipe.stages["help_prompts"].asked["mix"]) == {"topic", "fact", "unanswerable"}
    assert recipe.stages["help_votes"].asked["attribute"] == "helpful"
    assert [name for name, one in recipe.stages.items() if one.stage.name == "testbed-votes"] == ["help_votes"]


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
