"""PPO for language models, as plainly as it can be written: one answer a row, loops over tokens, no tricks.

An answer is a list of actions (tokens). Its reward is -beta * (log policy - log reference) at every token, and at the
last token (the stop token, if the answer has one) also the reward model's score: normalised, clipped, and replaced by a
fixed number when there is no stop token. Everything is computed at the sampling temperature.

An answer without stop token may also be left out of everything that is learned (`truncated` is "mask"), or go on, in thought,
with what the value network expects of the state at the cut ("bootstrap").
"""

from __future__ import annotations

import torch


def log_probs(model, prompt, answer, temperature):
    """The log-probability of each answer token."""
    ids = torch.tensor([prompt + answer])
    logits = model(input_ids=ids, use_cache=False).logits[0] / temperature
    places = range(len(prompt), len(prompt) + len(answer))
    return torch.stack([torch.log_softmax(logits[place - 1], dim=-1)[ids[0, place]] for place in places])


def values(model, prompt, answer, mean, std):
    """The value of each state an answer token is chosen in, in units of the normalised score."""
    hidden = model.base_model(input_ids=torch.tensor([prompt + answer]), use_cache=False).last_hidden_state[0]
    return (model.score(hidden[len(prompt) - 1 : -1])[:, 0] - mean) / std


def entropies(model, prompt, answer, temperature):
    """The entropy of the distribution that each answer token is drawn from."""
    ids = torch.tensor([prompt + answer])
    logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1] / temperature
    chances = torch.softmax(logits, dim=-1)
    return torch.stack([-sum(chance * torch.log(chance) for chance in row) for row in chances])


def kl(policy, reference, estimator):
    """The KL of a token by Schulman's estimators, from its log-probabilities under both."""
    gap = policy - reference
    return {"k1": gap, "k2": gap**2 / 2, "k3": torch.exp(-gap) + gap - 1}[estimator]


def value_at_the_cut(model, prompt, answer, mean, std):
    """The value of the state after the last token."""
    hidden = model.base_model(input_ids=torch.tensor([prompt + answer]), use_cache=False).last_hidden_state[0]
    return (model.score(hidden[-1:])[0, 0] - mean) / std


def answer_score(model, prompt, answer, mean, std):
    """The reward model's score of the whole answer, read at its last token."""
    hidden = model.base_model(input_ids=torch.tensor([prompt + answer]), use_cache=False).last_hidden_state[0]
    return (model.score(hidden[-1:])[0, 0] - mean) / std


def token_rewards(policy, reference, score, finished, how, at_the_cut):
    """The reward of each token. `how` has beta, kl (an estimator), score_clip, unfinished_score, missing_end_penalty, truncated."""
    rewards = -how["beta"] * kl(policy, reference, how["kl"])
    end = score.clamp(-how["score_clip"], how["score_clip"])
    if not finished and how["truncated"] == "penalise":
        end = how["unfinished_score"]
    if not finished and how["truncated"] == "bootstrap":
        end = how["gamma"] * at_the_cut
    rewards[-1] = rewards[-1] + end - (0 if finished else how["missing_end_penalty"])
    return rewards


def advantages(rewards, state_values, gamma, lam):
    """Generalised advantages, written as the discounted sum of one-step surprises that they are."""
    steps = len(rewards)
    after = torch.cat([state_values[1:], state_values.new_zeros(1)])
    surprise = rewards + gamma * after - state_values
    return torch.stack(
        [sum((gamma * lam) ** (later - now) * surprise[later] for later in range(now, steps)) for now in range(steps)]
    )


def is_learned(finished, how):
    """Whether the update sees an answer."""
    return finished or how["truncated"] != "mask"


def experience(networks, answers, how):
    """What the update needs, per answer: old log-probabilities, old values, white advantages, returns.

    `networks` are policy, reference, reward and value; `answers` are (prompt, answer, finished).
    """
    policy, reference, reward, value = networks
    rows = []
    with torch.no_grad():
        for prompt, answer, finished in answers:
            old = log_probs(policy, prompt, answer, how["temperature"])
            near = log_probs(reference, prompt, answer, how["temperature"])
            score = answer_score(reward, prompt, answer, how["mean"], how["std"])
            state_values = values(value, prompt, answer, how["mean"], how["std"])
            at_the_cut = value_at_the_cut(value, prompt, answer, how["mean"], how["std"])
            gained = token_rewards(old, near, score, finished, how, at_the_cut)
            advantage = advantages(gained, state_values, how["gamma"], how["lam"])
            rows.append([old, state_values, advantage, advantage + state_values])
    learned = [row for row, (_, _, finished) in zip(rows, answers, strict=True) if is_learned(finished, how)]
    every = torch.cat([row[2] for row in learned])
    for row in learned:
        row[2] = (row[2] - every.mean()) / torch.sqrt(every.var(correction=0) + 1e-8)
    return rows


def ppo_loss(policy, value, answers, rows, how):
    """The loss of a minibatch: the mean over all its answer tokens of the policy's and the value's clipped losses.

    Each token's entropy x `entropy` is taken off.
    """
    total, count = 0.0, 0
    for (prompt, answer, finished), (old, old_values, advantage, returns) in zip(answers, rows, strict=True):
        if not is_learned(finished, how):
            continue
        new = log_probs(policy, prompt, answer, how["temperature"])
        total = total - how["entropy"] * sum(entropies(policy, prompt, answer, how["temperature"]))
        new_values = values(value, prompt, answer, how["mean"], how["std"])
        for step in range(len(answer)):
            ratio = torch.exp(new[step] - old[step])
            bounded = torch.clamp(ratio, 1 - how["clip"], 1 + how["clip"])
            total = total - torch.minimum(ratio * advantage[step], bounded * advantage[step])
            near = old_values[step] + torch.clamp(
                new_values[step] - old_values[step], -how["value_clip"], how["value_clip"]
            )
            worse = torch.maximum((new_values[step] - returns[step]) ** 2, (near - returns[step]) ** 2)
            total = total + how["value_weight"] * 0.5 * worse
            count += 1
    return total / count
