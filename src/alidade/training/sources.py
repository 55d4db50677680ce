"""Rows from memory as steps of micro-batches, and the count of every row that does not make it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from alidade.errors import DataError
from alidade.seeds import generator
from alidade.training.packing import split_by_budget
from alidade.training.settings import Batching

Item = TypeVar("Item")


def refuse_loss(seen: int, dropped: Mapping[str, int], allowed: float, where: str) -> None:
    """Stop when too large a share of the rows cannot be used.

    Raises:
        DataError: when no row is left, or more than the allowed share of `seen` is dropped.
    """
    lost = sum(dropped.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()) if count)
    if seen in (0, lost):
        raise DataError(f"no row can be trained on ({seen} seen{'; ' if reasons else ''}{reasons})", where=where)
    if lost > allowed * seen:
        raise DataError(
            f"{lost} of {seen} rows would be dropped: {reasons}",
            where=where,
            hint=f"mend the rows, raise the limit, or allow the loss with allowed_loss: {lost / seen:.3f}",
        )


def dropped_counts(dropped: Counter[str], *reasons: str) -> dict[str, int]:
    """The count of every reason, zeros included."""
    return {reason: dropped[reason] for reason in reasons}


@dataclass(frozen=True)
class Shuffling:
    """Batching under a seed and the name of the stream of chance."""

    batching: Batching
    seed: int
    name: str


class ShuffledRows(Generic[Item]):
    """A source of steps: every epoch in a fresh order from a named seed; where it stands is one number."""

    def __init__(
        self,
        items: Sequence[Item],
        size: Callable[[Item], int],
        collate: Callable[[list[Item]], Any],
        shuffling: Shuffling,
    ) -> None:
        self._items, self._size, self._collate, self._shuffling = items, size, collate, shuffling
        self._batching = shuffling.batching
        self._per_epoch = -(-len(items) // self._batching.rows)
        self._done = 0

    @property
    def position(self) -> tuple[int, int]:
        """Steps done and in all."""
        return self._done, self._per_epoch * self._batching.epochs

    def __iter__(self) -> Iterator[list[Any]]:
        while self._done < self.position[1]:
            epoch, step = divmod(self._done, self._per_epoch)
            order = self._order(epoch)
            while step < self._per_epoch:
                chosen = order[step * self._batching.rows : (step + 1) * self._batching.rows]
                yield self._micro_batches([self._items[place] for place in chosen])
                step += 1

    def _order(self, epoch: int) -> list[int]:
        order = list(range(len(self._items)))
        generator(self._shuffling.seed, self._shuffling.name, "epoch", epoch).shuffle(order)
        return order

    def _micro_batches(self, items: list[Item]) -> list[Any]:
        ranges = split_by_budget([self._size(item) for item in items], self._batching.tokens_at_once)
        return [self._collate([items[place] for place in chosen]) for chosen in ranges]

    def observe(self, report: object) -> None:
        """One more step is done."""
        self._done += 1

    def state_dict(self) -> dict[str, Any]:
        """The number of steps done."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after `done` steps."""
        self._done = state["done"]
