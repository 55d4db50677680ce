"""Comparisons and rankings as training rows: all answers to a prompt behind one shared prompt, with every judgement about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alidade.errors import DataError
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Ranking
from alidade.training.losses import Choices, ranking_terms
from alidade.training.packing import Packed, Tree, pack_trees
from alidade.training.settings import JudgementConfig, Noise
from alidade.training.sources import dropped_counts, refuse_loss


@dataclass(frozen=True)
class Pair:
    """Two answers of a group, the probability that the left one is better, as labelled and as learned from, and its weight.

    The pairs of one judgement weigh 1 together, so a ranking of four counts as much as a comparison; `row` is the judgement's
    number among those given.
    """

    left: int
    right: int
    label_prob: float
    learned_prob: float
    weight: float = 1.0
    row: int = -1


@dataclass
class AnswerGroup:
    """A prompt, its distinct answers, and every judgement about them: as (set of answers, weight) terms and credits, and as pairs."""

    prompt: list[int]
    answers: list[list[int]] = field(default_factory=list)
    credits: list[float] = field(default_factory=list)
    terms: list[tuple[tuple[int, ...], float]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
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

    def compare(self, left: int, right: int, label_prob: float, learned_prob: float, row: int = -1) -> None:
        """One comparison; `learned_prob` is the label after what is known of label noise, and may leave [0, 1]."""
        self._add((left, right), [((0, 1), 1.0)], [learned_prob, 1 - learned_prob])
        self.pairs.append(Pair(left, right, label_prob, learned_prob, row=row))

    def rank(self, places: Sequence[int], ranks: Sequence[int], row: int = -1) -> None:
        """One ranking of the answers `places`, 0 the best rank, equal ranks tied."""
        self._add(places, ranking_terms(ranks), [1.0] * len(places))
        both = list(combinations(range(len(places)), 2))
        for first, second in both:
            gap = ranks[second] - ranks[first]
            label = 0.5 if gap == 0 else float(gap > 0)
            self.pairs.append(Pair(places[first], places[second], label, label, 1 / len(both), row))

    def _add(
        self, places: Sequence[int], terms: Iterable[tuple[tuple[int, ...], float]], credits: Sequence[float]
    ) -> None:
        self.terms += [(tuple(places[chosen] for chosen in chosen_set), weight) for chosen_set, weight in terms]
        for place, credit in zip(places, credits, strict=True):
            self.credits[place] += credit
        self.judgements += 1


@dataclass(frozen=True)
class PairTensors:
    """The pairs of a batch; answers are numbered through the batch."""

    left: Int[Tensor, " pairs"]
    right: Int[Tensor, " pairs"]
    label_probs: Float[Tensor, " pairs"]
    learned_probs: Float[Tensor, " pairs"]
    weights: Float[Tensor, " pairs"]


@dataclass(frozen=True)
class JudgedBatch:
    """Packed answer groups and the judgements about them."""

    packed: Packed
    choices: Choices
    pairs: PairTensors
    judgements: int


def noise_corrected(flips: float, noise: Noise) -> Callable[[float], float]:
    """What to learn from a label when a share `flips` of the labels is the wrong way round.

    `smoothed` (cDPO) believes the label that much less; `robust` undoes the flips on average: the expected loss over flipped
    labels is the loss on clean ones. Both losses are linear in the label, so both are a change of label; a robust one may
    leave [0, 1].

    Source: Mitchell, A note on DPO with noisy preferences (2023); Chowdhury et al. 2024, arXiv 2403.00409.
    """
    if noise == "smoothed":
        return lambda label_prob: flips + (1 - 2 * flips) * label_prob
    return lambda label_prob: (label_prob - flips) / (1 - 2 * flips)


def group_rows(
    renderer: Renderer,
    rows: Sequence[Comparison | Ranking],
    longest: float,
    learned: Callable[[float], float] = lambda label_prob: label_prob,
) -> tuple[list[AnswerGroup], Counter[str]]:
    """Judgements gathered by prompt, in order of first appearance; those that cannot be used are counted.

    `learned` maps a comparison's label probability to the one that is trained on (`noise_corrected`).
    """
    groups: dict[Conversation, AnswerGroup] = {}
    dropped: Counter[str] = Counter()
    for number, row in enumerate(rows):
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
        elif isinstance(row, Comparison):
            group.compare(places[0], places[1], row.label_prob, learned(row.label_prob), number)
        else:
            group.rank(places, row.ranks, number)
    return [group for group in groups.values() if group.judgements], dropped


@dataclass(frozen=True)
class Grouped:
    """What is trained on, what is held out, and what was seen, kept and dropped of both."""

    train: list[AnswerGroup]
    heldout: list[AnswerGroup]
    counts: dict[str, Any]


def group_parts(
    renderer: Renderer,
    context: int | None,
    rows: tuple[Sequence[Comparison | Ranking], Sequence[Comparison | Ranking]],
    cfg: JudgementConfig,
) -> Grouped:
    """Rows to train on and held-out rows, as groups; what is known of label noise changes the former only.

    Raises:
        DataError: when more rows are lost than the limits allow, or rankings come with a share of flipped labels.
    """
    train, heldout = rows
    if cfg.flips and any(isinstance(row, Ranking) for row in train):
        raise DataError("flips are known of comparisons, and there are rankings", where="flips", hint="set flips: 0")
    longest = cfg.limits.longest(context)
    groups, dropped = group_rows(renderer, train, longest, noise_corrected(cfg.flips, cfg.noise))
    refuse_loss(len(train), dropped, cfg.limits.allowed_loss, "comparisons")
    unseen, unseen_dropped = group_rows(renderer, heldout, longest)
    counts = _counts(len(train), groups, dropped) | {"heldout": _counts(len(heldout), unseen, unseen_dropped)}
    return Grouped(groups, unseen, counts)


def _counts(seen: int, groups: Sequence[AnswerGroup], dropped: Counter[str]) -> dict[str, Any]:
    return {
        "rows": seen,
        "prompts": len(groups),
        "answers": sum(len(group.answers) for group in groups),
        "tokens": sum(group.tree.token_count for group in groups),
        "dropped": dropped_counts(dropped, "too long", "answers equal as tokens"),
        "truncated": 0,
    }


def collate_groups(
    groups: Sequence[AnswerGroup], device: torch.device, dtype: torch.dtype = torch.float32
) -> JudgedBatch:
    """Groups as one packed row, labels and weights in `dtype`; answer numbers run on from group to group."""
    sets: list[tuple[int, ...]] = []
    pairs: list[tuple[int, int, float, float, float]] = []
    start = 0
    for group in groups:
        sets += [tuple(start + place for place in chosen) for chosen, _ in group.terms]
        pairs += [
            (start + pair.left, start + pair.right, pair.label_prob, pair.learned_prob, pair.weight)
            for pair in group.pairs
        ]
        start += len(group.answers)
    width = max(len(chosen) for chosen in sets)
    choices = Choices(
        sets=torch.tensor([[*chosen, *(-1,) * (width - len(chosen))] for chosen in sets], device=device),
        weights=torch.tensor([weight for group in groups for _, weight in group.terms], dtype=dtype, device=device),
        credits=torch.tensor([credit for group in groups for credit in group.credits], dtype=dtype, device=device),
    )
    packed = pack_trees([group.tree for group in groups]).to(device)
    left, right, *numbers = zip(*pairs, strict=True)
    ends = (torch.tensor(side, device=device) for side in (left, right))
    columns = PairTensors(*ends, *(torch.tensor(column, dtype=dtype, device=device) for column in numbers))
    return JudgedBatch(packed, choices, columns, sum(group.judgements for group in groups))
