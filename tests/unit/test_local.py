from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from alidade.digest import digest_folder
from alidade.errors import DataError, ModelError
from alidade.models import open_model
from alidade.models.base import Sampling
from alidade.models.local import LocalModel, choose_dtype, load, save_model, tune_allocator
from alidade.records import Conversation

HOW = Sampling(max_new_tokens=6, temperature=0)


def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        ["User: How do I bake bread?\nAssistant: Mix flour."],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<eos>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")


def module(vocabulary: int | None = None):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary or len(tokenizer()),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=48,
        bos_token_id=0,
        eos_token_id=0,
    )
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model") / "tiny"
    save_model(module(), tokenizer(), made)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return load(folder, dtype="float32")


def test_what_was_saved_is_loaded_with_the_same_weights(folder, model):
    for name, tensor in module().state_dict().items():
        assert torch.equal(model.module.state_dict()[name], tensor), name
    assert model.context_length == 48
    assert model.renderer.stop_ids == {0}


def test_equal_weights_are_saved_as_equal_bytes_that_name_no_place(folder, tmp_path):
    again = load(folder, dtype="float32")
    save_model(again.module, again.tokenizer, tmp_path / "other" / "place")
    assert digest_folder(tmp_path / "other" / "place") == digest_folder(folder)
    assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    for path in folder.glob("*.json"):
        assert str(folder.parent) not in path.read_text("utf-8")


def test_plain_transformers_reads_what_was_saved(folder):
    plain = AutoModelForCausalLM.from_pretrained(folder)
    assert plain.config._attn_implementation == "sdpa"


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_adapters_are_merged_into_what_is_saved_and_stay_in_what_is_trained(tmp_path):
    adapted = get_peft_model(module(), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    save_model(adapted, tokenizer(), tmp_path / "merged")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        expected = adapted(input_ids=ids).logits
        merged = load(tmp_path / "merged", dtype="float32").module(input_ids=ids).logits
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-4)
    assert any("lora" in name for name, _ in adapted.named_parameters())


def test_replies_keep_their_order_and_a_prompt_that_is_too_long_is_an_error_of_its_own(model):
    chats = [Conversation.ask("short"), Conversation.ask("long " * 60), Conversation.ask("other")]
    first, second, third = model.reply(chats, HOW)
    assert second.error is not None
    assert "context of 48" in second.error
    assert first.error is None
    assert third.error is None
    assert first == model.reply(chats[:1], HOW)[0]
    assert third == model.reply(chats[2:], HOW)[0]


def test_a_sampled_prompt_that_is_too_long_names_its_row_and_the_limit(model):
    with pytest.raises(DataError, match="context of 48") as caught:
        model.sample([[5], [6] * 48], HOW)
    assert caught.value.where == "prompt 1"


def test_scores_are_the_log_probabilities_of_the_continuations(model):
    rows = [([5, 6, 7], [8, 9]), ([5, 6, 7], [10]), ([11], [12, 13, 14]), ([11], []), ([5, 6, 7], [8, 9])]
    scores = model.score(rows)
    for (prompt, continuation), found in zip(rows, scores, strict=True):
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([prompt + continuation])).logits[0]
        steps = logits.log_softmax(-1)[len(prompt) - 1 : len(prompt) + len(continuation) - 1]
        expected = [float(step[token]) for step, token in zip(steps, continuation, strict=True)]
        assert found == pytest.approx(expected, abs=1e-4)


def test_scores_of_sampled_tokens_equal_the_engines_own(model):
    prompts = [[5, 6], [7]]
    sampled = model.sample(prompts, Sampling(max_new_tokens=7), copies=2)
    scores = model.score([(prompts[place // 2], one.tokens) for place, one in enumerate(sampled)])
    for one, found in zip(sampled, scores, strict=True):
        assert found == pytest.approx(one.log_probs, abs=1e-4)


def test_a_row_longer_than_the_context_cannot_be_scored(model):
    with pytest.raises(DataError, match="row of 49 tokens") as caught:
        model.score([([5], [6]), ([5] * 40, [6] * 9)])
    assert caught.value.where == "row 1"


def test_a_folder_without_tokenizer_is_refused_with_the_files_that_are_missing(tmp_path):
    module().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no tokenizer") as caught:
        load(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert "tokenizer.json" in (caught.value.hint or "")


def test_a_folder_that_does_not_exist_or_holds_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(tmp_path)


def test_damaged_weights_are_refused(folder, tmp_path):
    save_model(module(), tokenizer(), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


def test_a_config_of_an_unknown_kind_is_refused(tmp_path):
    save_model(module(), tokenizer(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model"}), "utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


def test_a_tokenizer_that_knows_more_tokens_than_the_model_is_refused(tmp_path):
    save_model(module(vocabulary=100), tokenizer(), tmp_path)
    with pytest.raises(ModelError, match="the model only 100"):
        load(tmp_path)


def test_weights_come_in_the_asked_type(folder):
    assert load(folder, dtype="bfloat16").module.dtype == torch.bfloat16
    assert load(folder).module.dtype == choose_dtype()
    with pytest.raises(ModelError, match="no number type"):
        load(folder, dtype="float17")


def test_an_address_opens_the_model_it_names(folder, tmp_path):
    assert isinstance(open_model(str(folder)), LocalModel)
    (tmp_path / "script.jsonl").write_text('{"ask": "bread", "reply": "Mix."}\n', "utf-8")
    assert open_model(f"script:{tmp_path / 'script.jsonl'}").reply([Conversation.ask("bread?")], HOW)[0].text == "Mix."
    assert open_model("http://localhost:1/v1#tiny").name == "tiny@localhost"
    for wrong in ("", "hf:", "http://localhost/v1", str(tmp_path / "nowhere")):
        with pytest.raises(ModelError):
            open_model(wrong)


def test_the_allocator_can_be_tuned_anywhere():
    tune_allocator()
