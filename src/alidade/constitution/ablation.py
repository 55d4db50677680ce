"""What each principle is worth: the labels without it, beside what people or a gold judge say.

One principle is dropped at a time, at the level of labels: what a model trained on the other labels would do is not known from
this. Two principles that say the same each hide the other: without one of them little changes, without both much may.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from alidade.constitution.opinions import EVEN, by_prompt, drawing_weights, label, opinions, side
from alidade.constitution.prefer import Preferred
from alidade.constitution.principles import Constitution
from alidade.records import Comparison, Conversation, Estimate, Record
from alidade.stats import clustered_proportion, holm, mcnemar, mean_estimate, paired_difference


class Agreement(Record):
    """How often labels choose as people do, with a principle and without it; a tie of the labels is half an agreement."""

    with_it: Estimate
    without_it: Estimate
    gain: Estimate = Field(description="agreement without it less with it: above 0 the principle harms")
    p_value: float = Field(
        description="that as many prompts gain as lose without it (exact sign test), adjusted for all principles (Holm)"
    )


class Ablated(Record):
    """What dropping one principle does to the labels of the comparisons that others decide with it."""

    principle: str
    rows: int
    moved: Estimate = Field(description="mean absolute change of the label")
    shift: Estimate = Field(
        description="mean of the label without it less with it: above 0 it spoke for the right answer"
    )
    flipped: Estimate = Field(description="share of the comparisons whose label is on another side without it")
    agreement: Agreement | None = Field(default=None, description="where people or a gold judge decided")


@dataclass(frozen=True)
class _Dropped:
    """One comparison without one principle."""

    prompt: Hashable
    with_it: float
    without_it: float
    people: float | None


def ablate(
    rows: Sequence[Preferred], people: Mapping[str, float] | None = None, constitution: Constitution | None = None
) -> list[Ablated]:
    """Every principle that was asked beside others, the one whose removal helps most first.

    Where all principles of `constitution` were asked, they count by their weights, as when one is drawn.

    `people` are probabilities of the left answer by the comparison's id. What they leave at one half is not counted. Where there
    are none, the principle that moves the labels most comes first. Intervals count the comparisons of one prompt as a cluster.

    Raises:
        ValueError: when no comparison was judged by several principles, or none of `people` is about one of them.
    """
    dropped = _dropped(rows, people or {}, constitution)
    if not dropped:
        raise ValueError("no comparison was judged by several principles, so none can be left out")
    found = [_ablated(name, dropped[name]) for name in dropped]
    if people and all(one.agreement is None for one in found):
        raise ValueError("none of the labels given is about a comparison that several principles judged")
    found = _adjusted(found)
    return sorted(found, key=lambda one: (-one.agreement.gain.mean if one.agreement else 0.0, -one.moved.mean))


def labels_for(rows: Sequence[Preferred], comparisons: Iterable[Comparison]) -> dict[str, float]:
    """What others said of the comparisons judged: probabilities of the left answer by the comparison's id.

    Matched by prompt and answers, in whichever order they stand; of several labels of one pair the mean is taken.
    """
    said: dict[tuple[Conversation, str, str], list[float]] = defaultdict(list)
    for one in comparisons:
        said[one.prompt, one.left, one.right].append(one.label_prob)
        said[one.prompt, one.right, one.left].append(1 - one.label_prob)
    asked = [row.comparison for row in rows]
    found = {one.id: said.get((one.prompt, one.left, one.right)) for one in asked}
    return {name: sum(probs) / len(probs) for name, probs in found.items() if probs}


def _dropped(
    rows: Sequence[Preferred], people: Mapping[str, float], constitution: Constitution | None
) -> dict[str, list[_Dropped]]:
    dropped: dict[str, list[_Dropped]] = defaultdict(list)
    prompts = by_prompt([row.comparison.prompt for row in rows])
    for row, prompt in zip(rows, prompts, strict=True):
        said = opinions(row)
        if len(said) < 2:
            continue
        decided = people.get(row.comparison.id)
        if decided is not None and side(decided) == 0:
            decided = None
        weights = drawing_weights(said, constitution)
        for name in said:
            without = label(said, without={name}, weights=weights)
            dropped[name].append(_Dropped(prompt, label(said, weights=weights), without, decided))
    return dropped


def _ablated(name: str, rows: Sequence[_Dropped]) -> Ablated:
    prompts = [one.prompt for one in rows]
    changes = [_change(one) for one in rows]
    return Ablated(
        principle=name,
        rows=len(rows),
        moved=mean_estimate([abs(change) for change in changes], prompts),
        shift=mean_estimate(changes, prompts),
        flipped=clustered_proportion([side(one.without_it) != side(one.with_it) for one in rows], prompts),
        agreement=_agreement([one for one in rows if one.people is not None]),
    )


def _change(one: _Dropped) -> float:
    change = one.without_it - one.with_it
    return 0.0 if abs(change) <= EVEN else change


def _agreement(rows: Sequence[_Dropped]) -> Agreement | None:
    if not rows:
        return None
    prompts = [one.prompt for one in rows]
    before = [_agrees(one.with_it, one.people or 0.0) for one in rows]
    after = [_agrees(one.without_it, one.people or 0.0) for one in rows]
    gains: dict[Hashable, float] = defaultdict(float)
    for prompt, old, new in zip(prompts, before, after, strict=True):
        gains[prompt] += new - old
    return Agreement(
        with_it=mean_estimate(before, prompts),
        without_it=mean_estimate(after, prompts),
        gain=paired_difference(before, after, prompts),
        p_value=mcnemar(sum(gain < 0 for gain in gains.values()), sum(gain > 0 for gain in gains.values())),
    )


def _agrees(left_prob: float, people: float) -> float:
    chosen = side(left_prob)
    return 0.5 if chosen == 0 else float(chosen == side(people))


def _adjusted(found: Sequence[Ablated]) -> list[Ablated]:
    """The same with p-values adjusted for how many principles were tried."""
    tried = [one.agreement.p_value for one in found if one.agreement is not None]
    adjusted = iter(holm(tried))
    return [
        one
        if one.agreement is None
        else one.model_copy(update={"agreement": one.agreement.model_copy(update={"p_value": next(adjusted)})})
        for one in found
    ]
