"""Random streams by name: every use of chance draws from its own stream, so adding one never moves another."""

from __future__ import annotations

import random

from alidade.digest import digest_of


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names` under `seed`."""
    return int(digest_of(["seed/1", seed, *names])[:16], 16) >> 1


def generator(seed: int, *names: str | int) -> random.Random:
    """Python's own generator, seeded for the stream called `names`."""
    return random.Random(derive(seed, *names))
