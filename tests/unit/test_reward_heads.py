"""Reward models of several heads: what they learn, how they are kept, what is made of them."""

import json
import math

import pytest
import torch
from pydantic import ValidationError
from tests.token_rows import compared, grouped

from alidade.errors import DataError, ModelError
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Prompt, Ranking
from alidade.stages.training import evaluated
from alidade.training.choices import comparison_likelihood, tie_share
from alidade.training.fit import TrainingRun
from alidade.training.heads import Heads, HeadWeights, heads_for
from alidade.training.judgements import AnswerGroup, Placed, collate_groups, group_rows
from alidade.training.length import fit_length
from alidade.training.lm import answer_scores
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.reward import train_reward
from alidade.training.packing import Tree
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import (
    FILE_NAME,
    load_reward_model,
    new_reward_model,
    save_reward_model,
    score_answers,
    score_attributes,
)
from alidade.training.settings import (
    Batching,
    Drawing,
    HeadsConfig,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    RewardConfig,
    Updating,
)
from alidade.training.trunk import hidden_states, prepare

FAST = OptimiserConfig(learning_rate=3e-3)
ASKED = [(Conversation.ask("what"), text) for text in ("a b", "c", "b b c")]
TREES = [Tree([5, 6, 7], [[8, 9], [10]]), Tree([11], [[12, 13, 14]])]


@pytest.fixture(scope="module")
def model():
    tokenizer = train_tokenizer(["a b c d"], 262)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=2, context=64), tokenizer, 0)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def comparison(number, left="a", right="b", label_prob=1.0, **fields):
    asked = Conversation.ask(f"what is {number}")
    return Comparison(id=f"{number}/0", prompt=asked, left=left, right=right, label_prob=label_prob, **fields)


def trained(model, rows, heldout=(), **settings):
    cfg = RewardConfig(**({"batching": Batching(epochs=6, rows=8), "optimiser": FAST} | settings))
    fresh = new_reward_model(model, 0, heads_for(rows, cfg.heads))
    return train_reward(fresh, rows, heldout, cfg, TrainingRun())


def test_each_attribute_is_learned_by_its_own_head(model):
    rows = [comparison(n, attribute="helpful") for n in range(24)]
    rows += [comparison(n, label_prob=0.0, attribute="harmless") for n in range(24)]
    reward, _ = trained(model, rows, heads=HeadsConfig(by_attribute=True, weights={"helpful": 3, "harmless": 1}))
    assert reward.heads.attributes == ("helpful", "harmless")
    assert reward.heads.weights == (0.75, 0.25)
    better, worse = score_attributes(reward, [(rows[0].prompt, "a"), (rows[0].prompt, "b")])
    assert better["helpful"] > worse["helpful"]
    assert better["harmless"] < worse["harmless"]
    first, second = score_answers(reward, [(rows[0].prompt, "a"), (rows[0].prompt, "b")])
    gap = 0.75 * (better["helpful"] - worse["helpful"]) + 0.25 * (better["harmless"] - worse["harmless"])
    assert (first - second) * reward.std == pytest.approx(gap, abs=1e-4)


def test_overall_is_the_score_where_it_was_judged_and_no_head_is_weighed_that_nobody_judged():
    rows = [comparison(0, attribute="honest"), comparison(1)]
    assert heads_for(rows, HeadsConfig(by_attribute=True)).weights == (0.0, 1.0)
    assert heads_for(rows[:1], HeadsConfig(by_attribute=True)).weights == (1.0,)
    assert heads_for(rows, HeadsConfig()) == Heads()
    with pytest.raises(DataError, match="no judgement is about the attribute 'harmless'"):
        heads_for(rows, HeadsConfig(by_attribute=True, weights={"harmless": 1.0}))


@pytest.mark.parametrize("combine", ["mean", "lower", "worst"])
def test_a_saved_ensemble_scores_the_same_and_has_mean_0_and_spread_1(model, combine, tmp_path):
    rows = [comparison(n, "a" if n % 2 else "a a c", "b" * (1 + n % 3)) for n in range(16)]
    reward, result = trained(model, rows, rows, heads=HeadsConfig(members=3, combine=combine))
    weight = reward.module.score.weight
    assert weight.shape == (3, 16)
    assert not torch.allclose(weight[0], weight[1])
    save_reward_model(reward, tmp_path)
    again = load_reward_model(tmp_path, torch.float32)
    assert (again.heads, again.temperature) == (reward.heads, result.summary["heldout"]["temperature"])
    assert score_answers(again, ASKED) == pytest.approx(score_answers(reward, ASKED), abs=1e-5)
    scores = torch.tensor(score_answers(reward, list({(r.prompt, t) for r in rows for t in (r.left, r.right)})))
    assert scores.mean().item() == pytest.approx(0, abs=1e-4)
    assert scores.std(correction=0).item() == pytest.approx(1, abs=1e-3)
    assert again.probability(0.4, 0.4) == 0.5
    assert again.probability(0.9, 0.4) == pytest.approx(1 - again.probability(0.4, 0.9))
    assert again.probability(0.9, 0.4) > 0.5


def test_held_out_rows_that_are_all_too_long_are_no_calibration_but_what_was_fitted_is_kept(model):
    rows = [comparison(n, "a a c", "b") for n in range(8)]
    longer = [comparison(9, "a " * 200, "b " * 200)]
    _, result = trained(model, rows, longer, length_bias="removed")
    assert set(evaluated(result.summary)) == {"length"}
    assert set(evaluated(trained(model, rows, rows)[1].summary)) == {"calibration", "temperature", "length_correlation"}


def test_length_explains_nothing_where_no_judgement_depends_on_it():
    short, long = grouped([compared([5], [6, 7], [8, 9], 1.0), compared([6], [6, 7, 8], [8, 9, 7], 0.3)])
    for groups in ([short], [short, long]):
        assert fit_length(groups).slopes == (0.0,)
        assert not fit_length(groups).explains_all


def test_a_head_that_nothing_is_judged_for_has_no_slope_of_length():
    group = AnswerGroup([5], [[6, 7], [8]])
    group.add(Placed((0, 1), comparison_likelihood(0.8), (1.0, 0.0)), [])
    judged, unjudged = fit_length([group]).slopes
    assert judged == pytest.approx(math.log(4) / 2, abs=1e-6)
    assert unjudged == 0.0


def test_the_value_network_starts_as_the_mean_of_the_heads(model):
    rows = [comparison(n) for n in range(16)]
    reward, _ = trained(model, rows, heads=HeadsConfig(members=4))
    value = prepare(value_from_reward(reward))
    assert value.config.num_labels == 1
    packed = collate_groups(grouped([compared([5], [6, 7], [8], 1.0)]), torch.device("cpu")).packed
    plain = reward.rows(packed) @ torch.full((4,), 0.25) - sum(reward.heads.centres) / 4
    mine = reward.normalised_value(answer_scores(value, hidden_states(value, packed, packed.ends)))
    assert torch.allclose(mine, reward.scores(packed), atol=1e-4)
    assert torch.allclose(mine, (plain - reward.mean) / reward.std, atol=1e-4)


def test_ppo_runs_against_the_worst_of_several_heads(model):
    import copy

    from alidade.training.experience import Networks

    reward, _ = trained(model, [comparison(n) for n in range(8)], heads=HeadsConfig(members=3, combine="worst"))
    policy = LocalModel("p", copy.deepcopy(model.module), model.tokenizer, model.renderer, 64)
    networks = Networks(policy, copy.deepcopy(model.module), reward, value_from_reward(reward))
    prompts = [Prompt(id=str(n), conversation=Conversation.ask(f"what is {n}")) for n in range(4)]
    cfg = PpoConfig(iterations=1, drawing=Drawing(prompts=4, max_new_tokens=4), updating=Updating(epochs=1))
    result = train_ppo(networks, prompts, cfg, TrainingRun())
    assert len(result.history) == 1


def test_a_member_draws_as_many_judgements_as_there_are_and_every_member_its_own():
    heads = Heads(members=3, centres=(0.0,) * 3)
    rows = [comparison(n) for n in range(50)]
    weigh = HeadWeights(heads, HeadsConfig(members=3), 50, seed=4)
    columns = list(zip(*[weigh(n, row) for n, row in enumerate(rows)], strict=True))
    assert [sum(column) for column in columns] == pytest.approx([50 / 3] * 3)
    assert len(set(columns)) == 3
    assert weigh(7, rows[7]) == HeadWeights(heads, HeadsConfig(members=3), 50, seed=4)(7, rows[7])
    same = HeadWeights(heads, HeadsConfig(members=3, bootstrap=False), 50, seed=4)
    assert same(0, rows[0]) == pytest.approx((1 / 3,) * 3)


def test_length_that_explains_the_labels_is_not_learned(model):
    rows = [comparison(n, "c " * (4 + n % 3), "d", float(n % 10 > 0)) for n in range(40)]
    gaps = []
    for bias in ("kept", "removed"):
        reward, result = trained(model, rows, rows, length_bias=bias)
        scores = score_answers(reward, [(rows[0].prompt, text) for text in (rows[0].left, rows[0].right)])
        gaps.append((scores[0] - scores[1]) * reward.std)
        assert ("length" in result.summary) == (bias == "removed")
    assert result.summary["length"]["slopes"][0] > 0
    assert abs(gaps[1]) < gaps[0] / 2
    assert not [said for said in result.summary["symptoms"] if "left to learn" in said]
    _, result = trained(model, [comparison(n, "c c c c", "d") for n in range(8)], length_bias="removed")
    assert "nothing is left to learn" in result.summary["symptoms"][0]


def test_the_tie_strength_is_learned_towards_the_share_of_ties(model):
    rows = [comparison(n, label_prob=0.5, tie_prob=1.0) if n % 2 else comparison(n) for n in range(32)]
    assert tie_share(rows) == 0.5
    _, result = trained(model, rows, ties="davidson")
    assert result.summary["tie_strength"] > 1
    assert "gradient_norm_ties" in result.history[0]
    _, result = trained(model, rows, ties="davidson", tie_strength=0.3)
    assert result.summary["tie_strength"] == pytest.approx(0.3)
    with pytest.raises(DataError, match="every judgement is a tie"):
        trained(model, rows[1::2], ties="davidson")


def test_a_margin_widens_the_gap(model):
    gaps = []
    for scale in (0.0, 2.0):
        reward, _ = trained(model, [comparison(n, margin=1.5) for n in range(16)], margin_scale=scale)
        scores = score_answers(reward, [(Conversation.ask("what is 0"), text) for text in ("a", "b")])
        gaps.append((scores[0] - scores[1]) * reward.std)
    assert gaps[1] > gaps[0] > 0


def test_rankings_that_say_nothing_are_counted_by_reason_and_do_not_stop_the_rest(model):
    def ranking(count, ranks):
        return Ranking(id="r", prompt=Conversation.ask("what"), answers=tuple("abcdefghij"[:count]), ranks=ranks)

    rows = [ranking(3, (0, 0, 0)), ranking(10, (0,) * 9 + (1,)), ranking(3, (0, 1, 1)), ranking(2, (5, 5))]
    groups, dropped = group_rows(model.renderer, rows, 64)
    assert dropped == {"all answers tied": 2, "over 8 answers of one rank": 1}
    assert groups[0].judgements == 1
    _, result = trained(model, [rows[0], rows[2]])
    assert result.counts["dropped"]["all answers tied"] == 1
    with pytest.raises(DataError, match="1 all answers tied"):
        trained(model, rows[:1])
    with pytest.raises(DataError, match="no judgement"):
        collate_groups([AnswerGroup([1], [[2]])], torch.device("cpu"))


@pytest.mark.parametrize(
    "settings",
    [
        {"ties": "davidson", "flips": 0.1},
        {"ties": "davidson", "margin_scale": 1.0},
        {"tie_strength": 1.0},
        {"heads": {"weights": {"helpful": 1.0}}},
        {"heads": {"by_attribute": True, "weights": {"helpful": 0.0}}},
        {"heads": {"by_attribute": True, "weights": {"kind": 1.0}}},
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings):
    with pytest.raises(ValidationError):
        RewardConfig(**settings)


def test_heads_that_nothing_names_or_that_do_not_fit_are_refused(model, tmp_path):
    reward = new_reward_model(model, 0, Heads(members=2, centres=(0.0, 0.0)))
    save_reward_model(reward, tmp_path)
    facts = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps(facts | {"heads": facts["heads"] | {"centres": [0.0]}}))
    with pytest.raises(ModelError, match="1 centres for 2 heads"):
        load_reward_model(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(ModelError, match="one label"):
        load_reward_model(tmp_path)
