"""Rankings and comparisons with attributes, through the stages: into a reward model of several heads, and into a policy."""

import json
from pathlib import Path

import pytest
import torch

from alidade.models.local import save_model
from alidade.pipeline import load_recipe, run
from alidade.stages import load_all
from alidade.store import Store, read_json
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import load_reward_model
from alidade.training.settings import ModelShape

ROOT = Path(__file__).resolve().parents[2]
THINGS = ("cat", "hat", "boat", "house", "tree", "car")
COLOURS = ("red", "green", "blue", "grey", "pink", "black")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    asked = [f"Is the {thing} {colour}?" for thing in THINGS for colour in COLOURS]
    tokenizer = train_tokenizer([*asked, "Yes it is. No it is not. User: Assistant:"] * 3, 300)
    shape = ModelShape(hidden=16, ffn=32, layers=1, heads=2, context=96)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    pairs = [{"prompt": one, "chosen": "Yes it is.", "rejected": "No.", "attribute": "helpful"} for one in asked]
    answers = ["No.", "Yes it is.", "It is not."]
    rankings = [
        {"prompt": one, "answers": answers, "ranks": [0, 1, 1], "attribute": "harmless"} for one in [*asked, "Is it?"]
    ]
    for name, values in {"pairs": pairs, "rankings": rankings}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    load_all()
    return folder


def places(folder: Path, tmp_path: Path, *sets: str) -> dict[str, Path]:
    files = f"comparisons.file=[{folder / 'pairs.jsonl'}, {folder / 'rankings.jsonl'}]"
    common = [f"base.path={folder / 'model'}", files, "comparisons.heldout_share=0.3"]
    store = Store(tmp_path / "store")
    done = run(load_recipe(ROOT / "recipes" / "reward.yaml", [*common, *sets]), store)
    return {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}


def test_heads_by_attribute_learn_from_pairs_and_rankings(folder, tmp_path):
    learning = "reward.training.optimiser.learning_rate=3.0e-3"
    heads = "reward.training.heads={by_attribute: true, members: 2, combine: lower}"
    made = places(folder, tmp_path, learning, heads, "reward.training.batching={rows: 8, epochs: 8}")
    counts = read_json(made["comparisons"] / "counts.json")
    assert counts["rankings"] == 37
    found = read_json(made["reward"] / "evaluation.json")
    assert set(found["slices"]["attribute"]) == {"helpful", "harmless"}
    assert set(found["slices"]["source"]) == {"pairs", "rankings"}
    assert {name: one["mean"] for name, one in found["slices"]["attribute, by its own head"].items()} == {
        "helpful": 1.0,
        "harmless": 1.0,
    }
    assert found["annotated"]["n"] == sum(part["n"] for part in found["slices"]["attribute"].values())
    reward = load_reward_model(made["reward"])
    assert reward.heads.names == ("helpful 0", "helpful 1", "harmless 0", "harmless 1")
    assert reward.module.config.id2label[2] == "harmless 0"
    assert reward.temperature == found["temperature"]


def test_a_policy_learns_from_both_and_ties_are_an_outcome(folder, tmp_path):
    made = places(folder, tmp_path, "stages.reward.use=dpo", "reward.training.batching={rows: 8, epochs: 1}")
    implied = read_json(made["reward"] / "evaluation.json")["implied"]
    again = places(folder, tmp_path, "reward.training.ties=davidson", "reward.training.length_bias=removed")
    found = read_json(again["reward"] / "evaluation.json")
    assert implied["n"] == found["annotated"]["n"]
    assert found["tie_strength"] > 0
    assert len(found["length"]["slopes"]) == 1
