"""The recipe that asks whose values, whole, on a network small enough for a unit test."""

from pathlib import Path

import pytest
import torch

from alidade.models.local import save_model
from alidade.pipeline import load_recipe, run
from alidade.report.render import write_report
from alidade.stages import load_all
from alidade.store import Store, read_json
from alidade.testbed.documents import documents
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "values.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    source = documents(0)
    tokenizer = train_tokenizer([next(source) for _ in range(300)], 400)
    shape = ModelShape(hidden=32, ffn=48, layers=1, heads=1, context=256)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    load_all()
    sets = [
        "stages.base.use=model-folder",
        f"base.path={folder / 'model'}",
        "demonstrations.rows=60",
        "prompts.rows=40",
        "prompts.heldout=20",
        "answers.max_new_tokens=12",
    ]
    store = Store(folder / "run" / "store")
    done = run(load_recipe(RECIPE, sets, quick=True), store, out=folder / "run")
    return folder / "run", {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}


def test_both_questions_are_asked_of_as_many_people_and_votes(made):
    for stage, groups in (("by_taste", {"long", "plain"}), ("by_coin", {"heads", "tails"})):
        found = read_json(made[1][stage] / "summary.json")["values"]
        assert {one["name"]: one["people"] for one in found["models"]} == {**dict.fromkeys(groups, 6), "everyone": 12}
        assert 0 <= found["partings"][0]["agree"]["mean"] <= 1
        assert found["partings"][0]["by_chance"]["n"] == 2


def test_the_report_has_a_section_for_them(made):
    text = write_report(made[0]).read_text()
    assert 'id="values"' in text
    assert "By taste" in text
    assert "By coin" in text
    assert len(read_json(made[0] / "summary.json")["values"]) == 2
