"""What draws votes besides the better answer: length, markdown, refusal, and the side an answer was shown on.

A logistic regression of "picked the answer shown left" on how the two answers differ, over votes that picked one. A lean is an
association: people may pick longer answers because they are better. What it is good for is comparing people and watching it move.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.special import expit

from alidade.preferences.acts import by_annotator, first_votes
from alidade.preferences.contrasts import TRAITS, Contrast
from alidade.preferences.logistic import Array, fit_logistic
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Estimate, Record, Vote

SIDE = "side"
LEAST_VOTES = 200  # of one annotator, for leans of their own
LEAST_DIFFERENT = 10  # votes whose answers differ in a trait, for a lean to it
LEAST_CLUSTERS = 10  # annotators, for intervals that speak of others than these


class Lean(Record):
    """How votes move with one trait: the log-odds of picking the answer shown left (`side`), twice as long, formatted, or refusing.

    `chance` is the same as the probability of picking it over an answer that is equal otherwise; .5 is indifference. `n` counts
    the votes in which the answers differ in the trait.
    """

    trait: str
    log_odds: Estimate
    chance: Estimate


class Sensitivity(Record):
    """The leans of some annotators together; their errors are clustered by annotator, or by prompt where those are too few."""

    name: str
    votes: int
    annotators: int
    clusters: Literal["annotator", "prompt"]
    leans: tuple[Lean, ...]


class Sensitivities(Record):
    """Of everyone, of each attribute where there are several, and of each annotator with at least `LEAST_VOTES` votes."""

    every: tuple[Sensitivity, ...]
    annotators: tuple[Sensitivity, ...]


def sensitivities(votes: Sequence[Vote], seen: Mapping[Pair, Contrast]) -> Sensitivities:
    """How all annotators, and those with enough votes, lean; first votes that picked an answer."""
    picked = decided(votes)
    attributes = sorted({vote.attribute for vote in picked})
    slices = {"all": picked}
    for attribute in attributes if len(attributes) > 1 else ():
        slices[f"attribute: {attribute}"] = [vote for vote in picked if vote.attribute == attribute]
    each = {name: own for name, own in by_annotator(picked).items() if len(own) >= LEAST_VOTES}
    return Sensitivities(every=_fitted(slices, seen), annotators=_fitted(each, seen))


def _fitted(parts: Mapping[str, Sequence[Vote]], seen: Mapping[Pair, Contrast]) -> tuple[Sensitivity, ...]:
    found = (sensitivity(name, part, seen) for name, part in parts.items())
    return tuple(one for one in found if one is not None)


def decided(votes: Sequence[Vote]) -> list[Vote]:
    """The first votes that picked an answer."""
    return [vote for vote in first_votes(votes) if vote.choice != "tie"]


def sensitivity(name: str, picked: Sequence[Vote], seen: Mapping[Pair, Contrast]) -> Sensitivity | None:
    """The leans in `picked`, votes without ties; None where they are too few to tell or all about one prompt."""
    rows, outcome = columns(picked, seen)
    places = [place for place in range(rows.shape[1]) if np.count_nonzero(rows[:, place]) >= LEAST_DIFFERENT]
    annotators = {vote.annotator for vote in picked}
    wide = len(annotators) >= LEAST_CLUSTERS
    clusters: list[Hashable] = [vote.annotator if wide else vote.prompt_id for vote in picked]
    if not places or len(set(clusters)) <= len(places):
        return None
    fit = fit_logistic(rows[:, places], outcome, clusters)
    names = (SIDE, *TRAITS)
    leans = (
        _lean(names[place], fit.log_odds(number, int(np.count_nonzero(rows[:, place]))))
        for number, place in enumerate(places)
    )
    return Sensitivity(
        name=name,
        votes=len(picked),
        annotators=len(annotators),
        clusters="annotator" if wide else "prompt",
        leans=tuple(leans),
    )


def columns(picked: Sequence[Vote], seen: Mapping[Pair, Contrast]) -> tuple[Array, Array]:
    """Rows of (1, the left answer's traits less the right one's), and whether the left one was picked."""
    signs = np.array([1.0 if vote.left < vote.right else -1.0 for vote in picked])
    traits = np.array([seen[pair_of(vote)] for vote in picked], dtype=float).reshape(-1, len(TRAITS))
    outcome = np.array([float(vote.choice == "left") for vote in picked])
    return np.column_stack([np.ones(len(picked)), traits * signs[:, None]]), outcome


def _lean(trait: str, log_odds: Estimate) -> Lean:
    chance = {end: float(expit(getattr(log_odds, end))) for end in ("mean", "low", "high")}
    return Lean(trait=trait, log_odds=log_odds, chance=Estimate(**chance, n=log_odds.n))
