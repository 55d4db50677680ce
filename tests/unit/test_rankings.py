"""Files of rankings, and what a comparison's file says of ties, margins and attributes."""

import json

import pytest

from alidade.errors import DataError
from alidade.preferences import comparisons_in, read_judgements
from alidade.records import Comparison, Conversation, Ranking
from alidade.stages.judged import read_judged, write_split


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path, *rows, fmt="auto", **how):
    return read_judgements(write(path / "rows.jsonl", *rows), fmt, **how).rows


ULTRA = {
    "instruction": "Say hello.",
    "completions": [
        {"response": "hello", "fine-grained_score": 4.5, "overall_score": 1.0},
        {"response": "bye", "fine-grained_score": 1.0, "overall_score": 9.0},
        {"response": "hi", "fine-grained_score": 4.5, "overall_score": 5.0},
    ],
}


@pytest.mark.parametrize(
    ("row", "fmt", "ranks"),
    [
        ({"prompt": "q", "answers": ["a", "b", "c"], "ranks": [3, 1, 3]}, "auto", (1, 0, 1)),
        ({"prompt": "q", "answers": ["a", "b", "c"], "scores": [0.5, 7, 0.1]}, "auto", (1, 0, 2)),
        (ULTRA, "auto", (0, 1, 0)),
        ({"history": [["prompter", "q"]], "ranked_replies": ["a", "b", "c"]}, "oasst-ranking", (0, 1, 2)),
    ],
)
def test_known_layouts_become_rankings(tmp_path, row, fmt, ranks):
    (ranking,) = read(tmp_path, row, fmt=fmt)
    assert isinstance(ranking, Ranking)
    assert ranking.ranks == ranks


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"prompt": "q", "answers": ["a"], "ranks": [0]}, "fewer than two answers"),
        ({"prompt": "q", "answers": ["a", "a"], "ranks": [0, 1]}, "equal answers"),
        ({"prompt": "q", "answers": ["a", "b"], "ranks": [0]}, "two lists of one length"),
        ({"prompt": "q", "answers": ["a", "b"], "scores": [1, "high"]}, "not a finite number"),
        ({"prompt": "q", "answers": ["a", "b"], "ranks": [0, 1], "attribute": "kind"}, "attribute is not one of"),
        ({"prompt": "q", "left": "a", "right": "b", "label_prob": 0.9, "tie_prob": 0.5}, "tie_prob is too large"),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "margin": "wide"}, "margin is not a number"),
    ],
)
def test_what_is_no_judgement_is_named_with_its_line(tmp_path, row, what):
    with pytest.raises(DataError) as caught:
        read(tmp_path, row)
    assert what in str(caught.value)
    assert str(caught.value.where).endswith(":1")


def test_pairs_keep_their_margin_attribute_and_declared_ties(tmp_path):
    trl = {"prompt": "q", "chosen": "a", "rejected": "b", "margin": 2.5, "attribute": "harmless"}
    (row,) = read(tmp_path, trl)
    assert (row.margin, row.attribute, row.tie_prob) == (2.5, "harmless", 0.0)
    votes = [["w1", "left"], ["w2", "tie"], ["w3", "tie"], ["w4", "left"]]
    (row,) = read(tmp_path, {"prompt": "q", "response_left": "a", "response_right": "b", "votes": votes})
    assert (row.label_prob, row.tie_prob) == (0.75, 0.5)
    (row,) = read(tmp_path, {"prompt": "q", "left": "a", "right": "b", "label_prob": 0.6, "tie_prob": 0.8})
    assert row.tie_prob == 0.8


def test_a_comparison_without_them_is_stored_as_before():
    row = Comparison(id="1", prompt=Conversation.ask("q"), left="a", right="b", label_prob=1.0)
    assert not {"margin", "tie_prob"} & set(row.model_dump(mode="json"))


def test_an_artifact_holds_both_and_rankings_only_where_there_are_any(tmp_path):
    asked = Conversation.ask("q")
    pair = Comparison(id="p/1", prompt=asked, left="a", right="b", label_prob=1.0)
    ranking = Ranking(id="p/2", prompt=asked, answers=("a", "b", "c"), ranks=(0, 0, 1))
    assert write_split(tmp_path, [pair], []) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heldout.jsonl", "rows.jsonl"]
    assert write_split(tmp_path, [ranking, pair], [ranking]) == 2
    assert read_judged(tmp_path) == ([pair, ranking], [ranking])


def test_the_pairs_of_a_ranking_are_comparisons():
    ranking = Ranking(id="p/2", prompt=Conversation.ask("q"), answers=("a", "b", "c"), ranks=(0, 0, 1))
    pairs = comparisons_in(ranking)
    assert [(row.left, row.right, row.label_prob, row.tie_prob) for row in pairs] == [
        ("a", "b", 0.5, 1.0),
        ("a", "c", 1.0, 0.0),
        ("b", "c", 1.0, 0.0),
    ]
    assert {row.id.rpartition("/")[0] for row in pairs} == {"p"}
