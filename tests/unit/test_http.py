from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alidade.errors import ModelUnavailable
from alidade.models.base import Sampling
from alidade.models.http import Endpoint, HttpModel
from alidade.records import Conversation

Respond = Callable[[dict, int], tuple[int, dict[str, str], bytes]]
HOW = Sampling(max_new_tokens=9, temperature=0.5, seed=3)


def said(text: str, reason: str = "stop") -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return json.dumps({"choices": [choice], "usage": {"completion_tokens": 4}}).encode()


def echo(body: dict, attempt: int) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, said(f"you said {body['messages'][-1]['content']}")


@contextmanager
def served(respond: Respond, seen: list | None = None) -> Iterator[str]:
    """An endpoint that answers with `respond(body, the number of earlier tries with this body)`."""
    tries: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked = json.dumps(body, sort_keys=True)
            with lock:
                attempt = tries.get(asked, 0)
                tries[asked] = attempt + 1
                if seen is not None:
                    seen.append((self.path, dict(self.headers), body))
            status, headers, content = respond(body, attempt)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def chats(*texts: str) -> list[Conversation]:
    return [Conversation.ask(text) for text in texts]


def model(url: str, waits: list[float] | None = None, **changes) -> HttpModel:
    endpoint = Endpoint(url=url, model="tiny", key_variable="ALIDADE_TEST_KEY", **{"first_wait": 0.25, **changes})
    return HttpModel(endpoint, sleep=(waits if waits is not None else []).append)


def test_the_request_is_openais_and_carries_the_key_of_the_named_variable(monkeypatch):
    monkeypatch.setenv("ALIDADE_TEST_KEY", "sesame")
    seen: list = []
    with served(echo, seen) as url:
        one = model(url)
        answers = one.reply([Conversation.ask("hello", system="Be brief.")], HOW)
    assert answers[0].text == "you said hello"
    assert answers[0].token_count == 4
    path, headers, body = seen[0]
    assert path == "/v1/chat/completions"
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer sesame"
    assert body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 3,
    }
    assert "sesame" not in repr(one) + one.endpoint.model_dump_json()


def test_concurrent_answers_come_back_in_the_order_of_the_questions():
    def slow_first(body: dict, attempt: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.1 if body["messages"][-1]["content"] == "0" else 0)
        return echo(body, attempt)

    with served(slow_first) as url:
        answers = model(url).reply(chats(*map(str, range(20))), HOW)
    assert [answer.text for answer in answers] == [f"you said {place}" for place in range(20)]


def test_a_busy_endpoint_is_asked_again_with_doubling_waits():
    waits: list[float] = []
    with served(lambda body, attempt: (503, {}, b"") if attempt < 3 else echo(body, attempt)) as url:
        assert model(url, waits).reply(chats("hello"), HOW)[0].text == "you said hello"
    assert len(waits) == 3
    for attempt, wait in enumerate(waits):
        assert 0.5 * 0.25 * 2**attempt <= wait <= 0.25 * 2**attempt


def test_the_wait_is_what_the_endpoint_asks_for_up_to_the_longest():
    waits: list[float] = []
    asked = [{"retry-after": "7"}, {"retry-after": "900"}, {"retry-after": "soon"}]
    with served(lambda body, attempt: (429, asked[attempt], b"") if attempt < 3 else echo(body, attempt)) as url:
        model(url, waits, longest_wait=30).reply(chats("hello"), HOW)
    assert waits[:2] == [7, 30]
    assert waits[2] <= 1


def test_what_will_not_pass_is_not_tried_again_and_spoils_only_its_item():
    waits: list[float] = []
    with served(
        lambda body, attempt: (400, {}, b"bad words") if "b" in str(body["messages"]) else echo(body, 0)
    ) as url:
        first, second, third = model(url, waits).reply(chats("a", "b", "c"), HOW)
    assert (first.text, third.text) == ("you said a", "you said c")
    assert second.error == "the endpoint said 400: bad words"
    assert not waits


def test_an_endpoint_that_stays_busy_is_the_items_error_after_all_tries():
    waits: list[float] = []
    with served(lambda body, attempt: (500, {}, b"") if "b" in str(body["messages"]) else echo(body, 0)) as url:
        answers = model(url, waits, attempts=3).reply(chats("a", "b"), HOW)
    assert answers[1].error == "the endpoint said 500"
    assert len(waits) == 2


@pytest.mark.parametrize(
    "content", [b"not json", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
)
def test_a_reply_without_text_is_the_items_error(content):
    with served(lambda body, attempt: (200, {}, content)) as url:
        assert model(url).reply(chats("a"), HOW)[0].error is not None


def test_a_cut_answer_is_unfinished():
    with served(lambda body, attempt: (200, {}, said("and then", "length"))) as url:
        assert not model(url).reply(chats("a"), HOW)[0].finished


def test_an_endpoint_that_is_too_slow_is_tried_again():
    def slow_once(body: dict, attempt: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(1.0 if attempt == 0 else 0)
        return echo(body, attempt)

    waits: list[float] = []
    with served(slow_once) as url:
        assert model(url, waits, timeout=0.5).reply(chats("hello"), HOW)[0].text == "you said hello"
    assert len(waits) == 1


def test_no_endpoint_at_all_is_unavailable():
    with served(echo) as url:
        pass
    with pytest.raises(ModelUnavailable, match="did not answer") as caught:
        model(url, attempts=2).reply(chats("a", "b"), HOW)
    assert caught.value.where == url


def test_no_questions_are_no_answers():
    assert model("http://127.0.0.1:1/v1").reply([], HOW) == []
