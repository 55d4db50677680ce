"""The written world, its wordings, its writers and its simulated annotators."""

import random
from collections import Counter
from itertools import islice

import pytest

from alidade.errors import UsageError
from alidade.seeds import generator
from alidade.testbed import answers
from alidade.testbed.annotators import POOL, Annotator, choose, felt_utility, put_in_order
from alidade.testbed.demonstrations import Care, demonstrations
from alidade.testbed.documents import MIX, documents, mixture, names_compared, question_list, questions_weighed
from alidade.testbed.judge import Question, gold_judge, words_of
from alidade.testbed.phrasing import _TEMPLATES, HELD_OUT_FAMILIES, TRAIN_FAMILIES, ask
from alidade.testbed.questions import evaluation_prompts, question_of, training_prompts
from alidade.testbed.world import new_items, world

WORLD = world()
FAMILIES = {*TRAIN_FAMILIES, *HELD_OUT_FAMILIES}


def test_the_world_is_as_large_as_promised():
    assert len(WORLD.topics) >= 80
    assert len(WORLD.facts) >= 150
    assert len(WORLD.wishes) == len(WORLD.twins) >= 60
    assert len({wish.code for wish in WORLD.wishes}) >= 8
    assert len(FAMILIES) >= 5
    assert len(HELD_OUT_FAMILIES) == 2


def test_every_step_is_recognised_by_its_first_four_words():
    steps = [step for item in (*WORLD.topics, *WORLD.wishes, *WORLD.twins) for step in item.steps]
    assert len({tuple(words_of(step)[:4]) for step in steps}) == len(steps)
    joined = [" ".join(words_of(step)) for step in steps]
    assert not [step for step in joined if sum(f" {step} " in f" {other} " for other in joined) > 1]


def test_every_wish_has_a_twin_which_shares_words_with_it():
    twins = {twin.id: twin for twin in WORLD.twins}
    for wish in WORLD.wishes:
        shared = set(words_of(wish.verb)) & set(words_of(twins[wish.twin_id].verb)) - {"a", "the", "my", "to"}
        assert shared, wish.id


def test_about_a_fifth_of_each_kind_is_new_and_twins_are_new_with_their_wishes():
    unseen = new_items()
    for items in (WORLD.topics, WORLD.wishes, WORLD.facts, WORLD.unanswerables):
        share = sum(item.id in unseen for item in items) / len(items)
        assert 0.15 < share <= 0.2
    assert all((wish.id in unseen) == (wish.twin_id in unseen) for wish in WORLD.wishes)


@pytest.mark.parametrize("kind", sorted(_TEMPLATES))
def test_every_template_fills_in_for_every_item(kind):
    for item in WORLD.items(kind):
        for family in FAMILIES:
            text = ask(kind, item, family, random.Random(0), claimed="blue")
            assert "{" not in text
            assert text[-1] in "?."


def test_no_training_prompt_or_demonstration_uses_a_held_out_wording_or_a_new_item():
    mix = dict.fromkeys(("topic", "wish", "twin", "fact", "claim", "unanswerable", "opinion"), 1.0)
    prompts = training_prompts(3000, mix, 0, "x")
    assert {prompt.about["family"] for prompt in prompts} == set(TRAIN_FAMILIES)
    assert not {prompt.about["item"] for prompt in prompts} & new_items()
    held_out = {prompt.conversation.last_user_text for prompt in evaluation_prompts(300, 0)}
    assert not held_out & {prompt.conversation.last_user_text for prompt in prompts}
    assert not held_out & {row.prompt.last_user_text for row in demonstrations(3000, Care(), 0)}


def test_evaluation_prompts_are_held_out_wordings_only_and_new_groups_are_new():
    prompts = evaluation_prompts(200, 1)
    assert {prompt.about["family"] for prompt in prompts} == set(HELD_OUT_FAMILIES)
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    for prompt in prompts:
        assert (prompt.about["item"] in new_items()) == (prompt.about["new"] == "true")
    assert all(question_of(prompt).claimed for prompt in prompts if prompt.about["kind"] == "claim")


def test_held_out_wordings_are_never_answered_in_the_documents():
    """A question in a held-out wording is followed by no answer: it stands in a list or in a post without a helpful reply."""
    markers = (
        "What is the best way to",
        "Can you help me",
        "Could you show me how",
        "What are the steps to",
        "What is a good way to",
    )
    for text in islice((text for text in documents(3)), 4000):
        lines = text.split("\n")
        for place, line in enumerate(lines[:-1]):
            if any(marker in line for marker in markers):
                after = gold_judge().read(lines[place + 1], finished=True)
                assert not after.steps, text


def test_documents_are_the_same_for_the_same_seed():
    assert list(islice(documents(5), 50)) == list(islice(documents(5), 50))
    assert list(islice(documents(5), 50)) != list(islice(documents(6), 50))
    assert {writer.__name__ for writer in MIX} >= {"dialogue", "thread", "question_list", "similar_questions"}


def test_kinds_of_documents_are_weighed_by_name():
    assert mixture({}) == MIX
    only = dict.fromkeys((writer.__name__ for writer in MIX), 0.0) | {"question_list": 1.0}
    assert all(set(text) & {"?", "."} and "because" not in text for text in islice(documents(3, 0.0, only), 50))
    with pytest.raises(UsageError, match="there is no kind of document `question_lists`"):
        mixture({"question_lists": 1.0})
    with pytest.raises(UsageError, match="cannot have the weight -1"):
        mixture({"question_list": -1.0})
    with pytest.raises(UsageError, match="cannot have the weight inf"):
        mixture({"question_list": float("inf")})
    with pytest.raises(UsageError, match="no kind of document is left"):
        mixture(only | {"question_list": 0.0})


@pytest.mark.parametrize("seed", range(5))
def test_the_judge_accepts_every_good_answer_our_writers_can_give(seed):
    judge, rng = gold_judge(), generator(seed, "good answers")
    for item in (*WORLD.topics, *WORLD.twins):
        kind = "topic" if item in WORLD.topics else "twin"
        assert judge.judge(Question(kind, item.id), answers.instructions(item, rng), finished=True).measures["helpful"]
        assert not judge.judge(
            Question(kind, item.id), answers.partial_instructions(item, rng), finished=True
        ).measures["helpful"]
    for wish in WORLD.wishes:
        assert judge.judge(Question("wish", wish.id), answers.refusal(WORLD, wish, rng), finished=True).measures[
            "refusal"
        ]
        assert not judge.judge(
            Question("wish", wish.id), answers.partial_instructions(wish, rng), finished=True
        ).measures["harmless"]
    for fact in WORLD.facts:
        rival = rng.choice(fact.rivals)
        assert judge.judge(Question("fact", fact.id), answers.statement(fact, fact.value, rng), finished=True).measures[
            "facts"
        ]
        assert not judge.judge(Question("fact", fact.id), answers.statement(fact, rival, rng), finished=True).measures[
            "facts"
        ]
        claim = Question("claim", fact.id, rival)
        assert judge.judge(claim, answers.correction(fact, rng), finished=True).measures["claim_right"]
        assert judge.judge(claim, answers.confirmation(fact, rival, rng), finished=True).measures["sycophancy"]
    for item in WORLD.unanswerables:
        assert judge.judge(
            Question("unanswerable", item.id), answers.ignorance(WORLD, item, rng), finished=True
        ).measures["explained"]


def test_answers_do_not_read_like_one_template():
    rng = random.Random(0)
    texts = {answers.instructions(WORLD.topics[0], rng) for _ in range(400)}
    assert len(texts) > 60


def test_question_lists_hold_only_questions():
    text = question_list(WORLD, random.Random(1))
    assert 3 <= len(text.split("\n")) <= 9


def test_questions_are_weighed_and_not_answered():
    """New wishes stand among them, with the right reason; no step of anything is told and nothing is refused."""
    texts = [questions_weighed(WORLD, random.Random(seed)) for seed in range(600)]
    readings = [gold_judge().read(text, finished=True) for text in texts]
    assert not any(reading.steps for reading in readings)
    assert not any(answer in text for text in texts for answer in ("I will not", "I cannot help", "I would rather"))
    alone = {
        wish.id: reading.hazards
        for text, reading in zip(texts, readings, strict=True)
        for wish in WORLD.wishes
        if [other for other in WORLD.wishes if other.verb in text or other.gerund in text] == [wish]
    }
    codes = {wish.id: wish.code for wish in WORLD.wishes}
    assert all(hazards == {codes[name]} for name, hazards in alone.items())
    assert len(alone.keys() & new_items()) > 10


def test_names_compared_are_the_same_where_they_are():
    lines = [line for seed in range(50) for line in names_compared(WORLD, random.Random(seed)).split("\n")]
    for line in lines:
        names, verdict = line.split(": ")
        so, said = names.split(", and what was said is ")
        assert so.endswith(f" is {said}") == (verdict == "that is the same."), line
    assert 0.4 < sum(line.endswith("the same.") for line in lines) / len(lines) < 0.6


def test_care_decides_how_many_instructions_are_complete():
    def complete(share):
        rows = demonstrations(2000, Care(complete=share), 0)
        steps = {item.verb: len(item.steps) for item in WORLD.topics}
        asked = [(row, next((verb for verb in steps if f" {verb}?" in row.prompt.last_user_text), "")) for row in rows]
        known = [(row, steps[verb]) for row, verb in asked if verb]
        found = [len(gold_judge().read(row.answer, finished=True).steps) == count for row, count in known]
        assert len(found) > 100
        return sum(found) / len(found)

    assert complete(1.0) == 1.0
    assert abs(complete(0.7) - 0.7) < 0.1


def test_care_decides_how_many_wishes_are_refused():
    judge = gold_judge()

    def refused(share):
        rows = demonstrations(2000, Care(refused=share), 0)
        wishes = [row for row in rows if judge.read(row.answer, finished=True).refuses]
        return len(wishes) / len(rows)

    assert refused(0.0) == 0
    assert 0.15 < refused(1.0) < 0.25
    assert abs(refused(0.5) - refused(1.0) / 2) < 0.03


def test_a_careful_annotator_agrees_with_gold_and_a_careless_one_tosses_coins():
    careful, careless = Annotator(name="a", attention=1.0, sharpness=50.0), Annotator(name="b", attention=0.0)
    rng = random.Random(0)
    assert all(choose(careful, 2.0, rng) == "left" for _ in range(100))
    assert all(choose(careful, 0.2, rng) == "tie" for _ in range(100))
    tosses = Counter(choose(careless, 2.0, rng) for _ in range(2000))
    assert abs(tosses["left"] - 1000) < 120


def test_votes_match_the_stated_probability():
    annotator = Annotator(name="a", attention=0.9, sharpness=1.0, side=0.5)
    rng = random.Random(1)
    left = sum(choose(annotator, 0.7, rng) == "left" for _ in range(20000)) / 20000
    assert abs(left - (0.9 / (1 + 2.718281828 ** -(0.7 + 0.5)) + 0.05)) < 0.012


def test_a_taste_for_length_and_flattery_is_felt():
    long, flattered = Annotator(name="a", length=1.0), Annotator(name="b", flattery=1.0)
    assert felt_utility(long, 0.0, "word " * 20) == 2.0
    assert felt_utility(flattered, 0.0, "Happy to help. Do it.") == 1.0
    assert felt_utility(flattered, 0.0, "Do it.") == 0.0


def test_two_answers_are_put_in_order_as_often_as_they_are_chosen():
    annotator, gap = Annotator(name="a", attention=0.9, sharpness=1.5, side=0.4), 0.6
    ordered, chosen = random.Random(0), random.Random(1)
    first = [put_in_order(annotator, (gap, 0.0), ordered) == (0, 1) for _ in range(20_000)]
    left = [choose(annotator, gap, chosen) == "left" for _ in range(20_000)]
    assert sum(first) / 20_000 == pytest.approx(sum(left) / 20_000, abs=0.012)


def test_answers_that_feel_alike_share_a_place():
    annotator = Annotator(name="a", attention=1.0, sharpness=1000.0, indifference=0.5)
    assert put_in_order(annotator, (0.0, 2.0, 0.1, 4.0, 2.2), random.Random(0)) == (2, 1, 2, 0, 1)
    assert len({annotator.name for annotator in POOL}) == len(POOL)
