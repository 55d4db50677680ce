"""Paired comparison of two evaluations: the same prompts, two models, one claim at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alidade.records import Estimate
from alidade.stats import holm, mcnemar, paired_difference

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a measure counts: the rows whose `verdict` says `says`, among those of a group of prompts (None: of all)."""

    measure: str
    says: str
    group: str | None = None
    new: bool | None = None

    def of(self, row: Row) -> bool | None:
        """Whether the claim holds of an answer; None where it is not about this row."""
        if self.group is not None and row.get("measure_group") != self.group:
            return None
        if self.new is not None and bool(row.get("new")) != self.new:
            return None
        held = (row.get("verdict") or {}).get(self.says)
        return None if held is None else bool(held)


@dataclass(frozen=True)
class PairedTest:
    """How a measure changed from one model to the next over `n` prompts both answered.

    `lost` and `gained` count the prompts on which the claim ceased or began to hold. The interval of `difference`
    treats prompts about one item as a cluster, `p` is McNemar's exact one, `p_adjusted` holds for the whole family.
    """

    measure: str
    n: int
    lost: int
    gained: int
    difference: Estimate
    p: float
    p_adjusted: float


def compare(
    before: Iterable[Row], after: Iterable[Row], claims: Sequence[Claim], *, mode: str = "sampled"
) -> list[PairedTest]:
    """One test per claim that both evaluations answer, over prompts paired by id; rows of other modes are left out.

    `p_adjusted` is `p`: correct the whole family with `corrected`.
    """
    earlier, later = _by_prompt(before, mode), _by_prompt(after, mode)
    pairs = [(earlier[prompt], row) for prompt, row in later.items() if prompt in earlier]
    return [test for claim in claims if (test := _test(claim, pairs)) is not None]


def corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """The tests with p-values adjusted as one family.

    Source: Holm 1979, in `alidade.stats`.
    """
    return [
        replace(test, p_adjusted=adjusted)
        for test, adjusted in zip(tests, holm([test.p for test in tests]), strict=True)
    ]


def _by_prompt(rows: Iterable[Row], mode: str) -> dict[str, Row]:
    return {str(row["prompt_id"]): row for row in rows if row.get("mode", mode) == mode}


def _test(claim: Claim, pairs: Sequence[tuple[Row, Row]]) -> PairedTest | None:
    known = [
        (before, after, str(later.get("item") or later["prompt_id"]))
        for earlier, later in pairs
        if (before := claim.of(earlier)) is not None and (after := claim.of(later)) is not None
    ]
    if not known:
        return None
    lost = sum(first and not second for first, second, _ in known)
    gained = sum(second and not first for first, second, _ in known)
    difference = paired_difference(
        [first for first, _, _ in known], [second for _, second, _ in known], [item for _, _, item in known]
    )
    p = mcnemar(lost, gained)
    return PairedTest(claim.measure, len(known), lost, gained, difference, p, p)
