"""A model whose every probability and every word is known, and which remembers what it was asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alidade.constitution import Constitution, Principle, Requests
from alidade.models.base import Sampling
from alidade.records import Completion


@dataclass
class KnownModel:
    """`says` answers a text, `first_prob` is the probability of the first of two options after a text."""

    says: Callable[[str], str] = lambda text: f"said {len(text)}"
    first_prob: Callable[[str], float] = lambda text: 0.5
    name: str = "known"
    asked: list[tuple[str, Sampling]] = field(default_factory=list)

    def continued(self, texts: Sequence[str], how: Sampling, stops=(), progress=None) -> list[Completion]:
        self.asked += [(text, how) for text in texts]
        return [Completion(text=self.says(text)) for text in texts]

    def option_log_probs(self, texts: Sequence[str], options: Sequence[str]) -> list[list[float]]:
        self.asked += [(text, Sampling(temperature=0)) for text in texts]
        # Half of the probability lies elsewhere: what is normalised is only what is among the options.
        return [[math.log(one / 2) for one in (p, 1 - p)] for p in map(self.first_prob, texts)]


def principle(name: str, **more) -> Principle:
    """A principle that can be asked in every way."""
    words = {"id": name, "title": name, "text": f"Keep to {name}."}
    asked = Requests(
        critique=f"What goes against {name}?", revision=f"Rewrite by {name}.", comparison=f"Which keeps {name}?"
    )
    return Principle(**words | {"requests": asked} | more)


def constitution(*principles: Principle) -> Constitution:
    """A document of these principles."""
    return Constitution(id="test", title="Test", version="1.0.0", principles=principles)
