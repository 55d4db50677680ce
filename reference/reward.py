"""The reward model's losses, as plainly as they can be written: every answer padded in a row of its own.

A comparison says with probability p that the left answer is better; its loss is the cross-entropy of p against
sigmoid(score left - score right). A ranking's probability is Plackett-Luce's: the best is chosen among all by softmax
of the scores, the next among the rest, and so on. Tied answers are in an order nobody knows: the negative log-likelihood
is averaged over all their orders, so two tied answers are a comparison with p = 1/2.

Beside that: a margin by which the better answer should lead; ties as an outcome of their own; several heads, each with
weights of its own; and scores that are what length does not explain.
"""

from __future__ import annotations

from itertools import combinations, permutations

import torch


def head_scores(model, rows):
    """The scores of each row (prompt and answer), one per head, read at its last real token, which is the stop token."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    last = mask.sum(1) - 1
    return model.score(hidden[torch.arange(len(rows)), last])


def answer_scores(model, rows):
    """The score of each row by the first head."""
    return head_scores(model, rows)[:, 0]


def comparison_loss(left, right, label_prob, margin=0.0):
    """Cross-entropy of one comparison; whichever answer is better should lead by `margin`."""
    left_better = torch.sigmoid(left - right - margin)
    right_better = torch.sigmoid(right - left - margin)
    return -(label_prob * torch.log(left_better) + (1 - label_prob) * torch.log(right_better))


def davidson_loss(left, right, label_prob, tie_prob, strength):
    """Davidson (1970): three outcomes; the tie has the geometric mean of both strengths, times `strength`.

    `label_prob` counts a tie as half a win for each side.
    """
    tie = strength * torch.sqrt(torch.exp(left) * torch.exp(right))
    total = torch.exp(left) + torch.exp(right) + tie
    left_won, right_won = label_prob - tie_prob / 2, 1 - label_prob - tie_prob / 2
    chances = (torch.exp(left) / total, torch.exp(right) / total, tie / total)
    return -sum(
        share * torch.log(chance) for share, chance in zip((left_won, right_won, tie_prob), chances, strict=True)
    )


def davidson_ranking_loss(scores, ranks, strength):
    """Turner et al. (2020): at each rank any set of the answers that are left could have come next, tied.

    A set of n has the geometric mean of its answers' strengths, times `strength` to the power of n - 1.
    """

    def worth(chosen):
        return strength ** (len(chosen) - 1) * torch.exp(sum(scores[place] for place in chosen) / len(chosen))

    total = torch.zeros((), dtype=scores.dtype)
    for rank in sorted(set(ranks)):
        left = [place for place, other in enumerate(ranks) if other >= rank]
        came = [place for place in left if ranks[place] == rank]
        possible = [chosen for size in range(1, len(left) + 1) for chosen in combinations(left, size)]
        total = total - torch.log(worth(came) / sum(worth(chosen) for chosen in possible))
    return total


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


def heads_loss(model, comparisons, rankings=(), *, centring=0.0, strength=None, length=(0.0, 1.0, None)):
    """The mean loss per judgement of a model with several heads.

    `comparisons` are (prompt, left, right, label_prob, tie_prob, margin, weights) and `rankings` (prompt, answers, ranks,
    weights), with a weight for each head. With `strength` ties are an outcome. `length` is (mean, std, a slope for each
    head): the losses see score + slope * (tokens - mean) / std; centring sees the score.
    """
    mean, std, slopes = length
    slopes = slopes or [0.0] * model.config.num_labels
    losses = []
    for row in (*comparisons, *rankings):
        prompt, weights = row[0], row[-1]
        answers = [row[1], row[2]] if len(row) == 7 else row[1]
        every = head_scores(model, [prompt + answer for answer in answers])
        lengths = torch.tensor([(len(answer) - mean) / std for answer in answers], dtype=every.dtype)
        loss = 0
        for head, weight in enumerate(weights):
            scores = every[:, head]
            seen = scores + slopes[head] * lengths
            if len(row) == 7 and strength is None:
                one = comparison_loss(seen[0], seen[1], row[3], row[5])
            elif len(row) == 7:
                one = davidson_loss(seen[0], seen[1], row[3], row[4], strength)
            elif strength is None:
                one = ranking_loss(seen, row[2])
            else:
                one = davidson_ranking_loss(seen, row[2], strength)
            loss = loss + weight * (one + centring * centring_loss(scores))
        losses.append(loss)
    return sum(losses) / len(losses)


def cautious_score(scores, centres, members, weights, combine, caution):
    """One number for an answer from its raw scores, `members` heads for each attribute in turn, in nats.

    Each head is read from its mean on the training answers, an attribute is the mean of its heads, that less `caution`
    standard deviations (`lower`), or the least of them (`worst`); the score is the weighted mean of the attributes.
    """
    total = 0.0
    for place, weight in enumerate(weights):
        mine = [scores[place * members + one] - centres[place * members + one] for one in range(members)]
        mean = sum(mine) / members
        spread = (sum((one - mean) ** 2 for one in mine) / members) ** 0.5
        total += weight * {"mean": mean, "lower": mean - caution * spread, "worst": min(mine)}[combine]
    return total
