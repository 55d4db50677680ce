"""Checkable instructions: what passes, and what is refused before anything is trained."""

import json

import pytest

from alidade.errors import DataError
from alidade.preferences import read_prompts
from alidade.records import Conversation, Prompt
from alidade.training.checks import CHECKS, all_checks, share_of_checks
from alidade.training.rewards import REWARDS, check_prompts


def prompt(*checks, text=None):
    about = {"checks": text if text is not None else json.dumps(list(checks))}
    return Prompt(id="file:3.0", conversation=Conversation.ask("Write."), about=about)


@pytest.mark.parametrize(
    ("name", "value", "passes", "fails"),
    [
        ("at-least-words", 3, "one two-fold it's", "one two"),
        ("at-most-words", 2, "one, two.", "one two three"),
        ("at-least-sentences", 2, "Yes. No!", "Version 2.5 is out."),
        ("at-most-sentences", 1, "Version 2.5 is out.", "Yes. No!"),
        ("includes", ["tea", "hot water"], "Tea needs Hot Water.", "A team in hot water."),
        ("excludes", "tea", "A team.", "Some tea."),
        ("starts-with", "Dear", "  dear Sir", "My dear"),
        ("ends-with", "Over.", "And over.", "Over. "[:4]),
        ("lower-case", None, "all small, 3 times", "Not all"),
        ("lower-case", None, "a", "123"),
        ("upper-case", None, "LOUD!", "Loud"),
        ("no-commas", None, "a b", "a, b"),
        ("json", None, '{"a": [1]}', "{'a': 1}"),
        ("json", None, "```json\n[1, 2]\n```", '"text"'),
        ("bullets", 2, "* one\n - two\nthree", "* one\n*two"),
        ("paragraphs", 2, "one\nstill\n\n\ntwo", "one\ntwo"),
        ("placeholders", 2, "[name] and [date]", "[name] and [[]]"),
        ("in-quotes", None, '"so"', '"so'),
    ],
)
def test_each_check_tells_a_kept_instruction_from_a_broken_one(name, value, passes, fails):
    check = CHECKS.get(name)
    assert check(passes, value)
    assert not check(fails, value)


def test_every_check_has_a_case_above():
    cases = test_each_check_tells_a_kept_instruction_from_a_broken_one.pytestmark[0].args[1]
    assert {case[0] for case in cases} == set(CHECKS.names())


def test_the_reward_is_the_share_of_checks_and_all_of_them_is_a_reward_of_its_own():
    asked = prompt({"check": "at-most-words", "value": 2}, {"check": "lower-case"}, {"check": "no-commas"})
    assert share_of_checks(asked, "One two", True) == pytest.approx(2 / 3)
    assert all_checks(asked, "One two", True) == 0
    assert all_checks(asked, "one two", True) == 1


def test_an_empty_answer_keeps_no_instruction():
    assert share_of_checks(prompt({"check": "at-most-words", "value": 2}), " ", True) == 0


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (prompt(text=""), "without checks"),
        (prompt(text="[{"), "not JSON"),
        (prompt(text="[]"), "not a list of checks"),
        (prompt("lower-case"), "not a list of checks"),
        (prompt({"check": "at-most-word", "value": 2}), "unknown check"),
        (prompt({"check": "at-most-words", "value": "2"}), "whole number"),
        (prompt({"check": "at-most-words", "value": True}), "whole number"),
        (prompt({"check": "includes", "value": []}), "list of words"),
        (prompt({"check": "includes", "words": ["a"]}), "unknown field `words`"),
    ],
)
def test_prompts_whose_checks_cannot_be_made_are_named(given, what):
    with pytest.raises(DataError, match=what) as caught:
        check_prompts(REWARDS.get("checks"), [given])
    assert caught.value.where == "file:3.0"
    assert caught.value.hint


def test_a_file_of_prompts_brings_its_checks_along(tmp_path):
    checks = [{"check": "includes", "value": ["tea"]}]
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": "a", "checks": checks}, {"prompt": "b", "checks": json.dumps(checks)}, {"prompt": "c"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third = read_prompts(path).rows
    assert share_of_checks(first, "Tea!", True) == share_of_checks(second, "Tea!", True) == 1
    assert third.about == {}
