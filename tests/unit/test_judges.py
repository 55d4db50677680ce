"""The judge card: what is planted in a judge is on its card."""

from __future__ import annotations

import pytest
from tests.known_model import KnownModel, constitution, principle

from alidade.constitution.judges import judge_cards
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.wording import PUBLISHED
from alidade.records import Conversation

PAIRS = [Pair(id=f"c{n}", prompt=Conversation.ask("Why?"), left=f"left {n}", right=f"right {n}") for n in range(200)]
PEOPLE = {one.id: 0.9 if place % 2 else 0.1 for place, one in enumerate(PAIRS)}


def cards(first_prob, **settings):
    judge = Feedback(
        KnownModel(first_prob=first_prob),
        constitution(principle("kind"), principle("true")),
        PUBLISHED,
        PreferenceSettings(**settings),
    )
    found = judge_cards(judge.compare(PAIRS, seed=0), PEOPLE)
    return {card.principle: card for card in found}


def number(text: str) -> int:
    return int(text.split("[[[")[1].split("]]]", maxsplit=1)[0].split()[1])


def as_people(text: str) -> float:
    left = 0.9 if number(text) % 2 else 0.1
    return left if "(A) [[[left" in text else 1 - left


def test_a_judge_that_picks_the_first_flips_always_and_lifts_the_first():
    every = cards(lambda text: 0.8)["*"]
    assert every.flips.mean == 1
    assert every.first_lift.mean == pytest.approx(0.3)
    assert every.confidence.mean == pytest.approx(0)
    assert every.agreement is None


def test_a_judge_that_chooses_as_people_do_never_flips():
    every = cards(as_people)["*"]
    assert every.flips.mean == 0
    assert every.first_lift.mean == pytest.approx(0, abs=1e-9)
    assert every.agreement is not None
    assert (every.agreement.mean, every.agreement.n) == (1, 200)


def test_each_principle_has_a_card_of_its_own():
    found = cards(lambda text: as_people(text) if "keeps kind?" in text else 1 - as_people(text), principles_per_pair=2)
    assert list(found) == ["*", "kind", "true"]
    assert found["kind"].agreement.mean == 1
    assert found["true"].agreement.mean == 0
    assert [found[name].comparisons for name in found] == [200, 200, 200]
    assert found["kind"].agreement.low > 0.95


def test_no_rows_no_card():
    with pytest.raises(ValueError, match="no comparison"):
        judge_cards([])
