"""A reward model: a language model's trunk, a head of one number, and the mean and spread of its scores."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alidade.errors import ModelError
from alidade.models.adapters import put_on
from alidade.models.attention import unwrapped
from alidade.models.engine import context_length
from alidade.models.local import LocalModel, choose_dtype, quietly, save_model
from alidade.models.render import Renderer
from alidade.records import Conversation
from alidade.seeds import derive
from alidade.training.lm import answer_scores, each_answer, hidden_states, prepare
from alidade.training.packing import Tree

FILE_NAME = "alidade-reward.json"
ADAPTER = "adapter"


@dataclass(frozen=True)
class RewardModel:
    """Scores answers; `(score - mean) / std` has mean 0 and spread 1 on the training answers."""

    module: nn.Module
    tokenizer: Any
    renderer: Renderer
    context_length: int | None
    mean: float = 0.0
    std: float = 1.0

    def normalised(self, mean: float, std: float) -> RewardModel:
        """The same network with other normalisation."""
        return replace(self, mean=mean, std=std)


def new_reward_model(model: LocalModel, seed: int, *, shared: bool = False) -> RewardModel:
    """A reward model on a copy of `model`'s trunk, or on the very same weights; its head is drawn from N(0, 1 / (width + 1)).

    Raises:
        ModelError: when transformers knows no classifier of this architecture.
    """
    from transformers import AutoModelForSequenceClassification

    source = unwrapped(model.module)
    config = copy.deepcopy(source.config)
    config.num_labels = 1
    config.pad_token_id = model.renderer.pad_id
    config.architectures = None
    try:
        with torch.device("meta"):
            module = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise ModelError("no reward model can be made from this architecture", where=model.name) from error
    kept = {id(weight): weight for weight in source.base_model.parameters()} if shared else {}
    setattr(module, module.base_model_prefix, copy.deepcopy(source.base_model, dict[int, Any](kept)))
    width = module.score.weight.shape[1]
    chance = torch.Generator().manual_seed(derive(seed, "reward head"))
    head = torch.randn(1, width, generator=chance) / (width + 1) ** 0.5
    module.score.weight = nn.Parameter(head.to(source.dtype).to(source.device))
    prepare(module)
    return RewardModel(module, model.tokenizer, model.renderer, model.context_length)


def save_reward_model(reward: RewardModel, folder: Path) -> None:
    """Write a plain sequence-classification folder and the normalisation beside it."""
    save_model(reward.module, reward.tokenizer, folder)
    text = json.dumps({"mean": reward.mean, "std": reward.std}, indent=2)
    (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def load_reward_model(folder: Path, dtype: torch.dtype | None = None) -> RewardModel:
    """Read what `save_reward_model` wrote, or any one-label classifier (its scores are then not normalised).

    Raises:
        ModelError: when the folder holds no one-label classifier with a tokenizer.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        with quietly():
            module = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype or choose_dtype())
    except (OSError, ValueError) as error:
        raise ModelError(f"not a reward model: {error}", where=str(folder)) from error
    if module.config.num_labels != 1 or not hasattr(module, "score"):
        raise ModelError("a reward model has one label and a linear head named `score`", where=str(folder))
    if torch.cuda.is_available():
        module = module.to("cuda")
    prepare(module)
    return _normalised(RewardModel(module, tokenizer, Renderer(tokenizer), context_length(module)), folder)


def _normalised(reward: RewardModel, folder: Path) -> RewardModel:
    path = folder / FILE_NAME
    if not path.exists():
        return reward
    saved = json.loads(path.read_text(encoding="utf-8"))
    return reward.normalised(saved["mean"], saved["std"])


def load_reward_on(model: LocalModel, folder: Path) -> RewardModel:
    """The reward model in `folder` as its kept adapters on `model`'s own weights, which are frozen from then on.

    Raises:
        ModelError: when the adapters do not fit `model`.
    """
    plain = new_reward_model(model, seed=0, shared=True)
    return _normalised(replace(plain, module=put_on(plain.module, folder / ADAPTER)), folder)


def score_trees(module: nn.Module, trees: Sequence[Tree], tokens_at_once: int = 4096) -> list[list[float]]:
    """The raw score of every answer of every tree, read at the answer's last token."""
    return each_answer(
        module, trees, lambda row: answer_scores(module, hidden_states(module, row)[row.ends]), tokens_at_once
    )


def score_answers(reward: RewardModel, asked: Sequence[tuple[Conversation, str]]) -> list[float]:
    """The normalised score of each answer to its conversation."""
    trees = [Tree(reward.renderer.prompt(chat), [reward.renderer.answer(chat, answer)]) for chat, answer in asked]
    return [(row[0] - reward.mean) / reward.std for row in score_trees(reward.module, trees)]
