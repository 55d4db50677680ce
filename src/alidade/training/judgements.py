"""Comparisons and rankings as training rows: all answers to a prompt behind one shared prompt, with every judgement about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, combinations
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alidade.errors import DataError
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Ranking
from alidade.training.choices import ALL_TIED, Judgement, Likelihood, Reading
from alidade.training.losses import Choices
from alidade.training.packing import Packed, Tree, pack_trees
from alidade.training.settings import JudgementConfig, Noise
from alidade.training.sources import dropped_counts, refuse_loss

TOO_LONG = "too long"
EQUAL = "answers equal as tokens"


@dataclass(frozen=True)
class Pair:
    """Two answers of a group, the probability that the left one is better, as labelled and as learned from, and its weight.

    The pairs of one judgement weigh 1 together, so a ranking of four counts as much as a comparison; `row` is the judgement's
    number among those given, `judgement` its number in its group.
    """

    left: int
    right: int
    label_prob: float
    learned_prob: float
    weight: float = 1.0
    row: int = -1
    judgement: int = -1


@dataclass(frozen=True)
class Placed:
    """What a judgement says of the answers `places` of its group, and how much that counts for each head."""

    places: tuple[int, ...]
    likelihood: Likelihood
    weights: tuple[float, ...] = (1.0,)


@dataclass
class AnswerGroup:
    """A prompt, its distinct answers, and every judgement about them: as likelihoods, and as pairs."""

    prompt: list[int]
    answers: list[list[int]] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    @property
    def tree(self) -> Tree:
        """The group as a packed row."""
        return Tree(self.prompt, self.answers)

    @property
    def judgements(self) -> int:
        """Comparisons and rankings."""
        return len(self.placed)

    def place(self, answer: list[int]) -> int:
        """The number of `answer`, which joins the group if it is new."""
        if answer not in self.answers:
            self.answers.append(answer)
        return self.answers.index(answer)

    def add(self, placed: Placed, pairs: Iterable[Pair]) -> None:
        """One judgement and the pairs in it."""
        self.placed.append(placed)
        self.pairs += [replace(pair, judgement=len(self.placed) - 1) for pair in pairs]


def ranked_pairs(places: Sequence[int], ranks: Sequence[int], row: int) -> list[Pair]:
    """The pairs of a ranking, 0 the best rank; together they weigh 1."""
    both = list(combinations(range(len(places)), 2))
    labels = [0.5 if ranks[first] == ranks[second] else float(ranks[first] < ranks[second]) for first, second in both]
    return [
        Pair(places[first], places[second], label, label, 1 / len(both), row)
        for (first, second), label in zip(both, labels, strict=True)
    ]


@dataclass(frozen=True)
class PairTensors:
    """The pairs of a batch; answers are numbered through the batch. `heads` are a pair's weight times its judgement's."""

    left: Int[Tensor, " pairs"]
    right: Int[Tensor, " pairs"]
    label_probs: Float[Tensor, " pairs"]
    learned_probs: Float[Tensor, " pairs"]
    weights: Float[Tensor, " pairs"]
    heads: Float[Tensor, "pairs heads"]


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
    renderer: Renderer, rows: Sequence[Judgement], longest: float, reading: Reading | None = None
) -> tuple[list[AnswerGroup], Counter[str]]:
    """Judgements gathered by prompt, in order of first appearance; those that cannot be used are counted.

    `reading` says how they are learned from: as they are labelled, unless it is given.
    """
    reading = reading or Reading()
    groups: dict[Conversation, AnswerGroup] = {}
    dropped: Counter[str] = Counter()
    for number, row in enumerate(rows):
        prompt = groups[row.prompt].prompt if row.prompt in groups else list(renderer.prompt(row.prompt))
        texts = (row.left, row.right) if isinstance(row, Comparison) else row.answers
        answers = [list(renderer.answer(row.prompt, text)) for text in texts]
        fault = reading.fault(row)
        if fault or len(prompt) + max(len(answer) for answer in answers) > longest:
            dropped[fault or TOO_LONG] += 1
            continue
        group = groups.setdefault(row.prompt, AnswerGroup(prompt))
        places = [group.place(answer) for answer in answers]
        if len(set(places)) < len(places):
            dropped[EQUAL] += 1
        else:
            placed = Placed(tuple(places), reading.likelihood(row), reading.weights(number, row))
            group.add(placed, _pairs_of(row, places, number, reading))
    return [group for group in groups.values() if group.judgements], dropped


def _pairs_of(row: Judgement, places: Sequence[int], number: int, reading: Reading) -> list[Pair]:
    if isinstance(row, Ranking):
        return ranked_pairs(places, row.ranks, number)
    return [Pair(places[0], places[1], row.label_prob, reading.learned(row.label_prob), row=number)]


@dataclass(frozen=True)
class Grouped:
    """What is trained on, what is held out, and what was seen, kept and dropped of both."""

    train: list[AnswerGroup]
    heldout: list[AnswerGroup]
    counts: dict[str, Any]


def group_parts(
    renderer: Renderer,
    context: int | None,
    rows: tuple[Sequence[Judgement], Sequence[Judgement]],
    cfg: JudgementConfig,
    reading: Reading | None = None,
) -> Grouped:
    """Rows to train on and held-out rows, as groups; `reading`, and what is known of label noise, change the former only.

    Raises:
        DataError: when more rows are lost than the limits allow, or rankings come with a share of flipped labels.
    """
    train, heldout = rows
    if cfg.flips and any(isinstance(row, Ranking) for row in train):
        raise DataError("flips are known of comparisons, and there are rankings", where="flips", hint="set flips: 0")
    longest = cfg.limits.longest(context)
    reading = replace(reading or Reading(), learned=noise_corrected(cfg.flips, cfg.noise))
    groups, dropped = group_rows(renderer, train, longest, reading)
    _refuse_loss(len(train), dropped, cfg.limits.allowed_loss)
    unseen, unseen_dropped = group_rows(renderer, heldout, longest)
    counts = _counts(len(train), groups, dropped) | {"heldout": _counts(len(heldout), unseen, unseen_dropped)}
    return Grouped(groups, unseen, counts)


def _refuse_loss(seen: int, dropped: Counter[str], allowed: float) -> None:
    """Rankings without an order are counted, and no loss: there is nothing in them to learn. Unless there is nothing else."""
    lost = Counter({reason: count for reason, count in dropped.items() if reason != ALL_TIED})
    informative = seen - dropped[ALL_TIED]
    refuse_loss(*((informative, lost) if informative else (seen, dropped)), allowed, "comparisons")


def _counts(seen: int, groups: Sequence[AnswerGroup], dropped: Counter[str]) -> dict[str, Any]:
    return {
        "rows": seen,
        "prompts": len(groups),
        "answers": sum(len(group.answers) for group in groups),
        "tokens": sum(group.tree.token_count for group in groups),
        "dropped": dropped_counts(dropped, TOO_LONG, EQUAL) | dict(sorted(dropped.items())),
        "truncated": 0,
    }


def collate_groups(
    groups: Sequence[AnswerGroup], device: torch.device, dtype: torch.dtype = torch.float32
) -> JudgedBatch:
    """Groups as one packed row, labels and weights in `dtype`; answer numbers run on from group to group.

    Raises:
        DataError: for a group without a judgement.
    """
    if not groups or not all(group.placed for group in groups):
        raise DataError("a group of answers has no judgement", where="comparisons", hint="leave the prompt out")
    packed = pack_trees([group.tree for group in groups]).to(device)
    pairs, heads = _collate_pairs(groups)
    left, right, *numbers = zip(*pairs, strict=True)
    ends = (torch.tensor(side, device=device) for side in (left, right))
    columns = (torch.tensor(column, dtype=dtype, device=device) for column in (*numbers, heads))
    choices = collate_choices(groups, device, dtype)
    return JudgedBatch(packed, choices, PairTensors(*ends, *columns), sum(group.judgements for group in groups))


def _collate_pairs(
    groups: Sequence[AnswerGroup],
) -> tuple[list[tuple[int, int, float, float, float]], list[list[float]]]:
    """(left, right, label, learned label, weight) of every pair, and its weight for every head."""
    pairs: list[tuple[int, int, float, float, float]] = []
    heads: list[list[float]] = []
    for group, start in zip(groups, _starts(groups), strict=True):
        for pair in group.pairs:
            pairs.append((start + pair.left, start + pair.right, pair.label_prob, pair.learned_prob, pair.weight))
            heads.append([pair.weight * weight for weight in group.placed[pair.judgement].weights])
    return pairs, heads


def _starts(groups: Sequence[AnswerGroup]) -> list[int]:
    """The number of each group's first answer."""
    return list(accumulate((len(group.answers) for group in groups[:-1]), initial=0))


def collate_choices(groups: Sequence[AnswerGroup], device: torch.device, dtype: torch.dtype) -> Choices:
    """All judgements about the answers of `groups`, which are numbered through."""
    total = sum(len(group.answers) for group in groups)
    heads = range(len(groups[0].placed[0].weights))
    credits = [[0.0 for _ in heads] for _ in range(total)]
    pools: dict[tuple[int, ...], int] = {}
    sets: list[list[int]] = []
    offsets: list[tuple[float, ...]] = []
    weights: list[list[float]] = []
    ties = 0.0
    for group, start in zip(groups, _starts(groups), strict=True):
        for one in group.placed:
            places = [start + place for place in one.places]
            for term in one.likelihood.terms:
                sets.append(
                    [_competitor([places[member] for member in found], pools, total) for found in term.competitors]
                )
                offsets.append(term.offsets)
                weights.append([term.weight * weight for weight in one.weights])
            for place, credit in zip(places, one.likelihood.credits, strict=True):
                credits[place] = [
                    so_far + credit * weight for so_far, weight in zip(credits[place], one.weights, strict=True)
                ]
            ties += one.likelihood.ties * sum(one.weights)
    moved = any(offsets)
    return Choices(
        sets=torch.tensor(_filled(sets, -1), device=device),
        weights=torch.tensor(weights, dtype=dtype, device=device),
        credits=torch.tensor(credits, dtype=dtype, device=device),
        offsets=torch.tensor(_filled(offsets, 0.0, max(map(len, sets))), dtype=dtype, device=device) if moved else None,
        pools=torch.tensor(_filled(list(pools), -1), device=device) if pools else None,
        ties=ties,
    )


def _competitor(members: Sequence[int], pools: dict[tuple[int, ...], int], answers: int) -> int:
    """An answer's own number, or that of the pool of several."""
    return members[0] if len(members) == 1 else answers + pools.setdefault(tuple(members), len(pools))


def _filled(rows: Sequence[Sequence[Any]], filler: Any, width: int = 0) -> list[list[Any]]:
    width = max(width, *map(len, rows), 0)
    return [[*row, *(filler,) * (width - len(row))] for row in rows]
