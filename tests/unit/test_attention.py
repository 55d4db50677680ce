from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from alidade.errors import ModelError
from alidade.models.attention import attach
from alidade.models.segments import Segments

VOCABULARY = 61
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "llama, grouped": LlamaConfig(**SIZES, num_key_value_heads=2),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "gemma": GemmaConfig(**SIZES, num_key_value_heads=1, head_dim=16),
    "mistral": MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=None),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=512, bos_token_id=1, eos_token_id=2
    ),
}
SHAPES = {
    "rows without branches": [(7, ()), (1, ()), (12, ())],
    "short prompts, several answers": [(5, (7, 3, 9, 1)), (6, (4, 4)), (4, (8,))],
    "long prompts": [(150, (20, 3, 31)), (160, (12, 18)), (3, (5, 5))],
    "no prompt": [(0, (4, 6)), (5, (0, 3))],
    "one row": [(17, ())],
}


def tiny(config: PreTrainedConfig, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def row_tokens(trees: list) -> torch.Tensor:
    count = sum(prompt + sum(branches) for prompt, branches in trees)
    return torch.randint(3, VOCABULARY, (1, count), generator=torch.Generator().manual_seed(1))


def paths(trees: list) -> list[list[int]]:
    """Every root-to-leaf path as token places in the packed row."""
    found, start = [], 0
    for prompt, branches in trees:
        root = list(range(start, start + prompt))
        at = start + prompt
        for branch in branches:
            found.append(root + list(range(at, at + branch)))
            at += branch
        if not branches:
            found.append(root)
        start = at
    return found


def dense_mask(trees: list) -> torch.Tensor:
    count = row_tokens(trees).shape[1]
    seen = torch.zeros(count, count, dtype=torch.bool)
    for path in paths(trees):
        for place, token in enumerate(path):
            seen[token, path[: place + 1]] = True
    return torch.zeros(1, 1, count, count).masked_fill(~seen, torch.finfo(torch.float32).min)


def run(module: PreTrainedModel, trees: list, **how) -> tuple[torch.Tensor, list[torch.Tensor]]:
    module.zero_grad()
    segments = Segments.of(trees)
    logits = module(input_ids=row_tokens(trees), position_ids=segments.position_ids, use_cache=False, **how).logits
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2))
    (logits.float() * weights).sum().backward()
    return logits.detach(), [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_equal_a_dense_block_mask_in_logits_and_gradients(family, shape):
    trees = SHAPES[shape]
    module = tiny(FAMILIES[family])
    module.set_attn_implementation("sdpa")
    expected, expected_gradients = run(module, trees, attention_mask=dense_mask(trees))
    attach(module)
    logits, gradients = run(module, trees, segments=Segments.of(trees))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    assert len(gradients) == len(expected_gradients)
    for gradient, one in zip(gradients, expected_gradients, strict=True):
        assert (gradient - one).norm() <= 1e-5 * one.norm() + 1e-6


def test_long_prompts_use_masked_calls_so_that_the_reference_covers_them():
    assert any(bucket.mask is not None for bucket in Segments.of(SHAPES["long prompts"]).buckets)
    assert all(bucket.mask is None for bucket in Segments.of(SHAPES["rows without branches"]).buckets)


def test_every_branch_equals_its_path_run_alone():
    trees = SHAPES["short prompts, several answers"]
    module = tiny(FAMILIES["llama, grouped"])
    attach(module)
    ids = row_tokens(trees)
    segments = Segments.of(trees)
    with torch.no_grad():
        packed = module(input_ids=ids, position_ids=segments.position_ids, segments=segments, use_cache=False).logits
        for path in paths(trees):
            alone = module(input_ids=ids[:, path], use_cache=False).logits
            torch.testing.assert_close(packed[:, path], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_rows_are_as_near_to_fp32_as_bf16_padded_rows_are(shape):
    trees = SHAPES[shape]
    exact, exact_gradients = run(tiny_attached(torch.float32), trees, segments=Segments.of(trees))
    packed, gradients = run(tiny_attached(torch.bfloat16), trees, segments=Segments.of(trees))
    dense_module = tiny(FAMILIES["llama, grouped"], torch.bfloat16)
    dense_module.set_attn_implementation("sdpa")
    dense, dense_gradients = run(dense_module, trees, attention_mask=dense_mask(trees).bfloat16())
    assert (packed - exact).norm() <= 1.5 * (dense - exact).norm()
    distance = sum((one.float() - two).norm() for one, two in zip(gradients, exact_gradients, strict=True))
    dense_distance = sum((one.float() - two).norm() for one, two in zip(dense_gradients, exact_gradients, strict=True))
    assert distance <= 1.5 * dense_distance


def tiny_attached(dtype: torch.dtype) -> PreTrainedModel:
    module = tiny(FAMILIES["llama, grouped"], dtype)
    attach(module)
    return module


def test_many_short_answers_take_few_calls():
    generator = torch.Generator().manual_seed(0)
    trees = [(15, torch.randint(25, 46, (4,), generator=generator).tolist()) for _ in range(64)]
    assert len(Segments.of(trees).buckets) <= 8


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.lists(st.integers(0, 40), max_size=4)).filter(
            lambda tree: tree[0] + sum(tree[1])
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_collecting_what_was_spread_gives_the_row_back_and_gradients_count_the_copies(trees):
    segments = Segments.of(trees)
    states = torch.arange(segments.token_count, dtype=torch.float32)[:, None].requires_grad_()
    assert torch.equal(segments.collect(segments.spread_queries(states)), states)
    gathered = segments.spread_keys(states)
    assert torch.equal(gathered.index_select(0, segments.first_copy), states)
    expected = torch.zeros(segments.token_count).index_add_(0, segments.key_index, torch.ones(len(gathered)))
    gathered.backward(torch.ones_like(gathered))
    padding = torch.ones(len(gathered)).index_fill_(0, segments.first_copy, 0)
    for shared in segments.shared:
        padding.index_fill_(0, shared.positions.reshape(-1), 0)
    expected.index_add_(0, segments.key_index, -padding)
    assert torch.equal(states.grad[:, 0], expected)


def test_positions_continue_from_the_prompt_in_every_branch():
    assert Segments.of([(3, (2, 1)), (1, ())]).position_ids.tolist() == [[0, 1, 2, 3, 4, 3, 0]]


def test_rows_without_segments_are_plain_causal():
    module = tiny(FAMILIES["qwen2"])
    ids = torch.randint(3, VOCABULARY, (3, 11))
    with torch.no_grad():
        module.set_attn_implementation("eager")
        expected = module(input_ids=ids).logits
        attach(module)
        torch.testing.assert_close(module(input_ids=ids).logits, expected, atol=1e-5, rtol=1e-4)


def test_a_padded_batch_gets_its_mask():
    module = tiny(FAMILIES["llama, grouped"])
    ids = torch.randint(3, VOCABULARY, (2, 9))
    padding = torch.ones(2, 9, dtype=torch.long)
    padding[0, :4] = 0
    positions = (padding.cumsum(1) - 1).clamp_min(0)
    with torch.no_grad():
        attach(module)
        logits = module(input_ids=ids, attention_mask=padding, position_ids=positions).logits
        alone = module(input_ids=ids[:1, 4:]).logits
    torch.testing.assert_close(logits[:1, 4:], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_gradient_checkpointing_passes_the_segments_through():
    trees = SHAPES["short prompts, several answers"]
    module = tiny(FAMILIES["llama"])
    attach(module)
    _, expected = run(module.train(), trees, segments=Segments.of(trees))
    module.gradient_checkpointing_enable()
    _, gradients = run(module, trees, segments=Segments.of(trees))
    for gradient, one in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, one)


def test_soft_capped_models_are_refused_by_name():
    with pytest.raises(ModelError, match="soft-capped"):
        attach(tiny(Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=16)))


def test_a_row_longer_than_the_sliding_window_is_refused():
    module = tiny(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=8))
    attach(module)
    short, long = Segments.of([(4, (4,)), (8, ())]), Segments.of([(5, (4,))])
    ids = torch.full((1, 16), 5)
    module(input_ids=ids, position_ids=short.position_ids, segments=short, use_cache=False)
    with pytest.raises(ModelError, match="sliding window of 8"):
        module(input_ids=ids[:, :9], position_ids=long.position_ids, segments=long, use_cache=False)


def test_a_batch_that_is_not_the_planned_row_is_refused():
    module = tiny(FAMILIES["llama"])
    attach(module)
    with pytest.raises(ModelError, match="packed row of 3 tokens"):
        module(input_ids=torch.full((1, 4), 5), segments=Segments.of([(3, ())]), use_cache=False)
