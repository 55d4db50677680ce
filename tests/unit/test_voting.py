"""Options by vote: shares of known probabilities, their variance as stated, and answers that are no option."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field

import pytest
from scipy.stats import binom
from tests.known_model import KnownModel, constitution, principle

from alidade.constitution.judges import judge_cards
from alidade.constitution.ledger import told
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.voting import Ballot, VotingModel, continued_option, said_option
from alidade.constitution.wording import PUBLISHED
from alidade.models.continuing import ChatText
from alidade.models.scripted import QueuedModel, Rule, ScriptedModel
from alidade.records import Completion, Conversation

OPTIONS = (" (A)", " (B)")
PAIRS = [Pair(id=f"c{n}", prompt=Conversation.ask("Why?"), left=f"left {n}", right=f"right {n}") for n in range(60)]


@dataclass
class Chooser:
    """Writes the first option with probability `first`, something else with probability `stray`."""

    first: float
    stray: float = 0.0
    name: str = "chooser"
    seeds: list[int] = field(default_factory=list)

    def continued(self, texts, how, stops=(), progress=None):
        self.seeds.append(how.seed)
        rng = random.Random(how.seed)
        return [Completion(text=self._said(rng)) for _ in texts]

    def _said(self, rng):
        if rng.random() < self.stray:
            return "I would rather not say."
        return "(A)\n\nHuman: more" if rng.random() < self.first else "(B)"


def feedback(model, **settings):
    return Feedback(model, constitution(principle("kind")), PUBLISHED, PreferenceSettings(**settings))


@pytest.mark.parametrize("first", [0.5, 0.7, 0.95])
def test_the_votes_of_a_known_model_lie_in_the_binomial_interval(first):
    ballots = VotingModel(Chooser(first), 20).ballots(["q"] * 500, OPTIONS, seed=1)
    low, high = binom.interval(0.999, 500 * 20, first)
    assert low <= sum(ballot.votes[0] for ballot in ballots) <= high
    assert {ballot.n for ballot in ballots} == {20}


@pytest.mark.parametrize(("first", "votes"), [(0.5, 10), (0.7, 20), (0.9, 30)])
def test_the_stated_variance_is_the_error_that_is_made(first, votes):
    ballots = VotingModel(Chooser(first), votes).ballots(["q"] * 4000, OPTIONS, seed=2)
    made = statistics.fmean((ballot.shares[0] - first) ** 2 for ballot in ballots)
    assert statistics.fmean(ballot.variance for ballot in ballots) == pytest.approx(made, rel=0.12)


def test_log_probs_are_those_of_the_smoothed_shares_and_never_of_nothing():
    ballot = Ballot(votes=(9, 0), strays=1)
    assert ballot.shares == pytest.approx((0.95, 0.05))
    assert [math.exp(one) for one in ballot.log_probs] == pytest.approx([0.95, 0.05])
    assert ballot.variance == pytest.approx(0.95 * 0.05 / 11)
    assert VotingModel(Chooser(1.0), 9).option_log_probs(["q"], OPTIONS) == [[math.log(0.95), math.log(0.05)]]


def test_a_row_says_how_many_votes_are_behind_it_and_how_far_they_may_be_off():
    (row, *_) = feedback(Chooser(0.7), votes=16).compare(PAIRS, seed=0)
    ballots = [one.ballot for one in row.judgements]
    assert row.votes == 32
    assert row.standard_error == pytest.approx(math.sqrt(sum(one.variance for one in ballots)) / 2)
    assert [one.left_prob for one in row.judgements] == pytest.approx([ballots[0].shares[0], ballots[1].shares[1]])
    told_lines = told("comparisons", row.model_dump(mode="json"), "c0")
    assert told_lines[-1].endswith(f"(standard error {row.standard_error:.3f}, 32 votes)")
    assert any(line.startswith("  votes: ") for line in told_lines)


def test_the_standard_error_of_a_label_is_its_spread_over_seeds():
    labels, errors = [], []
    for seed in range(25):
        for row in feedback(Chooser(0.8), votes=12).compare(PAIRS[:20], seed=seed):
            labels.append(row.comparison.label_prob)
            errors.append(row.standard_error)
    # Both orders choose the first with .8, so the label is one half but for the votes drawn.
    assert statistics.fmean(labels) == pytest.approx(0.5, abs=0.01)
    assert statistics.pstdev(labels) == pytest.approx(statistics.fmean(errors), rel=0.12)


def test_without_votes_nothing_of_them_is_written():
    (row,) = feedback(KnownModel()).compare(PAIRS[:1], seed=0)
    assert not {"votes", "standard_error"} & set(row.model_dump(mode="json"))
    assert not {"ballot", "fault"} & set(row.model_dump(mode="json")["judgements"][0])
    (card, _) = judge_cards([row])
    assert not {"extra_variance", "strays"} & set(card.model_dump(mode="json"))


def test_cards_tell_the_extra_variance_and_the_answers_that_were_no_option():
    rows = feedback(Chooser(0.6, stray=0.25), votes=20).compare(PAIRS, seed=3)
    every, kind = judge_cards(rows)
    ballots = [one.ballot for row in rows for one in row.judgements]
    assert every.extra_variance == kind.extra_variance
    assert every.extra_variance == pytest.approx(statistics.fmean(one.variance for one in ballots))
    assert every.strays.n == 60 * 2 * 20
    assert every.strays.low <= 0.25 <= every.strays.high


def test_no_answer_that_is_an_option_gives_one_half_with_a_fault():
    (row,) = feedback(Chooser(0.9, stray=1.0), votes=5).compare(PAIRS[:1], seed=0)
    assert [one.fault for one in row.judgements] == ["no option", "no option"]
    assert [one.left_prob for one in row.judgements] == [0.5, 0.5]
    assert (row.comparison.label_prob, row.votes) == (0.5, 0)
    assert [one.ballot.strays for one in row.judgements] == [5, 5]


def test_a_fault_of_the_model_is_a_stray_and_no_crash():
    (row,) = feedback(ChatText(QueuedModel(["(A)", "(B)"])), votes=3).compare(PAIRS[:1], seed=0)
    assert [one.ballot for one in row.judgements] == [Ballot(votes=(1, 1), strays=1), Ballot(votes=(0, 0), strays=3)]


def test_equal_seeds_and_chunks_draw_equal_votes_and_others_do_not():
    def made(seed, chunk):
        return [row.model_dump() for row in feedback(Chooser(0.6), votes=9).compare(PAIRS, seed=seed, chunk=chunk)]

    assert made(0, 0) == made(0, 0)
    assert made(0, 0) != made(0, 1)
    assert made(0, 0) != made(1, 0)


def test_a_chat_model_is_asked_the_same_question_as_one_turn():
    model = ChatText(ScriptedModel([Rule(ask=r"The answer is:$", reply="The answer is (B), the kinder one.")]))
    (row,) = feedback(model, votes=2).compare(PAIRS[:1], seed=0)
    assert [one.ballot.votes for one in row.judgements] == [(0, 2), (0, 2)]


def test_a_model_that_hides_its_probabilities_must_vote():
    with pytest.raises(ValueError, match="`votes` must say how often"):
        feedback(Chooser(0.5))


@pytest.mark.parametrize(
    ("text", "found"),
    [("(A)", 0), ("(B) is kinder", 1), ("(C)", None), ("", None), ("so (A)", None), (" (A)", 0)],
)
def test_a_text_chooses_the_option_that_it_goes_on_with(text, found):
    assert continued_option(text, OPTIONS) == found


def test_a_letter_is_an_option_and_the_beginning_of_a_word_is_none():
    assert continued_option("A is better", (" A", " B")) == 0
    assert continued_option("Both", (" A", " B")) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(A)", 0),
        ("B", 1),
        ("**B**", 1),
        ("A: it is kinder", 0),
        ("I choose option B.", 1),
        ("The better answer is (A).", 0),
        ("A good answer would be neither.", None),
        ("Both (A) and (B) are harmful.", None),
        ("(A) is better than (B)", 0),
        ("I cannot say", None),
    ],
)
def test_an_assistant_says_its_choice_in_a_sentence(text, found):
    assert said_option(text, OPTIONS) == found
