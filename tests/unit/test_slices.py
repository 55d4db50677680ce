"""Accuracy by kind of pair, and reading of ties and margins."""

import pytest

from alidade.preferences.slices import format_of, refuses, slices, source_of, which_is_longer
from alidade.records import Comparison, Conversation


def pair(number, left, right, label_prob=1.0, **fields):
    asked = Conversation.ask(f"q {number}")
    return Comparison(
        id=f"p{number}/file:{number}.0", prompt=asked, left=left, right=right, label_prob=label_prob, **fields
    )


def test_a_score_that_reads_length_alone_is_found_out():
    rows = [pair(n, "long " * (n + 2), "short", float(n % 3 > 0)) for n in range(30)]
    leads = [float(len(row.left) - len(row.right)) for row in rows]
    found = slices(rows, rows, leads)
    assert found["longer"]["preferred is longer"].mean == 1.0
    assert found["longer"]["preferred is shorter"].mean == 0.0
    assert [found["longer"][part].n for part in sorted(found["longer"])] == [20, 10]
    assert len(found["length quartile"]) == 4
    assert sum(part.n for part in found["length quartile"].values()) == 30
    assert all(part.low <= part.mean <= part.high for parts in found.values() for part in parts.values())


def test_a_split_with_one_part_says_nothing_and_undecided_pairs_are_in_none():
    rows = [pair(0, "aa", "b"), pair(1, "a", "bb"), pair(2, "a", "bbb", 0.5)]
    found = slices(rows, rows, [1.0, 1.0, 1.0])
    assert "source" not in found
    assert "attribute" not in found
    assert sum(part.n for part in found["longer"].values()) == 2


def test_kinds_of_pairs():
    assert which_is_longer(pair(0, "a", "bb", 0.0)) == "preferred is longer"
    assert which_is_longer(pair(0, "a", "b", 0.0)) == "equal length"
    assert format_of(pair(0, "Do:\n- one\n- two", "no")) == "list"
    assert format_of(pair(0, "```\nx = 1\n```", "- a\n- b")) == "code"
    assert format_of(pair(0, "a - b - c", "1. only")) == "plain"
    assert source_of(pair(0, "a", "b")) == "file"
    assert source_of(pair(0, "a", "b", source="person")) == "person"


@pytest.mark.parametrize(
    "text", ["I'm sorry, but no.", "I can\u2019t help with that.", "As an AI, no.", "Sorry. I won't do it"]
)
def test_refusals(text):
    assert refuses(text)


@pytest.mark.parametrize("text", ["Sure, I can help.", "You cannot park here.", "x" * 200 + " I can't"])
def test_answers_that_are_no_refusal(text):
    assert not refuses(text)
