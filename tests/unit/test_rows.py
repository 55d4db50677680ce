"""JSON and JSONL files: faults have lines, writing is whole or not at all."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alidade.errors import DataError
from alidade.records import Comparison, Conversation, Demonstration, Record
from alidade.store import read_json, read_rows, write_json, write_rows

GOOD = {"id": "a", "prompt": {"messages": [{"role": "user", "text": "Hi"}]}, "left": "x", "right": "y", "label_prob": 1}


def comparisons(folder: Path, *lines: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def fault(path: Path, record: type[Record] = Comparison) -> str:
    with pytest.raises(DataError) as caught:
        read_rows(path, record)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(path.parent) + "/", "")


HINT = (
    "hint: a Comparison has the fields `id`, `prompt`, `left`, `right`, `label_prob`, `annotator`, `shown`, "
    "`attribute`, `guideline`, `source`, `tie_prob`, `margin`"
)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    rows = [Demonstration(id=str(i), prompt=Conversation.ask("Wie geht's? \u2028 é"), answer="gut\n") for i in range(3)]
    path = tmp_path / f"rows{suffix}"
    assert write_rows(path, rows) == 3
    assert read_rows(path, Demonstration) == rows


def test_a_row_that_is_not_json_is_named_by_line(tmp_path: Path) -> None:
    assert fault(comparisons(tmp_path, GOOD, "{oops}")) == (
        "not JSON: expecting property name enclosed in double quotes at column 2\n"
        "  at rows.jsonl:2\nhint: every line is one JSON object"
    )


def test_blank_lines_are_passed_over_but_counted(tmp_path: Path) -> None:
    path = comparisons(tmp_path, GOOD, "", "[")
    assert "rows.jsonl:3" in fault(path)


def test_equal_answers_are_refused(tmp_path: Path) -> None:
    path = comparisons(tmp_path, GOOD | {"right": "x"})
    assert fault(path) == f"not a valid Comparison: the two answers are equal\n  at rows.jsonl:1\n{HINT}"


def test_nan_is_refused(tmp_path: Path) -> None:
    path = comparisons(tmp_path, json.dumps(GOOD | {"label_prob": float("nan")}))
    assert fault(path) == "NaN is not a number here\n  at rows.jsonl:1\nhint: mend the value or leave the row out"


def test_a_label_beyond_one_says_so(tmp_path: Path) -> None:
    assert fault(comparisons(tmp_path, GOOD | {"label_prob": 1.5})).startswith(
        "not a valid Comparison: `label_prob`: input should be less than or equal to 1, not 1.5\n"
    )


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    lacking = {name: value for name, value in GOOD.items() if name != "left"}
    assert fault(comparisons(tmp_path, lacking)).startswith("not a valid Comparison: field `left` is missing\n")


def test_an_unknown_field_is_named(tmp_path: Path) -> None:
    assert fault(comparisons(tmp_path, GOOD | {"lable": 1})).startswith(
        "not a valid Comparison: unknown field `lable`\n"
    )


def test_an_empty_answer_is_refused(tmp_path: Path) -> None:
    path = comparisons(tmp_path, {"id": "a", "prompt": GOOD["prompt"], "answer": ""})
    assert "`answer`: string should have at least 1 character" in fault(path, Demonstration)


def test_several_faults_of_a_row_are_counted(tmp_path: Path) -> None:
    assert "(and 4 more)" in fault(comparisons(tmp_path, {}))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "\xff"}\n')
    assert fault(path) == "not UTF-8 text\n  at rows.jsonl:1\nhint: save the file as UTF-8"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert len(read_rows(path, Comparison)) == 1


def test_a_cut_off_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-12])
    assert fault(path).startswith("not ")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.jsonl").startswith("no such file\n  at none.jsonl")


def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    assert fault(tmp_path).startswith("cannot be read")


def test_json_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in fault(comparisons(tmp_path, "[" * 200_000))


def test_writing_nan_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"a": 1}])
    with pytest.raises(DataError, match="not a JSON value"):
        write_rows(path, [{"a": 2}, {"a": float("nan")}])
    assert path.read_text() == '{"a": 1}\n'
    assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


def test_writing_json_nan_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_json(tmp_path / "a.json", {"loss": float("inf")})
    assert list(tmp_path.iterdir()) == []


def test_equal_rows_are_equal_bytes_when_compressed(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl.gz", [{"a": 1}])
    write_rows(tmp_path / "b.jsonl.gz", [{"a": 1}])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aé\u2028\n\"'\\\x00😀"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n\u2029"), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(value=json_values)
def test_any_json_value_survives(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    write_rows(tmp_path / "rows.jsonl", [{"value": value}] * 2)
    assert len((tmp_path / "rows.jsonl").read_bytes().splitlines()) >= 2
