"""A user's own model and files, from base to aligned, with a network small enough for a unit test."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from alidade.errors import AlidadeError
from alidade.models.local import save_model
from alidade.pipeline import load_recipe, run
from alidade.records import Demonstration
from alidade.stages import load_all
from alidade.store import Store, read_json, read_rows
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "rlhf.yaml"
COLOURS = ["red", "green", "blue", "grey", "pink", "black", "white", "brown"]
SMALL = (
    "sft.training.batching.rows=8",
    "reward.training.batching.rows=8",
    "rlhf.training.iterations=2",
    "rlhf.training.drawing.prompts=8",
    "rlhf.training.drawing.max_new_tokens=8",
    "prompts.answer_room=8",
    "evaluation.max_new_tokens=8",
    "evaluation.prompts=10",
    *(f"{name}.heldout_share=0.3" for name in ("demonstrations", "comparisons", "prompts")),
)


def questions() -> list[str]:
    return [f"Is the {thing} {colour}?" for thing in ("cat", "hat", "boat", "house", "tree") for colour in COLOURS]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([*questions(), "Yes it is. No it is not. User: Assistant:"] * 3, 320)
    shape = ModelShape(hidden=32, ffn=48, layers=2, heads=2, context=96)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder)
    return folder


@pytest.fixture
def sets(tmp_path, model_folder) -> list[str]:
    rows = {
        "demonstrations": [{"prompt": asked, "completion": "Yes it is."} for asked in questions()],
        "comparisons": [{"prompt": asked, "chosen": "Yes it is.", "rejected": "No."} for asked in questions()],
        "prompts": [{"prompt": asked} for asked in questions()],
    }
    for name, values in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    load_all()
    return [f"base.path={model_folder}", *SMALL, *(f"{name}.file={tmp_path / name}.jsonl" for name in rows)]


@pytest.mark.slow
def test_the_recipe_runs_on_a_users_model_and_files_and_reuses_everything(tmp_path, sets):
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE, sets), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    summary = read_json(places["evaluation"] / "summary.json")
    assert set(summary["models"]) == {"base", "sft", "policy"}
    for found in summary["models"].values():
        assert set(found) == {"nll_per_token", "finished", "answer_tokens", "reward"}
    losses = [summary["models"][name]["nll_per_token"]["mean"] for name in ("base", "sft")]
    assert losses[1] < losses[0]
    assert summary["against"]["policy over sft"]["win_rate_by_reward"]["n"] == 10
    assert {"accuracy", "length_only", "majority", "calibration_error"} <= set(summary["reward_model"])
    bins = summary["reward_model"]["calibration"]
    assert sum(one["n"] * one["observed"] for one in bins) == pytest.approx(0.5 * sum(one["n"] for one in bins))
    heldout = read_rows(places["demonstrations"] / "heldout.jsonl", Demonstration)
    assert summary["models"]["base"]["nll_per_token"]["n"] == len(heldout)
    again = run(load_recipe(RECIPE, sets), store)
    assert all(one.reused for one in again.stages)


def refusal(sets: list[str], tmp_path: Path) -> AlidadeError:
    with pytest.raises(AlidadeError) as caught:
        run(load_recipe(RECIPE, sets), Store(tmp_path / "store"), out=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "run").exists()
    return caught.value


def broken(model_folder: Path, tmp_path: Path, sets: list[str]) -> tuple[Path, list[str]]:
    folder = tmp_path / "broken"
    shutil.copytree(model_folder, folder)
    return folder, [*sets, f"base.path={folder}"]


def test_a_prompt_longer_than_the_context_stops_the_recipe_before_anything_is_written(tmp_path, sets):
    with (tmp_path / "prompts.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "Is it? " * 60}) + "\n")
    error = refusal(sets, tmp_path)
    assert "1 of 41 records have over 88 tokens" in error.what
    assert "prompts.jsonl (prompts:41" in str(error.where)


def test_a_model_folder_without_a_tokenizer_stops_the_recipe_before_anything_is_written(tmp_path, sets, model_folder):
    folder, sets = broken(model_folder, tmp_path, sets)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert "no tokenizer" in refusal(sets, tmp_path).what


def test_a_template_that_cannot_be_split_stops_the_recipe_before_anything_is_written(tmp_path, sets, model_folder):
    folder, sets = broken(model_folder, tmp_path, sets)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["chat_template"] = "{{ messages | length }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    path.write_text(json.dumps(config))
    assert "prompt" in refusal(sets, tmp_path).what


def test_a_file_of_people_with_a_bad_row_stops_the_recipe_before_anything_is_written(tmp_path, sets):
    with (tmp_path / "comparisons.jsonl").open("a") as file:
        file.write('{"prompt": "q", "chosen": "", "rejected": "b"}\n')
    error = refusal(sets, tmp_path)
    assert error.what.endswith("empty answer")
    assert "comparisons.jsonl:41" in str(error.where)
