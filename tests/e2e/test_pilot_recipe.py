"""The recipe that makes the pilot, with a network and texts small enough for a unit test."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alidade.models.local import load
from alidade.pipeline import load_recipe, run
from alidade.stages import load_all
from alidade.store import Store, read_json

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "pilot.yaml"
TRAININGS = ("broad", "pilot", "settled")
SMALL = (
    "world.documents=300",
    "world.heldout=40",
    "reviewed_world.documents=300",
    "reviewed_world.heldout=40",
    "world_again.documents=300",
    "world_again.heldout=40",
    "open.documents=60",
    "open.heldout=20",
    "broad.shape.hidden=32",
    "broad.shape.ffn=64",
    "broad.shape.layers=1",
    "broad.shape.heads=1",
    "broad.vocabulary=400",
    "broad.tokenizer_documents=200",
    *(f"{name}.training.tokens=16384" for name in TRAININGS),
    *(f"{name}.training.context=64" for name in TRAININGS),
    *(f"{name}.training.heldout_rows=4" for name in TRAININGS),
)


@pytest.mark.slow
def test_each_training_goes_on_from_the_one_before(tmp_path):
    load_all()
    text = tmp_path / "text.jsonl"
    lines = [f"Once upon a time number {place} there was a house by the sea." * 3 for place in range(80)]
    text.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE, [f"open.files=[{text}]", *SMALL]), store)
    made = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    folders = [made[name] for name in TRAININGS]
    vocabularies = [load(folder).tokenizer.get_vocab() for folder in folders]
    assert vocabularies[0] == vocabularies[1] == vocabularies[2]
    assert {value.dtype for value in load_file(folders[-1] / "model.safetensors").values()} == {torch.bfloat16}
    facts = [read_json(folder / "pretraining.json")["heldout_loss_nats_per_token"] for folder in folders]
    assert facts[0]["heldout_open"] > facts[1]["heldout_open"] > facts[2]["heldout_open"]
    first = [json.loads((folder / "metrics.jsonl").read_text().split("\n")[0])["loss"] for folder in folders]
    assert first[1] < first[0] - 0.5
    assert first[2] < first[0] - 0.5
