"""Adapter folders in and out, as peft and transformers read and write them."""

import json
import shutil
import warnings
from dataclasses import replace

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel

from alidade.digest import digest_folder
from alidade.errors import AlidadeError, MissingExtra, ModelError
from alidade.models.adapters import base_digest, save_adapter
from alidade.models.local import load, save_model
from alidade.records import Conversation, Demonstration
from alidade.stages.training import SftStage, merged
from alidade.store import Artifact
from alidade.training.fit import TrainingRun
from alidade.training.lora import add_lora, merge_lora
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import Batching, LoraConfig, ModelShape, OptimiserConfig, SftConfig

# peft asks transformers for a property that it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}"
    "{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])
SMALL = ModelShape(hidden=16, ffn=32, layers=2, heads=2, context=64)


def tokenizer(text="what is red, yes no blue"):
    return train_tokenizer([text] * 3, 300)


def logits(module):
    with torch.no_grad():
        return module(input_ids=IDS).logits


def moved(module):
    """The adapters away from where they start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
    return module


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    save_model(new_model(SMALL, tokenizer(), 0, torch.float32), tokenizer(), folder)
    return folder


@pytest.fixture
def adapter(tmp_path, base):
    """What a user of peft has: an adapter that names its base."""
    folder = tmp_path / "adapter"
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "o_proj", "up_proj"], task_type="CAUSAL_LM")
    moved(peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)).save_pretrained(folder)
    return folder


def with_peft(base, folder):
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(plain, folder)


def rewrite(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder, **how):
    with pytest.raises(ModelError) as caught:
        load(folder, dtype="float32", **how)
    error = caught.value
    assert error.where
    assert error.hint
    assert error.exit_code == 2
    return error


def test_an_adapter_of_peft_is_loaded_with_the_base_it_names_and_has_the_same_logits(base, adapter):
    ours = load(adapter, dtype="float32")
    expected = logits(with_peft(base, adapter))
    assert torch.allclose(logits(ours.module), expected, atol=1e-5)
    assert not torch.allclose(expected, logits(load(base, dtype="float32").module), atol=1e-3)
    assert not hasattr(ours.module, "peft_config")
    assert ours.tokenizer.get_vocab() == tokenizer().get_vocab()


def test_a_base_beside_the_adapter_or_given_by_hand_is_found(tmp_path, base, adapter):
    expected = logits(load(adapter, dtype="float32").module)
    rewrite(adapter, base_model_name_or_path="../base")
    assert torch.equal(logits(load(adapter, dtype="float32").module), expected)
    elsewhere = shutil.move(base, tmp_path / "elsewhere")
    assert torch.equal(logits(load(adapter, base=elsewhere, dtype="float32").module), expected)


def test_a_chat_template_that_comes_with_the_adapter_is_used(base, adapter):
    tuned = load(base).tokenizer
    tuned.chat_template = TEMPLATE
    tuned.save_pretrained(adapter)
    assert load(adapter).tokenizer.chat_template == TEMPLATE


def test_what_is_trained_and_kept_here_merges_in_peft_with_the_same_logits(tmp_path, base):
    model = load(base, dtype="float32")
    learner = replace(model, module=add_lora(model.module, LoraConfig(rank=2)))
    rows = [Demonstration(id=str(n), prompt=Conversation.ask(f"what {n}"), answer="yes") for n in range(8)]
    rate = OptimiserConfig(learning_rate=3e-2)
    train_sft(learner, rows, SftConfig(batching=Batching(rows=4, epochs=2), optimiser=rate), TrainingRun())
    save_adapter(learner.module, tmp_path / "kept", base="b" * 64)
    expected = logits(learner.module)
    assert torch.allclose(logits(with_peft(base, tmp_path / "kept").merge_and_unload()), expected, atol=1e-5)
    save_model(merge_lora(learner.module), learner.tokenizer, tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert torch.allclose(logits(plain), expected, atol=1e-5)
    again = load(tmp_path / "kept", base=base, dtype="float32")
    assert torch.allclose(logits(again.module), expected, atol=1e-5)
    assert not torch.allclose(expected, logits(load(base, dtype="float32").module), atol=1e-3)


def test_a_kept_reward_adapter_carries_its_head_into_plain_peft(tmp_path, base):
    reward = new_reward_model(load(base, dtype="float32"), 0)
    adapted = moved(add_lora(reward.module, LoraConfig(rank=2)))
    save_adapter(adapted, tmp_path / "kept", base="b" * 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers says that the head is new
        plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    plain.config.pad_token_id = 0
    found = peft.PeftModel.from_pretrained(plain, tmp_path / "kept")
    assert torch.allclose(logits(found), logits(adapted), atol=1e-5)


def test_equal_adapters_are_equal_bytes_and_name_no_place(tmp_path, base):
    for name in ("one", "two"):
        adapted = moved(add_lora(load(base, dtype="float32").module, LoraConfig(rank=2), seed=3))
        save_adapter(adapted, tmp_path / name, base="b" * 64)
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")
    assert base_digest(tmp_path / "one") == "b" * 64
    for path in (tmp_path / "one").glob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_adapters_are_drawn_from_their_seed_and_from_nothing_else(base):
    def drawn(seed):
        torch.rand(1)
        module = add_lora(load(base, dtype="float32").module, LoraConfig(rank=2), seed)
        return torch.cat([w.flatten() for name, w in module.named_parameters() if "lora_A" in name])

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_a_missing_base_is_named(tmp_path, base, adapter):
    rewrite(adapter, base_model_name_or_path=str(tmp_path / "gone"))
    assert "gone' does not exist" in refusal(adapter).what
    rewrite(adapter, base_model_name_or_path=None)
    assert "does not say which model" in refusal(adapter).what
    assert "no such model folder" in refusal(adapter, base=tmp_path / "gone").what


def test_an_adapter_without_weights_or_with_damaged_ones_is_refused(adapter):
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    assert "cannot be read" in refusal(adapter).what
    weights.unlink()
    assert "has no weights" in refusal(adapter).what
    (adapter / "adapter_config.json").write_text("{")
    assert "settings cannot be read" in refusal(adapter).what


def test_an_adapter_with_another_tokenizer_is_refused(adapter):
    tokenizer("entirely different words altogether").save_pretrained(adapter)
    assert "tokenizer is not its base's" in refusal(adapter).what


def test_an_adapter_with_a_resized_vocabulary_is_refused(tmp_path, base):
    grown = AutoModelForCausalLM.from_pretrained(base)
    rows = grown.get_input_embeddings().weight.shape[0]
    grown.resize_token_embeddings(rows + 4)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"], task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft warns of tied weights
        peft.get_peft_model(grown, config).save_pretrained(tmp_path / "grown")
    error = refusal(tmp_path / "grown", base=base)
    assert "vocabulary was resized" in error.what
    assert f"{rows + 4} tokens" in error.what
    assert str(rows) in error.what


def test_an_adapter_for_another_architecture_or_size_is_refused(tmp_path, base, adapter):
    words = tokenizer()
    other = GPT2LMHeadModel(GPT2Config(vocab_size=len(words), n_embd=16, n_layer=2, n_head=2, n_positions=64))
    save_model(other, words, tmp_path / "gpt2")
    save_model(
        new_model(ModelShape(hidden=32, ffn=32, layers=2, heads=2, context=64), words, 0), words, tmp_path / "wide"
    )
    deep = ModelShape(hidden=16, ffn=32, layers=3, heads=2, context=64)
    save_model(new_model(deep, words, 0), words, tmp_path / "deep")
    shallow = ModelShape(hidden=16, ffn=32, layers=1, heads=2, context=64)
    save_model(new_model(shallow, words, 0), words, tmp_path / "shallow")
    for name, model in (("gpt2", "GPT2"), ("wide", "Llama"), ("deep", "no weights for"), ("shallow", "has no")):
        what = refusal(adapter, base=tmp_path / name).what
        assert "does not fit" in what
        assert model in what


def test_a_prompt_adapter_is_refused(tmp_path, base):
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "prompt")
    assert "adapters that are prompts" in refusal(tmp_path / "prompt", base=base).what


def test_a_base_for_a_whole_model_is_refused(base):
    assert "no adapter" in refusal(base, base=base).what


def test_an_adapter_is_not_merged_into_rounded_weights(adapter):
    assert "exact weights" in refusal(adapter, quantised="4bit").what


def test_four_bits_without_bitsandbytes_or_a_gpu_are_refused_with_the_line_that_helps(base):
    with pytest.raises(MissingExtra, match="4 bits") as caught:
        load(base, quantised="4bit")
    assert "bitsandbytes" in str(caught.value) or "GPU" in str(caught.value)
    assert "set quantised to no" in (caught.value.hint or "")
    assert isinstance(caught.value, AlidadeError)


@pytest.mark.parametrize("scores", [False, True], ids=["policy", "reward model"])
def test_adapters_trained_on_rounded_weights_are_added_to_the_exact_ones(tmp_path, base, scores):
    def adapted(rounding):
        model = load(base)
        network = new_reward_model(model, 0) if scores else model
        with torch.no_grad():
            for weight in network.module.base_model.parameters():
                weight.mul_(rounding)
        return replace(network, module=moved(add_lora(network.module, LoraConfig(rank=2))))

    settings = SftStage(method="lora", lora=LoraConfig(rank=2, quantised="4bit"))
    found = merged(adapted(1.1), settings, Artifact("model", "d" * 64, base), tmp_path)
    assert type(found) is type(adapted(1.0))
    assert torch.allclose(logits(found.module), logits(merge_lora(adapted(1.0).module)), atol=1e-5)
    assert not torch.allclose(logits(found.module), logits(adapted(1.1).module), atol=1e-3)
    assert base_digest(tmp_path / "adapter") == "d" * 64
