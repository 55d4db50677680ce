"""The evaluated models, and which of them was trained from which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alidade.pipeline import Run
from alidade.records import Estimate

Values = Mapping[str, Any]

_STARTS = ("policy", "model")  # the input that a stage of training starts from
_MODEL = "model"  # the kind


@dataclass(frozen=True)
class Column:
    """One model as it was evaluated; `model` is the digest of its artifact, `artifact` that of the evaluation.

    `frame` is `bare` where the model was given the question to continue, and not asked in its chat form; `origin` is the
    stage that made the model.
    """

    name: str
    model: str
    artifact: str
    measures: Mapping[str, Estimate]
    greedy: Mapping[str, Estimate]
    rows: Sequence[Values]
    frame: str = ""
    origin: str = ""

    def is_of(self, other: Column) -> bool:
        """Whether both ask the same weights."""
        return self.model == other.model if self.model else self.name == other.name


class Descent:
    """Which evaluated model was trained from which, by the inputs of the run's stages."""

    def __init__(self, run: Run, columns: Sequence[Column]) -> None:
        self._stages = {stage.name: stage for stage in run.stages}
        self._columns = columns

    def ancestors(self, column: Column) -> list[str]:
        """The stages whose models a column's model was trained from, the nearest first."""
        return list(self._above(column.origin))

    def upstream(self, column: Column) -> Column | None:
        """The nearest evaluated model that a column's was trained from; if it was asked in several frames, in the same."""
        for stage in self._above(column.origin):
            asked = [one for one in self._columns if one.origin == stage]
            alike = [one for one in asked if one.frame == column.frame]
            if asked:
                return (alike or asked)[-1]
        return None

    def compared(self, place: int) -> Column | None:
        """What the column at `place` is compared with.

        The same weights asked in another way before, else the nearest model upstream, else, where lineage says nothing,
        the column before.
        """
        column, before = self._columns[place], self._columns[:place]
        asked = [one for one in before if one.model and one.is_of(column)]
        if asked:
            return asked[-1]
        if (found := self.upstream(column)) is not None:
            return found
        return next((one for one in before[-1:] if column.origin not in self.ancestors(one)), None)

    def _above(self, stage: str) -> Iterator[str]:
        below = {stage}
        while (above := self._start_of(stage)) and above not in below:
            yield above
            below.add(above)
            stage = above

    def _start_of(self, stage: str) -> str | None:
        made = self._stages.get(stage)
        if made is None or made.kind != _MODEL:
            return None
        starts = [self._stages.get(made.inputs.get(role, "")) for role in _STARTS]
        return next((one.name for one in starts if one is not None and one.kind == _MODEL), None)
