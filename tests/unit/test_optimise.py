"""The optimiser: fp32 masters, decay, clipping per network, the schedule."""

import pytest
import torch
from torch import nn

from alidade.training.optimise import AdamW, Part, rate_factor
from alidade.training.settings import OptimiserConfig


def line(dtype=torch.float32, bias=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(4, 3, bias=bias).to(dtype)


def push(optimiser, module, slope=1.0, factor=1.0):
    module(torch.ones(1, 4, dtype=module.weight.dtype)).sum().mul(slope).backward()
    optimiser.collect()
    optimiser.step(factor)


def test_sixteen_bit_weights_move_even_when_each_step_is_below_their_resolution():
    module = line(torch.bfloat16)
    module.weight.data.fill_(1.0)
    optimiser = AdamW([Part("net", module)], OptimiserConfig(learning_rate=1e-4))
    for _ in range(60):
        push(optimiser, module)
    assert module.weight[0, 0].item() == pytest.approx(1 - 60e-4, abs=4e-3)
    assert module.weight[0, 0].item() < 1


def test_micro_batch_gradients_are_added_in_fp32():
    module = line(torch.bfloat16)
    optimiser = AdamW([Part("net", module)], OptimiserConfig(clip=1e9))
    for slope in (1.0, *[0.001] * 100):
        module(torch.ones(1, 4, dtype=torch.bfloat16)).sum().mul(slope).backward()
        optimiser.collect()
    expected = (15 * (1 + 100 * torch.tensor(0.001, dtype=torch.bfloat16).item()) ** 2) ** 0.5
    assert optimiser.clip()["net"] == pytest.approx(expected, rel=1e-4)


def test_weight_decay_spares_biases_and_norms():
    module = nn.Sequential(line(), nn.LayerNorm(3))
    optimiser = AdamW([Part("net", module)], OptimiserConfig(learning_rate=0.1, weight_decay=0.5))
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    for weight in module.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step(1.0)
    after = dict(module.named_parameters())
    assert torch.allclose(after["0.weight"], before["0.weight"] * 0.95)
    assert all(torch.equal(after[name], before[name]) for name in ("0.bias", "1.weight", "1.bias"))


def test_the_first_step_has_the_size_of_the_learning_rate_with_eps_outside_the_root():
    module = line()
    optimiser = AdamW([Part("net", module)], OptimiserConfig(learning_rate=0.1, eps=1.0, clip=1e9))
    before = module.weight.detach().clone()
    push(optimiser, module, slope=3.0)
    assert torch.allclose(before - module.weight, torch.full_like(before, 0.1 * 3 / (3 + 1)))


def test_each_network_is_clipped_by_itself_and_has_its_own_rate():
    small, large = line(), line()
    parts = [Part("small", small, 0.5), Part("large", large)]
    optimiser = AdamW(parts, OptimiserConfig(learning_rate=0.1, clip=1.0, eps=1e-12))
    for module, slope in ((small, 1e-3), (large, 1e3)):
        module(torch.ones(1, 4)).sum().mul(slope).backward()
    norms = optimiser.clip()
    assert norms["small"] == pytest.approx(15**0.5 * 1e-3, rel=1e-5)
    assert norms["large"] == pytest.approx(15**0.5 * 1e3, rel=1e-5)
    assert small.weight.grad is not None
    assert small.weight.grad[0, 0].item() == pytest.approx(1e-3)
    before = [module.weight.detach().clone() for module in (small, large)]
    optimiser.step(1.0)
    moved = [(was - module.weight).max().item() for was, module in zip(before, (small, large), strict=True)]
    assert moved == pytest.approx([0.5, 0.1], rel=1e-4)


def test_frozen_weights_are_left_alone():
    module = line()
    module.weight.requires_grad_(False)
    optimiser = AdamW([Part("net", module)], OptimiserConfig())
    assert set(optimiser.state_dict()["masters"]) == {"net.bias"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_restored_optimiser_goes_on_to_the_byte(dtype):
    cfg = OptimiserConfig(learning_rate=1e-2, weight_decay=0.1)
    whole, broken = line(dtype), line(dtype)
    one, two = AdamW([Part("net", whole)], cfg), AdamW([Part("net", broken)], cfg)
    for _ in range(3):
        push(one, whole)
        push(two, broken)
    fresh = line(dtype)
    three = AdamW([Part("net", fresh)], cfg)
    three.load_state_dict(two.state_dict())
    for _ in range(3):
        push(one, whole)
        push(three, fresh)
    assert torch.equal(whole.weight, fresh.weight)
    assert three.steps_done == 6


def test_warm_up_rises_to_one_and_never_starts_at_zero():
    cfg = OptimiserConfig(warmup=0.25)
    assert [rate_factor(cfg, done, 8) for done in range(4)] == [0.5, 1, 1, 1]


def test_linear_decay_starts_where_it_is_told_and_ends_near_zero():
    cfg = OptimiserConfig(schedule="linear", decay_start=0.4)
    factors = [rate_factor(cfg, done, 10) for done in range(10)]
    assert factors[:5] == [1.0] * 5
    assert factors[5:] == pytest.approx([5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_cosine_decay_is_halfway_in_the_middle():
    assert rate_factor(OptimiserConfig(schedule="cosine"), 5, 10) == pytest.approx(0.5)
