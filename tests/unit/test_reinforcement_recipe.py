"""Recipes of policies that learn from their own answers: what is wrong with one is said before anything runs."""

from pathlib import Path

import pytest

from alidade.errors import AlidadeError, RecipeError, UsageError
from alidade.pipeline import Upstream, load_recipe
from alidade.stages import load_all
from alidade.stages.overoptimisation import OveroptimisationConfig, check_pairs

RECIPE = """\
name: policy
stages:
  base: {use: pilot}
  demonstrations: {use: testbed-demonstrations}
  prompts: {use: testbed-prompts, with: {mix: {fact: 1}}}
  policy:
    use: grpo
    in: {policy: base, prompts: prompts, MORE}
    with: {verify: final-number, training: {drawing: {answers_per_prompt: 2}}}
"""


def refused(folder: Path, *settings: str, more: str = "") -> str:
    load_all()
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.replace("MORE", more))
    with pytest.raises(AlidadeError) as caught:
        check(path, settings)
    assert caught.value.exit_code == 2
    return str(caught.value)


def check(path: Path, settings: tuple[str, ...]) -> None:
    recipe = load_recipe(path, settings)
    use = recipe.stages["policy"]
    assert use.stage.check is not None
    use.stage.check(use.config, recipe.upstream("policy"))


@pytest.mark.parametrize("name", ["policy", "prompts", "demonstrations", "watched"])
def test_a_reward_cannot_have_the_name_of_another_input(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, f"policy.rewards={{{name}: {{verify: checks}}}}", f"policy.training.weights.{name}=1")
    assert f"a reward cannot be called `{name}`" in said


def test_two_main_rewards_are_refused_with_the_way_out(tmp_path: Path) -> None:
    said = refused(tmp_path, "policy.rewards={reward: {http: {base_url: 'http://x'}}}")
    assert "verify=''" in said


@pytest.mark.parametrize("setting", ["policy: best", "patience: 2"])
def test_a_best_policy_needs_watched_prompts_before_anything_runs(tmp_path: Path, setting: str) -> None:
    said = refused(tmp_path, f"policy.training.keep={{{setting}}}")
    assert "no prompts to choose the best policy on" in said
    assert "`watched`" in said


def test_a_misspelled_input_that_is_taken_for_a_reward_model_is_told_the_other_inputs(tmp_path: Path) -> None:
    said = refused(tmp_path, more="demonstration: demonstrations")
    assert "input `demonstration` wants reward-model, but `demonstrations` makes demonstrations" in said
    assert "hint: stages that make reward-model: none here; inputs of other kinds: `demonstrations`, `policy`" in said


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("training.constraints={cost: {at_mst: 0.1}}", "at_most"),
        ("rewards={style: {http: {base_url: x, timout: 3}}}", "timeout"),
        ("rewards={style: {htp: {base_url: x}}}", "http"),
    ],
)
def test_a_misspelled_field_below_a_name_of_ones_own_offers_the_nearest(
    tmp_path: Path, setting: str, name: str
) -> None:
    assert f"did you mean `{name}`?" in refused(tmp_path, f"policy.{setting}")


def test_over_optimisation_needs_reward_models_on_both_sides() -> None:
    reward = Upstream("reward", OveroptimisationConfig(), {})
    best = Upstream("best", OveroptimisationConfig(), {"reward": reward})
    verified = Upstream("grpo", OveroptimisationConfig(), {"watched": reward})
    with pytest.raises(UsageError, match="no reward model was optimised here"):
        check_pairs(OveroptimisationConfig(), {"best_small": best, "ppo_small": verified})


BEST = """\
name: best
stages:
  base: {use: pilot}
  prompts: {use: testbed-prompts, with: {mix: {fact: 1}}}
  draws: {use: sample, in: {model: base, prompts: prompts}}
  votes: {use: testbed-votes, in: {answers: draws}}
  comparisons: {use: tally, in: {answers: draws, votes: votes}}
  reward: {in: {model: base, comparisons: comparisons}}
  best: {use: testbed-best-of-n, in: {reward: reward, answers: draws}}
"""


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("normalise: true", "`normalise` goes by the scores of a training so far"),
        ("truncated: mask", "truncated `mask` needs a training"),
        ("truncated: bootstrap", "truncated `bootstrap` needs a training"),
    ],
)
def test_best_of_n_refuses_ways_to_shape_a_reward_that_need_a_training(tmp_path: Path, setting: str, said: str) -> None:
    load_all()
    path = tmp_path / "best.yaml"
    path.write_text(BEST)
    load_recipe(path)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path, [f"best.shape={{{setting}}}"])
    assert "best" in str(caught.value.where)
