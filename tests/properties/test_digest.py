"""Canonical JSON: equal values are equal bytes, and different values are not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alidade.digest import canonical_json, digest_file, digest_folder, digest_of

# Letters that compare oddly: combining marks, a lone surrogate, separators, quotes, characters beyond the basic plane.
HOSTILE = 'aZ0é\u0301\u200b\u2028"\\/\n\x00\U0001f600\ud800'
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | st.text(HOSTILE, max_size=6)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(HOSTILE, max_size=4), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """The same value with every mapping's keys in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return value


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: types count, so 1, 1.0 and true differ, and so do 0.0 and -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return left == right


@settings(max_examples=60, deadline=None)
@given(values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical_json(shuffled(value)) == canonical_json(value)


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_bytes_are_equal_exactly_when_values_are(left: Any, right: Any) -> None:
    assert (canonical_json(left) == canonical_json(right)) == same(left, right)


@settings(max_examples=60, deadline=None)
@given(values)
def test_the_value_can_be_read_back(value: Any) -> None:
    assert same(json.loads(canonical_json(value).decode("utf-8", "surrogatepass")), value)


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(number: float) -> None:
    assert json.loads(canonical_json(number)).hex() == number.hex()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(HOSTILE, max_size=5), max_size=4), st.lists(st.text(HOSTILE, max_size=5), max_size=4))
def test_lists_that_join_to_the_same_text_have_different_digests(left: list[str], right: list[str]) -> None:
    assert (digest_of(left) == digest_of(right)) == (left == right)


def test_composed_and_decomposed_letters_differ() -> None:
    assert digest_of("\u00e9") != digest_of("e\u0301")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-math.inf]}, {1, 2}, object(), b"bytes"])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        canonical_json(value)


def test_the_digest_of_a_value_never_changes() -> None:
    assert digest_of(["a", {"b": 1.5}]) == "1b781ccdc93bb880622c6bf68f2166f5dd29d4077ba55c9b004d5ddfa79c3dba"


names = st.text("ab", min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(files=st.dictionaries(names, st.binary(max_size=8), min_size=1, max_size=4), moved=st.booleans())
def test_a_folder_digest_follows_names_and_bytes_only(tmp_path: Path, files: dict[str, bytes], moved: bool) -> None:
    first, second = tmp_path / digest_of([sorted(files), moved, "1"]), tmp_path / digest_of([sorted(files), moved, "2"])
    for folder, order in ((first, sorted(files)), (second, sorted(files, reverse=True))):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name in order:
            (folder / name).write_bytes(files[name])
    assert digest_folder(first) == digest_folder(second)
    one = second / next(iter(files))
    if moved:
        one.rename(second / "zzzz")
    else:
        one.write_bytes(files[one.name] + b"!")
    assert digest_folder(first) != digest_folder(second)


def test_a_file_digest_is_plain_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert digest_file(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
