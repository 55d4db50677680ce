import gzip
import json
from pathlib import Path

import pytest

from alidade.errors import AlidadeError, DataError, UsageError
from alidade.preferences import read_comparisons, read_demonstrations, read_prompts

GOOD = {"prompt": "q", "chosen": "a", "rejected": "b"}


def write(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8"
    )
    return path


def refusal(read, path, *args, **options) -> AlidadeError:
    with pytest.raises(AlidadeError) as caught:
        read(path, *args, **options)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**GOOD, "rejected": "a"}, "equal answers"),
        ({**GOOD, "rejected": " a\n"}, "equal answers"),
        ({**GOOD, "rejected": ""}, "empty answer"),
        ({**GOOD, "rejected": " \n\t"}, "empty answer"),
        ({**GOOD, "prompt": " "}, "empty prompt"),
        ({**GOOD, "rejected": None}, "answer is null, not text"),
        ({**GOOD, "prompt": [{"role": "tool", "content": "x"}]}, "a turn has an unknown role ('tool') (known roles"),
        (
            {**GOOD, "prompt": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
            "does not end with the user's turn",
        ),
        (json.dumps({**GOOD, "label_prob": float("nan")}), "NaN is not a number"),
        ({**GOOD, "label_prob": 1.5}, "label_prob is not from 0 to 1"),
        ({**GOOD, "label_prob": "high"}, "label_prob is not a number"),
        (json.dumps({**GOOD, "margin": float("nan")}), "NaN is not a number"),
        ({"prompt": "q", "chosen": "a"}, "the row has no column 'rejected'"),
        ("{'prompt': 'q'}", "not JSON"),
        ('{"prompt": "q", "chosen": ', "not JSON"),
        ("[1, 2]", "the row is a list, not an object"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, row, what):
    path = write(tmp_path, GOOD, {**GOOD, "chosen": "c"}, row, GOOD)
    error = refusal(read_comparisons, path)
    assert what in error.what
    assert error.where == f"{path}:3"


@pytest.mark.parametrize("label_prob", ["NaN", "Infinity", "2", '"a"'])
def test_a_label_that_is_no_label_is_never_dropped(tmp_path, label_prob):
    path = write(tmp_path, GOOD, f'{{"prompt": "q", "chosen": "a", "rejected": "b", "label_prob": {label_prob}}}')
    assert refusal(read_comparisons, path, allow_dropped=1.0).where == f"{path}:2"


def test_a_label_that_is_nan_in_a_parquet_file_is_named_by_column_and_row(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "rows.parquet"
    rows = [{**GOOD, "label_prob": 0.5}, {**GOOD, "label_prob": float("nan")}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    error = refusal(read_comparisons, path, allow_dropped=1.0)
    assert (error.what, error.where) == ("label_prob is NaN", f"{path}: row 2")


@pytest.mark.parametrize("label", [3, "left", None, True, [1]])
def test_an_unknown_verdict_is_never_guessed(tmp_path, label):
    path = write(tmp_path, {"prompt": "q", "response_1": "a", "response_2": "b", "human_label": label})
    error = refusal(read_comparisons, path, allow_dropped=1.0)
    assert "not one of 0, 1, 2" in error.what
    assert error.where == f"{path}:1"


def test_a_row_that_is_not_json_is_never_dropped(tmp_path):
    assert "not JSON" in refusal(read_comparisons, write(tmp_path, GOOD, "oops"), allow_dropped=1.0).what


def test_the_hint_says_how_many_rows_are_bad_and_which_share_would_allow_them(tmp_path):
    path = write(tmp_path, *[GOOD] * 98, {**GOOD, "chosen": "b"}, {**GOOD, "chosen": ""})
    error = refusal(read_comparisons, path)
    assert error.where == f"{path}:99"
    assert "equal answers: 1, empty answer: 1; of 100 in all" in str(error.hint)
    assert "allow_dropped to 0.021" in str(error.hint)
    assert len(read_comparisons(path, allow_dropped=0.021).rows) == 98


def test_more_bad_rows_than_allowed_is_an_error(tmp_path):
    path = write(tmp_path, *[GOOD] * 8, {**GOOD, "chosen": "b"}, {**GOOD, "chosen": ""})
    assert "of 10 in all" in str(refusal(read_comparisons, path, allow_dropped=0.1).hint)


def test_a_file_of_which_nothing_is_left_is_an_error(tmp_path):
    assert "no row" in refusal(read_comparisons, write(tmp_path, {**GOOD, "chosen": "b"}), allow_dropped=1.0).what


def test_unknown_columns_are_listed_with_what_each_format_needs(tmp_path):
    error = refusal(read_comparisons, write(tmp_path, {"frage": "q", "antwort": "a"}))
    assert "antwort, frage" in error.what
    assert "crowd: prompt, response_left, response_right, votes" in str(error.hint)


def test_columns_that_fit_two_formats_ask_for_a_name(tmp_path):
    path = write(tmp_path, {"prompt": "p", "question": "q"})
    assert "question" in str(refusal(read_prompts, path).hint)
    assert read_prompts(path, "question").rows[0].conversation.last_user_text == "q"


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    error = refusal(read_demonstrations, write(tmp_path, {"prompt": "q", "completion": "a"}), "alpaka")
    assert isinstance(error, UsageError)
    assert "alpaca" in str(error.hint)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    error = refusal(read_prompts, tmp_path / "nothing.jsonl")
    assert error.where == str(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_an_empty_file_is_an_error(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert "empty" in refusal(read_prompts, tmp_path / name).what


def test_an_empty_list_is_an_error(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    assert "empty" in refusal(read_prompts, tmp_path / "rows.json").what


def test_a_folder_and_an_unknown_kind_of_file_are_refused(tmp_path):
    assert "folder" in refusal(read_prompts, tmp_path).what
    (tmp_path / "rows.csv").write_text("prompt\nq\n")
    assert ".jsonl" in str(refusal(read_prompts, tmp_path / "rows.csv").hint)


def test_damaged_packed_files_are_refused(tmp_path):
    packed = gzip.compress(json.dumps(GOOD).encode() * 100)
    for name, data in [
        ("cut.jsonl.gz", packed[:-12]),
        ("plain.jsonl.gz", b'{"a": 1}'),
        ("bad.parquet", b"PAR1 not at all"),
    ]:
        (tmp_path / name).write_bytes(data)
        assert refusal(read_comparisons, tmp_path / name).where


def test_bytes_that_are_not_utf_8_are_named_by_line(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(json.dumps(GOOD).encode() + b'\n{"prompt": "\xff"}\n')
    assert str(refusal(read_comparisons, tmp_path / "rows.jsonl").where).endswith(":2")


def test_a_cell_of_another_shape_than_the_formats_is_named_by_line(tmp_path):
    path = write(tmp_path, {"prompt": "q", "response_left": "a", "response_right": "b", "votes": 3})
    error = refusal(read_comparisons, path, allow_dropped=1.0)
    assert "does not fit the format 'crowd'" in error.what
    assert error.where == f"{path}:1"


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        (
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
            "\n\nHuman: a\n\nAssistant: x\n\nHuman: c\n\nAssistant: d",
        ),
        ("\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "\n\nHuman: a\n\nAssistant: b"),
    ],
)
def test_transcripts_that_part_before_the_last_answer_are_refused(tmp_path, chosen, rejected):
    assert isinstance(refusal(read_comparisons, write(tmp_path, {"chosen": chosen, "rejected": rejected})), DataError)


def test_a_conversation_without_an_answer_is_no_demonstration(tmp_path):
    path = write(tmp_path, {"messages": [{"role": "user", "content": "q"}]})
    assert "no answer" in refusal(read_demonstrations, path).what
