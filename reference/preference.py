"""DPO, IPO, SimPO and ORPO, as plainly as they can be written: every answer padded in a row of its own, two networks.

A comparison says with probability p that the left answer is better; a loss is then p times the loss of (left, right) plus
1 - p times the loss of (right, left). A ranking is Plackett-Luce for DPO, and the mean of its pairs for the others.
"""

from __future__ import annotations

from itertools import combinations, permutations

import torch
from torch.nn.functional import logsigmoid


def answer_log_prob(model, prompt, answer):
    """(sum of the answer's token log-probabilities, number of its tokens)."""
    ids = torch.tensor([prompt + answer])
    log_probs = torch.log_softmax(model(input_ids=ids).logits[0, :-1], dim=-1)
    picked = log_probs[range(len(prompt) - 1, len(prompt) + len(answer) - 1), answer]
    return picked.sum(), len(answer)


def dpo_pair(policy, reference, beta):
    """-log sigmoid(beta (log-ratio of the better answer - log-ratio of the worse one))."""
    ratios = [policy[place][0] - reference[place][0] for place in (0, 1)]
    return -logsigmoid(beta * (ratios[0] - ratios[1]))


def ipo_pair(policy, reference, beta, per_token):
    """(gap of log-ratios - 1 / (2 beta)) squared."""
    ratios = [(policy[place][0] - reference[place][0]) / (policy[place][1] if per_token else 1) for place in (0, 1)]
    return (ratios[0] - ratios[1] - 1 / (2 * beta)) ** 2


def simpo_pair(policy, beta, margin):
    """-log sigmoid(beta (mean log-probability of the better answer - that of the worse one) - margin)."""
    means = [log_prob / count for log_prob, count in policy]
    return -logsigmoid(beta * means[0] - beta * means[1] - margin)


def orpo_pair(policy, weight):
    """The odds ratio's penalty; the fine-tuning loss of the better answer is `sft_pair`."""
    odds = []
    for log_prob, count in policy:
        likelihood = torch.exp(log_prob / count)
        odds.append(likelihood / (1 - likelihood))
    return -weight * logsigmoid(torch.log(odds[0] / odds[1]))


def sft_pair(policy, reference=None):
    """The mean loss per token of the better answer."""
    return -policy[0][0] / policy[0][1]


def dpo_ranking(policy, reference, ranks, beta):
    """Plackett-Luce over beta x log-ratio, averaged over the orders of tied answers."""
    scores = torch.stack([beta * (one[0] - other[0]) for one, other in zip(policy, reference, strict=True)])
    orders = [order for order in permutations(range(len(ranks))) if [ranks[place] for place in order] == sorted(ranks)]
    total = 0
    for order in orders:
        for place in range(len(order)):
            total = total - torch.log_softmax(scores[list(order[place:])], dim=0)[0]
    return total / len(orders)


def soft(pair_loss, policy, reference, label_prob):
    """A pair's loss under a label that is a probability; `pair_loss(policy, reference)` takes the better answer first."""
    return label_prob * pair_loss(policy, reference) + (1 - label_prob) * pair_loss(policy[::-1], reference[::-1])


def robust(label_prob, flips):
    """(one, other): the weights of (left, right) and (right, left) when a share of labels is flipped."""
    one = ((1 - flips) * label_prob - flips * (1 - label_prob)) / (1 - 2 * flips)
    return one, ((1 - flips) * (1 - label_prob) - flips * label_prob) / (1 - 2 * flips)


def preference_loss(
    model, reference_model, pair_loss, comparisons, rankings=(), *, ranking_loss=None, flips=0.0, sft_weight=0.0
):
    """The mean loss per judgement; a share `flips` of the comparisons' labels is undone, but not in the fine-tuning term.

    `comparisons` are (prompt, left, right, p), `rankings` are (prompt, answers, ranks), all as lists of token ids.
    Without `ranking_loss` a ranking is the mean of its pairs, ties having p = 1/2.
    """

    def scored(prompt, answers):
        policy = [answer_log_prob(model, prompt, answer) for answer in answers]
        with torch.no_grad():
            return policy, [answer_log_prob(reference_model, prompt, answer) for answer in answers]

    losses = []
    for prompt, left, right, label_prob in comparisons:
        policy, reference = scored(prompt, [left, right])
        one, other = robust(label_prob, flips)
        losses.append(one * pair_loss(policy, reference) + other * pair_loss(policy[::-1], reference[::-1]))
        losses[-1] = losses[-1] + sft_weight * soft(sft_pair, policy, reference, label_prob)
    for prompt, answers, ranks in rankings:
        policy, reference = scored(prompt, answers)
        pairs, tuned = [], []
        for first, second in combinations(range(len(answers)), 2):
            label_prob = 0.5 if ranks[first] == ranks[second] else float(ranks[first] < ranks[second])
            chosen = [policy[first], policy[second]], [reference[first], reference[second]]
            pairs.append(soft(pair_loss, *chosen, label_prob))
            tuned.append(soft(sft_pair, *chosen, label_prob))
        ranked = sum(pairs) / len(pairs) if ranking_loss is None else ranking_loss(policy, reference, ranks)
        losses.append(ranked + sft_weight * sum(tuned) / len(tuned))
    return sum(losses) / len(losses)
