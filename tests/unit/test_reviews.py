"""What the pilot reads of answers reviewed on request, by aspects that part."""

import random
import re
from collections import Counter
from itertools import islice
from typing import get_args

import pytest

from alidade.constitution.document import find_constitution
from alidade.testbed import answers
from alidade.testbed.aspects import ASPECTS, Aspect, Verdict, best_answer, verdict_on, worth_to
from alidade.testbed.documents import documents
from alidade.testbed.reviews import comparison, critique, requests
from alidade.testbed.world import KINDS, new_items, world
from alidade.testbed.writers import ask_about, careful_answer

WORLD = world()


def asked(kind, rng, place=0):
    return ask_about(kind, WORLD.items(kind)[place], rng, ("direct",))


@pytest.fixture(scope="module")
def reviews():
    rng = random.Random(2)
    return {
        "critiques": [critique(WORLD, rng) for _ in range(1500)],
        "comparisons": [comparison(WORLD, rng) for _ in range(2500)],
    }


def test_every_aspect_is_asked_for_in_several_wordings_and_no_two_share_one():
    assert set(requests()) == set(ASPECTS) == set(get_args(Aspect))
    for sort in ("critique", "revision", "comparison"):
        words = [text for aspect in ASPECTS for text in requests()[aspect][sort]]
        assert len(set(words)) == len(words)
        assert min(len(requests()[aspect][sort]) for aspect in ASPECTS) >= 4


def test_the_pilot_has_read_every_request_of_its_constitution():
    for principle in find_constitution("pilot").principles:
        found = {
            sort: {aspect for aspect in ASPECTS if getattr(principle.requests, sort) in requests()[aspect][sort]}
            for sort in ("critique", "revision", "comparison")
            if getattr(principle.requests, sort)
        }
        assert found, principle.id
        assert len(set.union(*found.values())) == 1, principle.id
        assert not set.union(*found.values()) & {"agree", "oblige"}


def test_reviews_never_speak_of_new_items(reviews):
    verbs = [item.verb for item in (*WORLD.wishes, *WORLD.topics) if item.id in new_items()]
    phrases = [fact.phrase for fact in WORLD.facts if fact.id in new_items()]
    for text in [*reviews["critiques"], *reviews["comparisons"]]:
        question = text.split("\n")[0]
        assert not [verb for verb in verbs if f" {verb}?" in question]
        assert not [phrase for phrase in phrases if f" {phrase}?" in question]


def test_the_share_of_reviews_is_kept_and_both_sorts_occur():
    drawn = list(islice(documents(4, reviews=0.35), 3000))
    revisions = sum("\nRevision:" in text for text in drawn)
    comparisons = sum("\nAnswer B:" in text for text in drawn)
    assert abs((revisions + comparisons) / 3000 - 0.35) < 0.03
    assert min(revisions, comparisons) > 200


def test_what_is_good_is_left_as_it_is(reviews):
    praised = [text for text in reviews["critiques"] if " It is good.\nRequest:" in text]
    assert len(praised) > 200
    for text in praised:
        answer = re.search(r"\nAnswer: (.*?)\nRequest:", text, re.DOTALL)
        revision = re.search(r"\nRevision: (.*)$", text, re.DOTALL)
        assert answer is not None
        assert revision is not None
        assert answer[1] == revision[1]


def test_what_could_be_better_becomes_another_answer(reviews):
    faulty = [text for text in reviews["critiques"] if " It could be better.\nRequest:" in text]
    assert len(faulty) > 200
    for text in faulty:
        answer = re.search(r"\nAnswer: (.*?)\nRequest:", text, re.DOTALL)
        revision = re.search(r"\nRevision: (.*)$", text, re.DOTALL)
        assert answer is not None
        assert revision is not None
        assert answer[1] != revision[1]


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_best_answer_in_an_aspect_is_worth_most_of_all(aspect, kind):
    rng = random.Random(f"{aspect} {kind}")
    for place in range(0, 30, 3):
        one = ask_about(kind, rng.choice(WORLD.items(kind)), rng, ("direct",))
        best = worth_to(aspect, kind, verdict_on(one, best_answer(WORLD, one, aspect, rng)))
        others = [
            careful_answer(WORLD, kind, one.item, one.claimed, rng),
            answers.refusal(WORLD, WORLD.wishes[place], rng),
            answers.instructions(WORLD.wishes[place], rng),
            answers.ignorance(WORLD, WORLD.unanswerables[0], rng),
            rng.choice(answers.CHATTER),
        ]
        assert best >= max(worth_to(aspect, kind, verdict_on(one, other)) for other in others)


def test_good_and_wrong_aspects_part_where_they_should():
    rng = random.Random(3)
    wish, twin = asked("wish", rng), asked("twin", rng)
    no = answers.refusal(WORLD, WORLD.wishes[0], rng)
    harm = answers.instructions(WORLD.wishes[0], rng)
    assert worth_to("harm", "wish", verdict_on(wish, no)) > worth_to("harm", "wish", verdict_on(wish, harm))
    assert worth_to("oblige", "wish", verdict_on(wish, no)) < worth_to("oblige", "wish", verdict_on(wish, harm))
    assert worth_to("caution", "twin", verdict_on(twin, no)) < 0 == worth_to("caution", "wish", verdict_on(wish, no))
    fact = WORLD.facts[0]
    claim = next(
        one for one in iter(lambda: ask_about("claim", fact, rng, ("direct",)), None) if one.claimed != fact.value
    )
    yes, correct = answers.confirmation(fact, claim.claimed, rng), answers.correction(fact, rng)
    assert worth_to("honest", "claim", verdict_on(claim, yes)) < worth_to("honest", "claim", verdict_on(claim, correct))
    assert worth_to("agree", "claim", verdict_on(claim, yes)) > worth_to("agree", "claim", verdict_on(claim, correct))


def test_comparisons_choose_as_often_the_first_as_the_second_and_every_verdict_occurs(reviews):
    ends = [text[-1] for text in reviews["comparisons"]]
    assert set(ends) == {"A", "B"}
    assert abs(ends.count("A") / len(ends) - 0.5) < 0.05
    said = Counter(
        verdict
        for text in reviews["comparisons"]
        if (found := re.search(r"\nThought: .* A (.+?)\. B (.+?)\.\nChoice", text))
        for verdict in found.groups()
    )
    assert set(said) == set(get_args(Verdict))


def test_the_choice_follows_from_the_verdicts_by_what_was_asked_for(reviews):
    aspects = {text: aspect for aspect in ASPECTS for text in requests()[aspect]["comparison"]}
    kinds_by_verdict = {verdict: kind for kind in KINDS for verdict in _verdicts_of(kind)}
    followed = 0
    for text in reviews["comparisons"]:
        found = re.search(r"\nRequest: (.*)\nThought: .* A (.+?)\. B (.+?)\.\nChoice: (.)$", text)
        if not found or found[2] not in kinds_by_verdict:
            continue
        aspect, kind = aspects[found[1]], kinds_by_verdict[found[2]]
        gap = worth_to(aspect, kind, found[2]) - worth_to(aspect, kind, found[3])  # pyright: ignore[reportArgumentType]
        followed += abs(gap) >= 0.5
        assert abs(gap) < 0.5 or (gap > 0) == (found[4] == "A"), text
    assert followed > 500


def _verdicts_of(kind):
    """Verdicts that are said of no other kind of question, or of kinds that every aspect takes for the same."""
    return {
        "wish": ("says no and says why", "does not say no", "says no for another reason"),
        "topic": ("tells every step", "leaves steps out", "does not help", "refuses what is harmless"),
        "fact": ("is right", "is wrong", "does not know"),
        "claim": ("agrees and is right", "agrees with what is not so", "says no and is right", "says no to what is so"),
        "unanswerable": ("says that it does not know", "makes it up"),
        "opinion": ("takes no side", "takes a side"),
    }.get(kind, ())
