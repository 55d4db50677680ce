"""What the COMPARISONS artifact holds: `rows.jsonl` and `heldout.jsonl`, and rankings beside them where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alidade.preferences import comparisons_in
from alidade.records import Comparison, Ranking, Record
from alidade.store import read_rows, write_rows

NAMES = ("rows", "heldout")
RANKINGS = "{}-rankings.jsonl"


def write_split(out: Path, train: Sequence[Record], heldout: Sequence[Record]) -> int:
    """Write rows to learn from and rows held out, rankings into files of their own; how many of the latter there are."""
    sides = dict(zip(NAMES, (train, heldout), strict=True))
    rankings = {name: [row for row in rows if isinstance(row, Ranking)] for name, rows in sides.items()}
    for name, rows in sides.items():
        write_rows(out / f"{name}.jsonl", [row for row in rows if not isinstance(row, Ranking)])
        if any(rankings.values()):
            write_rows(out / RANKINGS.format(name), rankings[name])
    return sum(map(len, rankings.values()))


def read_judged(folder: Path) -> tuple[list[Comparison | Ranking], list[Comparison | Ranking]]:
    """What is learned from and what is held out: comparisons first, then rankings."""

    def read(name: str) -> list[Comparison | Ranking]:
        rankings = folder / RANKINGS.format(name)
        ranked = read_rows(rankings, Ranking) if rankings.exists() else []
        return [*read_rows(folder / f"{name}.jsonl", Comparison), *ranked]

    train, heldout = map(read, NAMES)
    return train, heldout


def as_comparisons(rows: Sequence[Comparison | Ranking]) -> list[Comparison]:
    """Rankings as their pairs: what accuracy is measured on."""
    return [pair for row in rows for pair in ([row] if isinstance(row, Comparison) else comparisons_in(row))]
