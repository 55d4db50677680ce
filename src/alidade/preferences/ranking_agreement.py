"""How far people agree who put answers in order: by pairs of annotators, and by chance-corrected agreement on places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from alidade.preferences.agreement import bootstrap_alpha
from alidade.records import Estimate, RankingVote, Record
from alidade.stats import clustered_proportion, mean_estimate

Order = Mapping[int, int]  # the place of each answer, by its number
Orders = Mapping[str, Order]  # by annotator


class Lineup(NamedTuple):
    """What people can be asked to agree on: these answers, judged in one attribute by one version of the guideline."""

    prompt_id: str
    answers: tuple[int, ...]
    attribute: str
    guideline: str


class RankingAgreement(Record):
    """How far annotators agree on orders that at least two of them gave.

    Over pairs of annotators on an item: `tau` is the mean of Kendall's tau-b (1 the same order, 0 unrelated, -1 reversed), `ordered` the
    share of pairs of answers that both put in order and in the same one, `best` the share who put the same answers first. `alpha` is
    Krippendorff's for ordinal data over the places, None where items have different numbers of answers or all places are equal.
    """

    name: str
    items: int
    annotators: int
    rankings: int
    tau: Estimate | None
    ordered: Estimate | None
    best: Estimate | None
    alpha: Estimate | None


def ranking_agreements(rankings: Sequence[RankingVote], *, seed: int = 0) -> tuple[RankingAgreement, ...]:
    """Agreement over all rankings, and by attribute where there is more than one; nothing where there are no rankings."""
    every = orders_of(rankings)
    attributes = sorted({lineup.attribute for lineup in every})
    parts = {"all": every} if every else {}
    for attribute in attributes if len(attributes) > 1 else ():
        parts[f"attribute: {attribute}"] = {item: own for item, own in every.items() if item.attribute == attribute}
    return tuple(ranking_agreement(name, list(part.values()), seed=seed) for name, part in parts.items())


def orders_of(rankings: Sequence[RankingVote]) -> Mapping[Lineup, Orders]:
    """Each annotator's first order of each item."""
    found: dict[Lineup, dict[str, Order]] = {}
    for ranking in rankings:
        item = Lineup(ranking.prompt_id, tuple(sorted(ranking.shown)), ranking.attribute, ranking.guideline)
        order = dict(zip(ranking.shown, ranking.ranks, strict=True))
        found.setdefault(item, {}).setdefault(ranking.annotator, order)
    return found


def ranking_agreement(name: str, every: Sequence[Orders], *, seed: int = 0) -> RankingAgreement:
    """Agreement on these items; the intervals draw, or are clustered by, items."""
    shared = [orders for orders in every if len(orders) > 1]
    met = [(item, *both) for item, orders in enumerate(shared) for both in combinations(orders.values(), 2)]
    taus = [(item, tau) for item, one, other in met if (tau := tau_b(one, other)) is not None]
    ordered = [(item, same) for item, one, other in met for same in same_orders(one, other)]
    best = [(item, best_of(one) == best_of(other)) for item, one, other in met]
    return RankingAgreement(
        name=name,
        items=len(shared),
        annotators=len({annotator for orders in shared for annotator in orders}),
        rankings=sum(map(len, shared)),
        tau=mean_estimate([tau for _, tau in taus], [item for item, _ in taus], seed=seed) if taus else None,
        ordered=_share(ordered),
        best=_share(best),
        alpha=_alpha(shared, seed),
    )


def tau_b(one: Order, other: Order) -> float | None:
    """Kendall's tau-b of two orders of the same answers; None where one of them puts nothing in order.

    Source: M. G. Kendall 1945, The treatment of ties in ranking problems, Biometrika 33:239-251: the pairs in the same order less those
        in opposite ones, over the geometric mean of the numbers of pairs that either puts in order.
    """
    signs = np.array([(_sign(one, *both), _sign(other, *both)) for both in combinations(one, 2)])
    size = sqrt(np.prod(np.abs(signs).sum(axis=0)))
    return float(signs.prod(axis=1).sum() / size) if size else None


def same_orders(one: Order, other: Order) -> list[bool]:
    """Of each two answers that both orders put in order, whether it is the same order."""
    signs = [_sign(one, *both) * _sign(other, *both) for both in combinations(one, 2)]
    return [sign > 0 for sign in signs if sign]


def best_of(order: Order) -> frozenset[int]:
    """The answers at the first place."""
    return frozenset(answer for answer, place in order.items() if place == min(order.values()))


def _sign(order: Order, left: int, right: int) -> int:
    return (order[left] > order[right]) - (order[left] < order[right])


def _share(values: Sequence[tuple[int, bool]]) -> Estimate | None:
    return clustered_proportion([same for _, same in values], [item for item, _ in values]) if values else None


def _alpha(shared: Sequence[Orders], seed: int) -> Estimate | None:
    """Answers are the units, and places (tied ones their middle) the values; whole items are drawn again."""
    if len({len(order) for orders in shared for order in orders.values()}) != 1:
        return None
    places = [
        np.array([rankdata([order[answer] for answer in sorted(order)]) for order in orders.values()])
        for orders in shared
    ]
    values = np.unique(np.concatenate([one.ravel() for one in places]))
    counts = np.array([(one[:, :, None] == values).sum(axis=0) for one in places])
    return bootstrap_alpha(counts, "ordinal", values, seed=seed)
