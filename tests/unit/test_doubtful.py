"""Which labels people should look at: those near one half that their own questions contradict."""

from __future__ import annotations

from tests.known_model import KnownModel, constitution, principle

from alidade.constitution.doubtful import doubtful, reasons_of
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.wording import PUBLISHED
from alidade.records import Conversation

TALK = Conversation.ask("Why?")


def judged(first_prob, count=1):
    names = [principle("p0"), principle("p1")]
    judge = Feedback(
        KnownModel(first_prob=first_prob), constitution(*names), PUBLISHED, PreferenceSettings(principles_per_pair=2)
    )
    return judge.compare([Pair(id=f"c{n}", prompt=TALK, left="left", right=f"right {n}") for n in range(count)], seed=0)


def of_left(value):
    return lambda text: value(text) if "(A) [[[left" in text else 1 - value(text)


def test_principles_that_disagree_and_orders_that_flip_are_told_apart():
    (apart,) = judged(of_left(lambda text: 0.9 if "keeps p0?" in text else 0.2))
    assert reasons_of(apart) == ("principles disagree",)
    (flips,) = judged(lambda text: 0.7)
    assert reasons_of(flips) == ("the order flips it",)
    (sure,) = judged(of_left(lambda text: 0.55))
    assert reasons_of(sure) == ()


def test_a_label_near_one_half_that_nothing_contradicts_stands():
    assert doubtful(judged(of_left(lambda text: 0.55), 10), margin=0.1, share=1.0) == ([], 0)


def test_a_label_far_from_one_half_stands_though_principles_disagree():
    rows = judged(of_left(lambda text: 1.0 - 1e-9 if "keeps p0?" in text else 0.4), 4)
    assert doubtful(rows, margin=0.1, share=1.0) == ([], 0)


def test_at_most_the_share_is_asked_about_the_nearest_to_one_half_first():
    def lean(text):
        number = int(text.split("right ")[1].split("]", maxsplit=1)[0])
        return 0.3 if "keeps p0?" in text else 0.7 + number / 100

    found, over = doubtful(judged(of_left(lean), 10), margin=0.1, share=0.3)
    assert [one.id for one in found] == ["c0", "c1", "c2"]
    assert over == 7
