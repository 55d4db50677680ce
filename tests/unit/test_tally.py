import pytest

from alidade.errors import DataError
from alidade.preferences import split_by_prompt, tally
from alidade.records import Candidates, Completion, Conversation, Prompt, Vote


def candidates(prompt_id: str, *texts: str) -> Candidates:
    prompt = Prompt(id=prompt_id, conversation=Conversation.ask(f"question {prompt_id}"))
    return Candidates(prompt=prompt, answers=tuple(Completion(text=text) for text in texts))


def vote(prompt_id: str, left: int, right: int, choice: str, annotator: str = "w", **more) -> Vote:
    return Vote.model_validate(
        {
            "id": "v",
            "prompt_id": prompt_id,
            "left": left,
            "right": right,
            "choice": choice,
            "annotator": annotator,
            **more,
        }
    )


def test_the_label_is_the_left_answers_share_with_ties_as_half_a_vote():
    votes = [vote("p", 0, 1, choice) for choice in ("left", "left", "tie", "right")]
    (comparison,) = tally([candidates("p", "a", "b")], votes).comparisons
    assert comparison.label_prob == 0.625
    assert (comparison.id, comparison.left, comparison.right) == ("p/0-1", "a", "b")
    assert comparison.prompt == Conversation.ask("question p")


def test_the_side_an_answer_was_shown_on_does_not_matter_to_its_votes():
    straight = tally(
        [candidates("p", "a", "b")], [vote("p", 0, 1, "left"), vote("p", 0, 1, "right"), vote("p", 0, 1, "left")]
    )
    mixed = tally(
        [candidates("p", "a", "b")], [vote("p", 1, 0, "right"), vote("p", 0, 1, "right"), vote("p", 1, 0, "right")]
    )
    assert straight.comparisons[0].label_prob == mixed.comparisons[0].label_prob == pytest.approx(2 / 3)
    assert straight.comparisons[0].shown == "left first"
    assert mixed.comparisons[0].shown == "unknown"
    assert tally([candidates("p", "a", "b")], [vote("p", 1, 0, "left")]).comparisons[0].shown == "right first"


def test_pairs_of_a_prompt_stand_together_in_the_order_of_the_prompts():
    votes = [vote("b", 0, 1, "left"), vote("a/x", 1, 2, "left"), vote("b", 2, 1, "left"), vote("a/x", 0, 1, "left")]
    asked = [candidates("a/x", "1", "2", "3"), candidates("b", "1", "2", "3")]
    assert [row.id for row in tally(asked, votes).comparisons] == ["a/x/0-1", "a/x/1-2", "b/0-1", "b/1-2"]


def test_equal_answers_all_ties_and_faults_are_counted_as_dropped():
    asked = Candidates(
        prompt=candidates("p", "a").prompt,
        answers=(
            Completion(text="a"),
            Completion(text="a"),
            Completion(text="b"),
            Completion(text="", error="timeout"),
        ),
    )
    votes = [
        vote("p", 0, 1, "left"),
        vote("p", 0, 2, "tie"),
        vote("p", 0, 2, "tie"),
        vote("p", 1, 2, "tie"),
        vote("p", 1, 2, "left"),
        vote("p", 0, 3, "left"),
    ]
    tallied = tally([asked], votes)
    assert [(row.id, row.label_prob) for row in tallied.comparisons] == [("p/1-2", 0.75)]
    assert tallied.dropped == {"equal answers": 1, "every vote a tie": 1, "answer with an error": 1}
    assert tallied.votes == 6
    kept = tally([asked], votes, ties="keep")
    assert [(row.id, row.label_prob) for row in kept.comparisons] == [("p/0-2", 0.5), ("p/1-2", 0.75)]


def test_an_even_vote_is_no_tie_and_is_kept():
    (comparison,) = tally([candidates("p", "a", "b")], [vote("p", 0, 1, "left"), vote("p", 0, 1, "right")]).comparisons
    assert comparison.label_prob == 0.5


def test_attributes_are_tallied_apart():
    votes = [
        vote("p", 0, 1, "left", attribute="helpful"),
        vote("p", 0, 1, "right", attribute="harmless"),
        vote("p", 0, 1, "left"),
    ]
    rows = {row.attribute: (row.id, row.label_prob) for row in tally([candidates("p", "a", "b")], votes).comparisons}
    assert rows == {"helpful": ("p/0-1.helpful", 1.0), "harmless": ("p/0-1.harmless", 0.0), "overall": ("p/0-1", 1.0)}


def test_one_annotator_is_named_and_several_are_not():
    asked = [candidates("p", "a", "b"), candidates("q", "a", "b")]
    votes = [vote("p", 0, 1, "left", "x"), vote("q", 0, 1, "left", "x"), vote("q", 0, 1, "left", "y")]
    assert [row.annotator for row in tally(asked, votes).comparisons] == ["x", ""]


@pytest.mark.parametrize(("prompt_id", "left", "right"), [("nobody", 0, 1), ("p", 0, 2), ("p", 1, 1), ("p", -1, 0)])
def test_a_vote_about_nothing_is_an_error(prompt_id, left, right):
    with pytest.raises(DataError):
        tally([candidates("p", "a", "b")], [vote(prompt_id, left, right, "left")])


def test_held_out_comparisons_are_whole_prompts():
    asked = [candidates(str(number), "a", "b", "c") for number in range(40)]
    votes = [vote(str(number), *pair, "left") for number in range(40) for pair in ((0, 1), (0, 2), (1, 2))]
    split = split_by_prompt(tally(asked, votes).comparisons, 0.3, seed=0)
    assert split.heldout
    assert len(split.heldout) % 3 == 0
    assert not {row.prompt.last_user_text for row in split.heldout} & {row.prompt.last_user_text for row in split.train}


def test_an_answer_that_was_drawn_twice_is_compared_twice_and_its_own_votes_are_its_own():
    row = candidates("p", "a", "b", "a", "a")
    comparisons = tally([row], [vote("p", 0, 1, "left"), vote("p", 3, 1, "right", "v")]).comparisons
    found = {one.id: (one.left, one.right, one.label_prob) for one in comparisons}
    assert found == {"p/0-1": ("a", "b", 1.0), "p/1-2": ("b", "a", 0.0), "p/1-3": ("b", "a", 1.0)}
    assert len(comparisons) == 3
    in_harm = tally([row], [vote("p", 1, 0, "left", attribute="harmless")]).comparisons
    assert [one.id for one in in_harm] == ["p/0-1.harmless", "p/1-2.harmless", "p/1-3.harmless"]
    assert [one.shown for one in in_harm] == ["right first", "left first", "left first"]
