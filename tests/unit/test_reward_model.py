"""Reward models as things: how they begin, how they are kept."""

import json

import pytest
import torch

from alidade.errors import ModelError
from alidade.models.local import LocalModel, save_model
from alidade.models.render import Renderer
from alidade.training.packing import Tree
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import load_reward_model, new_reward_model, save_reward_model, score_trees
from alidade.training.settings import ModelShape
from alidade.training.trunk import prepare

TREES = [Tree([5, 6, 7], [[8, 9], [10]]), Tree([11], [[12, 13, 14]])]


def model(hidden=16):
    tokenizer = train_tokenizer(["a b c"], 270)
    module = new_model(ModelShape(hidden=hidden, ffn=32, layers=1, heads=2, context=64), tokenizer, 0)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def test_the_head_starts_with_variance_one_over_width_plus_one():
    weight = new_reward_model(model(hidden=2048), 0).module.score.weight
    assert weight.std().item() == pytest.approx((1 / 2049) ** 0.5, rel=0.05)


def test_the_trunk_is_a_copy_of_the_language_models():
    language_model = model()
    reward = new_reward_model(language_model, 0)
    ours = dict(reward.module.base_model.named_parameters())
    for name, weight in language_model.module.base_model.named_parameters():
        assert torch.equal(weight, ours[name])
        assert weight.data_ptr() != ours[name].data_ptr()


def test_a_saved_reward_model_scores_the_same(tmp_path):
    reward = new_reward_model(model(), 0).normalised(1.5, 2.0)
    save_reward_model(reward, tmp_path)
    again = load_reward_model(tmp_path, torch.float32)
    assert (again.mean, again.std, again.context_length) == (1.5, 2.0, 64)
    for ours, theirs in zip(score_trees(again, TREES), score_trees(reward, TREES), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["LlamaForSequenceClassification"]


def test_a_score_does_not_depend_on_what_is_packed_beside_it():
    reward = new_reward_model(model(), 0)
    together = score_trees(reward, TREES)
    alone = [score_trees(reward, [tree])[0] for tree in TREES]
    assert [score for row in together for score in row] == pytest.approx([s for row in alone for s in row], abs=1e-5)


def test_a_language_model_folder_is_no_reward_model(tmp_path):
    language_model = model()
    save_model(language_model.module, language_model.tokenizer, tmp_path)
    with pytest.raises(ModelError):
        load_reward_model(tmp_path)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelError, match="not a reward model"):
        load_reward_model(tmp_path / "nowhere")
