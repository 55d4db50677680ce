import json
from math import sqrt

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.unit.test_label_command import ROWS, run
from tests.unit.test_votebook import PASSWORD, answer_all

from alidade.preferences.acts import polls
from alidade.preferences.agreement import agreement
from alidade.preferences.budget import Design, outlook, plan_votes
from alidade.preferences.crowd import Crowd, crowd_agreeing, crowd_of, crowd_seen, gaps_of
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.acts import Pick
from alidade.preferences.votebook.people import invite, join
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.records import Vote
from alidade.store import write_rows

ALL_WORK = {"gold_share": 0.0, "repeat_share": 0.0}


def drawn(rng, crowd, design, pairs):
    """Who voted [votes], on which pair, which side they picked (1 or -1, 0 a tie), and the gap of each pair."""
    gap = rng.normal(0, crowd.spread, pairs)
    each = np.where(rng.random(pairs) < design.overlap_share, design.overlap_votes, design.votes_per_item)
    who = np.concatenate([rng.permutation(crowd.annotators)[:count] for count in each])
    pair = np.repeat(np.arange(pairs), each)
    left = rng.random(len(who)) < (1 + crowd.attention * np.tanh(gap[pair] / 2)) / 2
    return who, pair, np.where(rng.random(len(who)) < crowd.ties, 0, 2 * left - 1), gap


def as_votes(who, pair, side):
    choices = {1: "left", -1: "right", 0: "tie"}
    columns = zip(who.tolist(), pair.tolist(), side.tolist(), strict=True)
    return [
        Vote(id=str(number), prompt_id=f"p{about}", left=0, right=1, choice=choices[picked], annotator=f"a{name}")
        for number, (name, about, picked) in enumerate(columns)
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_labels_are_right_as_was_said(count):
    crowd, design = crowd_of(6, skill=0.75), Design(votes_per_item=count, overlap_share=0, **ALL_WORK)
    _, pair, side, gap = drawn(np.random.default_rng(0), crowd, design, 40_000)
    majority = np.sign(np.bincount(pair, side, len(gap)))
    right = np.mean((1 + majority * np.sign(gap)) / 2)
    assert outlook(40_000 * count, crowd, design).labels_right == pytest.approx(right, abs=0.008)


@pytest.mark.parametrize("ties", [0.0, 0.3])
def test_agreement_and_alpha_are_known_as_well_as_was_said(ties):
    crowd, design = crowd_of(6, skill=0.8, ties=ties), Design(overlap_share=0.3, overlap_votes=3, **ALL_WORK)
    said = outlook(1600, crowd, design)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(5):
        who, pair, side, _ = drawn(rng, crowd, design, said.pairs)
        found.append(agreement("all", polls(as_votes(who[side != 0], pair[side != 0], side[side != 0])), seed=0))
    half = np.mean([[each.alpha.high - each.alpha.low, each.decided.high - each.decided.low] for each in found], 0) / 2
    assert (said.alpha, said.agreement) == pytest.approx(tuple(half), rel=0.08)
    assert np.mean([each.decided.mean for each in found]) == pytest.approx(crowd.agreement, abs=0.03)


def test_skill_is_known_as_well_as_was_said():
    """Attention by exact maximum likelihood, from the votes on shared pairs, of everybody at once."""
    crowd = Crowd(annotators=6, attention=0.7, spread=2.5, ties=0.1)
    design = Design(overlap_share=0.5, overlap_votes=3, **ALL_WORK)
    said = outlook(3000, crowd, design)
    gaps, shares = gaps_of(crowd.spread)
    lean, rng, errors = np.tanh(gaps / 2), np.random.default_rng(2), []
    for _ in range(10):
        who, pair, side, _ = drawn(rng, crowd, design, said.pairs)
        starts = np.flatnonzero(np.diff(pair, prepend=-1))

        def loss(attention, who=who, side=side, starts=starts):
            each = np.multiply.reduceat((1 + (side * attention[who])[:, None] * lean) / 2, starts)
            return -np.log(each @ shares).sum()

        fitted = minimize(loss, np.full(6, 0.7), bounds=[(0.2, 1.0)] * 6).x
        errors.extend((fitted - crowd.attention) * (2 * crowd.skill - 1) / crowd.attention / 2)
    assert said.skill == pytest.approx(1.96 * sqrt(np.mean(np.square(errors))), rel=0.2)


def test_a_vote_on_gold_says_of_its_annotator_what_a_share_of_right_votes_says():
    crowd = crowd_of(4, skill=0.8)
    said = outlook(4000, crowd, Design(overlap_share=0, gold_share=0.1, repeat_share=0))
    assert said.skill == pytest.approx(1.96 * sqrt(0.8 * 0.2 / 100), rel=1e-4)
    assert said.gold_items == 100


def test_votes_on_one_pair_teach_a_mean_as_the_design_effect_says():
    crowd, design = crowd_of(9, skill=0.85), Design(votes_per_item=4, overlap_share=0, **ALL_WORK)
    said = outlook(800, crowd, design)
    rng = np.random.default_rng(3)
    means = [drawn(rng, crowd, design, 200)[2].mean() for _ in range(1500)]
    assert said.teaches_like == pytest.approx(1 / np.var(means), rel=0.08)


def test_pairs_and_checks_add_up_to_the_votes():
    design = Design(votes_per_item=1, overlap_share=0.25, overlap_votes=3, gold_share=0.1, repeat_share=0.1)
    said = outlook(3000, crowd_of(5, skill=0.7), design)
    assert said.pairs * (0.75 * 1 + 0.25 * 3) == pytest.approx(0.8 * 3000)
    few = outlook(3000, crowd_of(5, skill=0.7), design, most_pairs=400)
    assert (few.pairs, few.votes) == (400, 750)


@pytest.mark.parametrize("share", [0.501, 0.6, 0.8, 0.95, 0.999])
def test_a_crowd_has_the_skill_or_the_agreement_it_was_asked_for(share):
    assert crowd_of(6, skill=share).skill == pytest.approx(share, abs=2e-3)
    assert crowd_agreeing(6, agreement=share).agreement == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize("agreement", [0.6, 0.7, 0.8])
def test_what_attention_is_assumed_matters_little(agreement):
    def skill_at(attention):
        spreads = np.linspace(0.1, 20, 2000)
        near = min(
            (Crowd(annotators=2, attention=attention, spread=spread) for spread in spreads),
            key=lambda crowd: abs(crowd.agreement - agreement),
        )
        return near.skill

    assert skill_at(0.85) == pytest.approx(crowd_agreeing(2, agreement=agreement).skill, abs=0.03)


def test_a_crowd_is_found_in_its_votes():
    crowd, design = crowd_of(8, skill=0.8, ties=0.2), Design(overlap_share=0.5, **ALL_WORK)
    votes = as_votes(*drawn(np.random.default_rng(4), crowd, design, 3000)[:3])
    found = crowd_seen(votes)
    assert found.annotators == 8
    assert (found.skill, found.agreement, found.ties) == pytest.approx((0.8, crowd.agreement, 0.2), abs=0.02)


def test_a_crowd_of_which_no_two_judged_one_pair_has_the_models_skill():
    design = Design(overlap_share=0, **ALL_WORK)
    votes = as_votes(*drawn(np.random.default_rng(4), crowd_of(3, skill=0.8), design, 60)[:3])
    assert 0.5 < crowd_seen(votes).skill < 1


def test_a_plan_takes_the_least_overlap_that_measures_people_as_wanted():
    crowd = crowd_of(6, skill=0.8)
    loose, tight = plan_votes(4000, crowd, skill_within=0.1).best, plan_votes(4000, crowd, skill_within=0.06).best
    assert loose.design.overlap_share < tight.design.overlap_share
    assert (loose.skill <= 0.1, tight.skill <= 0.06) == (True, True)
    assert plan_votes(100, crowd).best.design.overlap_share == 0.2


def test_a_plan_gives_more_votes_to_a_pair_only_where_pairs_run_out():
    crowd = crowd_of(6, skill=0.8)
    assert plan_votes(3000, crowd).best.design.votes_per_item == 1
    scarce = plan_votes(3000, crowd, most_pairs=500).best
    assert scarce.design.votes_per_item > 1
    assert scarce.votes <= 3000


def test_one_annotator_alone_is_measured_by_gold():
    best = plan_votes(1000, crowd_of(1, skill=0.8)).best
    assert (best.agreement, best.alpha) == (None, None)
    assert best.skill is not None


def test_the_command_says_what_it_recommends_and_what_it_assumes(capsys):
    assert run("label", "plan", "--votes", 2000, "--annotators", 5, "--skill", 0.75) == 0
    told = capsys.readouterr().out
    assert "2,000 votes of 5 people: skill 0.75" in told
    assert "--set votes_per_item=1 --set overlap_share=" in told
    assert "Assumed:" in told
    assert run("label", "plan", "--votes", 2000, "--agreement", 0.9, "--json") == 0
    assert json.loads(capsys.readouterr().out)["expected"]["agreement"] == pytest.approx(0.9)


def test_the_command_takes_people_from_votes(tmp_path, capsys):
    crowd, design = crowd_of(7, skill=0.8, ties=0.1), Design(overlap_share=1, **ALL_WORK)
    write_rows(tmp_path / "rows.jsonl", as_votes(*drawn(np.random.default_rng(5), crowd, design, 500)[:3]))
    assert run("label", "plan", "--votes", 900, "--from", tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["crowd"]["annotators"] == 7
    assert found["expected"]["skill"] == pytest.approx(0.8, abs=0.05)


def test_the_command_reads_a_votebook_and_says_when_nobody_has_voted(tmp_path, capsys):
    where = tmp_path / "votes.db"
    book = open_votebook(where)
    add_queue(book, QueueSettings(name="q", gold_share=0, repeat_share=0, votes_per_item=2), items_of(ROWS, "pair"))
    assert run("label", "plan", "--votes", 900, "--from", where) == 2
    assert "nobody has voted yet" in capsys.readouterr().err
    for name in ("ada", "bob"):
        answer_all(book, join(book, invite(book, "labeler"), name, PASSWORD), lambda task: Pick(choice="left"))
    book.close()
    assert run("label", "plan", "--votes", 900, "--from", where, "--json") == 0
    assert json.loads(capsys.readouterr().out)["crowd"]["annotators"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--skill", 0.4), "--skill is between 0.5 and 1"),
        (("--agreement", 1), "--agreement is between 0.5 and 1"),
        (("--from", "nowhere.db"), "no votebook here"),
        (("--skill", 0.7, "--agreement", 0.6), "give one of them"),
    ],
)
def test_a_mistake_in_a_plan_is_told_in_words(capsys, words, message):
    assert run("label", "plan", "--votes", 100, *words) == 2
    assert message in capsys.readouterr().err
