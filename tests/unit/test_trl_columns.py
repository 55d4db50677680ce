"""TRL's column layouts: each gives its record, standard and conversational; what is not used is named; and the way back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alidade.errors import DataError
from alidade.preferences import (
    read_comparisons,
    read_demonstrations,
    read_feedback,
    read_prompts,
    trl_columns,
    unpaired,
)
from alidade.records import Comparison, Conversation, Demonstration, Feedback, Message

ASKED = "What color is the sky?"
USER = [{"role": "user", "content": ASKED}]
BLUE, GREEN = ([{"role": "assistant", "content": text}] for text in ("It is blue.", "It is green."))
SKY = Conversation.ask(ASKED)
EXTRA = {"tools": [{"type": "function", "function": {"name": "look"}}], "chat_template_kwargs": {"thinking": False}}
READERS = {
    "demonstrations": read_demonstrations,
    "comparisons": read_comparisons,
    "feedback": read_feedback,
    "prompts": read_prompts,
}
GOOD, PAIR = ("It is blue.",), ("It is blue.", "It is green.", 1.0)
LAYOUTS = [
    ("language modelling, conversational", "demonstrations", {"messages": USER + BLUE}, GOOD),
    ("prompt-only, standard", "prompts", {"prompt": ASKED}, ()),
    ("prompt-only, conversational", "prompts", {"prompt": USER}, ()),
    ("prompt-completion, standard", "demonstrations", {"prompt": ASKED, "completion": " It is blue."}, GOOD),
    ("prompt-completion, conversational", "demonstrations", {"prompt": USER, "completion": BLUE}, GOOD),
    ("preference, standard", "comparisons", {"prompt": ASKED, "chosen": PAIR[0], "rejected": PAIR[1]}, PAIR),
    (
        "preference with a margin, standard and implicit",
        "comparisons",
        {"chosen": f"{ASKED} Blue.", "rejected": f"{ASKED} Green.", "margin": 0.5},
        ("Blue.", "Green.", 1.0),
    ),
    ("preference, conversational", "comparisons", {"prompt": USER, "chosen": BLUE, "rejected": GREEN}, PAIR),
    (
        "preference, conversational and implicit",
        "comparisons",
        {"chosen": USER + BLUE, "rejected": USER + GREEN},
        PAIR,
    ),
    ("unpaired, standard", "feedback", {"prompt": ASKED, "completion": " It is blue.", "label": True}, (*GOOD, 1.0)),
    (
        "unpaired, conversational",
        "feedback",
        {"prompt": USER, "completion": GREEN, "label": False},
        ("It is green.", 0.0),
    ),
    (
        "unpaired with a soft label",
        "feedback",
        {"prompt": USER, "completion": BLUE, "label": True, "label_prob": 0.75},
        (*GOOD, 0.75),
    ),
    (
        "scored, as in UltraFeedback",
        "comparisons",
        {
            "instruction": ASKED,
            "completions": [
                {"response": "It is blue.", "overall_score": 8.5, "model": "x"},
                {"response": "It is green.", "overall_score": 2.0, "model": "y"},
            ],
        },
        PAIR,
    ),
    (
        "ranked completions",
        "comparisons",
        {"context": USER, "completions": [{"rank": 1, "completion": GREEN}, {"rank": 0, "completion": BLUE}]},
        ("It is green.", "It is blue.", 0.0),
    ),
]


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parts(row):
    if isinstance(row, Comparison):
        return row.prompt, (row.left, row.right, row.label_prob)
    if isinstance(row, Feedback):
        return row.prompt, (row.answer, row.label_prob)
    return (row.prompt, (row.answer,)) if isinstance(row, Demonstration) else (row.conversation, ())


@pytest.mark.parametrize(("name", "what", "row", "expected"), LAYOUTS, ids=[layout[0] for layout in LAYOUTS])
def test_every_layout_gives_its_record_and_names_the_columns_it_does_not_use(tmp_path, name, what, row, expected):
    loaded = READERS[what](write(tmp_path / "rows.jsonl", row | EXTRA))
    assert [parts(record) for record in loaded.rows] == [(SKY, expected)]
    assert set(EXTRA) <= set(loaded.ignored)
    assert set(loaded.counts()["ignored_columns"]) <= {*EXTRA, "margin"}


def test_scored_answers_become_all_pairs_and_equal_scores_are_ties(tmp_path):
    answers = [{"response": text, "overall_score": score} for text, score in (("a", 1), ("b", 3), ("c", 3.0))]
    row = {"instruction": "q", "completions": answers, "models": ["x", "y", "z"]}
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", row))
    found = [(one.left, one.right, one.label_prob) for one in loaded.rows]
    assert found == [("a", "b", 0.0), ("a", "c", 0.0), ("b", "c", 0.5)]


@pytest.mark.parametrize("score", [None, "8", float("nan"), True])
def test_a_score_that_is_no_number_is_never_guessed(tmp_path, score):
    answers = [{"response": "a", "overall_score": score}, {"response": "b", "overall_score": 1}]
    path = write(tmp_path / "rows.jsonl", {"instruction": "q", "completions": answers})
    with pytest.raises(DataError, match="score is not a finite number|NaN is not a number"):
        read_comparisons(path, allow_dropped=1.0)


@pytest.mark.parametrize("label", [1, "true", None, 0.5])
def test_a_label_that_is_not_true_or_false_is_never_guessed(tmp_path, label):
    path = write(tmp_path / "rows.jsonl", {"prompt": "q", "completion": "a", "label": label})
    with pytest.raises(DataError, match="the label is not true or false"):
        read_feedback(path, allow_dropped=1.0)


@pytest.mark.parametrize("what", ["demonstrations", "comparisons", "feedback"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "9.8 or 9.11?", "completions": ["9.8 is more.", "So 9.8."], "labels": [True, True]}, "stepwise"),
        ({"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}, "token ids"),
        ({"chosen_ids": [1, 2], "rejected_ids": [1, 3]}, "token ids"),
        ({"text": "The sky is blue."}, "running text"),
    ],
)
def test_layouts_that_no_record_can_hold_are_refused_with_the_reason(tmp_path, what, row, said):
    with pytest.raises(DataError, match=said) as caught:
        READERS[what](write(tmp_path / "rows.jsonl", row))
    assert caught.value.hint
    assert str(tmp_path / "rows.jsonl") in str(caught.value)


def test_a_turn_of_a_tool_is_named_and_the_row_left_out(tmp_path):
    tool = {"role": "tool", "name": "look", "content": "blue"}
    path = write(tmp_path / "rows.jsonl", {"messages": [*USER, tool, *BLUE]}, {"messages": USER + BLUE})
    with pytest.raises(DataError, match="unknown role"):
        read_demonstrations(path)
    assert read_demonstrations(path, allow_dropped=0.5).dropped == {"a turn has an unknown role ('tool')": 1}


@pytest.mark.parametrize("row", [layout[2] for layout in LAYOUTS if layout[1] == "comparisons"])
def test_every_file_of_comparisons_is_feedback_on_both_answers(tmp_path, row):
    path = write(tmp_path / "rows.jsonl", row)
    halves = [half for comparison in read_comparisons(path).rows for half in unpaired(comparison)]
    loaded = read_feedback(path).rows
    assert [parts(row) for row in loaded] == [parts(half) for half in halves]
    assert sorted(row.label_prob for row in loaded) == [0.0, 1.0]


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
WHO = {
    "annotator": TEXT,
    "attribute": st.sampled_from(["helpful", "honest", "harmless", "overall"]),
    "guideline": TEXT,
    "source": st.sampled_from(["person", "constitution", "testbed", "file"]),
}
PROMPT = st.builds(
    lambda before, last: Conversation(messages=(*before, Message(role="user", text=last))),
    st.lists(st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), text=TEXT), max_size=3),
    TEXT,
)
ROWS = {
    "demonstrations": st.builds(Demonstration, id=TEXT, prompt=PROMPT, answer=TEXT, source=WHO["source"]),
    "feedback": st.builds(Feedback, id=TEXT, prompt=PROMPT, answer=TEXT, label_prob=st.floats(0, 1), **WHO),
    "comparisons": st.builds(
        lambda answers, **rest: Comparison(left=answers[0], right=answers[1], **rest),
        st.lists(TEXT, min_size=2, max_size=2, unique=True),
        id=TEXT,
        prompt=PROMPT,
        label_prob=st.floats(0, 1),
        shown=st.sampled_from(["left first", "right first", "unknown"]),
        **WHO,
    ),
}


@pytest.mark.parametrize("what", ROWS)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_records_written_in_trl_columns_come_back_as_they_were(tmp_path_factory, what, ending):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path_factory.mktemp("exported") / f"rows{ending}"

    @settings(deadline=None)  # a busy machine is no failure
    @given(st.lists(ROWS[what], min_size=1, max_size=4, unique_by=lambda row: row.id))
    def holds(rows):
        columns = [trl_columns(row) for row in rows]
        if ending == ".jsonl":
            write(path, *columns)
        else:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(columns), path)
        back = READERS[what](path).rows
        assert sorted(back, key=lambda row: row.id) == sorted(rows, key=lambda row: row.id)

    holds()


def test_exported_feedback_is_a_demonstration_where_it_says_desirable(tmp_path):
    good, bad = (Feedback(id=str(n), prompt=SKY, answer=f"answer {n}", label_prob=n) for n in (1, 0))
    loaded = read_demonstrations(write(tmp_path / "rows.jsonl", trl_columns(bad), trl_columns(good)))
    assert [row.answer for row in loaded.rows] == ["answer 1"]
    assert loaded.ignored == ()


def test_the_likelier_answer_is_chosen_and_the_label_says_which_is_desirable():
    row = Comparison(id="1", prompt=SKY, left="It is green.", right="It is blue.", label_prob=0.25)
    columns = trl_columns(row)
    assert {name: columns[name] for name in ("prompt", "chosen", "rejected", "label_prob")} == {
        "prompt": USER,
        "chosen": BLUE,
        "rejected": GREEN,
        "label_prob": 0.75,
    }
    assert [trl_columns(half)["label"] for half in unpaired(row)] == [False, True]
    assert trl_columns(Demonstration(id="1", prompt=SKY, answer="It is blue."))["completion"] == BLUE


@pytest.mark.parametrize(
    "change",
    [
        {"label": False},
        {"label_prob": 0.5},
        {"alidade": 3},
        {"alidade": {"id": "1"}},
        {"completion": []},
        {"prompt": [{"role": "poet", "content": "q"}]},
    ],
)
def test_an_exported_row_that_was_changed_is_refused_unless_our_column_is_removed(tmp_path, change):
    row = trl_columns(Feedback(id="1", prompt=SKY, answer="It is blue.", label_prob=0.75))
    path = write(tmp_path / "rows.jsonl", row | change)
    with pytest.raises(DataError, match="the column `alidade` says something else") as caught:
        read_feedback(path, allow_dropped=1.0)
    assert "remove the column" in str(caught.value)


def test_without_our_column_an_exported_row_is_an_ordinary_one(tmp_path):
    row = trl_columns(Feedback(id="1", prompt=SKY, answer="It is blue.", label_prob=0.75))
    del row["alidade"]
    (read,) = read_feedback(write(tmp_path / "rows.jsonl", row)).rows
    assert parts(read) == (SKY, ("It is blue.", 0.75))
