"""Feedback on single answers: the recipe, from thumbs and from comparisons, on a network small enough for a unit test."""

import json
from pathlib import Path

import pytest
import torch

from alidade.models.local import load, save_model
from alidade.pipeline import load_recipe, run
from alidade.report.render import write_report
from alidade.stages import load_all
from alidade.store import Store, read_json
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
THINGS = ("cat", "hat", "boat", "house", "tree")
COLOURS = ("red", "green", "blue", "grey", "pink", "black", "white", "brown")


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kto")
    asked = [f"Is the {thing} {colour}?" for thing in THINGS for colour in COLOURS]
    tokenizer = train_tokenizer([*asked, "Yes it is. No it is not. User: Assistant:"] * 3, 320)
    shape = ModelShape(hidden=32, ffn=48, layers=2, heads=2, context=96)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    jsonl(folder / "demonstrations.jsonl", [{"prompt": one, "completion": "Yes it is."} for one in asked])
    thumbs = [
        {"prompt": one, "completion": "Yes it is." if place % 2 else "No.", "label": place % 2 == 1}
        for place, one in enumerate(asked)
    ]
    jsonl(folder / "feedback.jsonl", thumbs)
    jsonl(folder / "comparisons.jsonl", [{"prompt": one, "chosen": "Yes it is.", "rejected": "No."} for one in asked])
    load_all()
    return folder


def settings(files: Path, *names: str) -> list[str]:
    return [
        f"base.path={files / 'model'}",
        "sft.training.batching.rows=8",
        "preferred.training.batching={rows: 8, epochs: 6}",
        "preferred.training.optimiser.learning_rate=2.0e-3",
        "evaluation.max_new_tokens=8",
        *(f"{name}.heldout_share=0.3" for name in ("demonstrations", *names)),
        *(f"{name}.file={files / name}.jsonl" for name in ("demonstrations", *names)),
    ]


@pytest.mark.slow
def test_the_recipe_learns_what_people_liked_from_one_answer_a_prompt(tmp_path, files):
    store = Store(tmp_path / "run" / "store")
    done = run(load_recipe(RECIPES / "kto.yaml", settings(files, "feedback")), store, out=tmp_path / "run")
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    checks = read_json(places["preferred"] / "evaluation.json")
    assert checks["implied"] == {}
    assert checks["desirable"]["accuracy"]["mean"] == 1.0
    assert checks["desirable"]["majority"]["mean"] < 1.0
    assert checks["desirable"]["n"] == read_json(places["feedback"] / "counts.json")["heldout"] > 3
    assert load(places["preferred"]).context_length == 96
    assert set(read_json(places["evaluation"] / "summary.json")["models"]) == {"base", "sft", "policy"}
    write_report(tmp_path / "run")
    assert "Held-out answers judged one by one" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_kto_stands_in_for_dpo_on_comparisons(tmp_path, files, method):
    store = Store(tmp_path / "store")
    sets = [*settings(files, "comparisons"), "stages.preferred.use=kto", f"preferred.method={method}"]
    done = run(load_recipe(RECIPES / "dpo.yaml", sets), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    checks = read_json(places["preferred"] / "evaluation.json")
    assert checks["implied"]["accuracy"]["mean"] == 1.0
    assert checks["desirable"]["n"] == 2 * checks["implied"]["n"]


@pytest.mark.slow
def test_a_file_of_comparisons_is_a_file_of_feedback(tmp_path, files):
    store = Store(tmp_path / "store")
    sets = settings(files, "feedback")
    sets[-1] = f"feedback.file={files / 'comparisons.jsonl'}"
    done = run(load_recipe(RECIPES / "kto.yaml", sets), store, only=["base", "feedback"])
    (made,) = [one for one in done.stages if one.name == "feedback"]
    counts = read_json(store.artifact(made.digest, made.kind).path / "counts.json")
    assert counts["rows"] + counts["heldout"] == 80
