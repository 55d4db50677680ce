"""The details that decide whether PPO is correct, each by name.

The numbers are those of the checklist in the project's survey of trainers. Details that cannot occur here are stated as the
property that rules them out: there is no padding, so nothing can be read from a pad.
"""

import copy
import dataclasses
import math
from itertools import chain

import pytest
import torch
from torch import nn

from alidade.errors import ModelUnavailable, TrainingStopped, UsageError
from alidade.models.base import Sampling
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Prompt
from alidade.training.experience import Appraisal, Networks, appraise, build_experience, final_scores
from alidade.training.fit import TrainingRun, steps
from alidade.training.judgements import group_rows
from alidade.training.lm import token_scores
from alidade.training.lora import add_lora
from alidade.training.losses import clipped_policy_loss, clipped_value_loss, gae, kl_k1, kl_k3, whiten
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.ppo_source import PpoSource, PpoTask
from alidade.training.objectives.sft import heldout_nll
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Tree, pack_trees
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.rollouts import Answers, pack_answers, roll_out
from alidade.training.settings import (
    Drawing,
    GrpoConfig,
    KlControl,
    LoraConfig,
    Mix,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    RewardConfig,
    RewardShape,
    Updating,
)
from alidade.training.trunk import hidden_states, prepare

CPU = torch.device("cpu")
SMALL = Drawing(prompts=6, answers_per_prompt=2, max_new_tokens=8)
FAST = OptimiserConfig(learning_rate=2e-3)


def model(dtype=torch.float32):
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=1, context=64), tokenizer, 0, dtype)
    with torch.no_grad():
        # Answers of many lengths, not all of them finished: in some states the stop token is likely.
        module.get_input_embeddings().weight.mul_(3)[tokenizer.eos_token_id].mul_(15)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def networks(policy=None):
    policy = policy or model()
    reward = new_reward_model(policy, 0).normalised(0.05, 0.5)
    return Networks(policy, copy.deepcopy(policy.module), reward, value_from_reward(reward))


def prompts(count=6):
    return [Prompt(id=str(place), conversation=Conversation.ask(f"what is {place}")) for place in range(count)]


def source(nets, cfg, mixed=()):
    renderer = nets.policy.renderer
    asked = prompts()
    ids = [renderer.prompt(prompt.conversation) for prompt in asked]
    return PpoSource(nets, PpoTask(renderer, asked, ids, list(mixed)), cfg, 0)


def draw(nets, temperature=1.0, count=8, longest=8):
    ids = [nets.policy.renderer.prompt(prompt.conversation) for prompt in prompts(count)]
    how = Sampling(temperature=temperature, max_new_tokens=longest, seed=1)
    return roll_out(nets.policy.module, ids, how, nets.policy.renderer.stop_ids, 2)


def appraised(nets, answers, temperature=1.0, order=None, budget=4096):
    packs = pack_answers(answers, order or range(len(answers.tokens)), budget, CPU)
    return appraise(nets, answers, packs, temperature)


def test_01_the_stop_token_is_never_masked():
    policy = model()
    stop = policy.tokenizer.eos_token_id
    answers = Answers([[5, 6]], [0], [[7, stop]], [True], [[-1.0, -1.0]])
    (pack,) = pack_answers(answers, [0], 100, CPU)
    assert pack.packed.targets.tolist() == [7, stop]
    row = policy.renderer.row(Conversation.ask("what"), "yes")
    assert row.ids[-1] == stop
    assert row.trained[-1]
    policy.tokenizer.pad_token = policy.tokenizer.eos_token
    assert Renderer(policy.tokenizer).pad_id != stop


def test_02_results_do_not_depend_on_padding_because_there_is_none():
    nets = networks()
    answers = draw(nets)
    together, apart = appraised(nets, answers), appraised(nets, answers, budget=1)
    assert torch.allclose(together.log_probs, apart.log_probs, atol=1e-5)
    assert torch.allclose(together.scores, apart.scores, atol=1e-5)
    (pack,) = pack_answers(answers, range(len(answers.tokens)), 10_000, CPU)
    assert len(pack.packed.ids) == sum(map(len, answers.prompts)) + sum(map(len, answers.tokens))
    tree = pack_trees([Tree([5, 6, 7], [[8, 9], [10, 11, 12]]), Tree([13, 14], [[15]])])
    assert tree.segments.position_ids[0].tolist() == [0, 1, 2, 3, 4, 3, 4, 5, 0, 1, 2]


def test_03_an_answer_is_cut_after_its_first_stop_token():
    nets = networks()
    stops = nets.policy.renderer.stop_ids
    answers = draw(nets, count=40)
    assert any(answers.finished)
    for tokens, finished in zip(answers.tokens, answers.finished, strict=True):
        assert (tokens[-1] in stops) == finished
        assert not any(token in stops for token in tokens[:-1])


def test_04_the_score_is_read_at_the_last_token_of_the_cut_answer():
    nets = networks()
    answers = draw(nets)
    for place, score in enumerate(appraised(nets, answers).scores.tolist()):
        row = answers.prompts[answers.places[place]] + answers.tokens[place]
        hidden = nets.reward.module.base_model(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state
        expected = (nets.reward.module.score(hidden[0, -1]) - 0.05) / 0.5
        assert score == pytest.approx(expected.item(), abs=1e-5)


def test_05_an_answer_without_stop_token_gets_a_fixed_score_instead_of_its_own():
    scores = final_scores(torch.tensor([2.9, 2.9]), [True, False], RewardShape(unfinished_score=-1.0))
    assert scores.tolist() == pytest.approx([2.9, -1.0])


def test_06_a_cut_answer_is_an_end_with_a_score_of_its_own_and_nothing_comes_after_it():
    rewards, values = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 4.0]])
    advantages = gae(rewards, values, torch.tensor([[True, True, False]]), 1.0, 0.95)
    assert advantages.tolist() == [[0, 0, 0]]
    assert RewardShape().unfinished_score == -1.0


def test_07_the_score_lands_on_the_stop_token_and_not_one_later():
    nets = networks()
    cfg = PpoConfig(drawing=SMALL, kl=KlControl(beta=0.0), shape=RewardShape(lam=1.0))
    drawn = source(nets, cfg)
    answers, experience = drawn._draw()
    assert len(set(answers.finished)) == 2
    scores = final_scores(appraised(nets, answers).scores, answers.finished, cfg.shape)
    last = torch.tensor(answers.starts[1:]) - 1
    assert torch.allclose(experience.returns[last], scores, atol=1e-5)


def test_08_prompt_tokens_and_the_room_beside_short_answers_get_neither_reward_nor_loss():
    nets = networks()
    answers = draw(nets)
    packs = pack_answers(answers, range(len(answers.tokens)), 4096, CPU)
    assert sum(len(pack.packed.targets) for pack in packs) == sum(map(len, answers.tokens))
    assert len(set(map(len, answers.tokens))) > 1
    advantages = build_experience(answers, appraised(nets, answers), 0.1, PpoConfig()).advantages
    assert advantages.mean().item() == pytest.approx(0, abs=1e-5)
    assert advantages.var(correction=0).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.7])
def test_09_drawing_reference_and_update_share_the_temperature(temperature):
    nets = networks()
    answers = draw(nets, temperature)
    column = appraised(nets, answers, temperature)
    engine = torch.tensor([value for row in answers.engine_log_probs for value in row])
    assert torch.allclose(engine, column.log_probs, atol=1e-4)
    assert torch.equal(column.log_probs, column.reference)
    other = appraised(nets, answers, 1.0)
    assert not torch.allclose(other.log_probs, column.log_probs, atol=1e-2)
    drawing = SMALL.model_copy(update={"temperature": temperature, "engine_gap": 1e-4})
    drawn = source(nets, PpoConfig(drawing=drawing))
    (batch,) = next(iter(drawn))
    assert torch.equal(drawn.objective.log_probs(batch.packed), batch.drawn.log_probs)


def test_10_the_engine_draws_from_the_whole_distribution():
    nets = networks()
    answers = draw(nets)
    mass = 0.0
    packed = pack_answers(answers, [0], 4096, CPU)[0].packed
    states = hidden_states(nets.policy.module, packed, packed.predictors[:1])
    for token in range(len(nets.policy.tokenizer)):
        mass += math.exp(token_scores(nets.policy.module, states, torch.tensor([token])).log_probs.item())
    assert mass == pytest.approx(1, abs=1e-4)
    engine = torch.tensor([value for row in answers.engine_log_probs for value in row])
    assert torch.allclose(engine, appraised(nets, answers).log_probs, atol=1e-4)


def test_11_dropout_is_off_in_all_four_networks():
    nets = networks()
    for module in (nets.policy.module, nets.reference, nets.reward.module, nets.value):
        assert module is not None
        module.train()
        module.add_module("noise", nn.Dropout(0.9))
    train_ppo(nets, prompts(), PpoConfig(iterations=1, drawing=SMALL), TrainingRun())
    for module in (nets.policy.module, nets.reference, nets.reward.module, nets.value):
        assert module is not None
        assert not any(part.training for part in module.modules())


def test_12_old_log_probabilities_are_the_updates_own_and_the_engine_is_held_to_them():
    nets = networks()
    drawn = source(nets, PpoConfig(drawing=SMALL))
    answers, experience = drawn._draw()
    for pack in pack_answers(answers, drawn._parts(answers, 0)[0], 4096, CPU):
        assert torch.equal(drawn.objective.log_probs(pack.packed), experience.log_probs[pack.where])
    skewed = PpoConfig(drawing=SMALL.model_copy(update={"engine_gap": 1e-12}))
    with pytest.raises(TrainingStopped, match="sampling engine"):
        source(networks(), skewed)._draw()


def test_13_at_the_start_kl_is_0_and_the_first_ratio_of_every_iteration_is_1():
    nets = networks()
    drawn = source(nets, PpoConfig(iterations=3, drawing=SMALL, optimiser=FAST))
    optimiser = AdamW([Part("policy", nets.policy.module), Part("value", nets.value)], FAST)
    first_of_iteration = True
    for report in steps(nets.policy.module, drawn.objective, drawn, optimiser):
        if first_of_iteration:
            assert report.values["update_kl"] == pytest.approx(0, abs=1e-9)
            assert report.values["clip_fraction"] == 0
        first_of_iteration = drawn._drawn is None
    assert drawn.curves[0]["kl"] == 0
    assert drawn.curves[0]["kl_k3"] == 0
    assert drawn.curves[-1]["kl"] != 0
    with torch.no_grad():
        nets.reference.get_input_embeddings().weight.add_(0.01)
    with pytest.raises(TrainingStopped, match="policy and reference differ"):
        source(nets, PpoConfig(drawing=SMALL))._draw()


def test_14_scores_are_normalised_before_they_are_used():
    nets = networks()
    answers = draw(nets)
    shifted = dataclasses.replace(nets, reward=nets.reward.normalised(1.05, 0.25))
    assert torch.allclose(appraised(shifted, answers).scores, appraised(nets, answers).scores * 2 - 4, atol=1e-5)


def test_15_the_reward_head_starts_small_and_the_value_network_as_the_reward_model_head_included():
    heads = [new_reward_model(model(), seed).module.score.weight for seed in range(40)]
    assert torch.cat(heads).std().item() == pytest.approx(1 / math.sqrt(16 + 1), rel=0.1)
    reward = new_reward_model(model(), 0)
    value = value_from_reward(reward)
    assert torch.equal(value.score.weight, reward.module.score.weight)
    assert value.score.weight.data_ptr() != reward.module.score.weight.data_ptr()


def test_16_each_token_pays_for_its_log_ratio_and_an_adaptive_penalty_moves_with_each_iteration():
    answers, column = Answers([[5]], [0], [[7, 8]], [True], [[-1.0, -1.0]]), torch.tensor
    made = Appraisal(column([-1.0, -2.0]), column([-1.5, -1.0]), column([0.0, 0.0]), column([0.0, 0.0]), column([2.0]))
    plain = PpoConfig(shape=RewardShape(lam=1.0))
    assert build_experience(answers, made, 0.1, plain).returns.tolist() == pytest.approx([2.0 + 0.1 - 0.05, 2.0 + 0.1])
    kl = KlControl(beta=0.1, target=6.0, horizon=100)
    result = train_ppo(networks(), prompts(), PpoConfig(iterations=2, drawing=SMALL, kl=kl), TrainingRun())
    assert [row["beta"] for row in result.history] == pytest.approx([0.1, 0.1 * (1 - 0.2 * 12 / 100)])


def test_17_the_rewards_penalty_is_k1_and_log_ratios_are_bounded_before_they_are_exponentiated():
    answers, column = Answers([[5]], [0], [[7]], [True], [[-1.0]]), torch.tensor
    made = Appraisal(column([-2.0]), column([-1.0]), *(column([0.0]) for _ in range(3)))
    assert build_experience(answers, made, 0.1, PpoConfig()).returns.tolist() == pytest.approx([0.1])  # k3 would cost
    assert kl_k1(column([-2.0]), column([-1.0])).tolist() == [-1.0]
    far = torch.tensor([500.0])
    assert torch.isfinite(kl_k3(-far, far)).all()
    assert torch.isfinite(clipped_policy_loss(far, -far, torch.tensor([-1.0]), 0.2)[0]).all()


def test_18_reward_whitening_keeps_the_mean_and_advantage_whitening_removes_it():
    values, mask = torch.tensor([[1.0, 5.0, 9.0]]), torch.tensor([[True, True, False]])
    assert whiten(values, mask)[mask].tolist() == pytest.approx([-1, 1])
    assert PpoConfig().shape.whiten is False
    assert whiten(values, mask, shift_mean=False)[mask].mean().item() == pytest.approx(3)
    assert whiten(values, mask)[mask].mean().item() == pytest.approx(0, abs=1e-6)
    assert whiten(values, mask)[~mask].item() == 0


def test_19_every_epoch_visits_every_answer_once_in_a_fresh_order():
    drawn = source(networks(), PpoConfig(drawing=SMALL, updating=Updating(minibatches=3)))
    answers, _ = drawn._draw()
    one, two = (drawn._parts(answers, epoch) for epoch in (0, 1))
    assert sorted(chain(*one)) == sorted(chain(*two)) == list(range(12))
    assert one != two
    assert [len(part) for part in one] == [4, 4, 4]


def test_19b_discount_clipping_and_value_weight_are_ppos_usual_ones():
    cfg = PpoConfig()
    assert (cfg.shape.gamma, cfg.shape.lam) == (1.0, 0.95)
    assert (cfg.updating.clip, cfg.updating.value_clip, cfg.updating.value_weight) == (0.2, 0.2, 0.1)
    one = torch.tensor
    clipped, used = clipped_policy_loss(one([1.0]), one([0.0]), one([1.0]), 0.2)
    assert (clipped.item(), used.item()) == (pytest.approx(-1.2), True)
    assert clipped_value_loss(one([2.0]), one([0.0]), one([2.0]), 0.2).item() == pytest.approx(0.5 * 1.8**2)
    nets = networks()
    drawn = source(nets, PpoConfig(drawing=SMALL))
    batch = next(iter(drawn))[0]
    far = dataclasses.replace(batch, drawn=dataclasses.replace(batch.drawn, returns=batch.drawn.returns + 3))
    loss = drawn.objective.loss(nets.policy.module, far)
    weighed = loss.sums["policy_loss"] + 0.1 * loss.sums["value_loss"]
    assert loss.total.item() == pytest.approx(weighed.item(), rel=1e-5)


def test_20_adams_epsilon_is_1e_minus_5_and_the_rate_falls_once_an_iteration():
    cfg = PpoConfig(iterations=2, drawing=SMALL)
    assert cfg.optimiser.eps == 1e-5
    nets = networks()
    drawn = source(nets, cfg)
    optimiser = AdamW([Part("policy", nets.policy.module), Part("value", nets.value)], cfg.optimiser)
    rates = [report.values["rate"] for report in steps(nets.policy.module, drawn.objective, drawn, optimiser)]
    assert rates == [1.0] * 4 + [0.5] * 4
    layer = nn.Linear(1, 1, bias=False)
    before, layer.weight.grad = layer.weight.item(), torch.full((1, 1), 1e-5)
    AdamW([Part("policy", layer)], OptimiserConfig(learning_rate=0.1)).step(1.0)
    assert before - layer.weight.item() == pytest.approx(0.1 / 2, rel=1e-3)  # gradient / (|gradient| + eps)


def test_21_gradients_are_clipped_for_each_network():
    nets = networks()
    optimiser = AdamW([Part("policy", nets.policy.module), Part("value", nets.value)], OptimiserConfig(clip=1e-3))
    for module in (nets.policy.module, nets.value):
        for weight in module.parameters():
            weight.grad = torch.ones_like(weight)
    optimiser.clip()
    for module in (nets.policy.module, nets.value):
        total = math.sqrt(sum(float((weight.grad**2).sum()) for weight in module.parameters()))
        assert total == pytest.approx(1e-3, rel=1e-3)


def test_22_token_means_divide_by_the_tokens_of_the_whole_step():
    def first_step(tokens_at_once):
        nets = networks()
        cfg = PpoConfig(drawing=SMALL, updating=Updating(minibatches=1, tokens_at_once=tokens_at_once))
        drawn = source(nets, cfg)
        optimiser = AdamW([Part("policy", nets.policy.module), Part("value", nets.value)], FAST)
        values = next(steps(nets.policy.module, drawn.objective, drawn, optimiser)).values
        assert values["weight"] == sum(map(len, drawn._drawn[0].tokens))
        return [values[name] for name in ("loss", "gradient_norm_policy", "gradient_norm_value")]

    assert first_step(1) == pytest.approx(first_step(10_000), rel=1e-3, abs=1e-5)


def test_23_no_table_of_logits_is_ever_kept():
    policy = model()
    packed = pack_answers(draw(networks(policy)), range(16), 4096, CPU)[0].packed
    vocabulary = len(policy.tokenizer)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.shape) or tensor, lambda one: one):
        states = hidden_states(policy.module, packed, packed.predictors)
        token_scores(policy.module, states, packed.targets)
    assert kept
    assert not any(shape[-1] == vocabulary for shape in kept if len(shape) > 1)


def test_24_all_pairs_of_a_prompt_are_one_element_and_one_epoch_is_the_default():
    prompt = Conversation.ask("what")
    pairs = [("yes", "no"), ("yes", "blue"), ("no", "blue"), ("red", "no"), ("red", "blue"), ("yes", "red")]
    rows = [
        Comparison(id=f"p/{place}", prompt=prompt, left=left, right=right, label_prob=1.0)
        for place, (left, right) in enumerate(pairs)
    ]
    (group,), _ = group_rows(model().renderer, rows, 64)
    assert (len(group.answers), group.judgements) == (4, 6)
    assert RewardConfig().batching.epochs == 1


def test_24b_supervised_rows_enter_every_minibatch_as_coefficient_times_their_mean():
    nets = networks()
    alone = Updating(epochs=1, minibatches=1)
    cfg = PpoConfig(iterations=1, drawing=SMALL, updating=alone, mix=Mix(weight=0.5, rows=9))
    rows = [
        Demonstration(id=str(place), prompt=Conversation.ask(f"what is {place}"), answer="yes") for place in range(4)
    ]
    result = train_ppo(nets, prompts(), cfg, TrainingRun(), mixed=[*rows, "a plain document"])
    assert result.counts["mixed"]["rows"] == 5
    texts = train_ppo(networks(), prompts(), cfg, TrainingRun(), mixed=rows).history[0]["mix_loss"]
    assert texts == pytest.approx(0.5 * heldout_nll(model(), rows), rel=1e-4)
    assert result.history[0]["mix_loss"] != pytest.approx(texts, rel=1e-3)
    without = train_ppo(networks(), prompts(), cfg.model_copy(update={"mix": Mix()}), TrainingRun(), mixed=rows)
    assert "mix_loss" not in without.history[0]


def test_25_every_prompt_is_asked_once_before_any_is_asked_again():
    drawn = source(networks(), PpoConfig(drawing=Drawing(prompts=4)))
    asked = []
    for iteration in range(3):
        drawn._iteration = iteration
        asked += drawn._chosen_prompts()
    assert sorted(asked[:6]) == sorted(asked[6:]) == list(range(6))
    assert asked[:6] != asked[6:]


def test_26_a_run_ends_before_it_learns_from_answers_too_far_from_the_reference():
    nets = networks()
    fast = OptimiserConfig(learning_rate=0.05)
    cfg = PpoConfig(iterations=5, drawing=SMALL, kl=KlControl(beta=0.0, stop=1e-9), optimiser=fast)
    result = train_ppo(nets, prompts(), cfg, TrainingRun())
    assert 1 < len(result.history) < 5 or result.history[-1]["kl"] <= 1e-9
    assert result.history[-1]["steps"] == 0


def test_27_an_iteration_ends_early_when_the_policy_has_moved_too_far():
    updating = Updating(epochs=4, target_kl=1e-12)
    cfg = PpoConfig(iterations=1, drawing=SMALL, updating=updating, optimiser=FAST)
    result = train_ppo(networks(), prompts(), cfg, TrainingRun())
    assert result.history[0]["steps"] == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_28_adapters_need_no_reference_network(dtype):
    policy = model(dtype)
    reward = new_reward_model(policy, 0)
    value = add_lora(value_from_reward(reward), LoraConfig(rank=2))
    adapted = dataclasses.replace(policy, module=add_lora(policy.module, LoraConfig(rank=2)))
    frozen = {name: weight.detach().clone() for name, weight in adapted.module.named_parameters() if "lora" not in name}
    cfg = PpoConfig(iterations=2, drawing=SMALL, optimiser=FAST)
    result = train_ppo(Networks(adapted, None, reward, value), prompts(), cfg, TrainingRun())
    assert result.history[0]["kl"] == 0
    assert result.history[1]["kl_k3"] > 0
    assert all(
        torch.equal(weight, frozen[name]) for name, weight in adapted.module.named_parameters() if name in frozen
    )


@pytest.mark.parametrize(("placement", "in_loss"), [("reward", 0.0), ("loss", 0.3)])
def test_a_penalty_is_part_of_the_reward_or_a_term_of_the_loss(placement, in_loss):
    nets = networks()
    nets.reference.get_input_embeddings().weight.data.mul_(1.5)
    cfg = PpoConfig(drawing=SMALL, must_start_equal=False, kl=KlControl(beta=0.3, placement=placement))
    drawn = source(nets, cfg)
    batches = next(iter(drawn))
    assert {batch.beta for batch in batches} == {in_loss}
    returns = drawn._drawn[1].returns
    free = source(nets, PpoConfig(drawing=SMALL, must_start_equal=False, kl=KlControl(beta=0.0)))._draw()[1].returns
    assert torch.allclose(returns, free) == (placement == "loss")


def test_only_a_reward_models_scores_are_clipped():
    nets = dataclasses.replace(networks(), reward=lambda p, texts, f: [50.0 * len(text) for text in texts], value=None)
    cfg = GrpoConfig(
        drawing=Drawing(prompts=4, answers_per_prompt=3, max_new_tokens=8), shape=RewardShape(unfinished_score=None)
    )
    asked = prompts()
    ids = [nets.policy.renderer.prompt(prompt.conversation) for prompt in asked]
    task = PpoTask(nets.policy.renderer, asked, ids)
    drawn = PpoSource(nets, task, cfg, 0)
    drawn._draw()
    assert drawn._row["proxy_reward"] > 3


def masking():
    drawing = Drawing(prompts=12, answers_per_prompt=6, max_new_tokens=30)
    return source(networks(), PpoConfig(drawing=drawing, shape=RewardShape(truncated="mask")))


def test_masked_answers_are_in_no_minibatch_and_are_counted():
    drawn = masking()
    answers, experience = drawn._draw()
    ended = [place for place, finished in enumerate(answers.finished) if finished]
    assert 0 < len(ended) < 72
    assert sorted(chain(*drawn._parts(answers, 0))) == ended
    assert drawn._row["masked_answers"] == 72 - len(ended)
    assert drawn._row["masked_tokens"] == 30 * (72 - len(ended))
    learned = torch.cat([experience.advantages[answers.starts[one] : answers.starts[one + 1]] for one in ended])
    assert learned.mean().item() == pytest.approx(0, abs=1e-6)


def test_a_batch_whose_answers_are_all_masked_stops_with_a_hint():
    answers = Answers([[5], [6]], [0, 1], [[7], [8]], [False, False], [[-1.0], [-1.0]])
    with pytest.raises(TrainingStopped, match="all 2 answers were cut") as caught:
        masking()._left_out(answers)
    assert "max_new_tokens" in str(caught.value.hint)
    assert caught.value.where == "iteration 0"


@pytest.mark.parametrize(
    "cfg",
    [
        PpoConfig(iterations=2),
        PpoConfig(iterations=2, baseline="batch"),
        PpoConfig(shape=RewardShape(whiten=True, normalise=True)),
    ],
)
def test_a_batch_of_one_answer_is_trained_on_without_a_number_lost(cfg):
    nets = networks()
    if cfg.baseline == "batch":
        nets = dataclasses.replace(nets, value=None)
    cfg = cfg.model_copy(update={"drawing": Drawing(prompts=1, max_new_tokens=8)})
    result = train_ppo(nets, prompts(1), cfg, TrainingRun())
    assert all(math.isfinite(value) for row in result.history for value in row.values())


def test_answers_longer_than_the_context_are_refused_before_anything_is_drawn():
    with pytest.raises(UsageError, match="up to 64 tokens leave no room for a prompt") as caught:
        train_ppo(networks(), prompts(), PpoConfig(drawing=Drawing(max_new_tokens=64)), TrainingRun())
    assert "a context of 64 tokens" in str(caught.value.where)


@pytest.mark.parametrize(
    ("scores", "what"),
    [(lambda texts: [math.nan] * len(texts), "no number"), (lambda texts: [1.0], "gave 1 scores to 12 answers")],
)
def test_a_reward_that_is_no_number_or_not_one_an_answer_is_named(scores, what):
    nets = dataclasses.replace(networks(), more={"cost": lambda asked, texts, finished: scores(texts)})
    cfg = PpoConfig(drawing=SMALL, weights={"cost": -1.0})
    with pytest.raises(TrainingStopped, match=what):
        source(nets, cfg)._draw()


def test_an_error_of_a_reward_server_says_in_which_iteration():
    def down(asked, texts, finished):
        raise ModelUnavailable("the reward server gave no scores", where="http://x", hint="start it")

    drawn = source(
        dataclasses.replace(networks(), more={"cost": down}), PpoConfig(drawing=SMALL, weights={"cost": 1.0})
    )
    drawn._iteration = 3
    with pytest.raises(ModelUnavailable) as caught:
        drawn._draw()
    assert (caught.value.where, caught.value.hint) == ("http://x, iteration 3", "start it")
