"""Reward models: all answers to a prompt behind one shared prompt, all judgements about them in one batch element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import nn

from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Ranking
from alidade.training.calibration import Judged, pair_report
from alidade.training.fit import Fit, Loss, TrainingResult, TrainingRun
from alidade.training.lm import answer_scores, hidden_states, prepare
from alidade.training.losses import Choices, choice_loss, ranking_terms
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Packed, Tree, pack_trees
from alidade.training.reward_model import RewardModel, score_trees
from alidade.training.settings import RewardConfig
from alidade.training.sources import ShuffledRows, Shuffling, dropped_counts, refuse_loss


@dataclass
class AnswerGroup:
    """A prompt, its distinct answers, and every judgement about them as (set of answers, weight) terms and credits."""

    prompt: list[int]
    answers: list[list[int]] = field(default_factory=list)
    credits: list[float] = field(default_factory=list)
    terms: list[tuple[tuple[int, ...], float]] = field(default_factory=list)
    pairs: list[tuple[int, int, float]] = field(default_factory=list)
    judgements: int = 0

    @property
    def tree(self) -> Tree:
        """The group as a packed row."""
        return Tree(self.prompt, self.answers)

    def place(self, answer: list[int]) -> int:
        """The number of `answer`, which joins the group if it is new."""
        if answer not in self.answers:
            self.answers.append(answer)
            self.credits.append(0.0)
        return self.answers.index(answer)

    def add(
        self, places: Sequence[int], terms: Iterable[tuple[tuple[int, ...], float]], credits: Sequence[float]
    ) -> None:
        """One judgement about the answers `places`; `terms` and `credits` count within it."""
        self.terms += [(tuple(places[chosen] for chosen in chosen_set), weight) for chosen_set, weight in terms]
        for place, credit in zip(places, credits, strict=True):
            self.credits[place] += credit
        self.judgements += 1


@dataclass(frozen=True)
class RewardBatch:
    """Packed answer groups and the judgements about them."""

    packed: Packed
    choices: Choices
    judgements: int


class RewardObjective:
    """Mean negative log-likelihood per judgement: soft Bradley-Terry for comparisons, Plackett-Luce for rankings."""

    def weight(self, batch: RewardBatch) -> float:
        """Judgements (comparisons and rankings)."""
        return float(batch.judgements)

    def loss(self, model: nn.Module, batch: RewardBatch) -> Loss:
        """Summed loss of the judgements."""
        scores = answer_scores(model, hidden_states(model, batch.packed)[batch.packed.ends])
        return Loss(choice_loss(scores, batch.choices))


def group_rows(
    renderer: Renderer, rows: Sequence[Comparison | Ranking], longest: float
) -> tuple[list[AnswerGroup], Counter[str]]:
    """Judgements gathered by prompt, in order of first appearance; those that cannot be used are counted."""
    groups: dict[Conversation, AnswerGroup] = {}
    dropped: Counter[str] = Counter()
    for row in rows:
        prompt = groups[row.prompt].prompt if row.prompt in groups else list(renderer.prompt(row.prompt))
        texts = (row.left, row.right) if isinstance(row, Comparison) else row.answers
        answers = [list(renderer.answer(row.prompt, text)) for text in texts]
        if len(prompt) + max(len(answer) for answer in answers) > longest:
            dropped["too long"] += 1
            continue
        group = groups.setdefault(row.prompt, AnswerGroup(prompt))
        places = [group.place(answer) for answer in answers]
        if len(set(places)) < len(places):
            dropped["answers equal as tokens"] += 1
            continue
        _judge(group, places, row)
    return [group for group in groups.values() if group.judgements], dropped


def _judge(group: AnswerGroup, places: list[int], row: Comparison | Ranking) -> None:
    if isinstance(row, Comparison):
        group.add(places, [((0, 1), 1.0)], [row.label_prob, 1 - row.label_prob])
        group.pairs.append((places[0], places[1], row.label_prob))
        return
    group.add(places, ranking_terms(row.ranks), [1.0] * len(places))
    for first in range(len(places)):
        for second in range(first + 1, len(places)):
            gap = row.ranks[second] - row.ranks[first]
            group.pairs.append((places[first], places[second], 0.5 if gap == 0 else float(gap > 0)))


def collate(groups: Sequence[AnswerGroup], device: torch.device) -> RewardBatch:
    """Groups as one packed row; answer numbers run on from group to group."""
    sets: list[tuple[int, ...]] = []
    start = 0
    for group in groups:
        sets += [tuple(start + place for place in chosen) for chosen, _ in group.terms]
        start += len(group.answers)
    width = max(len(chosen) for chosen in sets)
    choices = Choices(
        sets=torch.tensor([[*chosen, *(-1,) * (width - len(chosen))] for chosen in sets], device=device),
        weights=torch.tensor([weight for group in groups for _, weight in group.terms], device=device),
        credits=torch.tensor([credit for group in groups for credit in group.credits], device=device),
    )
    packed = pack_trees([group.tree for group in groups]).to(device)
    return RewardBatch(packed, choices, sum(group.judgements for group in groups))


def train_reward(
    reward: RewardModel,
    rows: Sequence[Comparison | Ranking],
    heldout: Sequence[Comparison | Ranking],
    cfg: RewardConfig,
    run: TrainingRun,
) -> tuple[RewardModel, TrainingResult]:
    """Train a reward model in place; the returned one is normalised on the training answers.

    The result's `summary` has `mean` and `std` of the training answers' scores, and `train` and `heldout` reports:
    accuracy, that of preferring by length alone, calibration bins, and the temperature that would calibrate the scores.

    Raises:
        DataError: when more rows are lost than the limits allow.
        TrainingStopped: when a loss is not finite.
    """
    module = prepare(reward.module)
    device = next(module.parameters()).device
    longest = cfg.limits.longest(reward.context_length)
    groups, dropped = group_rows(reward.renderer, rows, longest)
    refuse_loss(len(rows), dropped, cfg.limits.allowed_loss, "comparisons")
    heldout_groups, heldout_dropped = group_rows(reward.renderer, heldout, longest)
    counts = _counts(len(rows), groups, dropped) | {"heldout": _counts(len(heldout), heldout_groups, heldout_dropped)}
    source = ShuffledRows(
        groups,
        lambda group: group.tree.token_count,
        lambda chosen: collate(chosen, device),
        Shuffling(cfg.batching, run.seed, "reward"),
    )
    fit = Fit(module, RewardObjective(), source, AdamW([Part("reward", module)], cfg.optimiser), run)
    for _ in fit.over("reward model", "step", [cfg.model_dump(), counts]):
        pass
    return _measured(reward, (groups, heldout_groups), fit.history, counts, cfg.batching.tokens_at_once)


def _measured(
    reward: RewardModel,
    groups: tuple[list[AnswerGroup], list[AnswerGroup]],
    history: list[dict[str, float]],
    counts: dict[str, Any],
    tokens_at_once: int,
) -> tuple[RewardModel, TrainingResult]:
    scores = [score_trees(reward.module, [group.tree for group in part], tokens_at_once) for part in groups]
    flat = [score for row in scores[0] for score in row]
    normalised = reward.normalised(fmean(flat), max(pstdev(flat), 1e-6))
    train, heldout = (list(_judged(part, score)) for part, score in zip(groups, scores, strict=True))
    summary = {
        "mean": normalised.mean,
        "std": normalised.std,
        "train": pair_report(train, longer_from=train),
        "heldout": pair_report(heldout, longer_from=train),
    }
    return normalised, TrainingResult(history, counts, summary)


def _judged(groups: Sequence[AnswerGroup], scores: Sequence[Sequence[float]]) -> Iterator[Judged]:
    for group, row in zip(groups, scores, strict=True):
        for left, right, label_prob in group.pairs:
            longer = len(group.answers[left]) - len(group.answers[right])
            yield Judged(row[left] - row[right], longer, label_prob)


def _counts(seen: int, groups: Sequence[AnswerGroup], dropped: Counter[str]) -> dict[str, Any]:
    return {
        "rows": seen,
        "prompts": len(groups),
        "answers": sum(len(group.answers) for group in groups),
        "tokens": sum(group.tree.token_count for group in groups),
        "dropped": dropped_counts(dropped, "too long", "answers equal as tokens"),
        "truncated": 0,
    }
