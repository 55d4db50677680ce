"""Untrained networks of a few thousand weights: `gpt2` has learned positions, `llama` rotated ones.

Without `heads` they are language models, else they score with so many heads.
"""

from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
)


def gpt2(heads=0, layers=2, **more):
    config = GPT2Config(vocab_size=40, n_embd=16, n_layer=layers, n_head=2, n_positions=32, **_scoring(heads), **more)
    return GPT2ForSequenceClassification(config) if heads else GPT2LMHeadModel(config)


def llama(heads=0, layers=2, **more):
    size = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = LlamaConfig(**size, num_hidden_layers=layers, **_scoring(heads), **more)
    return LlamaForSequenceClassification(config) if heads else LlamaForCausalLM(config)


def _scoring(heads):
    return {"num_labels": heads, "pad_token_id": 0} if heads else {}
