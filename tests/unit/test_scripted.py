from __future__ import annotations

import pytest

from alidade.errors import DataError
from alidade.models.base import Sampling
from alidade.models.scripted import QueuedModel, Rule, ScriptedModel, read_script
from alidade.models.wrap import Cached, Recorded
from alidade.records import Conversation

HOW = Sampling(max_new_tokens=50)
BREAD, WEATHER = Conversation.ask("How is BREAD made?"), Conversation.ask("Will it rain?")
RULES = [Rule(ask="bread|cake", reply="Mix flour for {0}."), Rule(ask="bread", reply="never reached")]


def test_the_first_matching_rule_answers_and_other_items_are_errors():
    first, second = ScriptedModel(RULES).reply([BREAD, WEATHER], HOW)
    assert first.text == "Mix flour for BREAD."
    assert second.error is not None


def test_only_the_last_user_turn_is_matched():
    later = BREAD.then("assistant", "Mix.").then("user", "Will it rain?")
    assert ScriptedModel(RULES).reply([later], HOW)[0].error is not None


def test_replies_are_cut_at_the_longest_answer():
    answer = ScriptedModel(RULES).reply([BREAD], Sampling(max_new_tokens=2))[0]
    assert (answer.text, answer.finished, answer.token_count) == ("Mix flour", False, 2)


def test_a_queue_gives_its_replies_in_order_and_then_errors():
    model = QueuedModel(["one", "two"])
    assert [answer.text for answer in model.reply([WEATHER, BREAD], HOW)] == ["one", "two"]
    assert model.reply([BREAD], HOW)[0].error is not None


def test_a_script_is_read_and_a_bad_line_is_named(tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_text('{"ask": "rain", "reply": "No."}\n\n', "utf-8")
    model = read_script(path)
    assert model.name == "talk"
    assert model.reply([WEATHER], HOW)[0].text == "No."
    for line in ('{"ask": "rain"}', '{"ask": "(", "reply": "x"}', "rain"):
        path.write_text('{"ask": "a", "reply": "b"}\n' + line, "utf-8")
        with pytest.raises(DataError, match="not a rule") as caught:
            read_script(path)
        assert caught.value.where == f"{path}:2"
    with pytest.raises(DataError, match="cannot be read"):
        read_script(tmp_path / "nowhere.jsonl")


def test_a_cached_model_is_asked_once_and_its_faults_are_not_remembered():
    inside = Recorded(ScriptedModel(RULES))
    model = Cached(inside)
    first = model.reply([BREAD, WEATHER], HOW)
    assert model.reply([WEATHER, BREAD], HOW) == first[::-1]
    assert [exchange.chat for exchange in inside.exchanges] == [BREAD, WEATHER, WEATHER]
    model.reply([BREAD], Sampling(max_new_tokens=3))
    assert len(inside.exchanges) == 4, "another way of sampling is another question"


def test_a_cached_model_answers_repeated_questions_separately_and_the_same_again():
    model = Cached(QueuedModel(["one", "two", "three"]))
    assert [answer.text for answer in model.reply([BREAD, BREAD], HOW)] == ["one", "two"]
    assert [answer.text for answer in model.reply([BREAD, BREAD, BREAD], HOW)] == ["one", "two", "three"]


def test_a_recorded_model_keeps_every_exchange():
    model = Recorded(QueuedModel(["one"]))
    answers = model.reply([BREAD, WEATHER], HOW)
    assert [exchange.answer for exchange in model.exchanges] == answers
    assert model.name == "queue"
