"""The annotator model finds what was planted: skill, side bias, labels; its slopes and its covariance are exact."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize_scalar
from scipy.special import expit, logit
from scipy.stats import spearmanr

from alidade.errors import DataError
from alidade.preferences import tally
from alidade.preferences.annotators import AnnotatorModel, Posterior, fit_annotators
from alidade.preferences.ballots import TIE, Ballots
from alidade.preferences.belief import believe
from alidade.preferences.uncertainty import Covariance
from alidade.records import Candidates, Completion, Conversation, Prompt, Vote
from alidade.stats import calibration_bins, expected_calibration_error

SEEDS = range(5)


def ballots(chance, *, answers=30, annotators=12, votes=1500, seed=0):
    """Votes on pairs of `answers`: `chance(gap, annotator)` is the chance that the left one is picked; and the utilities."""
    rng = np.random.default_rng(seed)
    utility = rng.normal(0, 1.5, answers)
    who = np.arange(votes) % annotators
    left = rng.integers(0, answers, votes)
    right = (left + rng.integers(1, answers, votes)) % answers
    picks_right = rng.random(votes) >= chance(utility[left] - utility[right], who)
    return Ballots(who, left, right, picks_right.astype(int)), utility


def with_spammers(gap, who):
    return np.where(who < 4, 0.5, 0.95 * expit(gap) + 0.025)


def a_few(seed=0):
    cast, _ = ballots(with_spammers, answers=6, annotators=3, votes=60, seed=seed)
    rng = np.random.default_rng(seed)
    outcome = np.where(rng.random(60) < 0.2, TIE, cast.outcome)
    return Ballots(cast.annotator, cast.left, cast.right, outcome, rng.normal(size=60))


def test_slopes_equal_finite_differences():
    posterior = Posterior(a_few())
    flat = np.random.default_rng(1).normal(0, 0.5, posterior.layout.size)
    numeric = approx_fprime(flat, lambda at: posterior.at(at)[0], 1e-6)
    assert np.abs(posterior.at(flat)[1] - numeric).max() < 1e-5 * np.abs(numeric).max()


def test_chances_of_a_vote_sum_to_one():
    from alidade.preferences.ballots import Likelihood

    posterior = Posterior(a_few())
    flat = np.random.default_rng(1).normal(0, 0.5, posterior.layout.size)
    likelihood = Likelihood(posterior.ballots, posterior.layout, flat)
    assert np.allclose(sum(likelihood.chances(outcome) for outcome in (0, 1, 2)), 1)


def test_the_covariance_equals_the_inverse_of_the_whole_information():
    posterior = Posterior(a_few())
    information = posterior.information(posterior.start())
    whole = np.linalg.inv(information.toarray())
    found = Covariance.of(information, posterior.layout.answers)
    left, right = np.array([0, 2, 5]), np.array([1, 4, 0])
    expected = whole[left, left] + whole[right, right] - 2 * whole[left, right]
    assert np.allclose(found.of_gaps(left, right), expected)
    assert np.allclose(found.shared, whole[6:, 6:])


@pytest.mark.parametrize("seed", SEEDS)
def test_spammers_are_told_from_the_careful(seed):
    cast, utility = ballots(with_spammers, seed=seed)
    model = fit_annotators(cast)
    # With two true levels of skill no ranking reaches a correlation above .82.
    assert spearmanr(model.skill, np.arange(12) >= 4)[0] > 0.8
    assert spearmanr(model.utility, utility)[0] > 0.9


def entropy(probs, true):
    return -np.mean(true * np.log(probs) + (1 - true) * np.log(1 - probs))


def test_labels_are_calibrated_after_a_temperature_from_gold_where_some_toss_coins():
    said, true = [], []
    for seed in SEEDS:
        cast, utility = ballots(with_spammers, seed=seed)
        left, right = np.triu_indices(30, 1)
        labels, chances = fit_annotators(cast).label_prob(left, right), expit(utility[left] - utility[right])
        gold = np.random.default_rng(seed).permutation(len(left)) < 60

        def loss(temperature, labels=labels[gold], chances=chances[gold]):
            return entropy(expit(logit(labels) / temperature), chances)

        temperature = minimize_scalar(loss, bounds=(0.2, 5.0)).x
        said += expit(logit(labels[~gold]) / temperature).tolist()
        true += chances[~gold].tolist()
    assert expected_calibration_error(calibration_bins(said, true)) < 0.05


@pytest.mark.parametrize(
    "chance",
    [lambda gap, who: 0.7 * expit(gap) + 0.3, lambda gap, who: expit(gap + np.log(0.65 / 0.35))],
    ids=["left when not looking", "drawn to the left"],
)
def test_a_side_bias_of_the_whole_pool_is_recovered(chance):
    fits = [fit_annotators(ballots(chance, votes=1800, seed=seed)[0]).pool_side_bias() for seed in SEEDS]
    assert abs(np.mean([fit.mean for fit in fits]) - 0.15) < 0.03
    assert sum(fit.low < 0.15 < fit.high for fit in fits) >= 4
    assert all(fit.high - fit.low < 0.15 for fit in fits)


def test_nobody_is_biased_where_nothing_was_planted():
    fits = [fit_annotators(ballots(with_spammers, seed=seed)[0]) for seed in SEEDS]
    assert abs(np.mean([fit.pool_side_bias().mean for fit in fits])) < 0.03
    assert np.mean([one.low < 0 < one.high for fit in fits for one in fit.side_bias()]) > 0.85


def test_attention_has_an_interval_within_0_and_1():
    found = fit_annotators(ballots(with_spammers)[0]).reliability()
    assert all(0 < one.low < one.mean < one.high < 1 and one.n == 125 for one in found)
    assert max(one.mean for one in found[:4]) < min(one.mean for one in found[4:])


def test_a_gap_known_beforehand_is_taken_into_account():
    cast, _ = ballots(with_spammers, votes=60)
    known = np.full(60, 3.0)
    model = fit_annotators(Ballots(cast.annotator, cast.left, cast.right, cast.outcome, known))
    assert isinstance(model, AnnotatorModel)
    assert (model.label_prob(cast.left, cast.right, known) > model.label_prob(cast.left, cast.right)).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0], [1], [1], [0]), "compared with itself"),
        (([0], [0], [1], [3]), "outcomes from 0 to 2"),
        (([0, 1], [0], [1], [0]), "equal length"),
        (([], [], [], []), "at least one vote"),
    ],
)
def test_votes_that_cannot_be_are_refused(columns, message):
    with pytest.raises(DataError, match=message):
        Ballots(*(np.array(column, dtype=int) for column in columns))


def cast_on(prompts, seed=0):
    """Votes on one pair a prompt whose left answer is better, by three careful annotators and three who toss coins; shown either way."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        for name in rng.permutation(6)[:2]:
            left, right = (0, 1) if rng.random() < 0.5 else (1, 0)
            says_0 = rng.random() < (0.5 if name >= 3 else 0.95)
            choice = "left" if (left == 0) == says_0 else "right"
            known = {"id": f"{prompt}/{name}", "prompt_id": str(prompt), "annotator": f"n{name}", "source": "testbed"}
            rows.append(Vote(left=left, right=right, choice=choice, **known))
    return rows


def test_labels_lean_on_the_careful_and_hardly_on_those_who_toss_coins():
    votes = cast_on(400)
    belief = believe(votes)
    careful, careless = (
        [one.attention.mean for one in belief.voters.annotators[part]] for part in (slice(3), slice(3, 6))
    )
    assert min(careful) > max(careless)
    split = {vote.prompt_id: vote for vote in votes if vote.annotator < "n3"}
    against = [
        belief.labels[f"{vote.prompt_id}", 0, 1, "overall"] > 0.5
        for vote in votes
        if vote.annotator >= "n3" and vote.prompt_id in split and (vote.choice == "left") != (vote.left == 0)
    ]
    assert len(against) > 20
    assert np.mean(against) > 0.9


def test_a_tally_takes_the_labels_it_is_given():
    said = Conversation.ask("what is it")
    rows = [
        Candidates(prompt=Prompt(id=str(n), conversation=said), answers=(Completion(text="yes"), Completion(text="no")))
        for n in range(400)
    ]
    votes = cast_on(400)
    belief = believe(votes)
    found = tally(rows, votes, labels=belief.labels).comparisons
    assert [row.label_prob for row in found] == [
        belief.labels[row.id.partition("/")[0], 0, 1, "overall"] for row in found
    ]
    shares = tally(rows, votes).comparisons
    assert np.mean([row.label_prob > 0.5 for row in found]) > np.mean([row.label_prob > 0.5 for row in shares]) + 0.1
