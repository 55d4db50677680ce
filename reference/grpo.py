"""GRPO, RLOO and REINFORCE++, as plainly as they can be written: groups of answers to one prompt, loops over tokens.

None has a value network. Scores arrive normalised; an answer's score is clipped, and replaced by a fixed number when there is
no stop token. GRPO's KL penalty is a term of the loss; the others' is part of the reward.
"""

from __future__ import annotations

import torch

from reference import ppo


def final_score(score, finished, how):
    """What an answer is worth."""
    return max(-how["score_clip"], min(how["score_clip"], score)) if finished else how["unfinished_score"]


def grpo_advantages(groups, how):
    """Per answer: (score - mean of the group) / (standard deviation of the group + 1e-4). Groups are lists of (score, finished)."""
    rows = []
    for group in groups:
        scores = torch.tensor([final_score(score, finished, how) for score, finished in group], dtype=torch.float64)
        rows.append([(score - scores.mean()) / (scores.std() + 1e-4) for score in scores])
    return rows


def rloo_advantages(groups, kls, how):
    """Per answer: its reward less the mean reward of the others; the reward is the score less beta x KL of the answer."""
    rows = []
    for group, kl in zip(groups, kls, strict=True):
        rewards = [
            final_score(score, finished, how) - how["beta"] * sum(one)
            for (score, finished), one in zip(group, kl, strict=True)
        ]
        others = [(sum(rewards) - reward) / (len(rewards) - 1) for reward in rewards]
        rows.append([reward - other for reward, other in zip(rewards, others, strict=True)])
    return rows


def reinforce_advantages(answers, how):
    """Per token: score less beta x the KL from here on, made white over all tokens. Answers are (score, finished, kl per token)."""
    rows = []
    for score, finished, kl in answers:
        returns = []
        for place in range(len(kl)):
            returns.append(final_score(score, finished, how) - how["beta"] * sum(kl[place:]))
        rows.append(torch.tensor(returns, dtype=torch.float64))
    every = torch.cat(rows)
    return [(row - every.mean()) / torch.sqrt(every.var(correction=0) + 1e-8) for row in rows]


def loss(policy, answers, old, near, advantages, how):
    """The mean over all answer tokens of the clipped surrogate and, if `loss_beta`, of a KL estimate to the reference.

    `answers` are (prompt, answer); `old` and `near` their log-probabilities when drawn and under the reference.
    """
    total, count = 0.0, 0
    for (prompt, answer), was, reference, advantage in zip(answers, old, near, advantages, strict=True):
        new = ppo.log_probs(policy, prompt, answer, how["temperature"])
        for step in range(len(answer)):
            ratio = torch.exp(new[step] - was[step])
            bounded = torch.clamp(ratio, 1 - how["clip"], 1 + how["clip"])
            total = total - torch.minimum(ratio * advantage[step], bounded * advantage[step])
            total = total + how["loss_beta"] * ppo.kl(new[step], reference[step], how["kl"])
            count += 1
    return total / count
