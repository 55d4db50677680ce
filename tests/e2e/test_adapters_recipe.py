"""A recipe in which every stage trains adapters: PPO stands on one base, and the kept adapters are what was merged."""

import json

import pytest
import torch

from alidade.digest import digest_folder
from alidade.errors import AlidadeError
from alidade.models.adapters import base_digest
from alidade.models.local import load, save_model
from alidade.pipeline import load_recipe, run
from alidade.stages import load_all
from alidade.stages.reinforcement import PpoStage, _networks
from alidade.store import Store
from alidade.training.lora import weight_bytes
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import LoraConfig, ModelShape

RECIPE = """
name: adapted
stages:
  base: {use: model-folder, with: {path: MODEL}}
  prompts: {use: prompts-file, in: {model: base}, with: {file: ASKED, answer_room: 8}}
  demonstrations: {use: demonstrations-file, in: {model: base}, with: {file: ASKED}}
  comparisons: {use: comparisons-file, in: {model: base}, with: {file: COMPARED}}
  sft:
    in: {model: base, demonstrations: demonstrations}
    with: {method: lora, keep_adapter: true, lora: {rank: 2}, training: {batching: {rows: 8, checkpointing: true}}}
  reward: {in: {model: sft, comparisons: comparisons}, with: {method: lora, lora: {rank: 2}}}
  policy:
    use: ppo
    in: {policy: sft, reward: reward, prompts: prompts}
    with:
      method: lora
      lora: {rank: 2}
      training: {iterations: 1, drawing: {prompts: 6, max_new_tokens: 6}, updating: {checkpointing: true}}
"""


@pytest.fixture
def recipe(tmp_path):
    rows = [{"question": f"What is {one} and {two}?", "answer": f"{one + two}"} for one in range(4) for two in range(4)]
    pairs = [{"prompt": row["question"], "chosen": row["answer"], "rejected": "no"} for row in rows]
    tokenizer = train_tokenizer([f"{row['question']} {row['answer']} User: Assistant: no" for row in rows] * 3, 300)
    shape = ModelShape(hidden=64, ffn=128, layers=2, heads=2, context=64)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, tmp_path / "model")
    for name, table in (("asked", rows), ("compared", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    path = tmp_path / "recipe.yaml"
    text = RECIPE.replace("MODEL", str(tmp_path / "model")).replace("ASKED", str(tmp_path / "asked.jsonl"))
    path.write_text(text.replace("COMPARED", str(tmp_path / "compared.jsonl")))
    load_all()
    return path


def logits(module):
    with torch.no_grad():
        return module(input_ids=torch.tensor([[5, 6, 7, 8]])).logits


@pytest.mark.slow
def test_ppo_with_adapters_stands_on_one_base(tmp_path, recipe):
    store = Store(tmp_path / "store")
    done = run(load_recipe(recipe), store)
    made = {one.name: store.artifact(one.digest, one.kind) for one in done.stages}
    assert base_digest(made["reward"].path / "adapter") == made["sft"].digest
    assert not (made["policy"].path / "adapter").exists()
    settings = PpoStage(method="lora", lora=LoraConfig(rank=2))
    inputs = {"policy": made["sft"], "reward": made["reward"]}
    networks = _networks(settings, inputs, 0)
    one = weight_bytes([load(made["sft"].path).module])
    assert weight_bytes([networks.policy.module, networks.reward.module, networks.value]) <= 1.3 * one
    other = _networks(settings, {"policy": made["base"], "reward": made["reward"]}, 0)
    two = weight_bytes([other.policy.module, other.reward.module, other.value])
    assert 2 * one < two <= 2.3 * one
    kept = load(made["sft"].path / "adapter", base=made["base"].path)
    assert torch.allclose(logits(kept.module), logits(load(made["sft"].path).module), atol=1e-5)
    again = run(load_recipe(recipe), Store(tmp_path / "again"))
    assert [one.digest for one in again.stages] == [one.digest for one in done.stages]
    assert digest_folder(made["policy"].path) == made["policy"].digest


def refusal(path, tmp_path, *changes):
    with pytest.raises(AlidadeError) as caught:
        run(load_recipe(path, list(changes)), Store(tmp_path / "store"))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "store").exists()
    return caught.value


def test_four_bits_without_the_package_stop_a_recipe_before_it_starts(tmp_path, recipe):
    error = refusal(recipe, tmp_path, "sft.lora.quantised=4bit")
    assert "bitsandbytes" in str(error)


def test_weights_of_four_bits_are_not_trained_whole(tmp_path, recipe):
    assert "needs method `lora`" in str(refusal(recipe, tmp_path, "sft.lora.quantised=4bit", "sft.method=full"))


def test_the_base_of_an_adapter_is_named_by_the_recipe(tmp_path, recipe):
    from alidade.models.adapters import save_adapter
    from alidade.training.lora import add_lora

    plain = load(tmp_path / "model", dtype="float32")
    save_adapter(add_lora(plain.module, LoraConfig(rank=2)), tmp_path / "adapter", base="b" * 64)
    error = refusal(recipe, tmp_path, f"base.path={tmp_path / 'adapter'}")
    assert "does not name the base" in error.what
    assert "base.base=" in (error.hint or "")
    named = [f"base.path={tmp_path / 'adapter'}", f"base.base={tmp_path / 'model'}"]
    done = run(load_recipe(recipe, named), Store(tmp_path / "store"), only=("base",))
    assert [one.name for one in done.stages] == ["base"]
