"""Pretraining from files: what is learned, measured and counted."""

import json

import pytest
import torch

from alidade.errors import DataError
from alidade.training.corpus import TextFile
from alidade.training.fit import TrainingRun
from alidade.training.objectives.pretrain import train_text
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape, OptimiserConfig, PretrainConfig

CFG = PretrainConfig(
    tokens=16 * 8 * 30,
    context=16,
    rows=8,
    rows_at_once=4,
    heldout_every=10,
    optimiser=OptimiserConfig(learning_rate=1e-2, schedule="linear", decay_start=0.4),
)


def write(folder, text, rows=80):
    folder.mkdir()
    for name, count in (("train.jsonl", rows), ("heldout.jsonl", 20)):
        (folder / name).write_text("".join(json.dumps({"text": f"{text} {place}"}) + "\n" for place in range(count)))
    return folder


def learner(seed=0):
    tokenizer = train_tokenizer(["the cat sat", "a dog ran 0 1 2"] * 5, 300)
    return new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=32), tokenizer, seed), tokenizer


def test_a_mixture_is_learned_and_measured_source_by_source(tmp_path):
    module, tokenizer = learner()
    files = [
        TextFile("cats", write(tmp_path / "cats", "the cat sat"), 0.75),
        TextFile("dogs", write(tmp_path / "dogs", "a dog ran"), 0.25),
    ]
    result = train_text(module, tokenizer, files, CFG, TrainingRun())
    assert len(result.history) == 30
    assert [row["step"] for row in result.history if "heldout_cats" in row] == [10, 20, 30]
    assert result.history[-1]["heldout_cats"] < 0.5 * result.history[0]["loss"]
    assert result.history[-1]["heldout_dogs"] < 0.5 * result.history[0]["loss"]
    assert result.counts["cats"]["tokens_trained"] == 180 * 16
    assert result.counts["dogs"]["tokens_trained"] == 60 * 16
    assert result.counts["cats"]["passes"] > 1


def test_a_text_shorter_than_a_row_is_refused_by_name(tmp_path):
    module, tokenizer = learner()
    with pytest.raises(DataError, match="short has .* tokens, fewer than one row of 17"):
        train_text(module, tokenizer, [TextFile("short", write(tmp_path / "a", "cat", rows=1), 1)], CFG, TrainingRun())


def test_a_seed_decides_the_weights_a_model_starts_with():
    one, two, other = (learner(seed)[0].lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_making_a_model_leaves_the_process_chance_alone():
    before = torch.get_rng_state()
    learner()
    assert torch.equal(torch.get_rng_state(), before)
