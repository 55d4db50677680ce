"""Constitutional AI as published ([B22] Bai et al. 2022, arXiv 2212.08073), against a model whose every probability is known."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from scipy.stats import chisquare
from tests.known_model import KnownModel, constitution, principle

from alidade.constitution.examples import ComparisonShot, ReasonedShot
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings, draw_principles
from alidade.constitution.principles import Principle, Requests
from alidade.constitution.revise import (
    SHOT_ORDERS,
    Answered,
    Reviser,
    RevisionSettings,
    draw_principle,
    draw_shots,
    mixed,
    revisions_to_train_on,
)
from alidade.constitution.wording import PUBLISHED, REVIEWS
from alidade.records import Conversation, Demonstration, Prompt

SIXTEEN = tuple(principle(f"p{number}") for number in range(16))
TALK = Conversation.ask("How do I do it?").then("assistant", "Why?").then("user", "Just tell me.")
SHOTS = [f"\n\nHuman: example {number}" for number in range(5)]


def rows(count: int) -> list[Answered]:
    return [Answered(prompt=Prompt(id=f"q{n}", conversation=TALK), answer=f"first answer {n}") for n in range(count)]


def reviser(model: KnownModel, wording=PUBLISHED, shots=(), principles=SIXTEEN, **settings) -> Reviser:
    return Reviser(model, constitution(*principles), wording, RevisionSettings(**settings), shots)


def pairs(count: int) -> list[Pair]:
    return [Pair(id=f"c{n}", prompt=TALK, left=f"left {n}", right=f"right {n}") for n in range(count)]


def feedback(model: KnownModel, wording=PUBLISHED, shots=(), principles=SIXTEEN, **settings) -> Feedback:
    return Feedback(model, constitution(*principles), wording, PreferenceSettings(**settings), shots)


# Section 3.1: critiques and revisions


def test_every_step_draws_a_principle_with_equal_chance():
    drawn = Counter(draw_principle(SIXTEEN, 0, f"q{n}", step).id for n in range(2000) for step in range(4))
    assert len(drawn) == 16
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_the_steps_of_a_prompt_draw_independently_of_each_other():
    follows = Counter(
        (draw_principle(SIXTEEN[:4], 0, f"q{n}", 0).id, draw_principle(SIXTEEN[:4], 0, f"q{n}", 1).id)
        for n in range(4000)
    )
    assert len(follows) == 16
    assert chisquare(list(follows.values())).pvalue > 0.001


def test_weights_are_relative_chances():
    weighted = [principle("twice", weight=2), principle("once"), principle("never", weight=0)]
    drawn = Counter(draw_principle(weighted, 1, f"q{n}", 0).id for n in range(6000))
    assert drawn["never"] == 0
    assert chisquare([drawn["twice"], drawn["once"]], [4000, 2000]).pvalue > 0.001


def test_four_steps_are_made_and_all_are_kept():
    revised = reviser(KnownModel()).revise(rows(3), seed=0)
    assert [len(row.steps) for row in revised] == [4, 4, 4]
    assert RevisionSettings().steps == 4
    assert all(step.critique and step.revision for row in revised for step in row.steps)


def test_each_step_criticises_the_answer_of_the_step_before():
    count = itertools.count()
    model = KnownModel(says=lambda text: f"answer {next(count)}")
    (row,) = reviser(model, steps=3).revise(rows(1), seed=0)
    asked = [text for text, _ in model.asked]
    assert row.answers == ["first answer 0", "answer 1", "answer 3", "answer 5"]
    for step in range(3):
        assert asked[2 * step].rpartition("\n\nCritiqueRequest:")[0].endswith(f"Assistant: {row.answers[step]}")
        assert asked[2 * step + 1].startswith(asked[2 * step] + f" answer {2 * step}\n\nRevisionRequest: ")


def test_the_request_is_that_of_the_principle_drawn_and_the_talk_is_whole():
    model = KnownModel()
    (row,) = reviser(model, steps=1).revise(rows(1), seed=3)
    name = row.steps[0].principle
    assert model.asked[1][0] == (
        "\n\nHuman: How do I do it?\n\nAssistant: Why?\n\nHuman: Just tell me.\n\nAssistant: first answer 0"
        f"\n\nCritiqueRequest: What goes against {name}?\n\nCritique: {row.steps[0].critique}"
        f"\n\nRevisionRequest: Rewrite by {name}.\n\nRevision:"
    )


def test_examples_are_shuffled_and_every_order_is_as_likely_as_another():
    first = Counter(draw_shots(5, 5, seed, "q", 0)[0] for seed in range(4000))
    assert len(first) == 5
    assert chisquare(list(first.values())).pvalue > 0.001
    orders = {draw_shots(5, 5, 0, f"q{n}", 0) for n in range(500)}
    assert SHOT_ORDERS - 2 <= len(orders) <= SHOT_ORDERS
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)


def test_examples_stand_in_front_of_the_request_in_the_order_kept_with_the_row():
    model = KnownModel()
    (row,) = reviser(model, shots=SHOTS, steps=1).revise(rows(1), seed=0)
    shown = "".join(SHOTS[number] for number in row.steps[0].shots)
    assert len(row.steps[0].shots) == 5
    assert all(text.startswith(shown + "\n\nHuman: How") for text, _ in model.asked)


def test_without_critique_a_revision_is_asked_for_at_once():
    """Section 3.5: critiques are left out."""
    model = KnownModel()
    (row,) = reviser(model, critique=False, steps=2).revise(rows(1), seed=0)
    assert [step.critique for step in row.steps] == ["", ""]
    assert len(model.asked) == 2
    assert all("Critique" not in text for text, _ in model.asked)


def test_a_failed_step_keeps_the_answer_before_and_is_not_trained_on():
    replies = iter(["bad", "better", "bad", "", "bad", "best"])
    (row,) = reviser(KnownModel(says=lambda text: next(replies)), steps=3).revise(rows(1), seed=0)
    assert row.answers == ["first answer 0", "better", "better", "best"]
    assert [step.fault for step in row.steps] == ["", "empty", ""]
    assert [one.answer for one in revisions_to_train_on([row])] == ["better", "best"]


def test_the_same_seed_makes_the_same_bytes_and_another_seed_does_not():
    def made(seed: int) -> list[str]:
        return [row.model_dump_json() for row in reviser(KnownModel(), shots=SHOTS).revise(rows(8), seed=seed)]

    assert made(0) == made(0)
    assert made(0) != made(1)


def test_a_text_in_braces_is_no_placeholder():
    model = KnownModel()
    row = Answered(prompt=Prompt(id="q", conversation=Conversation.ask("{} {answer} %s")), answer="{critique}")
    reviser(model, steps=1).revise([row], seed=0)
    assert model.asked[0][0].startswith("\n\nHuman: {} {answer} %s\n\nAssistant: {critique}\n\nCritiqueRequest:")


# Section 3.2: what is trained on


def test_the_revisions_of_all_steps_are_trained_on_and_never_the_first_answer():
    revised = reviser(KnownModel(), shots=SHOTS).revise(rows(5), seed=0)
    trained = revisions_to_train_on(revised)
    assert [one.answer for one in trained] == [step.revision for row in revised for step in row.steps]
    assert {one.prompt for one in trained} == {TALK}
    assert {one.source for one in trained} == {"constitution"}


def test_helpful_answers_are_mixed_in_at_the_share_asked_for():
    revised = revisions_to_train_on(reviser(KnownModel()).revise(rows(75), seed=0))
    helpful = [Demonstration(id=f"h{n}", prompt=TALK, answer=f"help {n}") for n in range(400)]
    together = mixed(revised, helpful, 0.25, seed=0)
    assert Counter(one.source for one in together) == {"constitution": 300, "file": 100}
    assert len({one.id for one in together}) == 400
    assert together != sorted(together, key=lambda one: one.source)


@pytest.mark.parametrize(
    ("share", "problem"), [(0.9, "need 36 helpful answers"), (1.0, "below 1"), (-0.1, "at least 0")]
)
def test_a_share_that_cannot_be_is_refused(share, problem):
    revised = revisions_to_train_on(reviser(KnownModel(), steps=4).revise(rows(1), seed=0))
    with pytest.raises(ValueError, match=problem):
        mixed(revised, [Demonstration(id="h", prompt=TALK, answer="help")], share, seed=0)


# Section 4.1: comparisons


def test_one_principle_is_drawn_for_each_comparison_with_equal_chance():
    labelled = feedback(KnownModel()).compare(pairs(3200), seed=0)
    drawn = Counter(row.judgements[0].principle for row in labelled)
    assert all(len({one.principle for one in row.judgements}) == 1 for row in labelled)
    assert len(drawn) == 16
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_the_label_is_the_normalised_probability_of_the_options():
    """The model gives half of its mass to other words; .8 among the options is .8."""
    model = KnownModel(first_prob=lambda text: 0.8 if "(A) [[[left" in text else 0.2)
    (row,) = feedback(model).compare(pairs(1), seed=0)
    assert row.comparison.label_prob == pytest.approx(0.8, abs=1e-12)
    assert row.judgements[0].log_probs[0] == pytest.approx(math.log(0.4))


def test_both_orders_are_asked_and_averaged():
    model = KnownModel(first_prob=lambda text: 0.9 if "(A) [[[left" in text else 0.6)
    (row,) = feedback(model).compare(pairs(1), seed=0)
    assert [one.shown for one in row.judgements] == ["left first", "right first"]
    assert [one.left_prob for one in row.judgements] == pytest.approx([0.9, 0.4])
    assert row.comparison.label_prob == pytest.approx(0.65)


def test_a_judge_that_always_picks_the_first_says_nothing():
    labelled = feedback(KnownModel(first_prob=lambda text: 0.97)).compare(pairs(20), seed=0)
    assert [row.comparison.label_prob for row in labelled] == pytest.approx([0.5] * 20)


def test_swapping_the_answers_mirrors_the_label():
    def first_prob(text: str) -> float:
        return 0.5 + 0.4 * math.sin(len(text) + 3 * text.index("left") - text.index("right"))

    there = feedback(KnownModel(first_prob=first_prob)).compare(pairs(30), seed=0)
    turned = [Pair(id=one.id, prompt=one.prompt, left=one.right, right=one.left) for one in pairs(30)]
    back = feedback(KnownModel(first_prob=first_prob)).compare(turned, seed=0)
    assert [row.comparison.label_prob for row in there] == pytest.approx(
        [1 - row.comparison.label_prob for row in back]
    )


def test_an_ensemble_averages_over_different_principles():
    probs = {"p0": 0.9, "p1": 0.5, "p2": 0.1}

    def first_prob(text: str) -> float:
        left = next(prob for name, prob in probs.items() if f"keeps {name}?" in text)
        return left if "(A) [[[left" in text else 1 - left

    (row,) = feedback(KnownModel(first_prob=first_prob), principles=SIXTEEN[:3], principles_per_pair=3).compare(
        pairs(1), seed=0
    )
    assert sorted(one.principle for one in row.judgements) == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert row.comparison.label_prob == pytest.approx(0.5)


def test_an_ensemble_larger_than_the_constitution_is_all_of_it():
    assert {one.id for one in draw_principles(SIXTEEN, 99, 0, "c")} == {one.id for one in SIXTEEN}


@pytest.mark.parametrize(("first", "label"), [(0.999, 0.6), (0.001, 0.4), (0.55, 0.55)])
def test_after_reasoning_a_probability_is_clamped(first, label):
    model = KnownModel(first_prob=lambda text: first if "(A) [[[left" in text else 1 - first)
    (row,) = feedback(model, thoughts=True).compare(pairs(1), seed=0)
    assert row.comparison.label_prob == pytest.approx(label)


def test_without_reasoning_nothing_is_clamped():
    model = KnownModel(first_prob=lambda text: 0.999 if "(A) [[[left" in text else 0.001)
    (row,) = feedback(model).compare(pairs(1), seed=0)
    assert row.comparison.label_prob == pytest.approx(0.999)


def test_the_choice_follows_the_reasoning_step_by_step():
    model = KnownModel(says=lambda text: "One is kinder.")
    (row,) = feedback(model, thoughts=True).compare(pairs(1), seed=0)
    reasoned, chosen = model.asked[0][0], model.asked[2][0]
    assert reasoned.endswith("\n\nAssistant: Let's think step by step:")
    assert chosen == reasoned + " One is kinder.\n\nHuman:\nSo the answer is:"
    assert row.judgements[0].thought == "One is kinder."


def test_a_form_of_two_critiques_asks_for_each_without_the_other_answer_and_shows_both_orders_the_same():
    model = KnownModel(says=lambda text: "Kind." if "left 0" in text else "Rude.")
    (row,) = feedback(model, wording=REVIEWS, thoughts=True).compare(pairs(1), seed=0)
    criticised, chosen = [text for text, _ in model.asked[:2]], [text for text, _ in model.asked[2:]]
    drawn = row.judgements[0].principle
    assert [("left 0" in text, "right 0" in text) for text in criticised] == [(True, False), (False, True)]
    assert all(text.endswith(f"\nRequest: What goes against {drawn}?\nCritique:") for text in criticised)
    assert [text.partition(f"\nRequest: Which keeps {drawn}?")[2] for text in chosen] == [
        "\nCritique of A: Kind.\nCritique of B: Rude.\nChoice:",
        "\nCritique of A: Rude.\nCritique of B: Kind.\nChoice:",
    ]
    assert [one.thought for one in row.judgements] == [
        "Kind.\nCritique of B: Rude.",
        "Rude.\nCritique of B: Kind.",
    ]


def test_a_principle_that_only_compares_asks_for_critiques_in_the_words_of_its_question():
    mute = Principle(id="only", title="only", text="Only compare.", requests=Requests(comparison="Which is kinder?"))
    model = KnownModel()
    feedback(model, wording=REVIEWS, principles=(mute,), thoughts=True).compare(pairs(1), seed=0)
    assert all(text.endswith("\nRequest: Which is kinder?\nCritique:") for text, _ in model.asked[:2])


def test_examples_show_their_better_answer_in_either_place():
    shots = [
        ComparisonShot(prompt=f"\n\nHuman: s{n}\n\nAssistant:", corrects=(f"good {n}",), incorrects=(f"bad {n}",))
        for n in range(5)
    ]
    seen = set()
    for seed in range(8):
        model = KnownModel()
        feedback(model, shots=shots).compare(pairs(1), seed=seed)
        for number in range(5):
            text = model.asked[0][0].split(f"Human: s{number}")[1].split("The answer is:")[1][:4]
            is_first = f"(A) [[[good {number}]]]" in model.asked[0][0]
            assert text == (" (A)" if is_first else " (B)")
            seen.add(is_first)
    assert seen == {True, False}


def test_examples_of_reasoning_are_shown_with_it_and_in_their_own_order():
    shot = ReasonedShot(prompt="Is it?", first="yes", second="no", thought="(B) is true.", choice="B")
    model = KnownModel()
    feedback(model, shots=[shot], thoughts=True).compare(pairs(1), seed=0)
    assert (
        "\n\nAssistant: Let's think step by step: (B) is true.\n\nHuman:\nSo the answer is: (B)\n\n"
        in model.asked[0][0]
    )
    model = KnownModel()
    feedback(model, shots=[shot]).compare(pairs(1), seed=0)
    assert "(A) [[[yes]]]\n (B) [[[no]]]\n\nThe answer is: (B)\n\n" in model.asked[0][0]


def test_examples_of_a_comparison_are_shuffled_and_each_pair_keeps_its_order():
    shots = [ComparisonShot(prompt=f"s{n}", corrects=("good",), incorrects=("bad",)) for n in range(5)]
    model = KnownModel()
    labelled = feedback(model, shots=shots).compare(pairs(300), seed=0)
    orders = {row.judgements[0].shots for row in labelled}
    assert SHOT_ORDERS - 2 <= len(orders) <= SHOT_ORDERS
    for row, (text, _) in zip(labelled, model.asked[::2], strict=True):
        shown = [text.index(f"Human: s{number}") for number in row.judgements[0].shots]
        assert shown == sorted(shown)
        assert all(one.shots == row.judgements[0].shots for one in row.judgements)


# What cannot be


def test_a_constitution_that_cannot_ask_is_refused():
    mute = Principle(id="mute", title="mute", text="Say nothing.", requests=Requests())
    with pytest.raises(ValueError, match="no principle with a critique request"):
        reviser(KnownModel(), principles=(mute,))
    with pytest.raises(ValueError, match="no principle with a comparison question"):
        feedback(KnownModel(), principles=(mute,))


def test_a_form_that_knows_no_reasoning_is_refused():
    with pytest.raises(ValueError, match="no form for reasoning"):
        feedback(KnownModel(), wording=REVIEWS.model_copy(update={"thought": None}), thoughts=True)
