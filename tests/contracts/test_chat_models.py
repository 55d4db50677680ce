"""What every model that talks must keep: one completion per conversation, in order, and a fault is its item's alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from alidade.models.attention import attach
from alidade.models.base import ChatModel, Sampling
from alidade.models.http import Endpoint, HttpModel
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.models.scripted import QueuedModel, Rule, ScriptedModel
from alidade.models.wrap import Cached, Recorded
from alidade.records import Conversation

GOOD = [Conversation.ask(f"question {number}") for number in range(5)]
# Too long for the local model's context, refused by the endpoint, answered by no rule.
BAD = Conversation.ask("nothing but trouble " * 30)
HOW = Sampling(max_new_tokens=5, temperature=0)


def local() -> LocalModel:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={"<eos>": 0, **{one: place for place, one in enumerate(alphabet, 1)}}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=257,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    module = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    attach(module)
    return LocalModel("tiny", module, tokenizer, Renderer(tokenizer), 128)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        answer = {"choices": [{"message": {"content": f"to {asked}"}, "finish_reason": "stop"}]}
        content = json.dumps(answer).encode()
        self.send_response(200 if asked.startswith("question") else 400)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["local", "http", "scripted", "cached", "recorded", "cached http"])
def model(request: pytest.FixtureRequest, url: str) -> ChatModel:
    script = ScriptedModel([Rule(ask=r"question \d", reply="to {0}")])
    endpoint = HttpModel(Endpoint(url=url, model="tiny", key_variable="ALIDADE_TEST_KEY"))
    choices: dict[str, ChatModel] = {
        "http": endpoint,
        "scripted": script,
        "cached": Cached(script),
        "recorded": Recorded(script),
        "cached http": Cached(endpoint),
    }
    return choices[request.param] if request.param in choices else local()


def test_the_order_of_the_conversations_is_kept(model):
    together = model.reply(GOOD, HOW)
    assert len(together) == len(GOOD)
    assert together == [model.reply([chat], HOW)[0] for chat in GOOD]
    assert model.reply(GOOD[::-1], HOW) == together[::-1]


def test_one_bad_item_is_an_error_and_the_others_are_answered(model):
    alone = model.reply(GOOD, HOW)
    mixed = model.reply([*GOOD[:2], BAD, *GOOD[2:]], HOW)
    assert mixed[2].error
    assert mixed[2].text == ""
    assert not mixed[2].finished
    assert [*mixed[:2], *mixed[3:]] == alone
    assert all(answer.error is None for answer in alone)


def test_no_conversations_are_no_completions(model):
    assert model.reply([], HOW) == []


def test_it_has_a_name(model):
    assert model.name


def test_a_queue_keeps_the_order_too():
    assert [answer.text for answer in QueuedModel(["a", "b"]).reply(GOOD[:2], HOW)] == ["a", "b"]
