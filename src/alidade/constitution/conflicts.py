"""Where principles want opposite answers of the same comparison, and whether the label sided with the higher one.

Labels are means over principles and know nothing of tiers: that the higher principle won is then an observation, not a rule at work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pydantic import Field

from alidade.constitution.opinions import MARGIN, Opinion, Side, by_prompt, check_margin, label, opinions, side
from alidade.constitution.prefer import Preferred
from alidade.constitution.principles import Constitution
from alidade.records import Estimate, Record
from alidade.stats import clustered_proportion

SHOWN = 5  # comparisons named as examples


class Conflict(Record):
    """Two principles that were asked of the same comparisons."""

    first: str
    second: str
    opposed: Estimate = Field(description="share of those comparisons in which they decide opposite sides")
    opposed_rows: int
    higher: str | None = Field(description="which outranks the other; none where they are of equal or unknown rank")
    with_higher: int = Field(description="opposed comparisons whose label is on the side of the higher one")
    with_lower: int
    undecided: int = Field(description="opposed comparisons whose label is on neither side")
    unresolved: int = Field(description="opposed comparisons where neither principle outranks the other")
    examples: tuple[str, ...] = Field(description="ids of opposed comparisons, the most opposed first")


class Opposed(Record):
    """How often one principle stands against another, over all that were asked of the same comparisons."""

    principle: str
    opposed: Estimate = Field(description="share of its meetings, one for each other principle of each comparison")
    opposed_meetings: int


class ConflictMap(Record):
    """All pairs, the most opposed first, and the same for each principle."""

    margin: float
    pairs: tuple[Conflict, ...]
    principles: tuple[Opposed, ...]


@dataclass(frozen=True)
class _Met:
    """Two principles on one comparison; `distance` is how far apart they are, `label_side` what came of it."""

    id: str
    prompt: Hashable
    first: Side
    second: Side
    distance: float
    label_side: Side

    @property
    def is_opposed(self) -> bool:
        return self.first * self.second < 0


def conflict_map(
    rows: Sequence[Preferred], constitution: Constitution | None = None, margin: float = MARGIN
) -> ConflictMap:
    """Who stands against whom, both further than `margin` from one half; without a constitution no rank is known.

    A principle whose id the constitution lacks has no rank either. Intervals count the comparisons of one prompt as a cluster.

    Raises:
        ValueError: when no comparison was judged by several principles, or the margin is not in [0, 0.5).
    """
    check_margin(margin)
    pairs: dict[tuple[str, str], list[_Met]] = defaultdict(list)
    meetings: dict[str, list[_Met]] = defaultdict(list)
    prompts = by_prompt([row.comparison.prompt for row in rows])
    for row, prompt in zip(rows, prompts, strict=True):
        said = opinions(row)
        if len(said) < 2:
            continue
        sides: dict[str, Side] = {name: side(one.left_prob, margin) for name, one in said.items()}
        for pair, met in _meetings(row.comparison.id, prompt, said, sides):
            pairs[pair].append(met)
            for name in pair:
                meetings[name].append(met)
    if not pairs:
        raise ValueError("no comparison was judged by several principles, so none can be against another")
    ranks = _ranks(constitution)
    found = [_conflict(pair, met, ranks) for pair, met in pairs.items()]
    alone = [_opposed(name, met) for name, met in meetings.items()]
    return ConflictMap(
        margin=margin,
        pairs=tuple(sorted(found, key=lambda one: (-one.opposed_rows, -one.opposed.mean, one.first, one.second))),
        principles=tuple(sorted(alone, key=lambda one: (-one.opposed.mean, -one.opposed_meetings, one.principle))),
    )


def _meetings(
    name: str, prompt: Hashable, said: Mapping[str, Opinion], sides: Mapping[str, Side]
) -> list[tuple[tuple[str, str], _Met]]:
    outcome = side(label(said))
    return [
        (
            (first, second),
            _Met(
                name,
                prompt,
                sides[first],
                sides[second],
                abs(said[first].left_prob - said[second].left_prob),
                outcome,
            ),
        )
        for first, second in combinations(sorted(said), 2)
    ]


def _ranks(constitution: Constitution | None) -> dict[str, int]:
    if constitution is None:
        return {}
    return {one.id: constitution.rank(one) for one in constitution.principles}


def _conflict(pair: tuple[str, str], met: Sequence[_Met], ranks: Mapping[str, int]) -> Conflict:
    opposed = sorted((one for one in met if one.is_opposed), key=lambda one: (-one.distance, one.id))
    higher = _higher(pair, ranks)
    outcomes = [one.label_side * (one.first if higher == pair[0] else one.second) for one in opposed if higher]
    return Conflict(
        first=pair[0],
        second=pair[1],
        opposed=_share(met),
        opposed_rows=len(opposed),
        higher=higher,
        with_higher=sum(outcome > 0 for outcome in outcomes),
        with_lower=sum(outcome < 0 for outcome in outcomes),
        undecided=sum(outcome == 0 for outcome in outcomes),
        unresolved=0 if higher else len(opposed),
        examples=tuple(one.id for one in opposed[:SHOWN]),
    )


def _higher(pair: tuple[str, str], ranks: Mapping[str, int]) -> str | None:
    if any(name not in ranks for name in pair) or ranks[pair[0]] == ranks[pair[1]]:
        return None
    return min(pair, key=lambda name: ranks[name])


def _opposed(name: str, met: Sequence[_Met]) -> Opposed:
    return Opposed(principle=name, opposed=_share(met), opposed_meetings=sum(one.is_opposed for one in met))


def _share(met: Sequence[_Met]) -> Estimate:
    return clustered_proportion([one.is_opposed for one in met], [one.prompt for one in met])
