"""A constitution's file: every fault has its line, and what is written reads back equal."""

import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alidade.constitution import Constitution, Principle, find_constitution, read_constitution, shipped
from alidade.constitution.difference import difference, word_difference
from alidade.constitution.document import (
    as_yaml,
    find_document,
    open_document,
    parse_document,
    shipped_path,
    write_constitution,
)
from alidade.errors import DataError

SMALL = """\
id: small
title: A small one
version: 1.0.0
tiers:
- id: first
  title: First
principles:
- id: be-brief
  title: Brief
  text: Say it in one sentence.
  tier: first
- id: be-true
  title: Truth
  text: State what is known.
"""


def fault(text):
    with pytest.raises(DataError) as found:
        parse_document(text, "c.yaml")
    return found.value


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "hint"),
    [
        ("version: 1.0.0", "version: 1.0", 3, "version", "three numbers"),
        ("version: 1.0.0", "version: one", 3, "version", "three numbers"),
        ("version: 1.0.0", "version: 01.0.0", 3, "version", "three numbers"),
        ("version: 1.0.0", "verson: 1.0.0", 3, "unknown field `verson`", "did you mean `version`?"),
        ("  title: Brief", "  titel: Brief", 9, "unknown field `titel`", "did you mean `title`?"),
        ("  title: Brief", "  title: Brief\n  requests: {comparisn: Which}", 10, "unknown field `comparisn`", "`comparison`"),
        ("  title: Brief", "  title: Brief\n  examples: {kept: [{promt: a, prompt: b, answer: c}]}", 10, "unknown field `promt`", "`prompt`"),
        ("  title: Brief", "  title: Brief\n  requests: {critique: Which}", 10, "needs a `revision`", "revised"),
        ("  title: Brief", "  title: True", 9, "title", "quotes"),
        ("  title: Brief", "  title: Brief\n  polarity: bad", 10, "polarity", "encourage"),
        ("  title: Brief", "  title: Brief\n  weight: -1", 10, "weight", "0 up"),
        ("  title: Brief", "  title: Brief\n  scope: {hazards: [S15]}", 10, "hazards", "S1 to S14"),
        ("- id: be-true", "- id: be-brief", 12, "`be-brief` comes twice", "id"),
        ("  tier: first", "  tier: second", 11, "names the tier `second`", "tier"),
        ("- id: be-true", "- id: Be true", 12, "id", "small letters"),
        ("  text: State what is known.", "  text:", 14, "text", ""),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_what_would_be_right(old, new, line, what, hint):
    assert SMALL.count(old) == 1
    error = fault(SMALL.replace(old, new))
    assert str(error.where).startswith(f"c.yaml:{line} "), error
    assert what in error.what
    assert hint in str(error.hint)


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "empty"), ("- a", "mapping"), ("id: [", "not YAML"), ("id: a\nid: b", "comes twice"), ("id: a", "title")],
)
def test_what_is_no_constitution_is_refused_in_words(text, what):
    assert what in fault(text).what


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "a.yaml", tmp_path, binary):
        with pytest.raises(DataError) as found:
            read_constitution(path)
        assert str(path) in str(found.value.where)


def test_the_line_of_a_field_is_known_and_of_one_left_out_that_of_its_principle():
    document = parse_document(SMALL, "c.yaml")
    assert document.principle(1, "text") == "c.yaml:14"
    assert document.principle(1, "rationale") == "c.yaml:12"
    assert document.where("changelog") == "c.yaml"


HOSTILE = st.text(
    st.sampled_from([*"ab1 \n\t:#-?'\"|>&*!%@{}[],~.é€\u2028\x85\u00a0\ufeff\U0001f600", "\r", "\x07"]), min_size=1, max_size=90
) | st.sampled_from(
    ["1.0", "1e-4", "0x1f", "1_000", "+5", ".5", "true", "False", "null", "~", "yes", "on", "=", "<<", "---", "...", "2001-01-01"]
)  # fmt: skip


@given(st.lists(HOSTILE, min_size=3, max_size=3), HOSTILE, st.floats(0, 1e9))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_it_says_what_is_written_reads_back_equal(texts, preamble, weight):
    principles = tuple(
        Principle(id=f"p{place}", title=text, text=text, rationale=text * 3, weight=weight)
        for place, text in enumerate(texts)
    )
    one = Constitution(id="x", title=preamble, version="0.1.0", preamble=preamble, principles=principles)
    back = parse_document(as_yaml(one), "x").constitution
    assert back == one
    assert back.digest == one.digest


def test_writing_is_whole_and_leaves_defaults_out(tmp_path):
    one = parse_document(SMALL, "c.yaml").constitution
    path = tmp_path / "out.yaml"
    write_constitution(one, path)
    assert read_constitution(path) == one
    assert path.read_text() == SMALL.replace("tiers:", "\ntiers:").replace("principles:", "\nprinciples:").replace(
        "- id: be-true", "\n- id: be-true"
    )
    assert [left.name for left in tmp_path.iterdir()] == ["out.yaml"]
    with pytest.raises(DataError, match="no such folder"):
        write_constitution(one, tmp_path / "no" / "out.yaml")


def test_the_shipped_one_is_found_by_name_and_is_as_it_would_be_written():
    assert find_constitution("alidade") == shipped() == read_constitution(shipped_path())
    assert as_yaml(shipped()) == shipped_path().read_text()


def test_a_name_that_is_near_is_offered(tmp_path):
    with pytest.raises(DataError) as found:
        find_document("alidad")
    assert "`alidade`" in str(found.value.hint)
    with pytest.raises(DataError, match="no such file"):
        find_document(tmp_path / "mine.yaml")


def test_the_shipped_one_covers_help_honesty_and_harm_and_the_faults_of_training_on_them():
    one = shipped()
    assert len(one.principles) >= 16
    assert {tier.id for tier in one.tiers} == {principle.tier for principle in one.principles}
    for principle in one.principles:
        assert all([principle.rationale, principle.examples.kept, principle.examples.broken])
        assert all([principle.requests.critique, principle.requests.revision, principle.requests.comparison])
        assert (principle.origin.source, principle.origin.licence) == ("alidade", "Apache-2.0")
    for needed in ("no-over-caution", "no-preaching", "no-flattery", "refuse-well", "say-when-unknown", "guard-privacy",
                   "true-facts", "harmless-twins"):  # fmt: skip
        assert one.named(needed)
    assert one.critics == one.judges == one.principles


def test_the_digest_is_of_the_words_and_not_of_the_layout():
    one = parse_document(SMALL, "c.yaml").constitution
    spread = SMALL.replace("text: State what is known.", "text: >-\n    State what\n    is known.")
    assert parse_document(f"# a remark\n{spread}", "d.yaml").constitution.digest == one.digest
    assert parse_document(SMALL.replace("known", "sure"), "c.yaml").constitution.digest != one.digest


def changed(old, new):
    assert SMALL.count(old) == 1
    text = SMALL.replace(old, new)
    return difference(parse_document(SMALL, "a").constitution, parse_document(text, "b").constitution)


@pytest.mark.parametrize(
    ("old", "new", "needed", "least"),
    [
        ("title: Truth", "title: Truth", "none", "1.0.0"),
        ("State what is known.", "State what is proven.", "major", "2.0.0"),
        ("State what is known.", "State, what is KNOWN", "patch", "1.0.1"),
        ("title: Brief", "title: Short", "patch", "1.0.1"),
        ("title: Brief", "title: Brief\n  weight: 2", "minor", "1.1.0"),
        ("title: Brief", "title: Brief\n  hard: true", "major", "2.0.0"),
        ("title: Brief", "title: Brief\n  polarity: avoid", "major", "2.0.0"),
        ("title: Brief", "title: Brief\n  rationale: Time.", "patch", "1.0.1"),
        ("title: Brief", "title: Brief\n  requests: {comparison: Which}", "minor", "1.1.0"),
        ("  tier: first\n", "", "major", "2.0.0"),
        ("- id: be-true", "- id: truth", "minor", "1.1.0"),
        ("  title: First", "  title: First\n  text: It comes first.", "major", "2.0.0"),
        ("  title: First", "  title: First\n- id: last\n  title: Last", "minor", "1.1.0"),
        ("version: 1.0.0", "version: 1.0.0\npreamble: Hello.", "minor", "1.1.0"),
        ("version: 1.0.0", "version: 3.0.0", "none", "1.0.0"),
        ("  text: State what is known.\n", "  text: State what is known.\n- {id: c, title: C, text: C.}\n", "minor", "1.1.0"),
        ("- id: be-true\n  title: Truth\n  text: State what is known.\n", "", "major", "2.0.0"),
    ],
)  # fmt: skip
def test_a_version_is_raised_by_what_a_change_does_to_the_answers_that_are_wanted(old, new, needed, least):
    found = changed(old, new)
    assert (found.needed, found.least_version) == (needed, least)
    assert found.is_raised_enough == (needed == "none")


def test_added_removed_renamed_and_reworded_are_told_apart():
    found = changed("- id: be-true", "- id: truth")
    assert [(one.old, one.new) for one in found.renamed] == [("be-true", "truth")]
    assert not found.added
    assert not found.removed
    found = changed("State what is known.", "State what is proven.")
    (edit,) = found.edits
    assert (edit.of, edit.field) == ("be-true", "text")
    assert [(piece.sign, piece.text) for piece in edit.pieces] == [
        ("same", "State what is "),
        ("gone", "known"),
        ("new", "proven"),
        ("same", "."),
    ]
    found = changed(
        "- id: be-true\n  title: Truth\n  text: State what is known.\n", "- {id: new, title: N, text: New.}\n"
    )
    assert ([one.id for one in found.added], [one.id for one in found.removed]) == (["new"], ["be-true"])


def test_tiers_in_another_order_are_a_major_change():
    head, tail = SMALL.partition("tiers:")[0] + "tiers:\n", "principles:\n- {id: p, title: P, text: P.}\n"
    first, second = "- {id: a, title: A}\n", "- {id: b, title: B}\n"
    old = parse_document(head + first + second + tail, "a").constitution
    new = parse_document(head + second + first + tail, "b").constitution
    found = difference(old, new)
    assert found.are_tiers_moved
    assert found.needed == "major"


def test_whatever_differs_but_version_parent_and_changelog_is_a_change():
    one = shipped()
    assert (
        difference(one, one.model_copy(update={"version": "9.0.0", "parent": one.digest, "changelog": ()})).needed
        == "none"
    )
    turned = difference(one, one.model_copy(update={"principles": one.principles[::-1]}))
    assert (turned.needed, turned.are_principles_moved, turned.edits) == ("patch", True, ())
    other = {"id": "q", "title": "Q", "text": "Q.", "rationale": "R.", "origin": {"source": "s"}, "polarity": "avoid",
             "kind": "trait", "scope": {"audience": "all"}, "tier": "manner", "hard": True, "weight": 2.0,
             "requests": {"comparison": "Which?"}, "examples": {"kept": [{"prompt": "a", "answer": "b"}]}}  # fmt: skip
    first = one.principles[7]
    assert set(other) == set(type(first).model_fields)
    for field, value in other.items():
        changed_one = type(first).model_validate({**first.model_dump(), field: value})
        principles = tuple(changed_one if principle is first else principle for principle in one.principles)
        assert difference(one, one.model_copy(update={"principles": principles})).needed != "none", field


@given(st.text("ab '.\n", max_size=40), st.text("ab '.\n", max_size=40))
def test_the_pieces_of_a_rewording_join_to_both_texts(old, new):
    pieces = list(word_difference(old, new))
    assert "".join(piece.text for piece in pieces if piece.sign != "new") == old
    assert "".join(piece.text for piece in pieces if piece.sign != "gone") == new


def test_a_document_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_text(textwrap.dedent(SMALL), encoding="utf-8-sig")
    assert open_document(path).constitution.id == "small"
