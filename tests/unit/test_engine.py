from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from scipy import stats
from transformers import AutoModelForCausalLM, GemmaConfig, GPT2Config, LlamaConfig, PreTrainedModel, Qwen3Config

from alidade.errors import DataError, ModelError
from alidade.models.base import Sampling
from alidade.models.engine import draw, generate, uniform

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES = {
    "llama": LlamaConfig(**SIZES),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "gemma": GemmaConfig(**SIZES, num_key_value_heads=1, head_dim=16),
    "gpt2": GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2),
}
PROMPTS = [[3, 4, 5], [6], [7, 8, 9, 10, 11, 12], [13, 14], [15, 16, 17, 18], [3, 4, 5, 6, 7], [20], [21, 22]]
STOP = {2, 9, 17, 30, 41}


def tiny(name: str = "llama", dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(3)
    module = AutoModelForCausalLM.from_config(FAMILIES[name], dtype=dtype).eval()
    with torch.no_grad():
        # Sharper than at birth: answers depend on what was read, and argmax has no ties.
        module.get_output_embeddings().weight.mul_(8)
    return module


def greedy_one_by_one(module: PreTrainedModel, prompt: list[int], count: int) -> list[int]:
    """The likeliest continuation, recomputed from scratch for every token."""
    module.set_attn_implementation("eager")
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + count and (len(ids) == len(prompt) or ids[-1] not in STOP):
            ids.append(int(module(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_equal_transformers_own(family):
    module = tiny(family)
    sampled = generate(module, PROMPTS, Sampling(temperature=0, max_new_tokens=12), stop_ids=[2])
    module.set_attn_implementation("sdpa")
    for prompt, one in zip(PROMPTS, sampled, strict=True):
        ids = torch.tensor([prompt])
        with torch.no_grad():
            own = module.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, pad_token_id=0
            )
        assert one.tokens == own[0, len(prompt) :].tolist()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 64])
def test_refilled_and_moved_slots_write_what_each_prompt_writes_alone(batch_size):
    module = tiny()
    expected = [greedy_one_by_one(module, prompt, 20) for prompt in PROMPTS]
    assert len({len(one) for one in expected}) > 2, "answers must end at different times for slots to be refilled"
    how = Sampling(temperature=0, max_new_tokens=20)
    sampled = generate(module, PROMPTS, how, stop_ids=STOP, copies=3, batch_size=batch_size)
    assert [one.tokens for one in sampled] == [one for one in expected for _ in range(3)]
    assert [one.finished for one in sampled] == [one[-1] in STOP for one in expected for _ in range(3)]


def test_sampled_answers_do_not_depend_on_the_number_of_slots():
    module = tiny()
    how = Sampling(max_new_tokens=10, seed=5)
    runs = [
        [one.tokens for one in generate(module, PROMPTS, how, stop_ids=STOP, copies=4, batch_size=size)]
        for size in (1, 7, 256)
    ]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0] != [
        one.tokens for one in generate(module, PROMPTS, Sampling(max_new_tokens=10, seed=6), stop_ids=STOP, copies=4)
    ]
    assert len({tuple(tokens) for tokens in runs[0][:4]}) > 1, "the copies of a prompt differ"


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_of_the_sampling_distribution(temperature):
    module = tiny("qwen3")
    sampled = generate(module, PROMPTS, Sampling(temperature=temperature, max_new_tokens=9), stop_ids=STOP, copies=2)
    for place, one in enumerate(sampled):
        prompt = PROMPTS[place // 2]
        with torch.no_grad():
            logits = module(input_ids=torch.tensor([prompt + one.tokens])).logits[0, len(prompt) - 1 : -1]
        expected = (logits / temperature).log_softmax(-1).gather(1, torch.tensor(one.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(one.log_probs), expected, atol=1e-4, rtol=1e-4)


def test_sampling_follows_the_distribution():
    module = tiny()
    prompt, temperature, count = PROMPTS[0], 2.0, 4000
    with torch.no_grad():
        probabilities = (module(input_ids=torch.tensor([prompt])).logits[0, -1].double() / temperature).softmax(-1)
    sampled = generate(
        module, [prompt], Sampling(temperature=temperature, max_new_tokens=1), stop_ids=[2], copies=count
    )
    counts = torch.bincount(torch.tensor([one.tokens[0] for one in sampled]), minlength=50).double()
    common = probabilities * count >= 5
    assert common.sum() > 20
    observed, expected = counts[common], probabilities[common] * count
    if (~common).any():
        observed = torch.cat([observed, counts[~common].sum()[None]])
        expected = torch.cat([expected, count - expected.sum()[None]])
    assert stats.chisquare(observed.numpy(), expected.numpy()).pvalue > 1e-3


def test_the_second_token_is_drawn_independently_of_the_first():
    logits = torch.tensor([[0.0, 1.0, 2.0, 0.5]]).expand(20_000, -1)
    streams = torch.arange(20_000)
    first, second = (draw(logits, 1.0, uniform(77, streams, torch.full_like(streams, place)))[0] for place in (0, 1))
    table = torch.bincount(first * 4 + second, minlength=16).view(4, 4).numpy()
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_a_token_of_probability_zero_is_never_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(4, -1)
    noise = torch.tensor([0.0, 0.5, 1 - 2**-53, 0.499999], dtype=torch.float64)
    assert draw(logits, 1.0, noise)[0].tolist() == [1, 3, 3, 1]


def test_logits_that_are_not_numbers_are_refused():
    with pytest.raises(ModelError, match="not numbers"):
        draw(torch.full((2, 3), torch.nan), 1.0, torch.zeros(2, dtype=torch.float64))


def test_uniform_numbers_are_uniform_and_differ_by_key_stream_and_place():
    streams = torch.arange(3000)
    numbers = uniform(1, streams, torch.zeros_like(streams))
    assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1e-3
    for other in (uniform(2, streams, torch.zeros_like(streams)), uniform(1, streams, torch.ones_like(streams))):
        assert abs(float(torch.corrcoef(torch.stack([numbers, other]))[0, 1])) < 0.06
    assert len(numbers.unique()) == 3000


def test_an_answer_ends_at_the_context_unfinished():
    module = tiny()
    prompt = [5] * 60
    sampled = generate(module, [prompt, [6]], Sampling(max_new_tokens=30, temperature=0), stop_ids=[])
    assert [len(one.tokens) for one in sampled] == [4, 30]
    assert not sampled[0].finished


@pytest.mark.parametrize(("prompt", "message"), [([], "without tokens"), ([5] * 64, "fills the model's context of 64")])
def test_prompts_that_cannot_be_continued_are_refused_by_place(prompt, message):
    with pytest.raises(DataError, match=message) as caught:
        generate(tiny(), [[3], prompt], Sampling(), stop_ids=[2])
    assert caught.value.where == "prompt 1"


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_adapters_take_part():
    module = tiny()
    base = [one.tokens for one in generate(module, PROMPTS, Sampling(temperature=0, max_new_tokens=8), stop_ids=[2])]
    adapted = get_peft_model(module, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    tokens = [one.tokens for one in generate(adapted, PROMPTS, Sampling(temperature=0, max_new_tokens=8), stop_ids=[2])]
    assert tokens != base
    merged = adapted.merge_and_unload()
    assert tokens == [
        one.tokens for one in generate(merged, PROMPTS, Sampling(temperature=0, max_new_tokens=8), stop_ids=[2])
    ]


def test_bf16_weights_sample_and_the_mode_is_left_as_it_was():
    module = tiny(dtype=torch.bfloat16).train()
    sampled = generate(module, PROMPTS, Sampling(max_new_tokens=5), stop_ids=[2], copies=2)
    assert len(sampled) == 2 * len(PROMPTS)
    assert all(1 <= len(one.tokens) <= 5 and len(one.log_probs) == len(one.tokens) for one in sampled)
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
