"""Reinforcement without a reward model's value network, and without a reward model: recipes on a network of a few weights."""

import json
from pathlib import Path

import pytest
import torch

from alidade.errors import AlidadeError
from alidade.models.local import load, save_model
from alidade.pipeline import load_recipe, run
from alidade.records import Prompt
from alidade.stages import load_all
from alidade.store import Store, read_rows
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import ModelShape

RECIPE = """
name: sums
stages:
  base: {use: model-folder, with: {path: MODEL}}
  prompts: {use: prompts-file, in: {model: base}, with: {file: FILE, answer_room: 8}}
  demonstrations: {use: demonstrations-file, in: {model: base}, with: {file: FILE}}
  sft:
    in: {model: base, demonstrations: demonstrations}
    with: {training: {batching: {rows: 8, epochs: 20}, optimiser: {learning_rate: 1.0e-2}}}
  policy:
    use: USE
    in: {policy: sft, prompts: prompts}
    with:
      verify: VERIFY
      training: {iterations: 2, drawing: {prompts: 6, answers_per_prompt: COPIES, max_new_tokens: 6}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sums")
    rows = [{"question": f"What is {one} and {two}?", "answer": f"{one + two}"} for one in range(5) for two in range(5)]
    tokenizer = train_tokenizer([f"{row['question']} {row['answer']} User: Assistant:" for row in rows] * 3, 300)
    shape = ModelShape(hidden=32, ffn=48, layers=1, heads=1, context=64)
    save_model(new_model(shape, tokenizer, seed=0, dtype=torch.float32), tokenizer, folder / "model")
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    load_all()
    return folder / "model", folder / "sums.jsonl"


def recipe(tmp_path: Path, files: tuple[Path, Path], use: str, copies: int = 2, verify: str = "final-number") -> Path:
    text = RECIPE.replace("MODEL", str(files[0])).replace("FILE", str(files[1])).replace("USE", use)
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace("COPIES", str(copies)).replace("VERIFY", verify))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("use", ["ppo", "grpo", "rloo", "reinforce++"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_policy_is_trained_on_a_reward_that_is_computed(tmp_path, files, use, method):
    store = Store(tmp_path / "store")
    done = run(load_recipe(recipe(tmp_path, files, use), [f"policy.method={method}"]), store)
    places = {one.name: store.artifact(one.digest, one.kind).path for one in done.stages}
    curves = [json.loads(line) for line in (places["policy"] / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in curves] == [0, 1]
    assert 0 < curves[0]["proxy_reward"] <= 1
    before, after = (load(places[name]).module.parameters() for name in ("sft", "policy"))
    assert not all(torch.equal(was, weight) for was, weight in zip(before, after, strict=True))
    assert ("value_loss" in curves[0]) == (use == "ppo")
    known = read_rows(places["prompts"] / "rows.jsonl", Prompt)
    assert all(prompt.about["answer"].isdigit() for prompt in known)


def test_prompts_without_an_answer_stop_the_stage_before_it_trains(tmp_path, files):
    rows = [json.loads(line) for line in files[1].read_text().splitlines()]
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(json.dumps({"question": row["question"]}) + "\n" for row in rows))
    with pytest.raises(AlidadeError, match="prompts cannot be rewarded"):
        run(load_recipe(recipe(tmp_path, files, "grpo"), [f"prompts.file={bare}"]), Store(tmp_path / "store"))


def refusal(path: Path, tmp_path: Path) -> AlidadeError:
    with pytest.raises(AlidadeError) as caught:
        run(load_recipe(path), Store(tmp_path / "store"))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "store").exists()
    return caught.value


def test_a_group_of_one_is_refused(tmp_path, files):
    assert "at least 2" in refusal(recipe(tmp_path, files, "grpo", copies=1), tmp_path).what


def test_a_policy_without_anything_that_scores_it_is_refused(tmp_path, files):
    error = refusal(recipe(tmp_path, files, "grpo", verify="''"), tmp_path)
    assert "nothing scores the answers" in error.what
    assert "final-number" in str(error.hint)


def test_an_unknown_reward_is_refused_with_the_nearest_name(tmp_path, files):
    assert "final-number" in str(refusal(recipe(tmp_path, files, "ppo", verify="final-numbr"), tmp_path).hint)


def two_rewards(tmp_path: Path, files: tuple[Path, Path], *changes: tuple[str, str]) -> Path:
    """A computed reward under a bound on another, and one that is only recorded."""
    path = recipe(tmp_path, files, "rloo")
    text = path.read_text().replace(
        "verify: final-number",
        "verify: final-number\n      rewards: {words: {verify: named-answer}, exact: {verify: exact-answer}}",
    )
    text = text.replace(
        "iterations: 2,", "iterations: 2, weights: {exact: 0}, constraints: {words: {at_most: 0.1, rate: 2}},"
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.slow
def test_several_rewards_are_named_bound_and_recorded_in_one_recipe(tmp_path, files):
    store = Store(tmp_path / "store")
    done = run(load_recipe(two_rewards(tmp_path, files)), store)
    folder = next(store.artifact(one.digest, one.kind).path for one in done.stages if one.name == "policy")
    first, second = (json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
    assert first["score_words"] >= first["score_exact"]
    assert first["multiplier_words"] == 1.0
    assert (second["multiplier_words"] > 1) == (first["score_words"] > 0.1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("weights: {exact: 0}, ", ""), "nothing says what the reward `exact` is for"),
        (("weights: {exact: 0}", "weights: {exact: 0, exat: 1}"), "no reward is called `exat`"),
        (("words: {verify: named-answer}", "reward: {verify: named-answer}"), "two things would score the answers"),
        (("words: {verify: named-answer}", "words: {verify: named-answers}"), "unknown reward `named-answers`"),
        (("words: {verify: named-answer}", "words: {}"), "one of verify, http and judge"),
        (("{at_most: 0.1, rate: 2}", "{rate: 2}"), "one bound"),
        (("{policy: sft,", "{policy: sft, cost: demonstrations,"), "input `cost` wants reward-model"),
    ],
)
def test_rewards_that_do_not_go_together_are_refused_before_anything_runs(tmp_path, files, change, what):
    assert what in str(refusal(two_rewards(tmp_path, files, change), tmp_path))


def test_cut_answers_need_a_value_network_to_go_on_from(tmp_path, files):
    path = two_rewards(tmp_path, files, ("iterations: 2,", "iterations: 2, shape: {truncated: bootstrap},"))
    assert "needs a value network" in refusal(path, tmp_path).what
