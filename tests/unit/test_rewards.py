"""Rewards that are computed: what counts as right."""

import pytest

from alidade.errors import DataError, UsageError
from alidade.records import Conversation, Prompt
from alidade.training.rewards import REWARDS, check_prompts, exact_answer, final_number, named_answer, score_by


def prompt(answer="It takes 2/2=<<2/2=1>>1 bolt\nSo 1,200+30\n#### 1,230"):
    return Prompt(id="gsm8k:1.0", conversation=Conversation.ask("How much?"), about={"answer": answer})


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1230", True),
        ("That is 1,230 dollars.", True),
        ("First 7, then $1,230.00", True),
        ("#### 1230\n(of 99)", False),
        ("1230 of 99", False),
        ("I think 12 #### 1230", True),
        ("about 1231", False),
        ("-1230", False),
        ("none", False),
        ("", False),
        ("9" * 400, False),
    ],
)
def test_the_last_number_decides_and_the_one_after_the_mark_before_all(answer, right):
    assert final_number(prompt(), answer, True) == float(right)


def test_words_are_compared_without_case_and_punctuation():
    known = prompt("Jane Austen")
    assert exact_answer(known, "jane austen.", True) == 1
    assert exact_answer(known, "jane austen.", False) == 0
    assert exact_answer(known, "It is Jane Austen.", True) == 0
    assert named_answer(known, "It is Jane Austen.", True) == 1
    assert named_answer(known, "It is Jane Austenson.", True) == 0


def test_a_prompt_without_a_known_answer_is_named():
    bare = Prompt(id="file:7.0", conversation=Conversation.ask("How much?"))
    with pytest.raises(DataError, match="without a known answer") as caught:
        score_by(final_number)([bare], ["1"], [True])
    assert caught.value.where == "file:7.0"
    with pytest.raises(DataError, match="has no number"):
        final_number(prompt("none"), "1", True)


def test_rewards_are_found_by_name_and_a_wrong_name_gets_the_nearest():
    assert REWARDS.get("final-number") is final_number
    assert REWARDS.names() == ["all-checks", "checks", "exact-answer", "final-number", "named-answer"]
    with pytest.raises(UsageError, match="final-numbers") as caught:
        REWARDS.get("final-numbers")
    assert "final-number" in str(caught.value.hint)


def test_prompts_are_checked_before_anything_is_trained():
    check_prompts(named_answer, [prompt("Jane")])
    with pytest.raises(DataError, match="1 of 2 prompts cannot be rewarded: the known answer has no words"):
        check_prompts(named_answer, [prompt("Jane"), prompt("+")])
