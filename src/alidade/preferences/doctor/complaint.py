"""What a check found: how often, where, why it happens and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SHOWN = 3


@dataclass(frozen=True)
class Ailment:
    """One way in which a file goes wrong; a `fault` must be mended before training, a `note` should be known."""

    check: str
    state: Literal["fault", "note"]
    what: str
    cause: str
    hint: str

    def found(self, lines: Iterable[int], of: int, **measured: Any) -> Iterator[Complaint]:
        """The complaint about these rows, none where there are none."""
        rows = sorted(set(lines))
        if rows:
            yield Complaint(self, len(rows), of, tuple(rows[:SHOWN]), measured)


@dataclass(frozen=True)
class Complaint:
    """An ailment in a file: `count` of `of` rows have it, the first of them are `lines`."""

    ailment: Ailment
    count: int
    of: int
    lines: tuple[int, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_fault(self) -> bool:
        """Whether the file must be mended."""
        return self.ailment.state == "fault"

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        numbers = {"count": self.count, "of": self.of, "lines": list(self.lines), "measured": dict(self.measured)}
        return {**vars(self.ailment), **numbers}
