"""From scores to rewards, advantages and the KL penalty."""

import pytest
import torch

from alidade.errors import TrainingStopped
from alidade.training.diagnose import check_scores
from alidade.training.experience import Appraisal, build_experience, engine_gap, final_scores, measure, next_beta
from alidade.training.rollouts import Answers, pack_answers
from alidade.training.settings import Drawing, GrpoConfig, KlControl, PpoConfig, RewardShape


def answers(lengths=(2, 3), finished=(True, True)):
    tokens = [list(range(1, length + 1)) for length in lengths]
    prompts = [[7, 8], [9]]
    return Answers(prompts, [0, 1], tokens, list(finished), [[-1.0] * length for length in lengths])


def appraised(log_probs, reference, values, scores):
    tensors = [torch.tensor(column, dtype=torch.float64) for column in (log_probs, reference, values, scores)]
    return Appraisal(tensors[0], tensors[1], torch.zeros_like(tensors[0]), tensors[2], tensors[3])


def test_the_score_lands_on_each_answers_last_token_and_the_penalty_on_every_token():
    made = appraised([-1, -1, -2, -2, -2], [-1.5, -1, -2, -1, -2], [0] * 5, [2, -1])
    shape = RewardShape(gamma=1, lam=1)
    returns = build_experience(answers(), made, 0.1, PpoConfig(shape=shape)).returns
    assert returns.tolist() == pytest.approx([2 - 0.05, 2, -1 + 0.1, -1 + 0.1, -1])


def test_an_unfinished_answers_score_is_replaced_not_lowered():
    scores = final_scores(torch.tensor([5.0, -9.0, 2.0]), [True, True, False], RewardShape())
    assert scores.tolist() == [5, -9, -1]


def test_without_a_fixed_score_an_unfinished_answer_keeps_its_own():
    scores = final_scores(torch.tensor([0.5, 1.0]), [True, False], RewardShape(unfinished_score=None))
    assert scores.tolist() == [0.5, 1.0]


def test_groups_whose_answers_score_the_same_are_counted():
    cfg = GrpoConfig(drawing=Drawing(answers_per_prompt=2))
    drawn = Answers([[7], [8]], [0, 0, 1, 1], [[1], [2], [3], [4]], [True] * 4, [[-1.0]] * 4)
    made = appraised([-1.0] * 4, [-1.0] * 4, [0.0] * 4, [1, 1, 0, 1])
    experience = build_experience(drawn, made, 0.1, cfg)
    assert experience.advantages.tolist() == pytest.approx([0, 0, -(0.5**0.5), 0.5**0.5], abs=1e-3)
    assert measure(drawn, made, experience, cfg)["tied_groups"] == 0.5


def test_a_score_that_is_no_number_is_named():
    with pytest.raises(TrainingStopped, match="1 of 3 answers") as caught:
        check_scores(torch.tensor([0.0, float("nan"), 1.0]))
    assert caught.value.where == "answer 1 of the batch"


def test_advantages_are_white_over_the_whole_batch():
    made = appraised([-1.0] * 5, [-1.0] * 5, [0.3, 0.1, -2, 0.5, 0.2], [2, -1])
    advantages = build_experience(answers(), made, 0.1, PpoConfig()).advantages
    assert advantages.mean().item() == pytest.approx(0, abs=1e-12)
    assert advantages.var(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_whitened_rewards_keep_their_mean():
    made = appraised([-1.0] * 5, [-1.0] * 5, [0.0] * 5, [2, -1])
    shape = RewardShape(whiten=True, gamma=1, lam=1)
    returns = build_experience(answers(), made, 0.1, PpoConfig(shape=shape)).returns
    assert (returns[0] + returns[2]).item() == pytest.approx(_white_total([0, 2, 0, 0, -1]), abs=1e-6)


def _white_total(rewards):
    values = torch.tensor(rewards, dtype=torch.float64)
    return float(((values - values.mean()) / values.std(correction=0) + values.mean()).sum())


def test_the_adaptive_penalty_moves_towards_the_target_by_bounded_steps():
    control = KlControl(beta=0.1, target=6.0, horizon=10_000)
    assert next_beta(0.1, 6.0, 100, control) == pytest.approx(0.1)
    assert next_beta(0.1, 6.6, 100, control) == pytest.approx(0.1 * (1 + 0.1 * 0.01))
    assert next_beta(0.1, 600.0, 100, control) == pytest.approx(0.1 * (1 + 0.2 * 0.01))
    assert next_beta(0.1, 0.0, 100, control) == pytest.approx(0.1 * (1 - 0.2 * 0.01))


def test_a_fixed_penalty_stays():
    assert next_beta(0.1, 600.0, 100, KlControl(beta=0.1)) == 0.1


def test_the_engine_gap_is_the_mean_absolute_difference():
    assert engine_gap(answers(), torch.tensor([-1.0, -1.5, -1.0, -1.0, -0.5])) == pytest.approx(0.2)


def test_answers_to_one_prompt_share_its_tokens_when_they_are_packed_together():
    drawn = Answers([[7, 8, 9], [5]], [0, 0, 1], [[1], [2, 3], [4]], [True] * 3, [[-1.0], [-1.0] * 2, [-1.0]])
    (pack,) = pack_answers(drawn, [1, 2, 0], 100, torch.device("cpu"))
    assert pack.packed.ids.tolist() == [7, 8, 9, 2, 3, 1, 5, 4]
    assert pack.chosen == [1, 0, 2]
    assert pack.where.tolist() == [1, 2, 0, 3]
    assert pack.packed.targets.tolist() == [2, 3, 1, 4]
