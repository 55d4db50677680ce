"""A judgement as a likelihood: which answers compete, how often, and what the outcome was. No tensors.

One form holds them all. A comparison is a choice between two; a margin moves one of them; a tie is a third thing that
could have been chosen; a ranking is a choice of the best among all, then of the next among the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from alidade.errors import DataError
from alidade.records import Comparison, Ranking
from alidade.training.losses import ranking_terms

MOST_TIED = 8
Judgement = Comparison | Ranking


@dataclass(frozen=True)
class Term:
    """One choice: its competitors (each an answer, or several that compete as one), and how far each is moved, in nats."""

    competitors: tuple[tuple[int, ...], ...]
    weight: float = 1.0
    offsets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood = sum of terms - sum over answers of credit * score - ties * log of the tie strength."""

    terms: tuple[Term, ...]
    credits: tuple[float, ...]
    ties: float = 0.0


def comparison_likelihood(label_prob: float, margin: float = 0.0) -> Likelihood:
    """Soft Bradley-Terry; with a margin, whichever answer is better should lead by that many nats.

    Source: Touvron et al. 2023, arXiv 2307.09288, equation 2: -log sigmoid(gap - margin).
    """
    left, right = (0,), (1,)
    if margin == 0:
        return Likelihood((Term((left, right)),), (label_prob, 1 - label_prob))
    held_back = (Term((left, right), label_prob, (0.0, margin)), Term((left, right), 1 - label_prob, (margin, 0.0)))
    return Likelihood(held_back, (label_prob, 1 - label_prob))


def ranking_likelihood(ranks: Sequence[int]) -> Likelihood:
    """Plackett-Luce, averaged over all orders of tied answers."""
    terms = (Term(tuple((place,) for place in chosen), weight) for chosen, weight in ranking_terms(ranks))
    return Likelihood(tuple(terms), (1.0,) * len(ranks))


def tied_comparison_likelihood(label_prob: float, tie_prob: float) -> Likelihood:
    """Davidson's three outcomes: left, right, or a tie, whose score is the mean of both plus the log of the tie strength.

    `label_prob` counts a tie as half a win for each side.

    Source: Davidson 1970, JASA 65:317-328.
    """
    return Likelihood((Term(((0,), (1,), (0, 1))),), (label_prob, 1 - label_prob), tie_prob)


def tied_ranking_likelihood(ranks: Sequence[int]) -> Likelihood:
    """Davidson's model of ties carried to rankings: any set of the answers that are left may come next, tied.

    Source: Turner, van Etten, Firth, Kosmidis 2020, Computational Statistics 35:1027-1057, equation 2.
    Differs: one tie strength for all sizes; n tied answers weigh its (n - 1)th power.
    """
    terms: list[Term] = []
    credits = [0.0] * len(ranks)
    for rank in sorted(set(ranks)):
        left = [place for place, other in enumerate(ranks) if other >= rank]
        tied = [place for place in left if ranks[place] == rank]
        if len(left) > 1:  # the last answer comes last whatever the scores
            possible = [chosen for size in range(1, len(left) + 1) for chosen in combinations(left, size)]
            terms.append(Term(tuple(possible)))
            for place in tied:
                credits[place] = 1 / len(tied)
    return Likelihood(tuple(terms), tuple(credits), float(len(ranks) - len(set(ranks))))


def _as_labelled(label_prob: float) -> float:
    return label_prob


def _one_head(number: int, row: Judgement) -> tuple[float, ...]:
    return (1.0,)


@dataclass(frozen=True)
class Reading:
    """How judgements are read: what is learned of a label, nats per unit of margin, ties as an outcome, weights of heads.

    `weights` says of a judgement, by its number among those given, how much it counts for each head.
    """

    learned: Callable[[float], float] = _as_labelled
    margin: float = 0.0
    ties: bool = False
    weights: Callable[[int, Judgement], tuple[float, ...]] = _one_head

    def likelihood(self, row: Judgement) -> Likelihood:
        """What `row` says, as a likelihood of its answers' scores."""
        if isinstance(row, Ranking):
            return tied_ranking_likelihood(row.ranks) if self.ties else ranking_likelihood(row.ranks)
        if self.ties:
            return tied_comparison_likelihood(row.label_prob, row.tie_prob)
        return comparison_likelihood(self.learned(row.label_prob), self.margin * (row.margin or 0.0))

    def fault(self, row: Judgement) -> str:
        """Why nothing can be learned from `row`, or nothing: then it can be."""
        if isinstance(row, Comparison):
            return ""
        if self.ties:
            return f"rankings of more than {MOST_TIED} answers" if len(row.ranks) > MOST_TIED else ""
        if len(set(row.ranks)) == 1:
            return ALL_TIED
        return OVER_TIED if max(row.ranks.count(rank) for rank in row.ranks) > MOST_TIED else ""


ALL_TIED = "all answers tied"
OVER_TIED = f"over {MOST_TIED} answers of one rank"


def tie_share(rows: Sequence[Judgement]) -> float:
    """The share of ties among the pairs that `rows` judge, in [0, 1]; 0 without rows.

    Raises:
        DataError: when all pairs are ties, so that no score could be learned.
    """
    tied = pairs = 0.0
    for row in rows:
        if isinstance(row, Comparison):
            tied, pairs = tied + row.tie_prob, pairs + 1
        else:
            both = list(combinations(row.ranks, 2))
            tied, pairs = tied + sum(one == other for one, other in both), pairs + len(both)
    if pairs and tied == pairs:
        raise DataError("every judgement is a tie", where="comparisons", hint="nothing says which answers are better")
    return tied / pairs if pairs else 0.0
