"""Rewards from outside: a server and a judge, and everything that can be wrong with their replies."""

import json
import time

import pytest
from tests.unit.test_http import served

from alidade.errors import ModelError, ModelUnavailable
from alidade.models.scripted import QueuedModel
from alidade.models.wrap import Recorded
from alidade.records import Conversation, Prompt
from alidade.training.reward_settings import RewardJudge, RewardServer, RewardSource
from alidade.training.reward_sources import JudgedReward, ServedReward, open_reward

KEY = "sesame-open"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ALIDADE_REWARD_KEY", KEY)


def prompts(count=3):
    return [Prompt(id=str(n), conversation=Conversation.ask(f"q{n}", system="Be brief.")) for n in range(count)]


def serving(reply):
    """An endpoint whose reply to a body is `reply(body)`: (status, text)."""
    return served(lambda body, attempt: (reply(body)[0], {}, reply(body)[1].encode()))


def server(url, waits=None, **changes):
    changes = {"attempts": 3, "timeout": 5.0, "answers_at_once": 2, **changes}
    return ServedReward(RewardServer(base_url=url, **changes), sleep=(waits if waits is not None else []).append)


def test_answers_are_sent_in_parts_with_the_key_and_scores_keep_their_order():
    seen = []
    lengths = lambda body, attempt: (200, {}, json.dumps({"scores": [len(a) for a in body["answers"]]}).encode())  # noqa: E731
    with served(lengths, seen) as url:
        assert server(url)(prompts(), ["a", "bb", ""], [True, True, False]) == [1.0, 2.0, 0.0]
    assert [len(body["answers"]) for _, _, body in seen] == [2, 1]
    _, headers, body = seen[1]
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == f"Bearer {KEY}"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q2"}]
    assert body == {"prompts": [turns], "answers": [""], "finished": [False]}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"scores": [1]}', "1 scores for 2 answers"),
        ('{"scores": [1, 2, 3]}', "3 scores for 2 answers"),
        ('{"scores": 3}', "no list of scores"),
        ('{"scores": [1, NaN]}', "no number, the first nan at place 1"),
        ('{"scores": [1, null]}', "no number, the first None"),
        ('{"scores": ["1", 2]}', "no number, the first '1'"),
        ('{"rewards": [1, 2]}', "not JSON with `scores`"),
        ("<html>busy</html>", "not JSON with `scores`: '<html>busy</html>'"),
    ],
)
def test_a_reply_that_is_not_what_was_asked_for_names_the_server_and_what_is_wrong(text, what):
    with serving(lambda body: (200, text)) as url, pytest.raises(ModelError, match=what) as caught:
        server(url)(prompts(2), ["a", "b"], [True, True])
    assert caught.value.where == url
    assert '{"scores": [...]}' in str(caught.value.hint)


def test_a_server_that_stalls_is_given_up_with_a_hint_to_go_on_later():
    def stall(body, attempt):
        time.sleep(0.4)
        return 200, {}, b"{}"

    waits = []
    with served(stall) as url, pytest.raises(ModelUnavailable, match="did not answer in time") as caught:
        server(url, waits, timeout=0.1, attempts=2)(prompts(1), ["a"], [True])
    assert len(waits) == 1
    assert "2 tries of 0.1 s" in str(caught.value.hint)


def test_a_busy_server_is_asked_again():
    states = iter([503, 429, 200])
    waits = []
    with served(lambda body, attempt: (next(states), {}, b'{"scores": [0.5]}')) as url:
        assert server(url, waits)(prompts(1), ["a"], [True]) == [0.5]
    assert len(waits) == 2


def test_the_key_is_in_no_message_even_if_the_server_sends_it_back():
    with serving(lambda body: (403, f"bad key {KEY}")) as url, pytest.raises(ModelUnavailable) as caught:
        server(url.replace("http://", "http://user:secret@"))(prompts(1), ["a"], [True])
    assert KEY not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "bad key ***" in caught.value.what


def judge(*replies, **how):
    model = Recorded(QueuedModel(replies, name="judge"))
    return model, JudgedReward(model, RewardJudge(model="script:x", rubric="Is it short?", **how))


def test_a_judge_sees_rubric_conversation_and_answer_and_its_marks_count_from_0_to_1():
    model, reward = judge("1", "10", " 4/10. ")
    assert reward(prompts(), ["first", "second", "third"], [True] * 3) == pytest.approx([0, 1, 1 / 3])
    asked = model.exchanges[1].chat.last_user_text
    assert asked.startswith("Is it short?")
    assert "user: q1" in asked
    assert "<answer>\nsecond\n</answer>" in asked
    assert model.exchanges[0].how.temperature == 0


@pytest.mark.parametrize("reply", ["0", "11", "7.5", "I give it 7", "seven", "", "8 9"])
def test_a_reply_that_is_no_number_is_asked_for_again_and_never_guessed(reply):
    model, reward = judge("5", reply, "9")
    assert reward(prompts(2), ["a", "b"], [True] * 2) == pytest.approx([4 / 9, 8 / 9])
    assert model.exchanges[2].how.temperature > 0
    _, stubborn = judge("5", reply, reply, attempts=2)
    with pytest.raises(ModelError, match="1 of 2 answers no number from 1 to 10 in 2 tries; to answer 1") as caught:
        stubborn(prompts(2), ["a", "b"], [True] * 2)
    assert caught.value.where == "judge"


def test_a_reward_has_one_source():
    with pytest.raises(ValueError, match="one of verify, http and judge"):
        RewardSource()
    with pytest.raises(ValueError, match="one of verify, http and judge"):
        RewardSource(verify="final-number", http=RewardServer(base_url="http://x"))


def test_sources_open_by_what_they_name(tmp_path):
    script = tmp_path / "judge.jsonl"
    script.write_text('{"ask": ".", "reply": "10"}\n')
    judged = open_reward(RewardSource(judge=RewardJudge(model=f"script:{script}")))
    assert judged(prompts(1), ["a"], [True]) == [1.0]
    assert isinstance(open_reward(RewardSource(http=RewardServer(base_url="http://x"))), ServedReward)
