"""A reward model: a language model's trunk, a head of one row or several, and the mean and spread of its scores.

All that is downstream sees one number per answer, `RewardModel.scores`; several rows become one in `heads.py`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field, ValidationError
from torch import Tensor, nn

from alidade.errors import ModelError
from alidade.models.adapters import put_on
from alidade.models.attention import unwrapped
from alidade.models.engine import context_length
from alidade.models.local import LocalModel, choose_dtype, quietly, save_model
from alidade.models.render import Renderer
from alidade.records import Conversation, Record
from alidade.seeds import derive
from alidade.store import explain_invalid, write_json
from alidade.training.heads import ONE_HEAD, Heads
from alidade.training.lm import each_answer, head_scores
from alidade.training.lora import twin
from alidade.training.packing import Packed, Tree
from alidade.training.trunk import hidden_states, prepare

FILE_NAME = "alidade-reward.json"
ADAPTER = "adapter"


@dataclass(frozen=True)
class RewardModel:
    """Scores answers; `(score - mean) / std` has mean 0 and spread 1 on the training answers.

    Scores are in nats before they are normalised, and `temperature` is what divides them best on held-out judgements.
    """

    module: nn.Module
    tokenizer: Any
    renderer: Renderer
    context_length: int | None
    mean: float = 0.0
    std: float = 1.0
    heads: Heads = ONE_HEAD
    temperature: float | None = None

    def normalised(self, mean: float, std: float) -> RewardModel:
        """The same network with other normalisation."""
        return replace(self, mean=mean, std=std)

    def rows(self, packed: Packed) -> Float[Tensor, "answers rows"]:
        """What each row of the head makes of each packed answer, read at the answer's last token."""
        return head_scores(self.module, hidden_states(self.module, packed, packed.ends))

    def scores(self, packed: Packed) -> Float[Tensor, " answers"]:
        """The normalised score of each packed answer: the one number that all else goes by."""
        return (self.heads.combined(self.rows(packed)) - self.mean) / self.std

    def normalised_value(self, raw: Float[Tensor, " places"]) -> Float[Tensor, " places"]:
        """What a network that began as `folded` says, on the scale of the scores."""
        return (raw - (self.mean - self.heads.folding[1])) / self.std

    def folded(self) -> nn.Module:
        """A copy with one row, the heads' weighted mean without caution; it stands on the same weights where those are frozen."""
        module = twin(self.module)
        if self.heads.count > 1:
            inner: Any = unwrapped(module)
            rows = inner.score.weight
            shares = rows.new_tensor(self.heads.folding[0])
            inner.score = nn.Linear(rows.shape[1], 1, bias=False, device=rows.device, dtype=rows.dtype)
            with torch.no_grad():
                inner.score.weight.copy_(shares[None] @ rows)
            inner.config.num_labels = inner.num_labels = 1
        return module

    def probability(self, left: float, right: float) -> float:
        """The calibrated probability that an answer of normalised score `left` is preferred to one of `right`, ties aside."""
        gap = (left - right) * self.std / (self.temperature or 1.0)
        return 1 / (1 + math.exp(-min(max(gap, -60.0), 60.0)))


class Facts(Record):
    """What is kept beside the weights; `heads` where there are several."""

    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    temperature: float | None = Field(default=None, gt=0, exclude_if=lambda value: value is None)
    heads: Heads | None = Field(default=None, exclude_if=lambda value: value is None)


def new_reward_model(model: LocalModel, seed: int, heads: Heads | None = None, *, shared: bool = False) -> RewardModel:
    """A reward model on a copy of `model`'s trunk, or on the very same weights.

    Each row of its head is drawn from N(0, 1 / (width + 1)).

    Raises:
        ModelError: when transformers knows no classifier of this architecture.
    """
    from transformers import AutoModelForSequenceClassification

    source = unwrapped(model.module)
    config = copy.deepcopy(source.config)
    heads = heads or ONE_HEAD
    config.num_labels = heads.count
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
    head = torch.randn(heads.count, width, generator=chance) / (width + 1) ** 0.5
    module.score.weight = nn.Parameter(head.to(source.dtype).to(source.device))
    prepare(module)
    return RewardModel(module, model.tokenizer, model.renderer, model.context_length, heads=heads)


def save_reward_model(reward: RewardModel, folder: Path) -> None:
    """Write a plain sequence-classification folder; beside it the normalisation, what the rows are, and the temperature."""
    if reward.heads != ONE_HEAD:
        config = unwrapped(reward.module).config
        config.id2label = dict(enumerate(reward.heads.names))
        config.label2id = {name: row for row, name in enumerate(reward.heads.names)}
    save_model(reward.module, reward.tokenizer, folder)
    named = None if reward.heads == ONE_HEAD else reward.heads
    facts = Facts(mean=reward.mean, std=reward.std, temperature=reward.temperature, heads=named)
    write_json(folder / FILE_NAME, facts)


def load_reward_model(folder: Path, dtype: torch.dtype | None = None) -> RewardModel:
    """Read what `save_reward_model` wrote, or any one-label classifier (its scores are then not normalised).

    Raises:
        ModelError: when the folder holds no classifier with a tokenizer, or one of several labels that nothing names.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        with quietly():
            module = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype or choose_dtype())
    except (OSError, ValueError) as error:
        raise ModelError(f"not a reward model: {error}", where=str(folder)) from error
    facts = _facts_in(folder)
    heads = facts.heads or ONE_HEAD
    if module.config.num_labels != heads.count or not hasattr(module, "score"):
        raise ModelError(
            f"a reward model has a linear head named `score` of one label, or as many as {FILE_NAME} names",
            where=str(folder),
        )
    if torch.cuda.is_available():
        module = module.to("cuda")
    prepare(module)
    return _with_facts(RewardModel(module, tokenizer, Renderer(tokenizer), context_length(module)), facts)


def load_reward_on(model: LocalModel, folder: Path) -> RewardModel:
    """The reward model in `folder` as its kept adapters on `model`'s own weights, which are frozen from then on.

    Raises:
        ModelError: when the adapters do not fit `model`.
    """
    facts = _facts_in(folder)
    plain = new_reward_model(model, 0, facts.heads, shared=True)
    return _with_facts(replace(plain, module=put_on(plain.module, folder / ADAPTER)), facts)


def _with_facts(reward: RewardModel, facts: Facts) -> RewardModel:
    known = {"mean": facts.mean, "std": facts.std, "heads": facts.heads or ONE_HEAD, "temperature": facts.temperature}
    return replace(reward, **known)


def _facts_in(folder: Path) -> Facts:
    path = folder / FILE_NAME
    if not path.exists():
        return Facts()
    try:
        return Facts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        hint = "train the reward model again, or remove the file to read a plain one-label classifier"
        raise ModelError(f"not a reward model: {explain_invalid(error)}", where=str(path), hint=hint) from error


def score_trees(reward: RewardModel, trees: Sequence[Tree], tokens_at_once: int = 4096) -> list[list[float]]:
    """The normalised score of every answer of every tree."""
    return each_answer(reward.module, trees, reward.scores, tokens_at_once)


def score_answers(reward: RewardModel, asked: Sequence[tuple[Conversation, str]]) -> list[float]:
    """The normalised score of each answer to its conversation."""
    return [row[0] for row in score_trees(reward, _trees(reward, asked))]


def score_attributes(reward: RewardModel, asked: Sequence[tuple[Conversation, str]]) -> list[dict[str, float]]:
    """The score of each answer to its conversation for each attribute, by name, in nats; 0 is the training answers' mean."""

    def measure(packed: Packed) -> Tensor:
        scores = reward.heads.by_attribute(reward.rows(packed))
        return scores - reward.mean if reward.heads.count == 1 else scores

    found = each_answer(reward.module, _trees(reward, asked), measure)
    return [dict(zip(reward.heads.attributes, row[0], strict=True)) for row in found]


def _trees(reward: RewardModel, asked: Sequence[tuple[Conversation, str]]) -> list[Tree]:
    return [Tree(reward.renderer.prompt(chat), [reward.renderer.answer(chat, answer)]) for chat, answer in asked]
