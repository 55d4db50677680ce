"""Feedback as training rows: the judged answers to a prompt behind one shared prompt, and for each a stray.

A stray is an answer that was given to another prompt. How much likelier strays have become than under the reference says
how far the policy has moved whatever it is asked: the reference point that gains and losses are counted from.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alidade.errors import DataError
from alidade.models.render import Renderer
from alidade.records import Conversation, Feedback
from alidade.training.judgements import noise_corrected
from alidade.training.packing import Packed, Tree, pack_trees
from alidade.training.settings import JudgementConfig, KtoConfig
from alidade.training.sources import dropped_counts, refuse_loss

BALANCED = (1.0, 1.5)  # desirable answers to undesirable ones, both weighted


@dataclass(frozen=True)
class Label:
    """The probability that answer number `answer` is desirable, as labelled and as learned from.

    `row` is the judgement's number among those given.
    """

    answer: int
    label_prob: float
    learned_prob: float
    row: int


@dataclass
class FeedbackGroup:
    """A prompt, its distinct answers, every label on them, and strays: one for each answer, where one fits behind the prompt."""

    prompt: list[int]
    answers: list[list[int]] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    strays: list[list[int]] = field(default_factory=list)

    def judge(self, answer: list[int], label_prob: float, learned_prob: float, row: int = -1) -> None:
        """One label on `answer`, which joins the group if it is new."""
        if answer not in self.answers:
            self.answers.append(answer)
        self.labels.append(Label(self.answers.index(answer), label_prob, learned_prob, row))

    @property
    def tree(self) -> Tree:
        """The judged answers as a packed row."""
        return Tree(self.prompt, self.answers)

    @property
    def stray_tree(self) -> Tree:
        """The strays as a packed row."""
        return Tree(self.prompt, self.strays)

    @property
    def token_count(self) -> int:
        """Tokens of the longer of the two rows, which are never in one forward pass."""
        return max(self.tree.token_count, self.stray_tree.token_count)


@dataclass(frozen=True)
class GroupedFeedback:
    """What is trained on, what is held out, and what was seen, kept and dropped of both."""

    train: list[FeedbackGroup]
    heldout: list[FeedbackGroup]
    counts: dict[str, Any]


@dataclass(frozen=True)
class ReferencedFeedback:
    """A group and the reference's log-probability of each of its answers and strays."""

    group: FeedbackGroup
    reference: list[float]
    stray_reference: list[float]


@dataclass(frozen=True)
class FeedbackBatch:
    """Packed answers, the labels on them, packed strays (None where there are none), and the reference's log-probabilities.

    `judged[i]` is the number of the answer that label i is about, through the batch; `reference_point` is one number for
    all batches of a step, in nats an answer.
    """

    packed: Packed
    reference: Float[Tensor, " answers"]
    judged: Int[Tensor, " labels"]
    label_probs: Float[Tensor, " labels"]
    learned_probs: Float[Tensor, " labels"]
    strays: Packed | None
    stray_reference: Float[Tensor, " strays"]
    reference_point: float = 0.0


def feedback_groups(
    renderer: Renderer,
    rows: Sequence[Feedback],
    longest: float,
    learned: Callable[[float], float] = lambda label_prob: label_prob,
) -> tuple[list[FeedbackGroup], Counter[str]]:
    """Feedback gathered by prompt, in order of first appearance, without strays; what is too long is counted.

    `learned` maps a label probability to the one that is trained on (`noise_corrected`).
    """
    groups: dict[Conversation, FeedbackGroup] = {}
    dropped: Counter[str] = Counter()
    for number, row in enumerate(rows):
        prompt = groups[row.prompt].prompt if row.prompt in groups else list(renderer.prompt(row.prompt))
        answer = list(renderer.answer(row.prompt, row.answer))
        if len(prompt) + len(answer) > longest:
            dropped["too long"] += 1
            continue
        group = groups.setdefault(row.prompt, FeedbackGroup(prompt))
        group.judge(answer, row.label_prob, learned(row.label_prob), number)
    return list(groups.values()), dropped


def add_strays(groups: Sequence[FeedbackGroup], longest: float, chance: random.Random) -> None:
    """Give every prompt a stray for each of its answers: all answers stand in a circle, and each is followed by its stray.

    The stray is the next answer on the circle that was given to another prompt and fits behind this one; where none
    fits there is none.
    """
    circle = [(group, answer) for group in groups for answer in group.answers]
    chance.shuffle(circle)
    for place, (group, _) in enumerate(circle):
        onwards = (circle[(place + step) % len(circle)] for step in range(1, len(circle)))
        room = longest - len(group.prompt)
        stray = next((answer for other, answer in onwards if other is not group and len(answer) <= room), None)
        if stray is not None:
            group.strays.append(stray)


def group_feedback(
    renderer: Renderer,
    context: int | None,
    rows: tuple[Sequence[Feedback], Sequence[Feedback]],
    cfg: JudgementConfig,
    chance: random.Random,
) -> GroupedFeedback:
    """Rows to train on and held-out rows, as groups with strays; what is known of label noise changes the former only.

    Raises:
        DataError: when more rows are lost than the limits allow, all labels say the same, or there are no strays.
    """
    train, heldout = rows
    longest = cfg.limits.longest(context)
    groups, dropped = feedback_groups(renderer, train, longest, noise_corrected(cfg.flips, cfg.noise))
    refuse_loss(len(train), dropped, cfg.limits.allowed_loss, "feedback")
    unseen, unseen_dropped = feedback_groups(renderer, heldout, longest)
    for part in (groups, unseen):
        add_strays(part, longest, chance)
    counts = _counts(len(train), groups, dropped) | {"heldout": _counts(len(heldout), unseen, unseen_dropped)}
    _refuse_one_sided(counts)
    return GroupedFeedback(groups, unseen, counts)


def _refuse_one_sided(counts: dict[str, Any]) -> None:
    """A gain is counted from a reference point and against a loss; without one of them there is nothing to learn."""
    labels, desirable = counts["labels"], counts["desirable"]
    if desirable == 0:
        raise DataError(
            f"none of {labels} answers is desirable: nothing says what to do instead",
            where="feedback",
            hint="add answers that are desirable",
        )
    if desirable == labels:
        raise DataError(
            f"all {labels} answers are desirable: nothing says what to avoid",
            where="feedback",
            hint="good answers alone are demonstrations: use the stage `sft`, or add answers that are not desirable",
        )
    if counts["strays"] == 0:
        raise DataError(
            "no answer fits behind another prompt: there is no reference point",
            where="feedback",
            hint="give answers to at least two prompts",
        )


def _counts(seen: int, groups: Sequence[FeedbackGroup], dropped: Counter[str]) -> dict[str, Any]:
    return {
        "rows": seen,
        "prompts": len(groups),
        "answers": sum(len(group.answers) for group in groups),
        "labels": sum(len(group.labels) for group in groups),
        "desirable": sum(label.label_prob for group in groups for label in group.labels),
        "strays": sum(len(group.strays) for group in groups),
        "tokens": sum(group.tree.token_count for group in groups),
        "dropped": dropped_counts(dropped, "too long"),
        "truncated": 0,
    }


def imbalance(desirable: float, answers: float, cfg: KtoConfig) -> list[str]:
    """Whether desirable and undesirable answers, each by number and weight, are out of balance, in words.

    Source: Ethayarajh et al. 2024, arXiv 2402.01306, equation 9: the ratio should be from 1 to 3/2 (4/3 in its first version).
    """
    ratio = cfg.desirable_weight * desirable / (cfg.undesirable_weight * (answers - desirable))
    if BALANCED[0] <= ratio <= BALANCED[1]:
        return []
    aim = cfg.desirable_weight * BALANCED[0 if ratio < BALANCED[0] else 1] / ratio
    return [
        f"{desirable:.4g} of {answers:.4g} answers are desirable, which weighs {ratio:.2g} to 1; Ethayarajh et al. advise "
        f"1 to 1.5: set desirable_weight to {aim:.3g}, unless losses are meant to weigh more"
    ]


def collate_feedback(
    rows: Sequence[ReferencedFeedback], device: torch.device, dtype: torch.dtype = torch.float32
) -> FeedbackBatch:
    """Groups as one packed row of answers and one of strays, labels and reference in `dtype`."""

    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    starts = accumulate((len(row.group.answers) for row in rows), initial=0)
    labels = [
        (start + label.answer, label) for start, row in zip(starts, rows, strict=False) for label in row.group.labels
    ]
    strayed = [row.group.stray_tree for row in rows if row.group.strays]
    return FeedbackBatch(
        packed=pack_trees([row.group.tree for row in rows]).to(device),
        reference=column([value for row in rows for value in row.reference]),
        judged=torch.tensor([answer for answer, _ in labels], device=device),
        label_probs=column([label.label_prob for _, label in labels]),
        learned_probs=column([label.learned_prob for _, label in labels]),
        strays=pack_trees(strayed).to(device) if strayed else None,
        stray_reference=column([value for row in rows for value in row.stray_reference]),
    )
