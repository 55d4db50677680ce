"""PPO with adapters: policy, reference, value and reward on one base are what separate networks would be."""

import copy
from dataclasses import replace

import pytest
import torch

from alidade.models.adapters import save_adapter
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Conversation, Prompt
from alidade.training.experience import Networks
from alidade.training.fit import TrainingRun
from alidade.training.heads import ONE_HEAD, Heads
from alidade.training.lora import add_lora, merge_lora, twin, weight_bytes
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.packing import Tree, pack_trees
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import (
    ADAPTER,
    RewardModel,
    load_reward_model,
    load_reward_on,
    new_reward_model,
    save_reward_model,
    score_trees,
)
from alidade.training.settings import (
    Drawing,
    KlControl,
    LoraConfig,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    Updating,
)
from alidade.training.trunk import prepare

TREES = [Tree([5, 6, 7], [[8, 9], [10]]), Tree([11], [[12, 13, 14]])]
CFG = PpoConfig(
    iterations=3,
    drawing=Drawing(prompts=6, answers_per_prompt=2, max_new_tokens=6),
    updating=Updating(epochs=2, minibatches=2),
    kl=KlControl(beta=0.1),
    optimiser=OptimiserConfig(learning_rate=1e-2),
)


def base(hidden=64):
    words = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=hidden, ffn=128, layers=2, heads=2, context=64), words, 0, torch.float32)
    return LocalModel("tiny", prepare(module), words, Renderer(words), 64)


@pytest.fixture
def kept(tmp_path):
    """A reward model trained with adapters on the base, merged, and its adapters beside it."""
    return keep(tmp_path, ONE_HEAD)


def keep(tmp_path, heads):
    module = add_lora(new_reward_model(base(), 0, heads).module, LoraConfig(rank=2), seed=5)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
    save_adapter(module, tmp_path / ADAPTER, base="b" * 64)
    model = base()
    plain = RewardModel(merge_lora(module), model.tokenizer, model.renderer, 64, heads=heads).normalised(0.3, 1.7)
    save_reward_model(plain, tmp_path)
    return tmp_path


def on_one_base(folder):
    policy = base()
    reward = load_reward_on(policy, folder)
    value = value_from_reward(reward)
    return Networks(_adapted(policy), None, reward, value)


def _adapted(policy):
    module = add_lora(policy.module, LoraConfig(rank=2), seed=7)
    return LocalModel(policy.name, module, policy.tokenizer, policy.renderer, policy.context_length)


def apart(folder):
    """The same networks, each with a base of its own."""
    reward = load_reward_on(base(), folder)
    value = copy.deepcopy(reward.module)
    return Networks(_adapted(base()), None, reward, value)


def modules(networks):
    return [networks.policy.module, networks.reward.module, networks.value]


def prompts():
    return [Prompt(id=str(place), conversation=Conversation.ask(f"what is {place}")) for place in range(8)]


def test_the_weights_of_ppo_are_those_of_one_model_and_its_adapters(kept):
    networks = on_one_base(kept)
    one = weight_bytes([base().module])
    assert weight_bytes(modules(networks)) <= 1.3 * one
    assert weight_bytes(modules(apart(kept))) > 3 * one


def test_training_on_one_base_is_training_apart(kept):
    together, separate = on_one_base(kept), apart(kept)
    ours, theirs = (train_ppo(one, prompts(), CFG, TrainingRun(seed=1)).history for one in (together, separate))
    assert len(ours) == CFG.iterations
    for row, expected in zip(ours, theirs, strict=True):
        assert row == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert ours[-1]["kl"] > 1e-4
    for mine, other in zip(modules(together), modules(separate), strict=True):
        for (name, weight), expected in zip(mine.named_parameters(), other.parameters(), strict=True):
            assert torch.allclose(weight, expected, atol=1e-5), name


def test_the_value_network_trains_adapters_of_its_own(kept):
    networks = on_one_base(kept)
    mine = {name: weight for name, weight in networks.value.named_parameters() if weight.requires_grad}
    theirs = dict(networks.reward.module.named_parameters())
    assert sum("lora_" in name for name in mine) == sum("lora_" in name for name in theirs) > 0
    assert all(weight is not theirs[name] for name, weight in mine.items())
    before = {name: weight.detach().clone() for name, weight in mine.items()}
    train_ppo(networks, prompts(), CFG, TrainingRun(seed=1))
    assert not any(torch.equal(weight, before[name]) for name, weight in mine.items())


def valued(networks):
    """The value network in the reward model's place."""
    return replace(networks.reward, module=networks.value)


def test_nothing_that_is_frozen_moves_and_the_value_leaves_the_reward(kept):
    networks = on_one_base(kept)
    before = score_trees(networks.reward, TREES)
    frozen = {
        name: weight.clone() for name, weight in networks.policy.module.named_parameters() if not weight.requires_grad
    }
    assert score_trees(valued(networks), TREES) == before
    train_ppo(networks, prompts(), CFG, TrainingRun(seed=1))
    assert score_trees(networks.reward, TREES) == before
    assert score_trees(valued(networks), TREES) != before
    for name, weight in networks.policy.module.named_parameters():
        assert name not in frozen or torch.equal(weight, frozen[name]), name


def test_kept_adapters_score_as_the_merged_reward_model_does(kept):
    merged, adapted = load_reward_model(kept, torch.float32), load_reward_on(base(), kept)
    assert (adapted.mean, adapted.std) == (merged.mean, merged.std)
    for ours, theirs in zip(score_trees(adapted, TREES), score_trees(merged, TREES), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_an_ensemble_kept_as_adapters_scores_as_merged_and_the_value_starts_as_its_mean(tmp_path):
    attributes, centres = ("overall", "helpful"), (0.1, -0.2, 0.4, 0.3)
    heads = Heads(attributes=attributes, members=2, weights=(0.25, 0.75), centres=centres, combine="worst")
    networks = on_one_base(keep(tmp_path, heads))
    merged = load_reward_model(tmp_path, torch.float32)
    assert (networks.reward.heads, merged.heads) == (heads, heads)
    for ours, theirs in zip(score_trees(networks.reward, TREES), score_trees(merged, TREES), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    packed = pack_trees(TREES)
    of_the_mean = replace(merged, heads=heads.model_copy(update={"combine": "mean"}))
    assert torch.allclose(networks.values_to_the_end(packed)[1], of_the_mean.scores(packed), atol=1e-5)
    trained = {name for name, weight in networks.value.named_parameters() if weight.requires_grad}
    assert any("lora_" in name for name in trained)
    assert any(name.endswith("score.weight") for name in trained)
    assert len(train_ppo(networks, prompts(), CFG, TrainingRun(seed=1)).history) == CFG.iterations


def test_a_twin_of_a_trainable_network_shares_nothing_and_of_a_frozen_one_all_that_is_frozen():
    module = base().module
    assert weight_bytes([module, twin(module)]) == 2 * weight_bytes([module])
    adapted = add_lora(new_reward_model(base(), 0).module, LoraConfig(rank=2))
    other = twin(adapted)
    for (name, weight), copied in zip(adapted.named_parameters(), other.parameters(), strict=True):
        assert (weight is copied) == (not weight.requires_grad), name


def test_a_reward_model_made_on_given_weights_is_the_one_made_on_a_copy():
    model = base()
    shared, copied = new_reward_model(model, 3, shared=True), new_reward_model(model, 3)
    assert score_trees(shared, TREES) == score_trees(copied, TREES)
    assert weight_bytes([model.module, shared.module]) < 1.01 * weight_bytes([model.module])
