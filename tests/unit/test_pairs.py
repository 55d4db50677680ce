"""Which answers are compared: neighbours among the different ones, and what was compared before."""

from __future__ import annotations

from tests.planted_judgements import judged

from alidade.constitution.prefer import pairs_of_candidates, pairs_of_comparisons
from alidade.records import Candidates, Completion, Conversation, Prompt


def row(name: str, *texts: str) -> Candidates:
    answers = tuple(Completion(text=text) for text in texts)
    return Candidates(prompt=Prompt(id=name, conversation=Conversation.ask(f"Why {name}?")), answers=answers)


def compared(*rows: Candidates, per_prompt: int = 1) -> list[tuple[str, str, str]]:
    return [(one.id, one.left, one.right) for one in pairs_of_candidates(rows, per_prompt)]


def test_a_pair_is_the_first_two_different_answers_and_a_prompt_without_two_gives_none():
    assert compared(row("p", "a", "", "a", "b", "c"), row("q", "a", "a"), row("r", "")) == [("p", "a", "b")]


def test_of_several_pairs_to_a_prompt_each_has_its_own_id():
    assert compared(row("p", "a", "b", "c"), row("q", "d", "e"), per_prompt=2) == [
        ("p", "a", "b"),
        ("p/1", "b", "c"),
        ("q", "d", "e"),
    ]


def test_three_answers_or_more_close_a_circle_and_no_pair_comes_twice():
    assert compared(row("p", "a", "b", "c"), row("q", "d", "e"), per_prompt=9) == [
        ("p", "a", "b"),
        ("p/1", "b", "c"),
        ("p/2", "c", "a"),
        ("q", "d", "e"),
    ]


def test_what_several_people_judged_under_one_id_is_one_pair():
    one = judged("a", one=0.9).comparison
    (pair,) = pairs_of_comparisons([one, one.model_copy(update={"label_prob": 0.1})])
    assert (pair.id, pair.left, pair.right) == (one.id, one.left, one.right)
