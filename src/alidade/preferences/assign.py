"""Who sees what, in which order: everything that chance decides in labelling, as functions of a seed and of names.

Nothing here knows a database, so that a draw can be made again years later and held against what was stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from alidade.seeds import derive, generator

Purpose = Literal["work", "gold", "repeat"]
Arm = Literal["random", "uncertain"]


def places(seed: int, keys: Iterable[str]) -> list[str]:
    """The keys in the order in which they are handed out; a key's draw does not depend on the others."""
    return sorted(keys, key=lambda key: derive(seed, "place", key))


def wanted_votes(seed: int, key: str, usual: int, overlap: int, share: float) -> int:
    """How many annotators an item is for: `overlap` for a drawn share of the items, which measures people, else `usual`."""
    return overlap if _draw(seed, "overlap", key) < share else usual


def arm_of(seed: int, key: str, uncertain_share: float) -> Arm:
    """Whether an item's turn is left to chance or to how unsure a scorer is of it; drawn before anything is scored."""
    return "uncertain" if _draw(seed, "arm", key) < uncertain_share else "random"


def shown_order(seed: int, key: str, annotator: str, answers: int, *, mirrored: bool = False) -> tuple[int, ...]:
    """The answers' numbers from left to right on this annotator's screen; `mirrored`, the other way round."""
    order = list(range(answers))
    generator(seed, "order", key, annotator).shuffle(order)
    return tuple(reversed(order) if mirrored else order)


def is_mirrored(seed: int, key: str, annotator: str) -> bool:
    """Whether a hidden repeat is shown the other way round: half of them are."""
    return _draw(seed, "mirrored", key, annotator) < 0.5


def purpose_of(seed: int, annotator: str, done: int, gold_share: float, repeat_share: float) -> Purpose:
    """What an annotator's next task, after `done` others, is for: work, a check against gold, or a hidden repeat."""
    draw = _draw(seed, "purpose", annotator, done)
    if draw < gold_share:
        return "gold"
    return "repeat" if draw < gold_share + repeat_share else "work"


def _draw(seed: int, *names: str | int) -> float:
    return derive(seed, *names) / 2**63
