"""Answers of other prompts among a prompt's candidates."""

import math
import random

import pytest

from alidade.preferences.strays import ALIKE, Likeness, with_strays
from alidade.records import Candidates, Completion, Conversation, Prompt

TEXTS = [
    "How do I read the lawyer's letter?",
    "How do I post the lawyer's letter?",
    "How do I bake a plum cake?",
    "How do I bake a nut cake?",
    *(f"How do I fix thing number {word}?" for word in ("one", "two", "three", "four", "five", "six")),
]


def rows(texts=tuple(TEXTS), answers=2):
    return [
        Candidates(
            prompt=Prompt(id=str(place), conversation=Conversation.ask(text)),
            answers=tuple(Completion(text=f"answer {place}.{copy}", finished=True) for copy in range(answers)),
        )
        for place, text in enumerate(texts)
    ]


def origins(row):
    return [int(answer.text.split()[1].split(".")[0]) for answer in row.answers]


def test_prompts_are_alike_when_they_share_words_that_are_rare():
    alike = Likeness([*TEXTS, *(f"How do I mend object {place}?" for place in range(60))]).to(0)
    assert set(alike) == {1}


def test_likeness_is_the_cosine_of_the_rare_words():
    texts = ["read letter", "post letter", "read", "post", *(f"nothing{place}" for place in range(36))]
    assert Likeness(texts).to(0) == {1: pytest.approx(0.5), 2: pytest.approx(math.sqrt(0.5))}
    assert Likeness(texts).to(2) == {0: pytest.approx(math.sqrt(0.5))}


def test_a_prompt_that_shares_nothing_is_like_no_other():
    assert Likeness(["red boats", "two cats", "two dogs"]).to(0) == {}


def test_own_answers_stay_first_and_strays_follow():
    for row in with_strays(rows(), 1, random.Random(0)):
        own = int(row.prompt.id)
        assert origins(row)[:2] == [own, own]
        assert len(origins(row)) in (2, 3)  # a stray from the row itself is an own answer, and left out


def neighbours(count):
    """Pairs of prompts that share one rare word of two, each prompt twice in other words."""
    for place in range(count):
        for verb in ("read", "post"):
            yield f"How do I {verb}{place} letter{place}?"
            yield f"Please say how to {verb}{place} letter{place}."


def test_most_strays_come_from_prompts_that_sound_alike_and_are_not_the_same_question():
    mixed = with_strays(rows(tuple(neighbours(200))), 1, random.Random(1))
    found = [(int(row.prompt.id), origins(row)[2]) for row in mixed if len(row.answers) > 2]
    near = [own // 4 == other // 4 for own, other in found]
    same = [own // 2 == other // 2 for own, other in found]
    assert abs(sum(near) / len(near) - ALIKE) < 0.08
    assert sum(same) / len(same) < 0.02


def test_no_strays_change_nothing_and_equal_chance_gives_equal_strays():
    assert with_strays(rows(), 0, random.Random(0)) == rows()
    assert with_strays(rows(), 2, random.Random(3)) == with_strays(rows(), 2, random.Random(3))
