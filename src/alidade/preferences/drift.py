"""Drift: an annotator who begins to miss more often, by a CUSUM of Bernoulli trials.

A trial is a vote, missed where it is not what the reference label says (gold, or most of the others). Each adds its log-likelihood
ratio between `ODDS_RATIO` times the odds of a miss and the reference; sums below 0 start again at 0, and one over
log(`RUN_LENGTH`) is an alarm. Who misses no oftener than the reference gives one false alarm in `RUN_LENGTH` trials on average at
most. The reference is the upper end of what the annotator's rate over the first `START` trials may be: nine in ten are below it.

Source: M. R. Reynolds, Z. G. Stoumbos 1999, A CUSUM chart for monitoring a proportion when inspecting continuously, J. Quality
    Technology 31:87-108; G. Lorden 1971, Procedures for reacting to a change in distribution, Annals of Mathematical Statistics
    42:1897-1908, for the run length: at a threshold of h it is e^h or more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Literal

from alidade.preferences.acts import by_annotator, in_order, polls, with_others
from alidade.preferences.agreement import right_on_gold
from alidade.preferences.tally import Pair
from alidade.records import Choice, Estimate, Record, Vote
from alidade.stats import proportion, wilson_interval

ODDS_RATIO = 3.0
RUN_LENGTH = 5000
THRESHOLD = log(RUN_LENGTH)
START = 40  # trials that set the annotator's own rate, with `PRIOR` more at the pool's
PRIOR = 20
LEAST_AFTER = 20  # trials to watch, for a chart at all
DOUBT = 0.8  # level of the interval whose upper end is the reference
HIGHEST = 0.5


class Chart(Record):
    """One annotator's CUSUM over the trials after the start.

    `alarm` is the trial (1 the first one watched) at which `path` first passes the threshold, `since` where it began to rise;
    `before` (the start not counted) and `after` are the shares missed up to there and from there, the latter picked for being high.
    """

    annotator: str
    against: Literal["gold", "others"]
    n: int
    reference: float
    path: tuple[float, ...]
    alarm: int | None
    since: int | None
    before: Estimate | None
    after: Estimate | None


class Drift(Record):
    """The charts of everyone with enough trials whose votes have times, and how many false alarms to expect of them at most."""

    charts: tuple[Chart, ...]
    untimed: int
    too_few: int
    false_alarms: float


def drift(votes: Sequence[Vote], gold: Mapping[Pair, Choice]) -> Drift:
    """Watch each annotator whose votes all have times, against gold and against what most of the others chose."""
    timed = {name: own for name, own in by_annotator(votes).items() if all(vote.at is not None for vote in own)}
    every = polls(votes)

    def off_gold(own: Sequence[Vote]) -> list[bool]:
        return [not right for right in right_on_gold(own, gold)]

    def off_others(own: Sequence[Vote]) -> list[bool]:
        agreed = (with_others(vote, every) for vote in in_order(own))
        return [not one for one in agreed if one is not None]

    charts = [*_charts(timed, "gold", off_gold), *_charts(timed, "others", off_others)]
    return Drift(
        charts=tuple(charts),
        untimed=len({vote.annotator for vote in votes}) - len(timed),
        too_few=len(timed) - len({chart.annotator for chart in charts}),
        false_alarms=sum(chart.n for chart in charts) / RUN_LENGTH,
    )


def _charts(
    timed: Mapping[str, Sequence[Vote]],
    against: Literal["gold", "others"],
    misses_of: Callable[[Sequence[Vote]], list[bool]],
) -> list[Chart]:
    misses = {name: misses_of(own) for name, own in timed.items()}
    watched = {name: own for name, own in misses.items() if len(own) >= START + LEAST_AFTER}
    starts = [missed for own in watched.values() for missed in own[:START]]
    pool = sum(starts) / len(starts) if starts else 0.0
    return [chart(name, against, own[START:], _reference(own[:START], pool)) for name, own in watched.items()]


def _reference(start: Sequence[bool], pool: float) -> float:
    """The upper end of what the rate may be: too low a one would name people who never changed."""
    highest = wilson_interval(sum(start) + PRIOR * pool, len(start) + PRIOR, level=DOUBT)[1]
    return min(highest, HIGHEST)


def chart(annotator: str, against: Literal["gold", "others"], misses: Sequence[bool], reference: float) -> Chart:
    """The CUSUM of trials in their order against a rate of misses."""
    path = cusum(misses, reference)
    alarm = next((number for number, height in enumerate(path, start=1) if height > THRESHOLD), None)
    since = None if alarm is None else _rise(path[:alarm])
    parts = (misses[: since - 1], misses[since - 1 :]) if since else ((), ())
    before, after = (proportion(sum(part), len(part)) if part else None for part in parts)
    return Chart(
        annotator=annotator,
        against=against,
        n=len(misses),
        reference=reference,
        path=path,
        alarm=alarm,
        since=since,
        before=before,
        after=after,
    )


def _rise(path: Sequence[float]) -> int:
    """The trial at which a path that ends high last left 0."""
    return max((number for number, height in enumerate(path, start=1) if height == 0.0), default=0) + 1


def cusum(misses: Sequence[bool], reference: float) -> tuple[float, ...]:
    """The height after each trial."""
    risen = ODDS_RATIO * reference / (1 - reference + ODDS_RATIO * reference)
    steps = {True: log(risen / reference), False: log((1 - risen) / (1 - reference))}
    height, path = 0.0, []
    for missed in misses:
        height = max(0.0, height + steps[bool(missed)])
        path.append(round(height, 4))
    return tuple(path)
