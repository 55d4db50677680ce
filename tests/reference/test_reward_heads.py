"""Margins, ties, several heads and length: our packed loss equals the padded specification, in loss and gradient."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from reference.reward import (
    cautious_score,
    comparison_loss,
    davidson_loss,
    davidson_ranking_loss,
    heads_loss,
    ranking_loss,
)
from tests.small_networks import gpt2, llama
from tests.token_rows import compared, grouped, ranked

from alidade.training.choices import Reading, tied_comparison_likelihood, tied_ranking_likelihood
from alidade.training.heads import Heads
from alidade.training.judgements import AnswerGroup, Pair, Placed, collate_groups
from alidade.training.length import LengthLead, fit_length
from alidade.training.losses import choice_loss
from alidade.training.objectives.reward import RewardObjective, TieStrength
from alidade.training.trunk import prepare

HEADS = 3
# (prompt, left, right, label_prob, tie_prob, margin, a weight for each head)
COMPARISONS = [
    ([5, 6, 7], [8, 1], [9, 10, 11, 1], 0.75, 0.25, 0.5, (1.0, 0.0, 0.0)),
    ([5, 6, 7], [8, 1], [12, 1], 1.0, 0.0, 2.0, (0.5, 1.5, 0.0)),
    ([13], [14, 15, 1], [16, 1], 0.0, 0.0, 0.0, (0.0, 0.0, 2.0)),
    ([13], [14, 15, 1], [17, 1], 0.5, 1.0, 0.0, (1.0, 1.0, 1.0)),
]
RANKINGS = [
    ([17, 18], [[8, 1], [9, 1], [10, 11, 1]], (1, 0, 1), (1.0, 0.0, 0.5)),
    ([19], [[8, 1], [9, 10, 1], [4, 1], [3, 3, 1]], (0, 1, 1, 1), (0.0, 1.0, 0.0)),
]
CASES = {
    "margins": {},
    "ties": {"strength": 0.7},
    "length": {"length": (2.5, 0.8, (0.6, -1.1, 0.0))},
    "all": {"strength": 1.9, "centring": 0.3, "length": (2.5, 0.8, (0.6, -1.1, 0.2))},
}


def groups(reading):
    rows = [*(compared(*row[:-1]) for row in COMPARISONS), *(ranked(*row[:-1]) for row in RANKINGS)]
    weights = [row[-1] for row in (*COMPARISONS, *RANKINGS)]
    return grouped(rows, replace(reading, weights=lambda number, row: weights[number]))


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES)
def test_all_ways_of_reading_judgements_equal_the_specification(build, dtype, close, case):
    settings = CASES[case]
    torch.manual_seed(0)
    plain = build(heads=HEADS).to(dtype).eval()
    with torch.no_grad():
        plain.score.weight.mul_(20)
    packed = prepare(copy.deepcopy(plain))
    strength = torch.tensor(settings["strength"], dtype=dtype, requires_grad=True) if "strength" in settings else None
    expected = heads_loss(plain, COMPARISONS, RANKINGS, **(settings | {"strength": strength}))
    expected.backward()

    tie = None if strength is None else TieStrength(None, 0.5).to(dtype)
    if tie is not None:
        tie.log.data.fill_(math.log(settings["strength"]))
    length = LengthLead(*settings["length"]) if "length" in settings else None
    objective = RewardObjective(settings.get("centring", 0.0), length=length, tie=tie)
    batch = collate_groups(groups(Reading(margin=1.0, ties=tie is not None)), torch.device("cpu"), dtype)
    loss = objective.loss(packed, batch).total / objective.weight(batch)
    loss.backward()

    assert objective.weight(batch) == 6
    assert loss.item() == pytest.approx(expected.item(), abs=close)
    for (name, mine), theirs in zip(packed.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=close), name
    if tie is not None:
        assert tie.log.grad.item() == pytest.approx((strength.grad * strength).item(), abs=close)


def likelihood_loss(likelihood, scores, log_tie):
    group = AnswerGroup([0], [[place] for place in range(len(scores))])
    group.add(Placed(tuple(range(len(scores))), likelihood), [Pair(0, 1, 1.0, 1.0)])
    return choice_loss(scores, collate_groups([group], torch.device("cpu"), torch.float64).choices, log_tie)


@pytest.mark.parametrize("ranks", [(0, 1), (0, 0)])
def test_a_ranking_of_two_is_a_comparison_also_where_ties_are_an_outcome(ranks):
    scores = torch.tensor([0.3, -0.8], dtype=torch.float64)
    log_tie = torch.tensor(0.4, dtype=torch.float64)
    tied = float(ranks[0] == ranks[1])
    ranked = likelihood_loss(tied_ranking_likelihood(ranks), scores, log_tie).item()
    compared = likelihood_loss(tied_comparison_likelihood(1 - tied / 2, tied), scores, log_tie).item()
    assert ranked == pytest.approx(compared, abs=1e-12)
    assert ranked == pytest.approx(davidson_loss(*scores, 1 - tied / 2, tied, math.exp(0.4)).item(), abs=1e-12)
    assert ranked == pytest.approx(davidson_ranking_loss(scores, ranks, math.exp(0.4)).item(), abs=1e-12)


def judged_by_length(reading, slope, head):
    """The specification's loss of one head when scores are `slope` times the standardised length."""
    made = groups(reading)
    lengths = torch.tensor([float(len(answer)) for group in made for answer in group.answers], dtype=torch.float64)
    mean, std = lengths.mean(), lengths.std(correction=0)

    def scores(answers):
        return slope * torch.stack([(len(answer) - mean) / std for answer in answers])

    total = 0
    for _, left, right, label_prob, tie_prob, margin, weights in COMPARISONS:
        both = scores([left, right])
        one = (
            davidson_loss(*both, label_prob, tie_prob, 0.7)
            if reading.ties
            else comparison_loss(*both, label_prob, margin)
        )
        total = total + weights[head] * one
    for _, answers, ranks, weights in RANKINGS:
        every = scores(answers)
        one = davidson_ranking_loss(every, ranks, 0.7) if reading.ties else ranking_loss(every, ranks)
        total = total + weights[head] * one
    return total


@pytest.mark.parametrize("reading", [Reading(margin=1.0), Reading(ties=True)])
def test_the_fitted_slope_of_length_is_the_specifications_maximum(reading):
    found = fit_length(groups(reading), torch.tensor(math.log(0.7)) if reading.ties else None)
    for head, fitted in enumerate(found.slopes):
        slope = torch.tensor(fitted, dtype=torch.float64, requires_grad=True)
        judged_by_length(reading, slope, head).backward()
        assert slope.grad.item() == pytest.approx(0, abs=1e-5) or abs(fitted) > 7.99


def test_davidsons_outcomes_are_all_there_is():
    scores, log_tie = torch.tensor([0.3, -0.8, 1.2], dtype=torch.float64), torch.tensor(-0.2, dtype=torch.float64)
    weak_orders = {
        tuple(sorted(set(ranks)).index(rank) for rank in ranks)
        for ranks in ((a, b, c) for a in range(3) for b in range(3) for c in range(3))
    }
    assert len(weak_orders) == 13
    chances = [math.exp(-likelihood_loss(tied_ranking_likelihood(ranks), scores, log_tie)) for ranks in weak_orders]
    assert sum(chances) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("combine", ["mean", "lower", "worst"])
def test_several_heads_become_the_one_score_of_the_specification(combine):
    raw = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    centres = (0.1, -0.2, 0.3, 0.0, 1.0, -1.0)
    heads = Heads(
        attributes=("helpful", "harmless"),
        members=3,
        weights=(0.25, 0.75),
        combine=combine,
        caution=1.5,
        centres=centres,
    )
    expected = [cautious_score(row, centres, 3, (0.25, 0.75), combine, 1.5) for row in raw.tolist()]
    assert heads.combined(raw).tolist() == pytest.approx(expected, abs=1e-12)
