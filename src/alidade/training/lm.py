"""What a network's head makes of its trunk's states where there is loss.

Logits are formed for the supervised positions only, a chunk at a time, and are never kept: a plain linear head has
hand-written gradients, any other head is checkpointed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from alidade.errors import ModelError
from alidade.models.attention import unwrapped
from alidade.training.packing import Packed, Tree, pack_trees, split_by_budget

HEAD_ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class TokenScores:
    """Per target: its log-probability, and the entropy of the distribution it was drawn from; both in nats."""

    log_probs: Float[Tensor, " targets"]
    entropy: Float[Tensor, " targets"]


def _head(module: nn.Module) -> Any:
    model = unwrapped(module)
    head = model.get_output_embeddings()
    if head is None:
        raise ModelError("the model has no language-model head", where=type(model).__name__)
    return head


def _plain_weight(module: nn.Module) -> Tensor | None:
    """The head's weight when logits are exactly `hidden @ weight.T`, else None."""
    head, config = _head(module), unwrapped(module).config.get_text_config()
    shaped = any(
        getattr(config, name, None) not in (None, 1, 1.0)
        for name in ("final_logit_softcapping", "logit_scale", "logits_scaling")
    )
    return head.weight if type(head) is nn.Linear and head.bias is None and not shaped else None


def _logits(module: nn.Module, hidden: Tensor) -> Tensor:
    config = unwrapped(module).config.get_text_config()
    logits = _head(module)(hidden)
    logits = logits.to(_wide(logits.dtype))
    logits = logits * (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def token_nll(
    module: nn.Module,
    hidden: Float[Tensor, "rows width"],
    targets: Int[Tensor, " rows"],
    weights: Float[Tensor, " rows"],
) -> Float[Tensor, ""]:
    """Sum over rows of weight x negative log-likelihood (nats) of the target."""
    weight = _plain_weight(module)
    if weight is not None and torch.is_grad_enabled():
        return _WeightedNll.apply(hidden, weight, targets, weights)  # pyright: ignore[reportReturnType]
    return -(token_scores(module, hidden, targets).log_probs * weights).sum()


def token_scores(
    module: nn.Module, hidden: Float[Tensor, "rows width"], targets: Int[Tensor, " rows"], temperature: float = 1.0
) -> TokenScores:
    """Log-probability of each target when logits are divided by `temperature` (> 0)."""
    weight = _plain_weight(module)
    if weight is not None:
        pair: Any = _TokenScores.apply(hidden, weight, targets, temperature)
        return TokenScores(*pair)

    def scores(rows: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return _scores(_logits(module, rows) / temperature, chosen)

    chunks = zip(hidden.split(HEAD_ROWS_AT_ONCE), targets.split(HEAD_ROWS_AT_ONCE), strict=True)
    pairs = [checkpoint(scores, rows, chosen, use_reentrant=False) for rows, chosen in chunks]
    return TokenScores(torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs]))


@torch.no_grad()
def each_answer(
    module: nn.Module, trees: Sequence[Tree], measure: Callable[[Packed], Tensor], tokens_at_once: int = 4096
) -> list[list[Any]]:
    """What `measure` makes of every answer of every tree, in the order given.

    It gives a number, or a row of numbers, for each answer of a packed row.
    """
    device = next(module.parameters()).device
    found: list[list[Any]] = []
    for chosen in split_by_budget([tree.token_count for tree in trees], tokens_at_once):
        flat = iter(measure(pack_trees([trees[place] for place in chosen]).to(device)).tolist())
        found += [[next(flat) for _ in trees[place].answers] for place in chosen]
    return found


def answer_scores(module: nn.Module, hidden: Float[Tensor, "rows width"]) -> Float[Tensor, " rows"]:
    """What a one-label classification head makes of each hidden state, computed in at least fp32."""
    return head_scores(module, hidden)[:, 0]


def head_scores(module: nn.Module, hidden: Float[Tensor, "rows width"]) -> Float[Tensor, "rows heads"]:
    """What a classification head of several labels makes of each hidden state, computed in at least fp32."""
    head = unwrapped(module).score
    wide = _wide(hidden.dtype)
    return nn.functional.linear(hidden.to(wide), head.weight.to(wide))


def _scores(logits: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    picked = log_probs.gather(1, chosen[:, None])[:, 0]
    return picked, -(log_probs.exp() * log_probs).sum(-1)


def _slope(logits: Tensor, targets: Tensor, log_prob: Tensor | None, entropy: Tensor | None) -> Tensor:
    """The gradient with respect to each logit, given those with respect to a target's log-probability and the entropy.

    Of a log-probability it is [target] - p, of the entropy -p (log p + entropy).
    """
    if entropy is None:
        assert log_prob is not None
        return logits.softmax(-1).mul_(-log_prob).scatter_add_(1, targets, log_prob)
    log_probs = logits.log_softmax(-1)
    chances = log_probs.exp()
    slope = (log_probs - (chances * log_probs).sum(-1, keepdim=True)).mul_(chances).mul_(-entropy)
    return slope if log_prob is None else slope.sub_(chances * log_prob).scatter_add_(1, targets, log_prob)


class _TokenScores(torch.autograd.Function):
    """`_scores` of a linear head; the backward pass forms the logits again."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        pieces = [
            _scores((rows @ head.t()).to(_wide(hidden.dtype)) / temperature, chosen)
            for rows, chosen in zip(hidden.split(HEAD_ROWS_AT_ONCE), targets.split(HEAD_ROWS_AT_ONCE), strict=True)
        ]
        ctx.save_for_backward(hidden, head, targets)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)  # a gradient that nobody asks for costs nothing
        return torch.cat([piece[0] for piece in pieces]), torch.cat([piece[1] for piece in pieces])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor, None, None]:
        hidden, head, targets = ctx.saved_tensors
        wide = _wide(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_head = torch.zeros(head.shape, dtype=wide, device=head.device)
        for start in range(0, len(hidden), HEAD_ROWS_AT_ONCE):
            chunk = slice(start, start + HEAD_ROWS_AT_ONCE)
            rows = hidden[chunk]
            scales = [None if one is None else one[chunk, None].to(wide) / ctx.temperature for one in gradients]
            logits = (rows @ head.t()).to(wide) / ctx.temperature
            slope = _slope(logits, targets[chunk, None], *scales).to(hidden.dtype)
            torch.mm(slope, head, out=grad_hidden[chunk])
            grad_head += slope.t() @ rows
        return grad_hidden, grad_head.to(head.dtype), None, None


class _WeightedNll(torch.autograd.Function):
    """Sum of weighted negative log-likelihoods of a linear head; gradients are formed on the way, nothing twice."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        wide = _wide(hidden.dtype)
        total = hidden.new_zeros((), dtype=wide)
        grad_hidden = torch.empty_like(hidden)
        grad_head = torch.zeros(head.shape, dtype=wide, device=head.device)
        for start in range(0, len(hidden), HEAD_ROWS_AT_ONCE):
            chunk = slice(start, start + HEAD_ROWS_AT_ONCE)
            rows, chosen, scale = hidden[chunk], targets[chunk, None], weights[chunk, None].to(wide)
            logits = (rows @ head.t()).to(wide)
            norm = torch.logsumexp(logits, dim=-1, keepdim=True)
            total += ((norm - logits.gather(1, chosen)) * scale).sum()
            logits.sub_(norm).exp_()
            logits.scatter_add_(1, chosen, logits.new_full(chosen.shape, -1.0))
            slope = logits.mul_(scale).to(hidden.dtype)
            torch.mm(slope, head, out=grad_hidden[chunk])
            grad_head += slope.t() @ rows
        ctx.save_for_backward(grad_hidden, grad_head.to(head.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        scale = gradients[0]
        return grad_hidden * scale.to(grad_hidden.dtype), grad_head * scale.to(grad_head.dtype), None, None
