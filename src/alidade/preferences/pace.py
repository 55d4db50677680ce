"""Fatigue and speed: whether votes late in a session, or given quickly, agree less with what most of the others chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log2
from statistics import fmean, median

import numpy as np

from alidade.preferences.acts import by_annotator, in_order, polls, with_others
from alidade.preferences.logistic import fit_logistic
from alidade.preferences.sensitivity import LEAST_CLUSTERS
from alidade.records import Estimate, Record, Vote
from alidade.stats import clustered_proportion, median_estimate

PAUSE_SECONDS = 30 * 60
QUICK_SECONDS = 3.0
POSITIONS = ((1, 10), (11, 25), (26, 50), (51, 100), (101, inf))


class Position(Record):
    """Agreement with the others' choice of votes that are the `first` to `last` of their session (`last` None: all after)."""

    first: int
    last: int | None
    agreement: Estimate


class Fatigue(Record):
    """Agreement by place in the session, clustered by annotator.

    A session ends where an annotator pauses for more than `PAUSE_SECONDS`. `trend` is the change of the log-odds of agreeing each
    time the place doubles, within annotators; None for fewer than `LEAST_CLUSTERS` of them.
    """

    sessions: int
    positions: tuple[Position, ...]
    trend: Estimate | None


class Speed(Record):
    """Seconds on screen: the median annotator's median, the share of votes quicker than `QUICK_SECONDS`, and how those agree."""

    median: Estimate
    annotators: Mapping[str, Estimate]
    quick: Estimate
    quick_agreement: Estimate | None
    other_agreement: Estimate | None


def places(votes: Sequence[Vote]) -> list[tuple[Vote, int]]:
    """Votes with a time, each with its place in its session from 1, annotator by annotator; and thus a session per 1."""
    found = []
    for own in by_annotator(vote for vote in votes if vote.at is not None).values():
        place, before = 0, -inf
        for vote in in_order(own):
            assert vote.at is not None
            place = 1 if vote.at - before > PAUSE_SECONDS else place + 1
            before = vote.at
            found.append((vote, place))
    return found


def fatigue(votes: Sequence[Vote]) -> Fatigue | None:
    """Agreement with the others by place in the session; None where no vote has a time and a label by others."""
    every, placed = polls(votes), places(votes)
    trials = [
        (vote.annotator, place, agreed) for vote, place in placed if (agreed := with_others(vote, every)) is not None
    ]
    if not trials:
        return None
    positions = []
    for first, last in POSITIONS:
        inside = [(name, agreed) for name, place, agreed in trials if first <= place <= last]
        if inside:
            bound = None if last == inf else int(last)
            positions.append(Position(first=first, last=bound, agreement=_clustered(inside)))
    sessions = sum(place == 1 for _, place in placed)
    return Fatigue(sessions=sessions, positions=tuple(positions), trend=_trend(trials))


def _trend(trials: Sequence[tuple[str, int, bool]]) -> Estimate | None:
    doublings: dict[str, list[float]] = {}
    for name, place, _ in trials:
        doublings.setdefault(name, []).append(log2(place))
    if len(doublings) < LEAST_CLUSTERS:
        return None
    middle = {name: fmean(own) for name, own in doublings.items()}
    rows = np.array([[1.0, log2(place) - middle[name]] for name, place, _ in trials])
    outcome = np.array([float(agreed) for _, _, agreed in trials])
    return fit_logistic(rows, outcome, [name for name, _, _ in trials]).log_odds(1, len(trials))


def speed(votes: Sequence[Vote]) -> Speed | None:
    """How long votes took, and what quick ones are worth; None where none was timed."""
    timed = [vote for vote in votes if vote.seconds is not None]
    if not timed:
        return None
    every = polls(votes)
    seconds = {name: [vote.seconds or 0.0 for vote in own] for name, own in by_annotator(timed).items()}
    quick = [(vote.seconds or 0.0) < QUICK_SECONDS for vote in timed]
    trials = [
        (vote.annotator, agreed, is_quick)
        for vote, is_quick in zip(timed, quick, strict=True)
        if (agreed := with_others(vote, every)) is not None
    ]
    return Speed(
        median=median_estimate([median(own) for own in seconds.values()]),
        annotators={name: median_estimate(own) for name, own in seconds.items()},
        quick=_clustered([(vote.annotator, is_quick) for vote, is_quick in zip(timed, quick, strict=True)]),
        quick_agreement=_some([(name, agreed) for name, agreed, is_quick in trials if is_quick]),
        other_agreement=_some([(name, agreed) for name, agreed, is_quick in trials if not is_quick]),
    )


def _some(values: Sequence[tuple[str, bool]]) -> Estimate | None:
    return _clustered(values) if values else None


def _clustered(values: Sequence[tuple[str, bool]]) -> Estimate:
    return clustered_proportion([value for _, value in values], [name for name, _ in values])
