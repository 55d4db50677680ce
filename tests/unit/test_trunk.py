"""The trunk's states where they are read: the same as everywhere, for less work in the last layer."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM

from alidade.training.packing import Tree, pack_trees
from alidade.training.trunk import hidden_states, prepare

TREES = [Tree([5, 6, 7], [[8, 9], [10, 11, 12]]), Tree([3], [[4, 5, 6, 7]])]
PACKED = pack_trees(TREES)
SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def llama():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMALL))


def qwen():
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=8))


def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=64))


def everywhere(module):
    """Every state of every answer's own row, from the model as transformers runs it."""
    rows = [[*tree.prompt, *answer] for tree in TREES for answer in tree.answers]
    return [module.base_model(input_ids=torch.tensor([row])).last_hidden_state[0] for row in rows]


@pytest.mark.parametrize("make", [llama, qwen, gpt2])
def test_states_that_are_read_are_those_of_the_whole_row(make):
    first, second, third = everywhere(make().eval())
    expected = torch.stack([first[4], second[5], third[4]])
    assert torch.allclose(hidden_states(prepare(make()), PACKED, PACKED.ends), expected, atol=1e-5)


@pytest.mark.parametrize("make", [llama, qwen, gpt2])
def test_gradients_of_what_is_read_are_those_of_the_whole_row(make):
    plain, ours = make().eval(), prepare(make())
    first, second, third = everywhere(plain)
    torch.stack([first[4], second[5], third[4]]).square().sum().backward()
    hidden_states(ours, PACKED, PACKED.ends).square().sum().backward()
    for (name, mine), other in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None), name
        assert mine.grad is None or torch.allclose(mine.grad, other.grad, atol=1e-4), name


def test_the_last_feed_forward_part_works_only_where_a_state_is_read():
    module, seen = prepare(llama()), {0: 0, 1: 0}
    for place, layer in enumerate(module.model.layers):
        layer.mlp.up_proj.register_forward_pre_hook(
            lambda _, given, place=place: seen.update({place: given[0].shape[1]})
        )
    hidden_states(module, PACKED, PACKED.predictors)
    assert seen == {0: len(PACKED.ids), 1: len(set(PACKED.predictors.tolist()))}


def test_a_place_may_be_read_twice_and_in_any_order():
    module = prepare(llama())
    states = hidden_states(module, PACKED, torch.tensor([7, 2, 7]))
    assert torch.equal(states[0], states[2])
    assert torch.allclose(states[1], hidden_states(module, PACKED, torch.arange(len(PACKED.ids)))[2], atol=1e-6)


def test_nothing_is_left_on_the_module_not_even_after_an_error():
    module = prepare(llama())
    with pytest.raises((IndexError, RuntimeError)):
        hidden_states(module, PACKED, torch.tensor([99]))
    assert not [part for part in module.modules() if "forward" in vars(part)]
