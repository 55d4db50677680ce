"""Kahneman-Tversky optimisation, as plainly as it can be written: every answer padded in a row of its own, two networks.

Ethayarajh et al. 2024, arXiv 2402.01306:

    r(x, y) = log policy(y | x) - log reference(y | x)
    z0      = max(0, mean over mismatched pairs (x, y') of r(x, y')), through which no gradient flows
    v(x, y) = weight_D sigmoid(beta (r - z0)) of a desirable answer, weight_U sigmoid(beta (z0 - r)) of an undesirable one
    loss    = mean of weight_y - v(x, y)

An answer that is desirable with probability p has p times the loss of a desirable one and 1 - p times that of another.
"""

from __future__ import annotations

import torch


def answer_log_prob(model, prompt, answer):
    """The sum of the answer's token log-probabilities."""
    ids = torch.tensor([prompt + answer])
    log_probs = torch.log_softmax(model(input_ids=ids).logits[0, :-1], dim=-1)
    return log_probs[range(len(prompt) - 1, len(prompt) + len(answer) - 1), answer].sum()


def log_ratio(model, reference_model, prompt, answer):
    """How much likelier the answer is than under the reference, in nats."""
    with torch.no_grad():
        reference = answer_log_prob(reference_model, prompt, answer)
    return answer_log_prob(model, prompt, answer) - reference


def reference_point(model, reference_model, mismatched):
    """z0: what an answer to another prompt has gained on average, but at least 0."""
    with torch.no_grad():
        gains = [log_ratio(model, reference_model, prompt, answer) for prompt, answer in mismatched]
    return torch.stack(gains).mean().clamp(min=0)


def kto_loss(
    model, reference_model, rows, mismatched, *, beta, desirable_weight=1.0, undesirable_weight=1.0, flips=0.0
):
    """The mean loss per answer; `rows` are (prompt, answer, p), `mismatched` (prompt, answer to another), as token ids.

    A share `flips` of the labels is undone on average.
    """
    z0 = reference_point(model, reference_model, mismatched)
    losses = []
    for prompt, answer, label_prob in rows:
        gain = log_ratio(model, reference_model, prompt, answer)
        desirable = desirable_weight - desirable_weight * torch.sigmoid(beta * (gain - z0))
        undesirable = undesirable_weight - undesirable_weight * torch.sigmoid(beta * (z0 - gain))
        learned = (label_prob - flips) / (1 - 2 * flips)
        losses.append(learned * desirable + (1 - learned) * undesirable)
    return sum(losses) / len(losses)
