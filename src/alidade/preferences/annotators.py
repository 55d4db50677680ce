"""Who voted, and how far to believe them: a probability for each pair, from annotators of different reliability.

The answers' utilities and the annotators' traits (`pairwise.py`, `orders.py`) are fitted together: the most probable ones, under priors
that draw whatever few votes speak of to the middle of the pool (`posterior.py`), how far answers lie apart being found first
(`spread.py`). How sure they are is read off the votes' information (`uncertainty.py`), and labels from the votes themselves (`gaps.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.special import expit, logit

from alidade.preferences.ballots import Array, Ballots, Layout
from alidade.preferences.gaps import chance_left_is_better
from alidade.preferences.posterior import Posterior, climb
from alidade.preferences.uncertainty import Covariance
from alidade.records import Estimate
from alidade.stats import normal_quantile


@dataclass(frozen=True)
class AnnotatorModel:
    """What was fitted, `flat` in the order of its layout; `votes` [annotators] says how many each gave.

    `typical_gap` is the median, over what was voted on, of how far the answers' utilities lie apart.
    """

    flat: Array
    posterior: Posterior
    covariance: Covariance
    votes: Array
    typical_gap: float

    @property
    def layout(self) -> Layout:
        """Where each parameter stands."""
        return self.posterior.layout

    @property
    def utility(self) -> Array:
        """What each answer is worth; the unit is the sharpness of the pool's careful votes."""
        return self.flat[: self.layout.answers]

    @property
    def attention(self) -> Array:
        """Per annotator: the share of votes given with care."""
        return expit(self._trait("attention"))

    @property
    def sharpness(self) -> Array:
        """Per annotator: log-odds per unit of utility."""
        return np.exp(self._trait("sharpness"))

    def label_prob(self, left: Array, right: Array, known: Array | float = 0.0) -> Array:
        """P(left is better) to a careful annotator without side bias and as sharp as the pool, averaged over the gap."""
        known = np.broadcast_to(np.asarray(known, dtype=float), left.shape)
        lead = self.flat[self.layout.pooled("known")] * known
        return chance_left_is_better(self.posterior, self.flat, self.covariance.free.own, (left, right), lead)

    def gap(self, left: Array, right: Array, known: Array | float = 0.0) -> tuple[Array, Array]:
        """How much more the left answer is worth, and the variance of that."""
        pair, counts = np.arange(len(left)), self.layout.pooled("known")
        known = np.broadcast_to(np.asarray(known, dtype=float), pair.shape)
        one = np.ones_like(known)
        places = np.concatenate([left, right, np.full_like(pair, counts)])
        levers = self._levers(np.tile(pair, 3), places, np.concatenate([one, -one, known]))
        return levers @ self.flat, self.covariance.variances(levers)

    def reliability(self) -> list[Estimate]:
        """Per annotator: attention, with its interval."""
        return self._shares(self.attention, {"attention": self.attention * (1 - self.attention)})

    def skill(self) -> list[Estimate]:
        """Per annotator: how often the better of two answers a typical gap apart is picked, of those picked, either shown left.

        1/2 is a coin. The typical gap counts as known.
        """
        attention, gap, offset = self.attention, self.sharpness * self.typical_gap, self._trait("offset")
        shown_left, shown_right = expit(gap + offset), expit(gap - offset)
        careful = (shown_left + shown_right) / 2
        steep_left, steep_right = shown_left * (1 - shown_left), shown_right * (1 - shown_right)
        slopes = {
            "attention": (careful - 0.5) * attention * (1 - attention),
            "sharpness": attention * gap * (steep_left + steep_right) / 2,
            "offset": attention * (steep_left - steep_right) / 2,
        }
        return self._shares(attention * careful + (1 - attention) / 2, slopes)

    def side_bias(self) -> list[Estimate]:
        """Per annotator: how much oftener than half the left of two equal answers is picked, where one is picked."""
        lead, slopes = self._side_lead()
        errors = np.sqrt(self.covariance.variances(self._by_annotator(slopes)))
        rows = zip(lead, errors, self.votes, strict=True)
        return [_estimate(mean, error, n) for mean, error, n in rows]

    def pool_side_bias(self) -> Estimate:
        """The annotators' side biases, averaged by how many votes each gave."""
        lead, slopes = self._side_lead()
        share = csr_array((self.votes / self.votes.sum())[None])
        variance = self.covariance.variances(csr_array(share @ self._by_annotator(slopes)))
        return _estimate((share @ lead)[0], np.sqrt(variance[0]), self.votes.sum())

    def _side_lead(self) -> tuple[Array, dict[str, Array]]:
        attention, side, middle = self.attention, expit(self._trait("side")), expit(self._trait("offset"))
        slopes = {
            "attention": (middle - side) * attention * (1 - attention),
            "offset": attention * middle * (1 - middle),
            "side": (1 - attention) * side * (1 - side),
        }
        return attention * middle + (1 - attention) * side - 0.5, slopes

    def _shares(self, shares: Array, slopes: Mapping[str, Array]) -> list[Estimate]:
        """Shares with intervals that are symmetric in their log-odds."""
        errors = np.sqrt(self.covariance.variances(self._by_annotator(slopes))) / (shares * (1 - shares))
        z = normal_quantile(0.975)
        low, high = (expit(logit(shares) + sign * z * errors) for sign in (-1, 1))
        rows = zip(shares.tolist(), low.tolist(), high.tolist(), self.votes.tolist(), strict=True)
        return [Estimate(mean=mean, low=least, high=most, n=int(n)) for mean, least, most, n in rows]

    def _by_annotator(self, slopes: Mapping[str, Array]) -> csr_array:
        """Each annotator's slopes in the traits, as a row."""
        people = np.arange(self.layout.annotators)
        places = np.concatenate([self.layout.trait(name).start + people for name in slopes])
        return self._levers(np.tile(people, len(slopes)), places, np.concatenate(list(slopes.values())))

    def _levers(self, rows: Array, places: Array, values: Array) -> csr_array:
        return csr_array(coo_array((values, (rows, places)), shape=(int(rows.max()) + 1, self.layout.size)))

    def _trait(self, name: str) -> Array:
        return self.flat[self.layout.trait(name)]


def _estimate(mean: float, error: float, n: float) -> Estimate:
    wide = normal_quantile(0.975) * error
    return Estimate(mean=float(mean), low=float(mean - wide), high=float(mean + wide), n=int(n))


def fit_annotators(ballots: Ballots) -> AnnotatorModel:
    """The most probable utilities and annotators, with their covariance."""
    posterior, flat, covariance = climb(ballots)
    apart = np.abs(np.concatenate([votes.gaps(flat) for votes in posterior.votes]))
    return AnnotatorModel(flat, posterior, covariance, ballots.votes, float(np.median(apart)))
