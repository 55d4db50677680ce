"""Comparisons without a reward model: the recipe, with each of the losses, on a network small enough for a unit test."""

import json
import re
from pathlib import Path

import pytest
import torch

from alidade.models.local import load, save_model
from alidade.pipeline import load_recipe, run
from alidade.stages import load_all
from alidade.store import Store, read_json
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "dpo.yaml"
GUIDE = ROOT / "docs" / "guides" / "objectives.md"
THINGS = ("cat", "hat", "boat", "house", "tree")
COLOURS = ("red", "green", "blue", "grey", "pink", "black", "white", "brown")


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("dpo")
    asked = [f"Is the {thing} {colour}?" for thing in THINGS for colour in COLOURS]
    tokenizer = train_tokenizer([*asked, "Yes it is. No it is not. User: Assistant:"] * 3, 320)
    shape = ModelShape(hidden=32, ffn=48, layers=2, heads=2, context=96)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    rows = {
        "demonstrations": [{"prompt": one, "completion": "Yes it is."} for one in asked],
        "comparisons": [{"prompt": one, "chosen": "Yes it is.", "rejected": "No."} for one in asked],
    }
    for name, values in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    load_all()
    return [
        f"base.path={folder / 'model'}",
        "sft.training.batching.rows=8",
        "preferred.training.batching={rows: 8, epochs: 4}",
        "preferred.training.optimiser.learning_rate=1.0e-3",
        "evaluation.max_new_tokens=8",
        *(f"{name}.heldout_share=0.3" for name in rows),
        *(f"{name}.file={folder / name}.jsonl" for name in rows),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dpo", "ipo", "simpo", "orpo"])
def test_the_recipe_prefers_what_people_preferred(tmp_path, sets, loss):
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE, [*sets, f"stages.preferred.use={loss}"]), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    implied = read_json(places["preferred"] / "evaluation.json")["implied"]
    assert implied["accuracy"]["mean"] == 1.0
    assert implied["length_only"]["n"] == implied["accuracy"]["n"] == implied["n"]
    history = read_rows_as_dicts(places["preferred"] / "metrics.jsonl")
    assert history[-1]["margin"] > history[0]["margin"]
    assert load(places["preferred"]).context_length == 96
    assert set(read_json(places["evaluation"] / "summary.json")["models"]) == {"base", "sft", "policy"}


@pytest.mark.slow
def test_adapters_are_trained_and_merged(tmp_path, sets):
    done = run(load_recipe(RECIPE, [*sets, "preferred.method=lora"]), Store(tmp_path / "store"))
    assert done.stages[-1].name == "evaluation"


@pytest.mark.slow
def test_a_plugins_own_loss_runs_in_the_recipe_and_the_plugin_is_short(tmp_path, sets):
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    assert len(code.splitlines()) <= 60
    exec(compile(code, "plugin", "exec"), {"__name__": "plugin"})
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE, [*sets, "stages.preferred.use=hinge"]), store)
    (made,) = [one for one in done.stages if one.use == "hinge"]
    implied = read_json(store.artifact(made.digest, made.kind).path / "evaluation.json")["implied"]
    assert implied["accuracy"]["mean"] == 1.0


def read_rows_as_dicts(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
