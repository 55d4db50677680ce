"""The over-optimisation recipe, whole, on a network small enough for a unit test."""

import json
from pathlib import Path

import pytest
import torch

from alidade.errors import AlidadeError
from alidade.models.local import load, save_model
from alidade.pipeline import load_recipe, run
from alidade.records import Candidates, Comparison, Prompt
from alidade.report.render import write_report
from alidade.stages import load_all
from alidade.store import Store, read_json, read_rows
from alidade.testbed.documents import documents
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "overoptimise.yaml"
PPO = ("ppo_small", "ppo_middle", "ppo_large")


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("tiny")
    source = documents(0)
    tokenizer = train_tokenizer([next(source) for _ in range(300)], 400)
    shape = ModelShape(hidden=32, ffn=48, layers=1, heads=1, context=256)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    load_all()
    return [
        "stages.base.use=model-folder",
        f"base.path={folder / 'model'}",
        "demonstrations.rows=120",
        "answers.max_new_tokens=10",
        "draws.max_new_tokens=10",
        *(f"{name}.training.drawing.{field}" for name in PPO for field in ("max_new_tokens=10", "engine_gap=1.0")),
        *(f"{name}.training.keep.margin=0" for name in PPO),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory, sets):
    out = tmp_path_factory.mktemp("run")
    store = Store(out / "store")
    done = run(load_recipe(RECIPE, sets, quick=True), store, out=out)
    return out, done, {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_every_reward_model_has_both_curves_and_a_best_point(made):
    _, _, places = made
    found = read_json(places["evaluation"] / "summary.json")["overoptimisation"]["sizes"]
    assert [one["name"] for one in found] == ["small", "middle", "large"]
    learned = [one["comparisons"] for one in found]
    assert learned == sorted(learned)
    assert learned[0] < learned[2]
    for one in found:
        assert [point["at"] for point in one["best_of_n"]["curve"]] == [1, 2, 4, 8]
        first, *_, last = one["best_of_n"]["curve"]
        assert first["kl"] == first["gold"]["mean"] == first["proxy"]["mean"] == 0
        assert last["proxy"]["mean"] > 0
        assert [point["at"] for point in one["ppo"]["curve"]] == [0, 1, 2]
        assert one["ppo"]["chosen"]["at"] in (0, 1, 2)
        assert one["prompts"] == last["gold"]["n"] == 16


@pytest.mark.slow
def test_all_reward_models_pick_among_the_same_answers_and_the_best_is_an_answer(made):
    _, _, places = made
    drawn = read_rows(places["draws"] / "heldout.jsonl", Candidates)
    assert {len(row.answers) for row in drawn} == {8}
    whole = {
        name: {
            row["prompt_id"]: row["gold"]
            for row in rows_of(places[name] / "rows.jsonl")
            if row["set"] == "reporting" and row["n"] == 1
        }
        for name in ("best_small", "best_large")
    }
    assert whole["best_small"] == pytest.approx(whole["best_large"])


@pytest.mark.slow
def test_the_policy_handed_on_is_the_one_at_its_peak(made):
    _, _, places = made
    starts = {name: list(load(places[name]).module.parameters()) for name in ("sft", *PPO)}
    for name in PPO:
        kept = read_json(places[name] / "kept.json")
        assert kept["kept_iteration"] == kept["best_iteration"]
        same = all(torch.equal(one, two) for one, two in zip(starts["sft"], starts[name], strict=True))
        assert same == (kept["best_iteration"] == 0)


@pytest.mark.slow
def test_nothing_is_trained_on_that_is_chosen_or_reported_on_and_the_parts_are_nested(made):
    _, _, places = made
    watched = {
        prompt.conversation
        for name in ("rows.jsonl", "heldout.jsonl")
        for prompt in read_rows(places["watched"] / name, Prompt)
    }
    assert len(watched) > 20
    for name in ("prompts", "ppo_prompts"):
        assert not watched & {prompt.conversation for prompt in read_rows(places[name] / "rows.jsonl", Prompt)}
    parts = [
        {row.id for row in read_rows(places[name] / "rows.jsonl", Comparison)}
        for name in ("sixteenth", "quarter", "comparisons")
    ]
    assert parts[0] < parts[1] < parts[2]


@pytest.mark.slow
def test_the_report_shows_the_curves(made):
    out, _, _ = made
    page = write_report(out).read_text()
    assert "The proxy and what it stands for" in page
    assert page.count("Chosen on other prompts") == 6
    assert len(read_json(out / "summary.json")["overoptimisation"]["sizes"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stages.evaluation.in.best_small=best_large", "different reward models"),
        ("stages.ppo_small.in.watched=ppo_prompts", "also trained on"),
    ],
)
def test_what_cannot_be_compared_is_refused(made, sets, change, says):
    with pytest.raises(AlidadeError, match=says):
        run(load_recipe(RECIPE, [*sets, change], quick=True), Store(made[0] / "store"))
