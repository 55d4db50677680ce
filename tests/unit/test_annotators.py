"""The annotator model finds what was planted: skill, side bias, labels; its slopes and its covariance are exact."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize_scalar
from scipy.sparse import csr_array
from scipy.special import expit, logit
from scipy.stats import spearmanr

from alidade.errors import DataError
from alidade.preferences import posterior as posterior_module
from alidade.preferences import tally, uncertainty
from alidade.preferences.annotators import fit_annotators
from alidade.preferences.ballots import LEFT, RIGHT, TIE, Ballots, Layout, Orders
from alidade.preferences.belief import believe, believe_with_scores
from alidade.preferences.orders import OrderVotes, orders_left_open
from alidade.preferences.pairwise import PairVotes, Pool, Said
from alidade.preferences.posterior import Posterior
from alidade.preferences.search import highest
from alidade.preferences.spread import fitted_spread
from alidade.records import Candidates, Completion, Conversation, Prompt, RankingVote, Vote
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
    """Everything a vote can say: ties, strengths, a known gap, orders of three and four, some of them tied."""
    cast, _ = ballots(with_spammers, answers=6, annotators=3, votes=60, seed=seed)
    rng = np.random.default_rng(seed)
    outcome = np.where(rng.random(60) < 0.2, TIE, cast.outcome)
    strength = np.where(outcome == TIE, 0, rng.integers(0, 4, 60))
    orders = [
        Orders(rng.integers(0, 3, 20), *drawn(rng, count, 20), tied, rng.normal(size=(20, count)))
        for count, tied in ((3, (1, 1, 1)), (4, (2, 1, 1)), (4, (1, 3)))
    ]
    return Ballots(cast.annotator, cast.left, cast.right, outcome, rng.normal(size=60), strength, orders)


def drawn(rng, count, votes):
    answers = np.array([rng.permutation(6)[:count] for _ in range(votes)])
    return answers, np.array([rng.permutation(count) for _ in range(votes)])


def somewhere(posterior):
    return posterior.in_unit(np.random.default_rng(1).normal(0, 0.5, posterior.layout.size))


def test_a_sure_label_is_never_more_than_certain():
    told, _ = ballots(with_spammers, votes=600)
    left, right = (each.ravel() for each in np.meshgrid(np.arange(30), np.arange(30)))
    apart = left != right
    model = fit_annotators(Ballots(told.annotator, told.left, told.right, told.outcome, known=np.ones(600)))
    for known in (-1e6, 1e6):
        labels = model.label_prob(left[apart], right[apart], known)
        assert labels.min() >= 0
        assert labels.max() <= 1


def test_slopes_equal_finite_differences():
    posterior = Posterior.of(a_few())
    flat = somewhere(posterior)
    posterior = posterior.settled(flat, posterior.about(flat))
    at = flat + 0.1
    numeric = approx_fprime(at, lambda at: posterior.at(at)[0], 1e-6)
    assert np.abs(posterior.at(at)[1] - numeric).max() < 1e-5 * np.abs(numeric).max()


def test_chances_of_a_vote_sum_to_one():
    cast = a_few()
    layout = Layout(6, 3)
    pool = Pool.at(np.random.default_rng(1).normal(0, 0.5, layout.size), layout, ties=True)
    gap = np.linspace(-3, 3, 60)
    plain = [Said(LEFT), Said(RIGHT), Said(TIE)]
    asked = [Said(side, strength) for side in (LEFT, RIGHT) for strength in (1, 2, 3)] + [Said(TIE)]
    for outcomes in (plain, asked):
        assert np.allclose(sum(pool.chance(said, cast.annotator, gap, None)[0] for said in outcomes), 1)


def chance_of(annotator, answers, position, tied, flat, layout):
    votes = OrderVotes(Orders(np.array([annotator]), np.array([answers]), np.array([position]), tied), layout)
    return np.exp(votes.at(flat)[0])


def test_chances_of_orders_sum_to_one_and_a_tied_order_is_the_sum_of_those_it_leaves_open():
    layout = Layout(6, 3)
    flat = np.random.default_rng(1).normal(0, 0.5, layout.size)
    strict = {order: chance_of(1, order, order, (1, 1, 1, 1), flat, layout) for order in permutations((0, 1, 2, 3))}
    assert sum(strict.values()) == pytest.approx(1)
    tied = chance_of(1, (2, 0, 1, 3), (2, 0, 1, 3), (1, 2, 1), flat, layout)
    assert tied == pytest.approx(strict[2, 0, 1, 3] + strict[2, 1, 0, 3])


def test_an_order_of_two_is_a_vote():
    layout = Layout(6, 3)
    flat = np.random.default_rng(1).normal(0, 0.5, layout.size)
    for answers, position, outcome in (((4, 2), (0, 1), LEFT), ((4, 2), (1, 0), RIGHT)):
        left, right = answers if outcome == LEFT else answers[::-1]
        vote = Ballots(*(np.array([value]) for value in (2, left, right, outcome)))
        pairs = PairVotes(vote, layout).at(flat)
        orders = OrderVotes(Orders(np.array([2]), np.array([answers]), np.array([position]), (1, 1)), layout).at(flat)
        assert orders[0] == pytest.approx(pairs[0])
        assert np.allclose(orders[1], pairs[1])


def test_too_many_answers_in_one_place_are_refused():
    with pytest.raises(DataError, match="share a place"):
        orders_left_open((7, 1))


@pytest.mark.parametrize("written_out", [0, 1000], ids=["sparse", "dense"])
def test_the_covariance_equals_the_inverse_of_the_whole_information(written_out, monkeypatch):
    monkeypatch.setattr(posterior_module, "DENSE", written_out)
    posterior = Posterior.of(a_few())
    information = posterior.information(posterior.start())
    own, across, among = (
        part if written_out else part.toarray() for part in (information.own, information.across, information.among)
    )
    fixed = np.zeros(posterior.layout.size)
    fixed[posterior.layout.trait("sharpness")] = posterior.unit
    whole = np.linalg.inv(np.block([[own, across], [across.T, among]]))
    along = whole @ fixed
    whole -= np.outer(along, along) / (fixed @ along)
    levers = np.random.default_rng(2).normal(size=(7, len(whole)))
    expected = ((levers @ whole) * levers).sum(axis=1)
    found = posterior.covariance(information)
    assert np.allclose(found.variances(csr_array(levers)), expected)
    assert np.allclose(found.times(levers[0]), whole @ levers[0])


def test_a_large_fit_has_the_same_top_as_a_small_one(monkeypatch):
    cast, _ = ballots(with_spammers)
    small = fit_annotators(cast)
    monkeypatch.setattr(posterior_module, "DENSE", 0)
    large = fit_annotators(cast)
    assert np.abs(small.flat - large.flat).max() < 0.05


@pytest.mark.parametrize("spread", [0.5, 1.5, 4.0])
def test_the_spread_of_utilities_is_found_from_a_few_votes_a_pair(spread):
    cast, _ = on_pairs_of_their_own(spread, votes=3)
    assert fitted_spread(cast).utilities == pytest.approx(spread, rel=0.35)


def some_equal(votes, spammers=4, pairs=1500, seed=0):
    """Votes on pairs of which four in ten are equal and the others far apart, by 12 annotators: the careful tie equals, spammers never."""
    rng = np.random.default_rng(seed)
    equal = rng.random(pairs) < 0.4
    gap = np.where(equal, 0.0, rng.normal(0, 12, pairs))
    pair = np.repeat(np.arange(pairs), votes)
    who = np.concatenate([rng.permutation(12)[:votes] for _ in range(pairs)])
    tossed = np.where(rng.random(len(pair)) < 0.5, LEFT, RIGHT)
    said = np.where(rng.random(len(pair)) < expit(gap[pair]), LEFT, RIGHT)
    outcome = np.where(who < spammers, tossed, np.where(np.abs(gap[pair]) < 1, TIE, said))
    return Ballots(who, 2 * pair, 2 * pair + 1, outcome), gap


def test_those_who_never_tie_do_not_make_far_answers_seem_near():
    """Two votes a pair, a third by spammers: they disagree with the careful because they do not care, not because answers are alike."""
    found = fitted_spread(some_equal(2)[0])
    assert found.utilities > 6
    assert found.care[:4].max() < 0.2
    assert found.care[4:].min() > 0.9
    assert found.equal == pytest.approx(0.4, abs=0.1)


def test_without_ties_equal_answers_are_not_told_from_near_ones():
    assert fitted_spread(on_pairs_of_their_own(1.5, votes=3, pairs=300)[0]).equal == 0


@pytest.mark.parametrize("spammers", [0, 4])
def test_a_lone_vote_beside_a_tie_decides_little_where_many_pairs_are_equal(spammers):
    cast, gap = some_equal(2, spammers)
    left = 2 * np.arange(len(gap))
    label = fit_annotators(cast).label_prob(left, left + 1)
    sure = np.maximum(label, 1 - label)
    tied = np.bincount(cast.left // 2, cast.outcome == TIE) > 0
    assert sure[tied].mean() < 0.6
    apart = (np.abs(gap) > 3) & ~tied
    assert sure[apart].mean() > 0.85
    assert np.mean((label > 0.5)[apart] == (gap > 0)[apart]) > 0.93


def on_pairs_of_their_own(spread, votes, pairs=2000):
    """Votes on pairs that share no answer, by 20 annotators of whom 4 toss coins; and the chance of each pair's first answer."""
    rng = np.random.default_rng(0)
    gap = rng.normal(0, spread * 2**0.5, pairs)
    pair = np.repeat(np.arange(pairs), votes)
    who = np.concatenate([rng.permutation(20)[:votes] for _ in range(pairs)])
    chance = np.where(who < 4, 0.5, 0.95 * expit(gap[pair]) + 0.025)
    return Ballots(who, 2 * pair, 2 * pair + 1, (rng.random(len(pair)) >= chance).astype(int)), expit(gap)


@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_labels_are_calibrated_where_hardly_anyone_agrees_and_where_nearly_all_do(spread):
    cast, chance = on_pairs_of_their_own(spread, votes=3)
    label = fit_annotators(cast).label_prob(2 * np.arange(2000), 2 * np.arange(2000) + 1)
    assert expected_calibration_error(calibration_bins(label.tolist(), chance.tolist())) < 0.05


def test_the_label_of_a_pair_that_shares_no_answer_is_exact_given_the_annotators():
    model = fit_annotators(on_pairs_of_their_own(2.0, votes=2, pairs=200)[0])
    cast, pool = model.posterior.ballots, Pool.at(model.flat, model.layout, ties=False)
    gap = np.linspace(-40, 40, 4001)
    of_pair = np.flatnonzero(cast.left == 14)
    density = np.exp(-((gap / model.posterior.spread) ** 2) / 4)
    for vote in of_pair:
        density *= pool.chance(Said(int(cast.outcome[vote])), cast.annotator[vote : vote + 1], gap, None)[0]
    exact = (density * expit(gap)).sum() / density.sum()
    places = np.array([14]), np.array([15])
    assert model.label_prob(*places)[0] == pytest.approx(exact, abs=1e-3)
    assert model.label_prob(*places[::-1])[0] == pytest.approx(1 - exact, abs=1e-3)


def test_the_label_of_a_pair_that_may_be_equal_is_exact_given_the_annotators():
    model = fit_annotators(some_equal(2, pairs=200)[0])
    cast, pool = model.posterior.ballots, Pool.at(model.flat, model.layout, ties=True)
    spread, equal = model.posterior.spread, model.posterior.equal
    gap = np.linspace(-90, 90, 18001)
    density = np.exp(-((gap / spread) ** 2) / 4) / (2 * spread * np.pi**0.5) * (gap[1] - gap[0])
    for number in (3, 11, 40):
        apart, level = (1 - equal) * density, equal
        for vote in np.flatnonzero(cast.left == 2 * number):
            said, who = Said(int(cast.outcome[vote])), cast.annotator[vote : vote + 1]
            apart = apart * pool.chance(said, who, gap, None)[0]
            level = level * pool.chance(said, who, np.zeros(1), None)[0][0]
        exact = ((apart * expit(gap)).sum() + level / 2) / (apart.sum() + level)
        place = np.array([2 * number])
        assert model.label_prob(place, place + 1)[0] == pytest.approx(exact, abs=0.02)


def test_many_annotators_are_tied_only_through_what_all_share_and_differ_little(monkeypatch):
    cast, _ = ballots(with_spammers, answers=40, annotators=60, votes=3000)
    exact = fit_annotators(cast).reliability()
    monkeypatch.setattr(posterior_module, "DENSE", 0)
    monkeypatch.setattr(uncertainty, "MOST_ANNOTATORS", 10)
    near = fit_annotators(cast).reliability()
    widths = np.array([[one.high - one.low for one in fit] for fit in (exact, near)])
    assert np.abs(widths[1] / widths[0] - 1).max() < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_spammers_are_told_from_the_careful(seed):
    cast, utility = ballots(with_spammers, seed=seed)
    model = fit_annotators(cast)
    # With two true levels of skill no ranking reaches a correlation above .82.
    assert spearmanr([one.mean for one in model.skill()], np.arange(12) >= 4)[0] > 0.8
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


def test_a_gap_known_beforehand_counts_as_far_as_the_votes_bear_it_out():
    cast, utility = ballots(with_spammers, votes=300)
    gap = utility[cast.left] - utility[cast.right]
    columns = cast.annotator, cast.left, cast.right, cast.outcome
    told, misled = (
        fit_annotators(Ballots(*columns, known)) for known in (gap, np.random.default_rng(0).normal(0, 2, 300))
    )
    place = told.layout.pooled("known")
    assert told.flat[place] > 0.5 > abs(misled.flat[place])
    without = fit_annotators(cast).label_prob(cast.left, cast.right)
    assert entropy(told.label_prob(cast.left, cast.right, gap), expit(gap)) < entropy(without, expit(gap))


def test_most_intervals_of_gaps_cover():
    covered = []
    for seed in range(10):
        cast, utility = ballots(with_spammers, seed=seed)
        left, right = np.triu_indices(30, 1)
        gap, variance = fit_annotators(cast).gap(left, right)
        covered.append(np.mean(np.abs(gap - utility[left] + utility[right]) < 1.96 * np.sqrt(variance)))
    assert np.mean(covered) > 0.85


def test_skill_tells_who_tosses_coins_on_pairs_that_never_recur():
    rng = np.random.default_rng(0)
    pair, who, left = rng.integers(0, 2000, 20000), rng.integers(0, 20, 20000), rng.integers(0, 2, 20000)
    utility = rng.normal(0, 1.5, 4000)
    sides = 2 * pair + left, 2 * pair + 1 - left
    chance = with_spammers(utility[sides[0]] - utility[sides[1]], who)
    model = fit_annotators(Ballots(who, *sides, (rng.random(20000) >= chance).astype(int)))
    skill = model.skill()
    assert all(one.low <= one.mean <= one.high for one in skill)
    assert max(one.high for one in skill[:4]) < min(one.low for one in skill[4:])
    assert np.mean([one.mean for one in skill[:4]]) < 0.56


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


def rankings_of(prompts, seed=0):
    """Orders of four answers, worth less the higher their number; annotator `coin` puts them in any order."""
    rng = np.random.default_rng(seed)
    for prompt in range(prompts):
        for name in ("one", "two", "coin"):
            shown = rng.permutation(4)
            noise = rng.gumbel(size=4)
            worth = noise if name == "coin" else noise - 2.0 * shown
            ranks = tuple(int(rank) for rank in np.argsort(np.argsort(-worth)))
            known = {"id": f"{prompt}/{name}", "prompt_id": str(prompt), "annotator": name}
            yield RankingVote(shown=tuple(map(int, shown)), ranks=ranks, **known)


def test_orders_of_several_answers_become_labels_and_tell_who_tosses_coins():
    belief = believe([], list(rankings_of(80)))
    skill = {one.annotator: one.skill.mean for one in belief.voters.annotators}
    assert skill["coin"] < 0.6 < min(skill["one"], skill["two"])
    assert len(belief.labels) == 480
    assert np.mean([label > 0.5 for label in belief.labels.values()]) > 0.9


def test_labels_from_orders_say_what_they_mean():
    rng, rankings, worth = np.random.default_rng(0), [], {}
    for prompt in map(str, range(200)):
        worth[prompt] = rng.normal(0, 3, 5)
        for annotator in rng.choice(8, 3, replace=False):
            shown = rng.permutation(5)
            felt = worth[prompt][shown] * (annotator < 6) + rng.gumbel(size=5)
            ranks = tuple(map(int, np.argsort(np.argsort(-felt))))
            known = {"id": f"{prompt}/{annotator}", "prompt_id": prompt, "annotator": f"n{annotator}"}
            rankings.append(RankingVote(shown=tuple(map(int, shown)), ranks=ranks, **known))
    labels = believe([], rankings).labels
    said = list(labels.values())
    true = [expit(worth[pair.prompt_id][pair.left] - worth[pair.prompt_id][pair.right]) for pair in labels]
    assert expected_calibration_error(calibration_bins(said, true)) < 0.06  # .093 by slopes alone
    assert np.mean(np.maximum(said, np.subtract(1, said))) > 0.75


def test_a_ranking_of_two_is_believed_as_the_vote_it_is():
    votes = cast_on(50)
    rankings = [
        RankingVote(
            id=vote.id, prompt_id=vote.prompt_id, annotator=vote.annotator, shown=(vote.left, vote.right),
            ranks=(0, 1) if vote.choice == "left" else (1, 0),
        )
        for vote in votes
    ]  # fmt: skip
    assert believe([], rankings) == believe(votes)


def test_strength_sets_apart_pairs_on_which_all_agree():
    votes = [vote.model_copy(update={"strength": 1 + 2 * (int(vote.prompt_id) % 2)}) for vote in cast_on(200)]
    labels = believe([vote for vote in votes if vote.annotator >= "n3"]).labels
    sure = [np.mean([max(p, 1 - p) for pair, p in labels.items() if int(pair.prompt_id) % 2 == odd]) for odd in (0, 1)]
    assert sure[1] > sure[0] + 0.05


def test_scores_and_annotators_are_fitted_in_turns():
    votes, asked = cast_on(100), []

    def scored(belief):
        asked.append(belief)
        return {(str(prompt), answer): 2.0 * (answer == 0) for prompt in range(100) for answer in (0, 1)}

    labels = believe_with_scores(votes, scored).labels
    assert len(asked) == 2
    assert np.mean([p > 0.5 for p in labels.values()]) > np.mean([p > 0.5 for p in believe(votes).labels.values()])


def test_an_answer_without_a_score_and_one_beside_itself_are_named():
    votes = cast_on(2)
    with pytest.raises(DataError, match="no score"):
        believe(votes, scores={})
    same = votes[0].model_copy(update={"left": 1, "right": 1})
    with pytest.raises(DataError, match=f"vote {same.id}"):
        believe([same])


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


def test_a_search_steps_back_from_what_is_no_number_and_never_leaps_where_little_is_known():
    def at(place):
        (x,) = place
        return (float("nan"), np.array([1.0])) if x > 1 else (x - np.exp(x), np.array([1 - np.exp(x)]))

    top = highest(at, np.array([-6.0]), lambda slopes: 1e6 * slopes, 1e-9)
    assert top == pytest.approx([0.0], abs=0.05)
