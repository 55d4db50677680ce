"""The head on chosen positions only: values and gradients equal those of full logits."""

import pytest
import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from alidade.training import lm
from alidade.training.packing import Tree, pack_trees
from alidade.training.trunk import hidden_states, prepare


def llama(**more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=False,
            **more,
        )
        return LlamaForCausalLM(config)


def gpt2(kind=GPT2LMHeadModel, **more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=64, pad_token_id=0, **more))


def head_and_rows(model, count=7, dtype=torch.float64):
    hidden = torch.randn(count, 16, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()
    targets = torch.randint(0, 50, (count,), generator=torch.Generator().manual_seed(2))
    return model.to(dtype), hidden, targets


def gradients(loss, *tensors):
    return torch.autograd.grad(loss, tensors)


@pytest.mark.parametrize("rows_at_once", [2, 100])
def test_token_scores_and_their_gradients_equal_full_logits(monkeypatch, rows_at_once):
    monkeypatch.setattr(lm, "HEAD_ROWS_AT_ONCE", rows_at_once)
    model, hidden, targets = head_and_rows(llama())
    slopes = torch.linspace(-1, 2, 7, dtype=torch.float64)
    ours = lm.token_scores(model, hidden, targets, temperature=0.7)
    table = (model.lm_head(hidden) / 0.7).log_softmax(-1)
    expected = table.gather(1, targets[:, None])[:, 0]
    assert torch.allclose(ours.log_probs, expected, atol=1e-12)
    assert torch.allclose(ours.entropy, -(table.exp() * table).sum(-1), atol=1e-12)
    for mine, theirs in zip(
        gradients((ours.log_probs * slopes).sum(), hidden, model.lm_head.weight),
        gradients((expected * slopes).sum(), hidden, model.lm_head.weight),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)


@pytest.mark.parametrize("wanted", ["entropy", "both"])
@pytest.mark.parametrize("config", [{}, {"final_logit_softcapping": 2.0}], ids=["linear head", "shaped head"])
@pytest.mark.parametrize("rows_at_once", [2, 100])
def test_the_gradient_through_the_entropy_is_autograds(monkeypatch, rows_at_once, config, wanted):
    monkeypatch.setattr(lm, "HEAD_ROWS_AT_ONCE", rows_at_once)
    model, hidden, targets = head_and_rows(llama(**config))
    slopes = torch.linspace(-1, 2, 7, dtype=torch.float64)
    logits = model.lm_head(hidden)
    table = ((2.0 * torch.tanh(logits / 2.0) if config else logits) / 0.7).log_softmax(-1)
    ours = lm.token_scores(model, hidden, targets, temperature=0.7)
    mine, theirs = (ours.entropy * slopes).sum(), (-(table.exp() * table).sum(-1) * slopes).sum()
    if wanted == "both":
        mine = mine + (ours.log_probs * slopes**2).sum()
        theirs = theirs + (table.gather(1, targets[:, None])[:, 0] * slopes**2).sum()
    for one, other in zip(
        gradients(mine, hidden, model.lm_head.weight), gradients(theirs, hidden, model.lm_head.weight), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("rows_at_once", [3, 100])
def test_the_weighted_loss_and_its_gradients_equal_full_logits(monkeypatch, rows_at_once):
    monkeypatch.setattr(lm, "HEAD_ROWS_AT_ONCE", rows_at_once)
    model, hidden, targets = head_and_rows(llama())
    weights = torch.linspace(0, 2, 7, dtype=torch.float64)
    ours = lm.token_nll(model, hidden, targets, weights) * 3
    losses = torch.nn.functional.cross_entropy(model.lm_head(hidden), targets, reduction="none")
    expected = (losses * weights).sum() * 3
    assert torch.allclose(ours, expected)
    for mine, theirs in zip(
        gradients(ours, hidden, model.lm_head.weight), gradients(expected, hidden, model.lm_head.weight), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)
    with torch.no_grad():
        assert torch.allclose(lm.token_nll(model, hidden, targets, weights) * 3, expected)


@pytest.mark.parametrize("how", [{"final_logit_softcapping": 2.0}, {"logit_scale": 0.25}, {"logits_scaling": 4.0}])
def test_heads_that_shape_their_logits_are_followed(how):
    model, hidden, targets = head_and_rows(llama(**how))
    logits = model.lm_head(hidden)
    shaped = {
        "final_logit_softcapping": 2.0 * torch.tanh(logits / 2.0),
        "logit_scale": logits * 0.25,
        "logits_scaling": logits / 4.0,
    }[next(iter(how))]
    expected = shaped.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    ours = lm.token_scores(model, hidden, targets).log_probs
    assert torch.allclose(ours, expected)
    assert torch.allclose(gradients(ours.sum(), hidden)[0], gradients(expected.sum(), hidden)[0])


def test_a_sixteen_bit_head_scores_in_fp32():
    model, hidden, targets = head_and_rows(llama(), dtype=torch.bfloat16)
    assert lm.token_scores(model, hidden, targets).log_probs.dtype == torch.float32


def test_reading_the_head_with_and_without_gradient_is_the_same_arithmetic():
    model, hidden, targets = head_and_rows(llama(), dtype=torch.bfloat16)
    with_gradient = lm.token_scores(model, hidden, targets).log_probs
    with torch.no_grad():
        assert torch.equal(lm.token_scores(model, hidden, targets).log_probs, with_gradient)


def test_preparing_switches_dropout_off():
    model = prepare(gpt2(resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5).train())
    packed = pack_trees([Tree([1, 2, 3], [[4, 5]])])
    assert torch.equal(hidden_states(model, packed, packed.predictors), hidden_states(model, packed, packed.predictors))


def test_answer_scores_read_the_classifiers_head():
    model = prepare(gpt2(GPT2ForSequenceClassification, num_labels=1))
    packed = pack_trees([Tree([1, 2, 3], [[4, 5], [6]])])
    ours = lm.answer_scores(model, hidden_states(model, packed, packed.ends))
    plain = gpt2(GPT2ForSequenceClassification, num_labels=1).eval()
    expected = [plain(input_ids=torch.tensor([row])).logits[0, 0].item() for row in ([1, 2, 3, 4, 5], [1, 2, 3, 6])]
    assert ours.tolist() == pytest.approx(expected, abs=1e-5)
