"""Prompts that begin alike: how they are grouped, and that answers behind a shared prefix are those behind a copy each."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import small_networks
from torch import nn

from alidade.models import attention, engine, prefixes
from alidade.models.base import Sampling
from alidade.models.cache import Step
from alidade.models.local import load
from alidade.models.prefixes import GROUP_COST, LEAST_SHARED, Group, shared_prefixes
from alidade.testbed.pilot import pilot_folder

STOP = {2, 9, 17, 30, 31, 32}


def tokens(seed, count):
    return random.Random(seed).choices(range(3, 40), k=count)


def behind(seed, length, count, longest=6):
    """`count` prompts behind the same `length` tokens, what follows beginning with another token in each two."""
    first, draw = tokens(seed, length), random.Random(seed + 1000)
    return [first + draw.choices(range(3, 40), k=1 + place % longest) for place in range(count)]


@pytest.fixture
def shares_a_little(monkeypatch):
    monkeypatch.setattr(prefixes, "GROUP_COST", 0)
    monkeypatch.setattr(prefixes, "LEAST_SHARED", 4)


def network(make, **more):
    torch.manual_seed(0)
    module = make(**more).eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.25)
    return module


NETWORKS = {
    "llama": lambda: network(small_networks.llama),
    "llama with grouped queries": lambda: network(small_networks.llama, num_key_value_heads=1),
    "gpt2": lambda: network(small_networks.gpt2),
}
PROMPTS = {
    "one group": behind(1, 12, 9),
    "several groups and some in none": [*behind(1, 12, 5), [5, 6], *behind(2, 9, 4), [7], *behind(3, 15, 6), [8] * 11],
    "prompts that are the prefix alone": [tokens(1, 12), *behind(1, 12, 3), tokens(1, 12), tokens(1, 13)],
    "nothing in common": [[place, *tokens(place, 5)] for place in range(3, 12)],
    "a group inside a group": [*behind(1, 8, 3), *[tokens(1, 8) + row for row in behind(2, 7, 5)]],
}


def both_ways(module, prompts, how, **more):
    return [engine.generate(module, prompts, how, stop_ids=STOP, share=share, **more) for share in (True, False)]


def same(shared, whole):
    assert [one.tokens for one in shared] == [one.tokens for one in whole]
    assert [one.finished for one in shared] == [one.finished for one in whole]
    for one, other in zip(shared, whole, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)


@pytest.mark.usefixtures("shares_a_little")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", PROMPTS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_behind_a_shared_prefix_are_those_behind_a_copy_each(name, case, temperature):
    prompts = PROMPTS[case]
    assert bool(shared_prefixes(prompts, 2)) == (case != "nothing in common")
    how = Sampling(temperature=temperature, max_new_tokens=12, seed=4)
    # Few slots, so that they are refilled behind other prefixes than they had.
    same(*both_ways(NETWORKS[name](), prompts, how, copies=2, batch_size=5))


@pytest.mark.usefixtures("shares_a_little")
def test_a_prefix_longer_than_a_prefill_and_pieces_copied_one_by_one(monkeypatch):
    monkeypatch.setattr(engine, "PREFILL_TOKENS", 10)
    monkeypatch.setattr(attention, "COPIED_TOKENS", 10)
    prompts = PROMPTS["several groups and some in none"]
    same(*both_ways(NETWORKS["llama"](), prompts, Sampling(max_new_tokens=8, seed=1), batch_size=7))


@pytest.mark.usefixtures("shares_a_little")
def test_the_models_own_forward_pass_decodes_behind_a_prefix_too():
    module, calls = NETWORKS["llama"](), []
    module.model.layers[0].register_forward_hook(lambda *_: calls.append(1))
    same(*both_ways(module, PROMPTS["one group"], Sampling(max_new_tokens=8, seed=1)))
    assert calls


@pytest.mark.parametrize(
    ("share", "prefilled", "longest_slot"), [(True, 300 + 140, 6 + 6), (False, 40 * 300 + 140, 312)]
)
def test_a_long_prefix_is_computed_once_over_all_refills_and_kept_once(share, prefilled, longest_slot, monkeypatch):
    module, prompts = NETWORKS["llama"](), behind(1, 300, 40, longest=6)
    rows, slabs = [], []
    module.model.embed_tokens.register_forward_hook(lambda _, given, __: rows.append(given[0]))
    at = Step.at
    monkeypatch.setattr(Step, "at", lambda cache, *given: slabs.append(cache.length) or at(cache, *given))
    engine.generate(module, prompts, Sampling(max_new_tokens=6, seed=1), stop_ids=[], batch_size=8, share=share)
    # A refill is a row of tokens [1, tokens], a step a column of them.
    assert sum(row.numel() for row in rows if row.dim() == 2) == pytest.approx(prefilled, abs=10)
    assert set(slabs) == {longest_slot}


@pytest.mark.usefixtures("shares_a_little")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("at_once", [10, 8192])
def test_rows_behind_a_shared_prefix_score_as_each_does_alone(name, at_once, monkeypatch):
    monkeypatch.setattr(attention, "COPIED_TOKENS", at_once)
    model = replace(load(pilot_folder()), module=NETWORKS[name](), context_length=None)
    ends = [[5, 6, 7], [5, 8], [9], []]
    rows = [(prompt, end) for prompt in PROMPTS["several groups and some in none"] for end in ends]
    rows += [(tokens(1, 12), tokens(7, 15)), (tokens(1, 12), tokens(8, 14))]
    together, alone = model.score(rows), [model.score([row])[0] for row in rows]
    for (_, end), one, other in zip(rows, together, alone, strict=True):
        assert len(one) == len(end)
        assert one == pytest.approx(other, abs=1e-5)


def test_what_is_shared_is_at_most_what_all_but_the_last_tokens_share():
    rows = [tokens(1, 300), tokens(1, 300), tokens(1, 280)]
    assert shared_prefixes(rows, copies=10) == [Group(279, (0, 1, 2))]


def test_groups_are_taken_where_they_share_most():
    system = tokens(9, 100)
    long_examples = [system + row for seed in (1, 2) for row in behind(seed, 300, 20)]
    assert sorted(shared_prefixes(long_examples), key=lambda group: group.places) == [
        Group(400, tuple(range(20))),
        Group(400, tuple(range(20, 40))),
    ]
    long_system = [tokens(9, 400) + row for seed in (1, 2) for row in behind(seed, 20, 20)]
    assert shared_prefixes(long_system) == [Group(400, tuple(range(40)))]


def test_a_prefix_that_saves_less_than_it_costs_is_not_shared():
    assert shared_prefixes(behind(1, LEAST_SHARED - 1, 1000)) == []
    few = GROUP_COST // 200
    assert shared_prefixes(behind(1, 200, few)) == []
    assert len(shared_prefixes(behind(1, 200, few + 2))) == 1
    assert len(shared_prefixes(behind(1, 200, 2), copies=few)) == 1


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=30))
def test_every_group_shares_its_prefix_and_no_prompt_is_in_two(prompts):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prefixes, "GROUP_COST", 3)
        patched.setattr(prefixes, "LEAST_SHARED", 1)
        groups = shared_prefixes(prompts)
    places = [place for group in groups for place in group.places]
    assert len(places) == len(set(places))
    for group in groups:
        assert len(group.places) > 1
        assert len({tuple(prompts[place][: group.length]) for place in group.places}) == 1
        assert all(len(prompts[place]) > group.length >= 1 for place in group.places)


def shared_by(rows):
    most = min(map(len, rows)) - 1
    return next((place for place in range(most) if len({row[place] for row in rows}) > 1), most)


def greatest_worth(rows):
    """Of the sorted `rows` as one group, or of the best groups among those that share one token more."""
    if len(rows) < 2:
        return 0
    length, inner = shared_by(rows), [rows[:1]]
    for row in rows[1:]:
        if shared_by([inner[-1][-1], row]) > length:
            inner[-1].append(row)
        else:
            inner.append([row])
    return max(length * (len(rows) - 1) - 3, sum(map(greatest_worth, inner)))


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=10), min_size=1, max_size=20))
def test_of_nested_runs_those_are_taken_that_share_most(prompts):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prefixes, "GROUP_COST", 3)
        patched.setattr(prefixes, "LEAST_SHARED", 1)
        groups = shared_prefixes(prompts)
    assert sum(group.length * (len(group.places) - 1) - 3 for group in groups) == greatest_worth(sorted(prompts))
