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
SMALL = (
    "world.documents=300",
    "world.heldout=40",
    "reviewed_world.documents=300",
    "reviewed_world.heldout=40",
    "open.documents=60",
    "open.heldout=20",
    "broad.shape.hidden=32",
    "broad.shape.ffn=64",
    "broad.shape.layers=1",
    "broad.shape.heads=1",
    "broad.vocabulary=400",
    "broad.tokenizer_documents=200",
    *(f"{name}.training.tokens=16384" for name in ("broad", "pilot")),
    *(f"{name}.training.context=64" for name in ("broad", "pilot")),
    *(f"{name}.training.heldout_rows=4" for name in ("broad", "pilot")),
)


@pytest.mark.slow
def test_the_second_training_goes_on_from_the_first(tmp_path):
    load_all()
    text = tmp_path / "text.jsonl"
    lines = [f"Once upon a time number {place} there was a house by the sea." * 3 for place in range(80)]
    text.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    store = Store(tmp_path / "store")
    done = run(load_recipe(RECIPE, [f"open.files=[{text}]", *SMALL]), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    broad, pilot = (load(places[name]) for name in ("broad", "pilot"))
    assert pilot.tokenizer.get_vocab() == broad.tokenizer.get_vocab()
    assert {value.dtype for value in load_file(places["pilot"] / "model.safetensors").values()} == {torch.bfloat16}
    losses = [
        read_json(places[name] / "pretraining.json")["heldout_loss_nats_per_token"] for name in ("broad", "pilot")
    ]
    assert losses[1]["heldout_open"] < losses[0]["heldout_open"]
    first = [
        json.loads((places[name] / "metrics.jsonl").read_text().split("\n")[0])["loss"] for name in ("broad", "pilot")
    ]
    assert first[1] < first[0] - 0.5
