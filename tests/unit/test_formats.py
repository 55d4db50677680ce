import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from alidade.preferences import read_comparisons, read_demonstrations, read_prompts
from alidade.records import Conversation, Message

USER = {"role": "user", "content": "How do I make tea?"}
GOOD = {"role": "assistant", "content": "Boil water first."}
BAD = {"role": "assistant", "content": "No idea."}
TRANSCRIPT = "\n\nHuman: Hi: a colon\n\nAssistant: Hello.\n\nHuman: How do I make tea?\n\nAssistant:"


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def comparison_of(tmp_path: Path, row: Mapping[str, Any], fmt: str = "auto"):
    rows = read_comparisons(write(tmp_path / "rows.jsonl", [row]), fmt).rows
    assert len(rows) == 1
    return rows[0]


def demonstration_of(tmp_path: Path, row: Mapping[str, Any], fmt: str = "auto"):
    rows = read_demonstrations(write(tmp_path / "rows.jsonl", [row]), fmt).rows
    assert len(rows) == 1
    return rows[0]


def roles_and_texts(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in conversation.messages]


TEA = Conversation.ask("How do I make tea?")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "How do I make tea?", "chosen": "Boil water first.", "rejected": "No idea."},
        {"prompt": "How do I make tea?\n", "chosen": "How do I make tea?\nBoil water first.", "rejected": "No idea."},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": "How do I make tea?\nBoil water first.", "rejected": "How do I make tea?\nNo idea."},
        {"prompt": "How do I make tea?", "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": None, "chosen": [USER, GOOD], "rejected": [USER, BAD], "margin": 0.5},
    ],
)
def test_every_form_of_trl_preference_rows_gives_the_same_comparison(tmp_path, row):
    comparison = comparison_of(tmp_path, row)
    assert (comparison.prompt, comparison.left, comparison.right) == (TEA, "Boil water first.", "No idea.")
    assert comparison.label_prob == 1.0
    assert comparison.shown == "unknown"


def test_implicit_string_prompts_end_at_white_space_so_answers_keep_their_first_letters(tmp_path):
    comparison = comparison_of(tmp_path, {"chosen": "Is it? Yes it is", "rejected": "Is it? Yesterday it was"})
    assert comparison.prompt == Conversation.ask("Is it?")
    assert (comparison.left, comparison.right) == ("Yes it is", "Yesterday it was")


def test_a_label_prob_column_is_the_label(tmp_path):
    comparison = comparison_of(tmp_path, {"prompt": "q", "chosen": "a", "rejected": "b", "label_prob": 0.625})
    assert comparison.label_prob == 0.625


@pytest.mark.parametrize("fmt", ["auto", "hh"])
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": TRANSCRIPT, "chosen": "Boil water.", "rejected": "No."},
        {"prompt": TRANSCRIPT, "chosen": TRANSCRIPT + " Boil water.", "rejected": TRANSCRIPT + " No."},
        {"chosen": TRANSCRIPT + " Boil water.", "rejected": TRANSCRIPT + " No."},
    ],
)
def test_hh_transcripts_split_at_role_markers_only(tmp_path, row, fmt):
    comparison = comparison_of(tmp_path, row, fmt)
    assert roles_and_texts(comparison.prompt) == [
        ("user", "Hi: a colon"),
        ("assistant", "Hello."),
        ("user", "How do I make tea?"),
    ]
    assert (comparison.left, comparison.right) == ("Boil water.", "No.")


def test_a_role_name_inside_a_turn_is_text(tmp_path):
    said = "\n\nHuman: Write a play:\nHuman: hello\nAssistant: hi\n\nAssistant:"
    comparison = comparison_of(tmp_path, {"chosen": said + " Yes.", "rejected": said + " No."})
    assert roles_and_texts(comparison.prompt) == [("user", "Write a play:\nHuman: hello\nAssistant: hi")]


@pytest.mark.parametrize(
    ("row", "label_prob", "name"),
    [
        ({"prompt": "q", "left": "a", "right": "b", "label_prob": 0.25}, 0.25, "pair"),
        (
            {
                "prompt": "q",
                "response_left": "a",
                "response_right": "b",
                "votes": [[7, "left"], [8, "tie"], [9, "right"], [9, "left"]],
            },
            0.625,
            "crowd",
        ),
        ({"prompt": "q", "response_1": "a", "response_2": "b", "human_label": 2}, 0.5, "autoj"),
        ({"prompt": "q", "response_1": "a", "response_2": "b", "human_label": 1}, 0.0, "autoj"),
        (
            {
                "instruction": "q",
                "input": "",
                "response_1": "a",
                "response_2": "b",
                "annotator_1": 1,
                "annotator_2": 2,
                "annotator_3": 0,
            },
            0.5,
            "pandalm",
        ),
        ({"instruction": "q", "output_1": "a", "output_2": "b", "label": 2, "subset": "x"}, 0.0, "llmbar"),
        (
            {
                "prompt": "q",
                "completion_a": "a",
                "completion_b": "b",
                "preference": "b-is-slightly-better",
                "annotator": "w",
            },
            0.25,
            "tulu1",
        ),
    ],
)
def test_labels_of_two_answers_become_the_left_ones_share_of_the_votes(tmp_path, row, label_prob, name):
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", [row]))
    assert loaded.format == name
    assert [(pair.left, pair.right, pair.label_prob) for pair in loaded.rows] == [("a", "b", label_prob)]
    assert loaded.rows[0].shown == "left first"


def test_ranked_replies_become_all_pairs_best_first(tmp_path):
    row = {"history": [["prompter", "q"]], "ranked_replies": ["best", "fair", "worst"], "tree_id": "x"}
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", [row]))
    assert [(pair.left, pair.right) for pair in loaded.rows] == [("best", "fair"), ("best", "worst"), ("fair", "worst")]
    assert {pair.label_prob for pair in loaded.rows} == {1.0}
    assert loaded.ignored == ("tree_id",)


def test_numbered_pairs_take_their_answers_by_number_and_their_prompt_from_the_passages(tmp_path):
    row = {
        "question": "Who?",
        "passages": [["Title", "One.", "Two."]],
        "predictions": ["a", "b", "c"],
        "preference_pairs": [[1, 2], [1, 3], [2, 3]],
        "preference": [2, 1, 0],
    }
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", [row]))
    assert [(pair.left, pair.right, pair.label_prob) for pair in loaded.rows] == [
        ("a", "b", 0.0),
        ("a", "c", 1.0),
        ("b", "c", 0.5),
    ]
    assert loaded.rows[0].prompt == Conversation.ask("Title One. Two.\n\nWho?")


def test_pairs_of_one_prompt_stand_together_and_share_the_first_part_of_their_id(tmp_path):
    rows = [{"prompt": q, "chosen": f"good {n}", "rejected": "bad"} for n, q in enumerate(["a", "b", "a"])]
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", rows)).rows
    assert [row.left for row in loaded] == ["good 0", "good 2", "good 1"]
    first, second, third = (row.id.rpartition("/")[0] for row in loaded)
    assert first == second != third
    assert [row.id.rpartition("/")[2] for row in loaded] == ["rows:1.0", "rows:3.0", "rows:2.0"]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"prompt": "How do I make tea?", "completion": "Boil water first."}, "prompt-completion"),
        ({"prompt": [USER], "completion": [GOOD]}, "prompt-completion"),
        ({"prompt": [USER], "completion": [GOOD], "label": True}, "unpaired"),
        ({"prompt": "How do I make tea?", "response": "Boil water first."}, "prompt-response"),
        ({"messages": [USER, GOOD]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "How do I make tea?"}]}, GOOD]},
            "messages",
        ),
        (
            {
                "conversations": [
                    {"from": "human", "value": "How do I make tea?"},
                    {"from": "gpt", "value": "Boil water first."},
                ]
            },
            "sharegpt",
        ),
        ({"turns": [["user", "How do I make tea?"], ["assistant", "Boil water first."]]}, "turns"),
        ({"instruction": "How do I make tea?", "input": "", "output": "Boil water first."}, "alpaca"),
        ({"question": "How do I make tea?", "answer": " Boil water first.\n"}, "question-answer"),
    ],
)
def test_every_form_of_demonstrations_gives_the_same_record(tmp_path, row, name):
    loaded = read_demonstrations(write(tmp_path / "rows.jsonl", [row]))
    assert loaded.format == name
    assert [(row.prompt, row.answer) for row in loaded.rows] == [(TEA, "Boil water first.")]


def test_alpaca_input_stands_below_the_instruction(tmp_path):
    row = demonstration_of(tmp_path, {"instruction": "Sum up.", "input": "A tale.", "output": "Short."})
    assert row.prompt == Conversation.ask("Sum up.\n\nA tale.")


def test_each_turn_of_the_assistant_is_a_demonstration(tmp_path):
    system = {"role": "system", "content": "Be kind."}
    loaded = read_demonstrations(write(tmp_path / "rows.jsonl", [{"messages": [system, USER, BAD, USER, GOOD]}]))
    assert [row.answer for row in loaded.rows] == ["No idea.", "Boil water first."]
    assert loaded.rows[1].prompt.messages[0] == Message(role="system", text="Be kind.")
    assert [len(row.prompt.messages) for row in loaded.rows] == [2, 4]


def test_unpaired_rows_labelled_false_are_no_demonstrations_and_are_counted(tmp_path):
    rows = [{"prompt": "q", "completion": f"c{n}", "label": n == 0} for n in range(3)]
    loaded = read_demonstrations(write(tmp_path / "rows.jsonl", rows))
    assert [row.answer for row in loaded.rows] == ["c0"]
    assert sum(loaded.dropped.values()) == 2


def test_gsm8k_by_name_leaves_out_the_calculator_and_keeps_the_number(tmp_path):
    row = {"question": "q", "answer": "She has 48/2 = <<48/2=24>>24 and 2 more = <<24+2=26>>26.\n#### 26"}
    assert demonstration_of(tmp_path, row, "gsm8k").answer == "She has 48/2 = 24 and 2 more = 26.\n#### 26"


def test_the_better_answer_of_a_comparison_is_a_demonstration_by_name(tmp_path):
    row = {"prompt": "q", "chosen": "a", "rejected": "b", "label_prob": 0.1}
    assert demonstration_of(tmp_path, row, "chosen").answer == "b"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "How do I make tea?"},
        {"prompt": [USER]},
        {"instruction": "How do I make tea?"},
        {"question": "How do I make tea?"},
        {"behavior": "How do I make tea?"},
        {"turns": ["How do I make tea?", "And coffee?"]},
        {"messages": [USER, GOOD]},
        {"messages": [USER]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"prompt": "\n\nHuman: How do I make tea?\n\nAssistant:", "chosen": "a", "rejected": "b"},
    ],
)
def test_prompts_are_found_in_every_kind_of_file(tmp_path, row):
    assert [prompt.conversation for prompt in read_prompts(write(tmp_path / "rows.jsonl", [row])).rows] == [TEA]


def test_a_prompt_that_repeats_is_read_once_and_counted(tmp_path):
    loaded = read_prompts(write(tmp_path / "rows.jsonl", [{"prompt": text} for text in "abaa"]))
    assert [row.conversation.last_user_text for row in loaded.rows] == ["a", "b"]
    assert loaded.dropped == {"repeated prompt": 2}
    assert [row.id for row in loaded.rows] == ["rows:1.0", "rows:2.0"]


ROWS = [{"prompt": f"question {number}", "completion": f"antwört {number}"} for number in range(5)]


def write_gz(path: Path) -> None:
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))


def write_list(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")


def write_marked(path: Path) -> None:
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n", encoding="utf-8-sig")


def write_parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("a.jsonl.gz", write_gz),
        ("a.json", write_list),
        ("a.ndjson", write_marked),
        ("a.json", write_marked),
        ("a.parquet", write_parquet),
    ],
)
def test_every_kind_of_file_holds_the_same_rows(tmp_path, name, writer):
    writer(tmp_path / name)
    loaded = read_demonstrations(tmp_path / name)
    assert [row.answer for row in loaded.rows] == [row["completion"] for row in ROWS]
    assert loaded.read == 5


def test_parquet_holds_turns_and_labels(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"prompt": [USER], "chosen": [GOOD], "rejected": [BAD], "margin": 1.5, "label_prob": 0.75}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    loaded = read_comparisons(tmp_path / "a.parquet").rows
    assert [(row.prompt, row.left, row.right, row.label_prob) for row in loaded] == [
        (TEA, "Boil water first.", "No idea.", 0.75)
    ]


def test_nothing_is_lost_between_reading_and_counting(tmp_path):
    rows = [{"prompt": "q", "chosen": chosen, "rejected": "b"} for chosen in ("a", "b", "", " b ", 3, "c")]
    loaded = read_comparisons(write(tmp_path / "rows.jsonl", rows), allow_dropped=0.7)
    assert loaded.dropped == {"equal answers": 2, "empty answer": 1, "answer is a number, not text": 1}
    assert len(loaded.rows) + sum(loaded.dropped.values()) == loaded.read == 6
    assert loaded.counts()["records"] == 2
