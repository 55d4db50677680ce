"""The rows of a reward model's head: which attribute and which member of an ensemble each is, and how they become one score.

Rows are read in nats: a Bradley-Terry model fixes differences of scores but not their zero, so each row is first centred on
the training answers. Only then is "the least of several" a statement about one answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self, get_args

from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor

from alidade.errors import DataError
from alidade.records import Attribute, Record
from alidade.seeds import generator
from alidade.training.choices import Judgement
from alidade.training.settings import Combine, HeadsConfig


class Heads(Record):
    """`members` rows for each attribute, one attribute after the other; `weights`, one per attribute, sum to 1.

    Source: Coste et al. 2023, arXiv 2310.02743 (least; mean less spread); Eisenstein et al. 2023, arXiv 2312.09244.
    Differs: `lower` takes off the standard deviation, not the variance, so it is in nats like the score.
    """

    attributes: tuple[Attribute, ...] = ("overall",)
    members: int = 1
    weights: tuple[float, ...] = (1.0,)
    combine: Combine = "mean"
    caution: float = 1.0
    centres: tuple[float, ...] = (0.0,)

    @property
    def count(self) -> int:
        """Rows in all."""
        return len(self.attributes) * self.members

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each row."""
        if self.members == 1:
            return self.attributes
        return tuple(f"{name} {member}" for name in self.attributes for member in range(self.members))

    def by_attribute(self, raw: Float[Tensor, "answers rows"]) -> Float[Tensor, "answers attributes"]:
        """One score per attribute, in nats, cautious if the ensemble is to be."""
        if self.count == 1:
            return raw
        centred = (raw - raw.new_tensor(self.centres)).unflatten(1, (len(self.attributes), self.members))
        if self.combine == "worst":
            return centred.amin(dim=2)
        spread = centred.std(dim=2, correction=0) if self.combine == "lower" else 0.0
        return centred.mean(dim=2) - self.caution * spread

    def combined(self, raw: Float[Tensor, "answers rows"]) -> Float[Tensor, " answers"]:
        """One score per answer, in nats: the weighted mean of the attributes'."""
        scores = self.by_attribute(raw)
        return scores[:, 0] if self.count == 1 else scores @ scores.new_tensor(self.weights)

    @property
    def folding(self) -> tuple[list[float], float]:
        """(a weight for each row, a constant): the linear score with every ensemble's mean in place of its caution."""
        shares = [weight / self.members for weight in self.weights for _ in range(self.members)]
        return shares, -sum(share * centre for share, centre in zip(shares, self.centres, strict=True))

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len(self.weights) != len(self.attributes) or len(self.centres) != self.count:
            raise ValueError(f"{len(self.weights)} weights and {len(self.centres)} centres for {self.count} heads")
        return self


ONE_HEAD = Heads()


def heads_for(rows: Sequence[Judgement], cfg: HeadsConfig) -> Heads:
    """The heads of a model that learns from `rows`; attributes are those that were judged.

    Raises:
        DataError: when a weight is given to an attribute that nobody judged.
    """
    judged = {row.attribute for row in rows}
    attributes: tuple[Attribute, ...] = tuple(name for name in get_args(Attribute) if name in judged)
    if not cfg.by_attribute or not attributes:
        attributes = ("overall",)
    elif absent := [name for name in cfg.weights if name not in judged]:
        hint = f"the judgements are about {', '.join(attributes)}"
        raise DataError(f"no judgement is about the attribute {absent[0]!r}", where="heads.weights", hint=hint)
    given = [cfg.weights.get(name, 0.0) if cfg.weights else float(name == "overall") for name in attributes]
    given = given if any(given) else [1.0] * len(attributes)
    weights = tuple(weight / sum(given) for weight in given)
    centres = (0.0,) * (len(attributes) * cfg.members)
    return Heads(
        attributes=attributes,
        members=cfg.members,
        weights=weights,
        combine=cfg.combine,
        caution=cfg.caution,
        centres=centres,
    )


class HeadWeights:
    """How much a judgement counts for each head: for its own attribute's alone, and there as often as it was drawn.

    Each member draws as many judgements as there are, with replacement, from a stream of its own; a judgement's loss is the
    mean over the members.
    """

    def __init__(self, heads: Heads, cfg: HeadsConfig, judgements: int, seed: int) -> None:
        self._heads, self._by_attribute = heads, cfg.by_attribute
        drawn = range(heads.members) if heads.members > 1 and cfg.bootstrap else ()
        self._times = [
            Counter(generator(seed, "bootstrap", member).choices(range(judgements), k=judgements)) for member in drawn
        ]

    def __call__(self, number: int, row: Judgement) -> tuple[float, ...]:
        """A weight for each row of the head."""
        members = [times[number] for times in self._times] or [1] * self._heads.members
        own = [float(not self._by_attribute or name == row.attribute) for name in self._heads.attributes]
        return tuple(mine * times / self._heads.members for mine in own for times in members)
