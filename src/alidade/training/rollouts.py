"""Answers drawn from the policy, and how they are grouped into packed rows: answers to one prompt share its tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from statistics import StatisticsError, correlation
from typing import Any

import torch
from torch import Tensor, nn

from alidade.models.base import Sampling
from alidade.models.engine import generate
from alidade.training.packing import Packed, Tree, pack_trees, split_by_budget


@dataclass(frozen=True)
class Answers:
    """Sampled answers: answer i continues prompt `places[i]`; its tokens include the stop token when `finished[i]`."""

    prompts: list[list[int]]
    places: list[int]
    tokens: list[list[int]]
    finished: list[bool]
    engine_log_probs: list[list[float]]

    @property
    def starts(self) -> list[int]:
        """Where each answer's tokens begin when all answers' tokens lie end to end, and their number."""
        return [0, *accumulate(len(tokens) for tokens in self.tokens)]

    def state_dict(self) -> dict[str, Any]:
        """The answers as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Pack:
    """A packed row holding the answers `chosen`; `where` are its targets' places among all answers' tokens."""

    chosen: list[int]
    packed: Packed
    where: Tensor


def roll_out(
    module: nn.Module, prompts: Sequence[Sequence[int]], how: Sampling, stop_ids: frozenset[int], copies: int
) -> Answers:
    """Draw `copies` answers to each prompt, each cut after its first stop token."""
    sampled = generate(module, prompts, how, stop_ids=stop_ids, copies=copies)
    return Answers(
        prompts=[list(prompt) for prompt in prompts],
        places=[place for place in range(len(prompts)) for _ in range(copies)],
        tokens=[answer.tokens for answer in sampled],
        finished=[answer.finished for answer in sampled],
        engine_log_probs=[answer.log_probs for answer in sampled],
    )


def pack_answers(answers: Answers, chosen: Sequence[int], tokens_at_once: int, device: torch.device) -> list[Pack]:
    """The answers `chosen` as packed rows; those of one prompt stand behind one copy of it."""
    by_prompt: dict[int, list[int]] = {}
    for answer in chosen:
        by_prompt.setdefault(answers.places[answer], []).append(answer)
    groups = list(by_prompt.items())
    trees = [Tree(answers.prompts[place], [answers.tokens[answer] for answer in members]) for place, members in groups]
    starts = answers.starts
    packs = []
    for block in split_by_budget([tree.token_count for tree in trees], tokens_at_once):
        members = [answer for place in block for answer in groups[place][1]]
        where = [token for answer in members for token in range(starts[answer], starts[answer + 1])]
        packed = pack_trees([trees[place] for place in block]).to(device)
        packs.append(Pack(members, packed, torch.tensor(where, device=device)))
    return packs


def signs(answers: Answers, scores: Sequence[float]) -> dict[str, float]:
    """What shows that answers go wrong: shares of the empty and of the commonest, and whether score follows length.

    `commonest` is the chance that another answer of the batch is the commonest one; `length_correlation` a correlation, 0 where
    either never changes.
    """
    lengths = [len(tokens) for tokens in answers.tokens]
    (_, most), *_ = Counter(tuple(tokens) for tokens in answers.tokens).most_common(1)
    try:
        together = correlation(lengths, scores)
    except StatisticsError:
        together = 0.0
    return {
        "empty": sum(done and length == 1 for done, length in zip(answers.finished, lengths, strict=True))
        / len(lengths),
        "commonest": (most - 1) / max(1, len(lengths) - 1),
        "length_correlation": together,
    }
