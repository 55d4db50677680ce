"""Policies measured while they are trained, on prompts of their own: gold, proxy and KL, and which policy was best.

A policy that goes on climbing its reward model comes to exploit it: the proxy rises while what is wanted falls (Gao et al.
2022, arXiv 2210.10760). So gold is measured on `choosing` prompts, where the best policy is picked and its weights are kept,
and on `reporting` prompts, which nothing is picked by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alidade.records import Prompt
from alidade.stats import lead
from alidade.training.fit import BatchSource, StepReport
from alidade.training.settings import Keeping

CHOOSING, REPORTING = "choosing", "reporting"
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A training's prompts, and those its policies are measured on; no prompt is in two of the three."""

    trained: Sequence[Prompt]
    choosing: Sequence[Prompt] = ()
    reporting: Sequence[Prompt] = ()

    @property
    def watched(self) -> list[tuple[str, Prompt]]:
        """The prompts to measure on, each with the name of its set."""
        return [(name, prompt) for name in (CHOOSING, REPORTING) for prompt in getattr(self, name)]

    @property
    def everything(self) -> list[Prompt]:
        """All prompts, trained on or watched."""
        return [*self.trained, *self.choosing, *self.reporting]


class WatchedSource:
    """A source whose policy is measured before the first step, every few units of its position, and at the end.

    `measure` gives a row per watched prompt, with its `set` and its `gold`. The best policy's weights are part of the state,
    so a training that is killed keeps the same ones.
    """

    def __init__(
        self, source: BatchSource, policy: nn.Module, keep: Keeping, measure: Callable[[], Sequence[Row]]
    ) -> None:
        self.rows: list[Row] = []
        self.best = 0
        self._source, self._policy, self._keep, self._measure = source, policy, keep, measure
        self._kept: dict[str, Tensor] = {}
        self._seen: list[int] = []

    @property
    def position(self) -> tuple[int, int]:
        """That of the source within."""
        return self._source.position

    def __iter__(self) -> Iterator[Sequence[Any]]:
        if not self._seen:
            self._look()
        steps = iter(self._source)
        while not self._out_of_patience and (batches := next(steps, None)) is not None:
            yield batches

    def observe(self, report: StepReport) -> None:
        """Move on, and measure where a measurement is due."""
        before = self.position[0]
        self._source.observe(report)
        now = self.position[0]
        if now > before and now % self._keep.every == 0:
            self._look()

    def finish(self) -> None:
        """Measure the policy as it ended, and put the best one in its place where that is to be kept."""
        if self._seen[-1] != self.position[0]:
            self._look()
        if self._keep.policy == "best":
            for name, weight in _trained(self._policy):
                with torch.no_grad():
                    weight.copy_(self._kept[name])

    def _look(self) -> None:
        at = self.position[0]
        found = [{"iteration": at, **row} for row in self._measure()]
        if not self._seen or lead(self._gold(self.rows, self.best), self._gold(found, at)) > self._keep.margin:
            self.best = at
            if self._keep.policy == "best":
                self._kept = {name: weight.detach().clone() for name, weight in _trained(self._policy)}
        self.rows += found
        self._seen.append(at)

    @staticmethod
    def _gold(rows: Sequence[Row], iteration: int) -> list[float]:
        return [row["gold"] for row in rows if row["iteration"] == iteration and row["set"] == CHOOSING]

    @property
    def _out_of_patience(self) -> bool:
        since = len(self._seen) - 1 - self._seen.index(self.best)
        return self._keep.patience is not None and since >= self._keep.patience

    def state_dict(self) -> dict[str, Any]:
        """Where the source within stands, what was measured, and the best policy's weights."""
        return {
            "source": self._source.state_dict(),
            "rows": self.rows,
            "best": self.best,
            "seen": self._seen,
            "kept": self._kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._source.load_state_dict(state["source"])
        self.rows[:], self.best, self._seen[:] = state["rows"], state["best"], state["seen"]
        self._kept = dict(state["kept"])


def _trained(policy: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in policy.named_parameters() if weight.requires_grad]
