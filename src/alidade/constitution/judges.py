"""How good a judge is, principle by principle: does it stay with its choice when the answers change places, and do people agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from alidade.constitution.prefer import Judgement, Preferred
from alidade.constitution.voting import Ballot
from alidade.records import Estimate, Record
from alidade.stats import mean_estimate, proportion

ALL = "*"


class JudgeCard(Record):
    """What is known of a judge asked about one principle, or about all (`*`)."""

    principle: str
    comparisons: int
    flips: Estimate = Field(description="share of comparisons whose choice is another when the answers change places")
    first_lift: Estimate = Field(description="mean probability of the answer shown first, less one half")
    confidence: Estimate = Field(description="mean distance of the averaged probability from one half")
    agreement: Estimate | None = Field(
        default=None, description="share of the comparisons that people decided in which the judge chose as they did"
    )
    extra_variance: float | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="mean variance of a question's probability by which votes were drawn, where options were sampled",
    )
    strays: Estimate | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="share of the answers drawn that were no option",
    )


class _Asked(Record):
    """One principle asked of one comparison, in both orders; `left_first` and `right_first` are the left answer's probabilities."""

    comparison: str
    left_first: float
    right_first: float
    ballots: tuple[Ballot, ...] = ()

    @property
    def left(self) -> float:
        return (self.left_first + self.right_first) / 2

    @property
    def flips(self) -> bool:
        return (self.left_first - 0.5) * (self.right_first - 0.5) < 0


def judge_cards(rows: Sequence[Preferred], people: Mapping[str, float] | None = None) -> list[JudgeCard]:
    """A card for all comparisons, then one for each principle by its name; `people` are labels by the comparison's id.

    What people tied, and what the judge leaves at one half, says nothing of agreement and is not counted.

    Raises:
        ValueError: when there are no rows.
    """
    if not rows:
        raise ValueError("no comparison, no card")
    asked: dict[str, list[_Asked]] = defaultdict(list)
    for row in rows:
        for name, one in _pairs(row.comparison.id, row.judgements):
            asked[name].append(one)
    whole = [one for name in sorted(asked) for one in asked[name]]
    return [_card(ALL, whole, people or {}), *(_card(name, asked[name], people or {}) for name in sorted(asked))]


def flipping(row: Preferred) -> list[str]:
    """The principles whose choice is another when the answers change places."""
    return [name for name, one in _pairs(row.comparison.id, row.judgements) if one.flips]


def _pairs(comparison: str, judgements: Sequence[Judgement]) -> Iterable[tuple[str, _Asked]]:
    orders: dict[str, dict[str, Judgement]] = defaultdict(dict)
    for one in judgements:
        orders[one.principle][one.shown] = one
    for name, both in orders.items():
        left, right = both["left first"], both["right first"]
        yield (
            name,
            _Asked(
                comparison=comparison,
                left_first=left.left_prob,
                right_first=right.left_prob,
                ballots=tuple(one.ballot for one in (left, right) if one.ballot is not None),
            ),
        )


def _card(name: str, asked: Sequence[_Asked], people: Mapping[str, float]) -> JudgeCard:
    comparisons = [one.comparison for one in asked]
    firsts = [(one.left_first + 1 - one.right_first) / 2 - 0.5 for one in asked]
    decided = [
        (one.left - 0.5) * (people[one.comparison] - 0.5) > 0
        for one in asked
        if people.get(one.comparison, 0.5) != 0.5 and one.left != 0.5
    ]
    ballots = [ballot for one in asked for ballot in one.ballots]
    return JudgeCard(
        principle=name,
        comparisons=len(set(comparisons)),
        flips=proportion(sum(one.flips for one in asked), len(asked)),
        first_lift=mean_estimate(firsts, comparisons),
        confidence=mean_estimate([abs(one.left - 0.5) for one in asked], comparisons),
        agreement=proportion(sum(decided), len(decided)) if decided else None,
        extra_variance=sum(ballot.variance for ballot in ballots) / len(ballots) if ballots else None,
        strays=_strays(ballots) if ballots else None,
    )


def _strays(ballots: Sequence[Ballot]) -> Estimate:
    strays = sum(ballot.strays for ballot in ballots)
    return proportion(strays, strays + sum(ballot.n for ballot in ballots))
