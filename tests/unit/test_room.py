"""Tokens of one pass by the memory it may take: measured on the network, and the same training as with that number of tokens."""

import pytest
import torch
from tests.small_networks import gpt2, llama
from tests.small_trainings import FAST, ask, model

from alidade.errors import UsageError
from alidade.records import Demonstration
from alidade.training.fit import TrainingRun
from alidade.training.lora import add_lora
from alidade.training.objectives.sft import train_sft
from alidade.training.packing import Tree, pack_trees
from alidade.training.room import MIB, kept_per_token, with_room
from alidade.training.settings import Batching, LoraConfig, PpoConfig, SftConfig, Updating
from alidade.training.trunk import hidden_states, prepare

SHOWN = [Demonstration(id=str(place), prompt=ask(place), answer="yes no blue") for place in range(8)]


def kept(module, trees, length):
    """Bytes of all storages that the backward pass of so many trees will look at, weights aside."""
    packed = pack_trees([Tree([1] * length, [[1] * length, [1] * length])] * trees)
    weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    found = {}

    def note(tensor):
        found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hidden_states(module, packed, packed.predictors)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in found.items() if place not in weights), len(
        packed.ids
    )


@pytest.mark.parametrize("make", [gpt2, llama])
def test_what_is_measured_predicts_what_a_longer_row_keeps(make):
    module = prepare(make(layers=4))
    many, tokens = kept(module, 20, 16 if make is gpt2 else 64)
    assert kept_per_token(module) == pytest.approx(many / tokens, rel=0.1)


def test_layers_computed_again_keep_less_and_adapters_too():
    whole, again = kept_per_token(prepare(llama(layers=8))), kept_per_token(prepare(llama(layers=8), True))
    assert again < 0.5 * whole
    module = prepare(llama(layers=8), True)
    kept_per_token(module)
    assert module.recomputes_layers


def test_measuring_is_repeatable_and_leaves_no_gradient():
    module = prepare(add_lora(llama(layers=3), LoraConfig(rank=2)))
    assert kept_per_token(module) == kept_per_token(module)
    assert all(weight.grad is None for weight in module.parameters())


def test_twice_the_memory_is_room_for_twice_the_tokens_and_two_networks_share_it():
    module = prepare(llama(layers=4))
    one = with_room(SftConfig(batching=Batching(memory=8)), module).batching.tokens_at_once
    assert one == int(8 * MIB / kept_per_token(module))
    assert with_room(SftConfig(batching=Batching(memory=16)), module).batching.tokens_at_once in (2 * one, 2 * one + 1)
    both = with_room(PpoConfig(updating=Updating(memory=8)), module, prepare(llama(layers=4))).updating.tokens_at_once
    assert both == one // 2


def test_without_a_memory_nothing_is_measured_and_nothing_changes():
    cfg = SftConfig()
    assert with_room(cfg, None) is cfg
    assert "memory" not in cfg.model_dump()["batching"]


def test_too_little_memory_is_refused_with_what_would_do():
    module = prepare(llama(layers=60))
    with pytest.raises(UsageError, match="MiB are room for") as caught:
        with_room(SftConfig(batching=Batching(memory=1)), module)
    assert caught.value.where == "batching.memory"
    assert "checkpointing" in caught.value.hint


def test_training_by_memory_is_training_with_those_tokens():
    def trained(batching):
        policy = model()
        train_sft(policy, SHOWN, SftConfig(batching=batching, optimiser=FAST), TrainingRun())
        return list(policy.module.parameters())

    batching = Batching(rows=4, epochs=2, memory=1)
    tokens = with_room(SftConfig(batching=batching), model().module).batching.tokens_at_once
    for one, other in zip(trained(batching), trained(Batching(rows=4, epochs=2, tokens_at_once=tokens)), strict=True):
        assert torch.equal(one, other)
