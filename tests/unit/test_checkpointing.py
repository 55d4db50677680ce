"""Layers computed again in the backward pass: the same gradients, and far fewer tensors kept."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from alidade.errors import ModelError
from alidade.models.attention import unwrapped
from alidade.training.lm import token_nll
from alidade.training.lora import add_lora
from alidade.training.packing import Tree, pack_trees
from alidade.training.settings import LoraConfig
from alidade.training.trunk import hidden_states, prepare

PACKED = pack_trees([Tree([5, 6, 7], [[8, 9], [10, 11, 12]]), Tree([3], [[4, 5, 6, 7]])])


def llama():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=50,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=3,
                num_attention_heads=2,
                num_key_value_heads=1,
            )
        )


def gpt2():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2, n_positions=64))


def adapted():
    module = add_lora(llama(), LoraConfig(rank=2))
    generator = torch.Generator().manual_seed(1)
    for name, weight in module.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight, generator=generator)
    return module


class Counting(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes that are kept for the backward pass."""

    def __init__(self):
        self.bytes = 0
        super().__init__(self._keep, lambda tensor: tensor)

    def _keep(self, tensor):
        self.bytes += tensor.nbytes
        return tensor


def gradients(module, checkpointing):
    prepare(module, checkpointing)
    with (kept := Counting()):
        states = hidden_states(module, PACKED, PACKED.predictors)
        loss = token_nll(module, states, PACKED.targets, torch.ones(len(states)))
    loss.backward()
    found = {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.grad is not None}
    module.zero_grad()
    return float(loss.detach()), found, kept.bytes


@pytest.mark.parametrize("make", [llama, gpt2, adapted])
def test_gradients_are_the_same_bits_and_much_less_is_kept(make):
    module = make()
    loss, expected, much = gradients(module, checkpointing=False)
    again, found, little = gradients(module, checkpointing=True)
    assert again == loss
    assert found.keys() == expected.keys()
    assert found
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name
    assert little < 0.6 * much


def test_every_layer_but_the_last_is_computed_twice_and_only_where_gradients_are_wanted():
    module, calls = llama(), []
    for layer in module.model.layers:
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    gradients(module, checkpointing=True)
    assert len(calls) == 5
    with torch.no_grad():
        hidden_states(module, PACKED, PACKED.ends)
    assert len(calls) == 8


def test_a_training_without_it_that_follows_is_not_touched():
    module, calls = llama(), []
    gradients(module, checkpointing=True)
    module.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    gradients(module, checkpointing=False)
    assert len(calls) == 1
    assert all("forward" not in vars(layer) for layer in unwrapped(module).model.layers)


def test_a_forward_that_someone_put_on_a_layer_stays():
    module, calls = llama(), []
    layer = module.model.layers[1]
    plain = layer.forward

    def hooked(*given, **named):
        calls.append(1)
        return plain(*given, **named)

    layer.forward = hooked
    gradients(module, checkpointing=True)
    assert len(calls) == 2
    assert layer.forward is hooked


def test_a_model_without_known_layers_is_refused_in_words():
    module = llama()
    module.model.layers = nn.ModuleList()
    with pytest.raises(ModelError, match="computed again") as caught:
        prepare(module, checkpointing=True)
    assert "tokens_at_once" in (caught.value.hint or "")
