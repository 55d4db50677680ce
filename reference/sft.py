"""Supervised fine-tuning, as plainly as it can be written: padded rows, full logits, no tricks.

Minimised is the mean negative log-likelihood of the answer tokens (the stop token is the last of them) given everything
before them. Prompt tokens and padding carry no loss. The mean is over all answer tokens of the batch, not over rows.
"""

from __future__ import annotations

import torch


def pad_right(rows, fill=0):
    """Lists of ids as [rows, longest], and what of it is real: a mask carried along, never guessed from ids."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


def sft_loss(model, prompts, answers):
    """The loss of one batch. `model` is a causal language model of transformers."""
    ids, mask = pad_right([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    total = torch.zeros((), dtype=logits.dtype)
    count = 0
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        for place in range(len(prompt), len(prompt) + len(answer)):
            total = total - torch.log_softmax(logits[row, place - 1], dim=-1)[ids[row, place]]
            count += 1
    return total / count
