"""The models and rows of the benchmark: random weights, words drawn at random, lengths like those of real chats.

Demonstrations have a lognormal length (mean about 150 tokens, one in twenty above 450) of which a fifth to a half is the prompt;
pairs have prompts of about 100 tokens and answers of about 120. The models end an answer with about 1 % chance a token.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from alidade.models.local import load
from alidade.preferences import read_comparisons, read_demonstrations
from alidade.testbed.pilot import pilot_folder
from alidade.training.reward_model import new_reward_model, save_reward_model

VERSION = 1
STOP_CHANCE = 0.01
STEADY = 0.1  # what the first channel of every embedding holds, so that the stop token's chance can be set
TEMPLATE = (
    "{% for message in messages %}{% if not loop.first %}\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>{% endfor %}{% if add_generation_prompt %}\n<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """A Llama's size; its embeddings are tied."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int


SHAPES = {
    "tiny": Shape(hidden=256, ffn=704, layers=8, heads=4, kv_heads=4, vocabulary=4096),
    "135m": Shape(hidden=576, ffn=1536, layers=30, heads=9, kv_heads=3, vocabulary=49152),
}


def prepare(folder: Path, shape: str, rows: int) -> Path:
    """The workload of `shape` in a folder under `folder`; what is there already is kept."""
    place = folder / f"{shape}-{rows}-v{VERSION}"
    if (place / "tokens.json").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    _write_models(place, SHAPES[shape])
    words = _words(place)
    _write(place / "demonstrations.jsonl", _demonstrations(words, rows))
    _write(place / "pairs.jsonl", _pairs(words, rows))
    _write(
        place / "prompts.jsonl", ({"prompt": [_turn("user", _text(words, 40, chance))]} for chance in _chances(rows))
    )
    (place / "tokens.json").write_text(json.dumps(_count(place)), encoding="utf-8")
    return place


def _write_models(place: Path, shape: Shape) -> None:
    tokenizer = AutoTokenizer.from_pretrained(pilot_folder())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.eos_token, tokenizer.chat_template = "<|im_end|>", TEMPLATE
    tokenizer.add_tokens([f"<extra{number}>" for number in range(shape.vocabulary - len(tokenizer))])
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    _set_stop_chance(model, tokenizer.eos_token_id)
    model.save_pretrained(place / "policy")
    tokenizer.save_pretrained(place / "policy")
    save_reward_model(new_reward_model(load(str(place / "policy"), dtype=torch.float32), seed=0), place / "reward")


@torch.no_grad()
def _set_stop_chance(model: Any, stop: int) -> None:
    """Give the stop token STOP_CHANCE after any token: all embeddings share a channel, the stop token's leans on it."""
    table = model.get_input_embeddings().weight
    table[:, 0] = STEADY
    ids = torch.randint(3, table.shape[0], (16, 128))
    steady = float(model.model(ids).last_hidden_state[..., 0].mean())
    others = torch.logsumexp(model(ids).logits.float(), dim=-1).mean()
    own = model(ids).logits[..., stop].float().mean()
    table[stop, 0] += float(others - own + math.log(STOP_CHANCE)) / steady


def _words(place: Path) -> list[str]:
    """Words that are one token each."""
    known = AutoTokenizer.from_pretrained(place / "policy").get_vocab()
    return sorted(token[1:] for token in known if token.startswith("Ġ") and token[1:].isascii() and token[1:].isalpha())


def _chances(rows: int) -> Iterator[random.Random]:
    return (random.Random(f"row {row}") for row in range(rows))


def _demonstrations(words: list[str], rows: int) -> Iterator[dict[str, Any]]:
    for chance in _chances(rows):
        total = min(900, max(12, round(chance.lognormvariate(4.7, 0.8))))
        asked = max(4, round(total * chance.uniform(0.2, 0.5)))
        answer = _text(words, total - asked, chance)
        yield {"prompt": [_turn("user", _text(words, asked, chance))], "completion": [_turn("assistant", answer)]}


def _pairs(words: list[str], rows: int) -> Iterator[dict[str, Any]]:
    for chance in _chances(rows):
        asked = max(8, round(chance.lognormvariate(4.4, 0.5)))
        answers = [_text(words, max(8, round(chance.lognormvariate(4.6, 0.6))), chance) for _ in range(2)]
        turns = {"prompt": [_turn("user", _text(words, min(asked, 400), chance))]}
        yield turns | {
            name: [_turn("assistant", text)] for name, text in zip(("chosen", "rejected"), answers, strict=True)
        }


def _text(words: list[str], count: int, chance: random.Random) -> str:
    return " ".join(chance.choice(words) for _ in range(min(count, 480)))


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _count(place: Path) -> dict[str, list[int]]:
    renderer = load(str(place / "policy")).renderer
    shown = read_demonstrations(place / "demonstrations.jsonl").rows
    pairs = read_comparisons(place / "pairs.jsonl").rows
    return {
        "demonstrations": [len(renderer.row(row.prompt, row.answer).ids) for row in shown],
        "pairs": [sum(len(renderer.row(row.prompt, text).ids) for text in (row.left, row.right)) for row in pairs],
    }
