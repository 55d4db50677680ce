"""The short way through a decoding step: the same logits and tokens as the model's own forward pass."""

import pytest
import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from alidade.models import decode, engine
from alidade.models.attention import attach
from alidade.models.base import Sampling
from alidade.training.lora import add_lora
from alidade.training.settings import LoraConfig

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]


def made(kind, config):
    torch.manual_seed(0)
    module = kind(config).eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.3)
    return module


def llama(**more):
    return made(LlamaForCausalLM, LlamaConfig(**SMALL, **more))


def llama_3():
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
        "rope_theta": 10000.0,
    }
    return llama(rope_parameters=scaling)


def with_biases():
    return llama(attention_bias=True)


def mistral():
    return made(MistralForCausalLM, MistralConfig(**SMALL, sliding_window=None))


def qwen_2():
    return made(Qwen2ForCausalLM, Qwen2Config(**SMALL))


def qwen_3():
    return made(Qwen3ForCausalLM, Qwen3Config(**SMALL, head_dim=16))


def adapted():
    module = add_lora(llama(), LoraConfig(rank=2))
    for name, weight in module.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight, std=0.3)
    return module.eval()


def written(module, monkeypatch, short):
    if not short:
        monkeypatch.setattr(decode, "_is_plain", lambda model: False)
    how = Sampling(temperature=1.0, max_new_tokens=20, seed=3)
    answers = engine.generate(module, PROMPTS, how, stop_ids=[0], copies=3, batch_size=5)
    monkeypatch.undo()
    return answers


def goes_the_short_way(module):
    attach(module)
    return decode._is_plain(engine.unwrapped(module))


@pytest.mark.parametrize("make", [llama, llama_3, with_biases, mistral, qwen_2, qwen_3, adapted])
def test_the_short_way_writes_what_the_models_own_pass_writes(make, monkeypatch):
    module = make()
    assert goes_the_short_way(module)
    ours, plain = written(module, monkeypatch, short=True), written(module, monkeypatch, short=False)
    assert [one.tokens for one in ours] == [one.tokens for one in plain]
    for one, other in zip(ours, plain, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)


def test_other_architectures_and_sliding_windows_take_their_own_pass():
    gpt2 = made(GPT2LMHeadModel, GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=2, n_positions=64))
    assert not goes_the_short_way(gpt2)
    assert not goes_the_short_way(made(MistralForCausalLM, MistralConfig(**SMALL, sliding_window=64)))


@pytest.mark.parametrize("place", ["model.layers.1", "model.layers.0.self_attn", "model.layers.2.mlp", "model"])
def test_a_model_that_someone_listens_to_takes_its_own_pass(place):
    module, calls = llama(), []
    module.get_submodule(place).register_forward_hook(lambda *_: calls.append(1))
    engine.generate(module, PROMPTS, Sampling(temperature=0.0, max_new_tokens=4, seed=0), stop_ids=[])
    assert len(calls) == 4


def test_a_hook_on_a_linear_part_is_called(monkeypatch):
    module, calls = llama(), []
    module.model.layers[0].mlp.down_proj.register_forward_hook(lambda *_: calls.append(1))
    engine.generate(module, PROMPTS, Sampling(temperature=0.0, max_new_tokens=4, seed=0), stop_ids=[])
    assert len(calls) == 4


def test_sixteen_bit_weights_take_the_short_way_too(monkeypatch):
    module = llama().to(torch.bfloat16)
    ours, plain = written(module, monkeypatch, short=True), written(module, monkeypatch, short=False)
    assert [one.log_probs[0] for one in ours] == pytest.approx([one.log_probs[0] for one in plain], abs=0.1)
