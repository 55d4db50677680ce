"""What length alone says about judgements, held fixed while the rest is learned, and left out of the score.

The length of an answer is given a slope, in nats per standard deviation, by the likelihood that the judgements are trained
on: one number per head, the maximum of a concave function, found before training. The network's scores are then added to it
in every loss, so they learn what is left to explain; while they are all equal, that is uncorrelated with length. Only the
network's part is a reward. Were the slope learned along with the network, which of the two explains length would depend on
step sizes, since a network can count tokens as well; a penalty on the correlation in a batch would depend on the batch.

Source: a product of experts with a fixed, biased one, as in Clark et al. 2019, arXiv 1909.03683; for length in reward models
Shen et al. 2023, arXiv 2310.05199.
Differs: the biased expert is one slope, and its maximum is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from jaxtyping import Float
from torch import Tensor

from alidade.training.calibration import minimum
from alidade.training.judgements import AnswerGroup, collate_choices
from alidade.training.losses import Choices, choice_loss

STEEPEST = 8.0
FLAT = 1e-9  # relative; float64 rounding of a sum over judgements stays below it


@dataclass(frozen=True)
class LengthLead:
    """Lengths in tokens, stop token included; `slopes` are nats per standard deviation, one per head."""

    mean: float
    std: float
    slopes: tuple[float, ...]

    @property
    def explains_all(self) -> bool:
        """Whether a slope is at its bound: length alone puts all judgements of that head in order."""
        return max(map(abs, self.slopes)) > STEEPEST - 1e-3

    def of(self, lengths: Sequence[int], like: Tensor) -> Float[Tensor, "answers heads"]:
        """How far each answer is ahead by its length, for each head."""
        standard = [(length - self.mean) / self.std for length in lengths]
        return like.new_tensor(standard)[:, None] * like.new_tensor(self.slopes)


def fit_length(groups: Sequence[AnswerGroup], log_tie: Tensor | None = None) -> LengthLead:
    """The most likely slope of each head in [-8, 8], over all judgements about `groups`; the answers give mean and spread.

    It is 0 where length says nothing: of a head that nothing is judged for, or where all compared answers are equally long.
    """
    lengths = [len(answer) for group in groups for answer in group.answers]
    mean, std = fmean(lengths), max(pstdev(lengths), 1e-6)
    choices = collate_choices(groups, torch.device("cpu"), torch.float64)
    standard = (torch.tensor(lengths, dtype=torch.float64) - mean) / std
    fixed = None if log_tie is None else log_tie.detach().cpu().double()
    slopes = [_slope(standard, _of_head(choices, head), fixed) for head in range(choices.weights.shape[1])]
    return LengthLead(mean, std, tuple(slopes))


def _of_head(choices: Choices, head: int) -> Choices:
    one = slice(head, head + 1)
    return Choices(choices.sets, choices.weights[:, one], choices.credits[:, one], choices.offsets, choices.pools)


def _slope(standard: Tensor, choices: Choices, log_tie: Tensor | None) -> float:
    """The loss is convex in the slope, so it is flat if it is at three places."""

    def loss(slope: float) -> float:
        return float(choice_loss(standard * slope, choices, log_tie))

    level = loss(0.0)
    if max(loss(-STEEPEST), loss(STEEPEST)) - level <= FLAT * (1 + abs(level)):
        return 0.0
    return minimum(loss, -STEEPEST, STEEPEST)
