"""Which principles do anything: how often each is asked, decides, changes an answer, turns a label; and a gate on it.

Read from the ledger alone. That a principle decides says nothing of whether it decides well: see `ablation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from alidade.constitution.opinions import MARGIN, by_prompt, check_margin, label, opinions, side
from alidade.constitution.prefer import Preferred
from alidade.constitution.revise import Revised
from alidade.records import Estimate, Record
from alidade.stats import clustered_proportion


class Coverage(Record):
    """What one principle did. A share is absent where there is nothing it could be a share of."""

    principle: str
    effects: int = Field(description="comparisons it decided and answers it changed")
    asked: Estimate | None = Field(description="share of the comparisons it was asked of")
    decided: Estimate | None = Field(description="of those, the share in which it is further than the margin from .5")
    flipped: Estimate | None = Field(
        description="share in which the label is on another side without it, where others were asked too"
    )
    drawn: Estimate | None = Field(description="share of the revision steps it was drawn for")
    changed: Estimate | None = Field(
        description="of those, the share in which the answer after differs from the one before"
    )


@dataclass
class _Tally:
    """Cases and the prompts they belong to."""

    values: list[bool] = field(default_factory=list)
    prompts: list[Hashable] = field(default_factory=list)

    def add(self, value: bool, prompt: Hashable) -> None:
        self.values.append(value)
        self.prompts.append(prompt)

    @property
    def share(self) -> Estimate | None:
        return clustered_proportion(self.values, self.prompts) if self.values else None


_Tallies = dict[str, _Tally]


def coverage(
    judged: Sequence[Preferred] = (),
    revised: Sequence[Revised] = (),
    known: Iterable[str] = (),
    margin: float = MARGIN,
) -> list[Coverage]:
    """What each principle did, the least effective first; `known` are ids that are listed though nobody asked them.

    Intervals count the cases of one prompt as a cluster. A step that failed has changed nothing.

    Raises:
        ValueError: when there are no rows, or the margin is not in [0, 0.5).
    """
    check_margin(margin)
    if not judged and not revised:
        raise ValueError("no comparison and no revision: nothing to cover")
    decided, flipped = _of_comparisons(judged, margin)
    changed = _of_revisions(revised)
    names = dict.fromkeys([*known, *decided, *changed])
    asked_of = _shares_asked(judged, names)
    drawn_for = _shares_drawn(revised, names)
    found = [
        Coverage(
            principle=name,
            effects=sum(decided[name].values) + sum(changed[name].values),
            asked=asked_of[name].share,
            decided=decided[name].share,
            flipped=flipped[name].share,
            drawn=drawn_for[name].share,
            changed=changed[name].share,
        )
        for name in names
    ]
    return sorted(found, key=lambda one: one.effects)


def uncovered(found: Sequence[Coverage], least: int) -> list[str]:
    """The principles with fewer than `least` effects: what a gate on coverage names.

    Raises:
        ValueError: when `least` is below 1, which every principle passes.
    """
    if least < 1:
        raise ValueError(f"the least coverage is at least 1, not {least}")
    return [one.principle for one in found if one.effects < least]


def _of_comparisons(judged: Sequence[Preferred], margin: float) -> tuple[_Tallies, _Tallies]:
    decided: _Tallies = defaultdict(_Tally)
    flipped: _Tallies = defaultdict(_Tally)
    prompts = by_prompt([row.comparison.prompt for row in judged])
    for row, prompt in zip(judged, prompts, strict=True):
        said = opinions(row)
        for name, one in said.items():
            decided[name].add(side(one.left_prob, margin) != 0, prompt)
            if len(said) > 1:
                flipped[name].add(side(label(said, without={name})) != side(label(said)), prompt)
    return decided, flipped


def _of_revisions(revised: Sequence[Revised]) -> _Tallies:
    changed: _Tallies = defaultdict(_Tally)
    prompts = by_prompt([row.prompt.conversation for row in revised])
    for row, prompt in zip(revised, prompts, strict=True):
        answers = row.answers
        for number, step in enumerate(row.steps):
            changed[step.principle].add(answers[number + 1] != answers[number], prompt)
    return changed


def _shares_asked(judged: Sequence[Preferred], names: Iterable[str]) -> _Tallies:
    shares: _Tallies = {name: _Tally() for name in names}
    prompts = by_prompt([row.comparison.prompt for row in judged])
    for row, prompt in zip(judged, prompts, strict=True):
        said = {one.principle for one in row.judgements}
        for name, tally in shares.items():
            tally.add(name in said, prompt)
    return shares


def _shares_drawn(revised: Sequence[Revised], names: Iterable[str]) -> _Tallies:
    shares: _Tallies = {name: _Tally() for name in names}
    prompts = by_prompt([row.prompt.conversation for row in revised])
    for row, prompt in zip(revised, prompts, strict=True):
        for step in row.steps:
            for name, tally in shares.items():
                tally.add(name == step.principle, prompt)
    return shares
