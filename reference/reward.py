"""The reward model's losses, as plainly as they can be written: every answer padded in a row of its own.

A comparison says with probability p that the left answer is better; its loss is the cross-entropy of p against
sigmoid(score left - score right). A ranking's probability is Plackett-Luce's: the best is chosen among all by softmax
of the scores, the next among the rest, and so on. Tied answers are in an order nobody knows: the negative log-likelihood
is averaged over all their orders, so two tied answers are a comparison with p = 1/2.
"""

from __future__ import annotations

from itertools import combinations, permutations

import torch


def answer_scores(model, rows):
    """The score of each row (prompt and answer), read at its last real token, which is the stop token."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    last = mask.sum(1) - 1
    return model.score(hidden[torch.arange(len(rows)), last])[:, 0]


def comparison_loss(left, right, label_prob):
    """Cross-entropy of one comparison."""
    better = torch.sigmoid(left - right)
    return -(label_prob * torch.log(better) + (1 - label_prob) * torch.log(1 - better))


def ranking_loss(scores, ranks):
    """Negative log-likelihood of one ranking, 0 the best rank, averaged over the orders of tied answers."""
    orders = [order for order in permutations(range(len(ranks))) if [ranks[place] for place in order] == sorted(ranks)]
    total = torch.zeros((), dtype=scores.dtype)
    for order in orders:
        for place in range(len(order)):
            rest = scores[list(order[place:])]
            total = total - torch.log_softmax(rest, dim=0)[0]
    return total / len(orders)


def centring_loss(scores):
    """The mean over pairs of the squared sum of their scores."""
    pairs = list(combinations(range(len(scores)), 2))
    return sum((scores[one] + scores[other]) ** 2 for one, other in pairs) / len(pairs)


def reward_loss(model, comparisons, rankings=(), centring=0.0):
    """The mean loss per judgement, with `centring` times the squared sum of each pair's scores.

    `comparisons` are (prompt, left, right, p), `rankings` are (prompt, answers, ranks), all as lists of token ids.
    """
    losses = []
    for prompt, left, right, label_prob in comparisons:
        scores = answer_scores(model, [prompt + left, prompt + right])
        losses.append(comparison_loss(scores[0], scores[1], label_prob) + centring * centring_loss(scores))
    for prompt, answers, ranks in rankings:
        scores = answer_scores(model, [prompt + answer for answer in answers])
        losses.append(ranking_loss(scores, ranks) + centring * centring_loss(scores))
    return sum(losses) / len(losses)
