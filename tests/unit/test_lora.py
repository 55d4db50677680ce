"""Adapters: the identity at first, plain weights at the end."""

import pytest
import torch

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.training.lm import token_scores
from alidade.training.lora import add_lora, merge_lora
from alidade.training.packing import Tree, pack_trees
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import LoraConfig, ModelShape
from alidade.training.trunk import hidden_states, prepare

PACKED = pack_trees([Tree([5, 6, 7], [[8, 9], [10]])])


def model():
    tokenizer = train_tokenizer(["a b c"], 270)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=2, context=64), tokenizer, 0)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def scores(module):
    return token_scores(module, hidden_states(module, PACKED, PACKED.predictors), PACKED.targets).log_probs


def test_fresh_adapters_change_nothing_and_only_they_are_trainable():
    plain = model()
    before = scores(plain.module)
    adapted = add_lora(plain.module, LoraConfig(rank=2))
    assert torch.equal(scores(adapted), before)
    assert all("lora_" in name for name, weight in adapted.named_parameters() if weight.requires_grad)


def test_merged_weights_do_what_the_adapters_did():
    adapted = add_lora(model().module, LoraConfig(rank=2))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(1))
    expected = scores(adapted)
    merged = merge_lora(adapted)
    assert not hasattr(merged, "merge_and_unload")
    assert torch.allclose(scores(merged), expected, atol=1e-5)
    assert not torch.allclose(expected, scores(model().module), atol=1e-3)


def test_a_reward_models_head_stays_trainable_and_has_no_adapter():
    adapted = add_lora(new_reward_model(model(), 0).module, LoraConfig(rank=2))
    trainable = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert any(name.endswith("score.weight") for name in trainable)
    assert not any("score" in name and "lora" in name for name in trainable)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_have_the_type_of_the_weights(dtype):
    adapted = add_lora(model().module.to(dtype), LoraConfig(rank=2))
    assert {weight.dtype for weight in adapted.parameters()} == {dtype}


def test_a_model_without_adapters_is_merged_to_itself():
    plain = model().module
    assert merge_lora(plain) is plain
