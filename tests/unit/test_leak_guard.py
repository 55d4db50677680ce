"""No example gives away what is asked: planted leaks are refused by name, and other examples stay."""

from __future__ import annotations

import json

import pytest

from alidade.errors import DataError
from alidade.records import Candidates, Completion, Conversation, Prompt, Vote
from alidade.stages.examples import corrected, leak_guard, safe_examples
from alidade.store import write_rows

ASKED = [
    Conversation.ask("How do I kill a Python process?"),
    Conversation.ask("Is it late?").then("assistant", "Yes.").then("user", "Then how do I get home without a bus?"),
    Conversation.ask(
        "Tell me about the long and winding road from the harbour to the old town, and where to rest on it."
    ),
]


@pytest.mark.parametrize(
    "planted",
    [
        "How do I kill a Python process?",
        "HOW do i kill a python process",
        "How can I kill a Python process?",
        "Is it late?",
        "Then how do I get home without a bus?",
        "Tell me about the long and winding road from the harbour to the old town, and where to sleep on it.",
    ],
)
def test_a_planted_leak_is_found(planted):
    assert leak_guard(ASKED)(Conversation.ask(planted))


@pytest.mark.parametrize(
    "harmless",
    ["How do I clean a cast-iron pan?", "Is it far?", "Tell me about the sea.", "How do I kill weeds in a garden?"],
)
def test_another_prompt_is_no_leak(harmless):
    assert not leak_guard(ASKED)(Conversation.ask(harmless))


def test_a_conversation_that_goes_on_from_a_prompt_is_a_leak():
    longer = ASKED[0].then("assistant", "With kill.").then("user", "And a Ruby one, how do I end that?")
    assert leak_guard(ASKED)(longer)


def test_where_nothing_is_asked_nothing_leaks():
    assert not leak_guard([])(Conversation.ask("How?"))


def export(folder):
    answers = (Completion(text="bad"), Completion(text="good"))
    rows = [
        Candidates(prompt=Prompt(id=f"p{n}", conversation=talk), answers=answers)
        for n, talk in enumerate((ASKED[0], Conversation.ask("How do I clean a cast-iron pan?")))
    ]
    votes = [
        Vote(id=f"v{n}{place}", prompt_id=f"p{n}", annotator=f"a{place}", left=1, right=0, choice=choice)
        for n in range(2)
        for place, choice in enumerate(("left", "left", "right"))
    ]
    write_rows(folder / "answers.jsonl", rows)
    write_rows(folder / "rows.jsonl", votes)
    return folder


def test_what_people_said_comes_back_as_examples_without_those_that_are_asked(tmp_path):
    assert [(one.corrects, one.incorrects) for one in corrected(export(tmp_path)).comparisons] == [
        (("good",), ("bad",)),
        (("good",), ("bad",)),
    ]
    shots, refused = safe_examples([str(tmp_path)], ASKED)
    assert [one.talk.last_user_text for one in shots.comparisons] == ["How do I clean a cast-iron pan?"]
    assert refused == [f"{tmp_path}: comparisons.0 (How do I kill a Python process?)"]


def test_a_folder_that_is_no_export_is_refused(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({}))
    with pytest.raises(DataError, match="no examples here"):
        corrected(tmp_path)
