"""SFT and reward models on a few rows: what is learned, what is counted, what is refused."""

import pytest
import torch

from alidade.errors import DataError
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Ranking
from alidade.training.fit import TrainingRun
from alidade.training.judgements import group_rows
from alidade.training.objectives.reward import train_reward
from alidade.training.objectives.sft import heldout_nll, render_rows, train_sft
from alidade.training.packing import Tree
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model, score_trees
from alidade.training.settings import Batching, ModelShape, OptimiserConfig, RewardConfig, RowLimits, SftConfig
from alidade.training.trunk import prepare

FAST = OptimiserConfig(learning_rate=1e-2)


def model():
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 320)
    module = new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=64), tokenizer, 0)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def demonstration(place, answer="yes"):
    return Demonstration(id=str(place), prompt=Conversation.ask(f"what is {place}"), answer=answer)


def comparison(place, left="yes", right="no blue", label_prob=1.0):
    return Comparison(
        id=f"{place}/0", prompt=Conversation.ask(f"what is {place}"), left=left, right=right, label_prob=label_prob
    )


def test_sft_learns_the_answer_and_to_stop():
    learner = model()
    rows = [demonstration(place) for place in range(32)]
    before = heldout_nll(learner, rows)
    cfg = SftConfig(batching=Batching(epochs=4, rows=8), optimiser=FAST)
    result = train_sft(learner, rows, cfg, TrainingRun())
    assert before > 4
    assert heldout_nll(learner, rows) < 0.5
    assert len(result.history) == 16


def test_sft_counts_every_token_and_row():
    learner = model()
    long = demonstration(1, "blue " * 60)
    rows = [demonstration(place) for place in range(9)]
    kept, counts = render_rows(learner, [*rows, long], RowLimits(allowed_loss=0.1))
    assert len(kept) == 9
    assert counts["rows"] == 10
    assert counts["dropped"] == {"too long": 1, "nothing to train on": 0}
    assert counts["tokens"] == counts["trained_tokens"] + counts["masked_tokens"]
    answer = learner.renderer.answer(rows[0].prompt, "yes")
    assert counts["trained_tokens"] == 9 * len(answer)
    assert answer[-1] in learner.renderer.stop_ids


def test_sft_refuses_to_lose_more_rows_than_allowed():
    rows = [demonstration(0), demonstration(1, "blue " * 60)]
    with pytest.raises(DataError, match="1 of 2 rows would be dropped: 1 too long"):
        train_sft(model(), rows, SftConfig(), TrainingRun())


def test_cutting_a_step_into_forward_passes_changes_nothing_but_rounding():
    rows = [demonstration(place, "yes " * (1 + place % 5)) for place in range(16)]
    weights = []
    for tokens_at_once in (20, 10_000):
        learner = model()
        cfg = SftConfig(batching=Batching(rows=16, tokens_at_once=tokens_at_once), optimiser=FAST)
        train_sft(learner, rows, cfg, TrainingRun())
        weights.append(learner.module.get_input_embeddings().weight.detach())
    assert torch.allclose(weights[0], weights[1], atol=1e-5)


def pairs_of(group):
    return [(pair.left, pair.right, pair.label_prob) for pair in group.pairs]


def test_judgements_about_one_prompt_are_one_element_behind_one_prompt():
    rows = [comparison(0), comparison(0, "yes", "blue"), comparison(1), comparison(0, "blue", "no blue")]
    groups, dropped = group_rows(model().renderer, rows, 64)
    assert not dropped
    assert [len(group.answers) for group in groups] == [3, 2]
    assert [group.judgements for group in groups] == [3, 1]
    assert pairs_of(groups[0]) == [(0, 1, 1.0), (0, 2, 1.0), (2, 1, 1.0)]


def test_a_ranking_is_one_judgement_and_its_pairs_are_known():
    ranking = Ranking(id="r", prompt=Conversation.ask("what"), answers=("yes", "no", "blue"), ranks=(0, 1, 1))
    (group,), _ = group_rows(model().renderer, [ranking], 64)
    assert group.judgements == 1
    assert pairs_of(group) == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 0.5)]
    assert sum(pair.weight for pair in group.pairs) == pytest.approx(1)


def test_a_reward_model_learns_and_is_normalised_on_its_training_answers():
    rows = [comparison(place) for place in range(24)]
    cfg = RewardConfig(batching=Batching(epochs=2, rows=4), optimiser=FAST)
    reward, result = train_reward(new_reward_model(model(), 0), rows, [comparison(99)], cfg, TrainingRun())
    assert result.summary["heldout"]["accuracy"] == 1.0
    assert result.summary["train"]["loss"] < 0.1
    assert (reward.mean, reward.std) == (result.summary["mean"], result.summary["std"])
    assert reward.std > 0.1
    assert result.counts["answers"] == 48


def test_soft_labels_are_learned_as_probabilities():
    rows = [comparison(place % 6, label_prob=0.75) for place in range(48)]
    cfg = RewardConfig(batching=Batching(epochs=30, rows=6), optimiser=OptimiserConfig(learning_rate=3e-3))
    _, result = train_reward(new_reward_model(model(), 0), rows, rows[:6], cfg, TrainingRun())
    (low, high) = result.summary["heldout"]["bins"]
    assert high["predicted"] == pytest.approx(0.75, abs=0.05)
    assert low["predicted"] == pytest.approx(0.25, abs=0.05)


def test_a_comparison_too_long_for_the_context_is_counted_and_refused():
    with pytest.raises(DataError, match="1 too long"):
        train_reward(
            new_reward_model(model(), 0),
            [comparison(0), comparison(1, left="blue " * 60)],
            [],
            RewardConfig(),
            TrainingRun(),
        )


def test_centring_holds_scores_near_zero_and_robust_rewards_undo_flips():
    rows = [comparison(place, label_prob=float(place % 10 < 7)) for place in range(40)]
    gaps, sums = [], []
    for settings in ({}, {"flips": 0.3}, {"centring": 0.1}):
        cfg = RewardConfig(batching=Batching(epochs=6, rows=8), optimiser=FAST, **settings)
        trained, _ = train_reward(new_reward_model(model(), 0), rows, [], cfg, TrainingRun())
        scores = score_trees(trained.normalised(0, 1), [Tree(*parts(trained, row)) for row in rows[:8]])
        gaps.append(sum(left - right for left, right in scores) / 8)
        sums.append(sum(abs(left + right) for left, right in scores) / 8)
    assert gaps[1] > gaps[0] > 0
    assert sums[2] < sums[0]


def parts(reward, row):
    return reward.renderer.prompt(row.prompt), [
        reward.renderer.answer(row.prompt, text) for text in (row.left, row.right)
    ]
