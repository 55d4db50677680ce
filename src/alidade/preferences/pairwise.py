"""How likely each vote between two answers is, given the answers' utilities and the annotator's traits.

P(annotator k picks the answer shown left) = attention_k * sigmoid(sharpness_k * gap + offset_k) + (1 - attention_k) * side_k,
where the gap is the difference of the two answers' utilities. Where anyone ties, an attentive annotator ties as Davidson has it
and an inattentive one with a chance of its own. "Clearly" and "far" better lie beyond thresholds of the same log-odds, which leaves
the chance of picking a side what it was.

Source: Chen et al. 2013, Pairwise ranking aggregation in a crowdsourced setting; Davidson 1970 (ties); McCullagh 1980, Regression
models for ordinal data (thresholds).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from alidade.preferences.ballots import LEFT, RIGHT, STRENGTHS, TIE, TRAITS, Array, Ballots, Layout

AT_ONCE = 1 << 13  # votes whose numbers stay in a processor's cache
LEAST = 1e-100
SIGNS = {LEFT: 1.0, RIGHT: -1.0, TIE: 0.0}

Scores = tuple[Array, Array, Array]  # who voted [votes], parameters [m, votes] and, for each, a value


@dataclass(frozen=True)
class Said:
    """What one kind of vote says: a side, and how much better (0 where nobody was asked)."""

    outcome: int
    strength: int = 0


class PairVotes:
    """Votes between two answers, sorted by what they say."""

    def __init__(self, ballots: Ballots, layout: Layout) -> None:
        strength = np.zeros_like(ballots.outcome) if ballots.strength is None else ballots.strength
        order = np.lexsort((ballots.left, strength, ballots.outcome))
        self.layout, self.has_ties = layout, ballots.has_ties
        self._who, self.left, self.right = (
            column[order] for column in (ballots.annotator, ballots.left, ballots.right)
        )
        self._known = None if ballots.known is None else ballots.known[order]
        self._asked = strength[order] > 0
        kind = 4 * ballots.outcome[order] + strength[order]
        starts = np.flatnonzero(np.diff(kind, prepend=-1))
        self._kinds = [
            (Said(*divmod(int(kind[start]), 4)), slice(start, stop))
            for start, stop in zip(starts, [*starts[1:], len(kind)], strict=True)
        ]

    def __len__(self) -> int:
        return len(self._who)

    def at(self, flat: Array) -> tuple[float, Array]:
        """The log of the votes' likelihood, and its gradient."""
        layout, pool = self.layout, Pool.at(flat, self.layout, ties=self.has_ties)
        value, gradient = 0.0, np.zeros(layout.size)
        by_vote = {name: np.empty(len(self)) for name in ("gap", *TRAITS)}
        for said, votes in self._kinds:
            for start in range(votes.start, votes.stop, AT_ONCE):
                part = slice(start, min(start + AT_ONCE, votes.stop))
                chance, slopes = pool.chance(said, self._who[part], *self._gaps(flat, part))
                value += float(np.log(chance).sum())
                share = 1 / chance
                for name, slope in slopes.items():
                    if name in by_vote:
                        np.multiply(slope, share, out=by_vote[name][part])
                    else:
                        gradient[layout.pooled(name)] += slope @ share
        gradient[: layout.answers] = np.bincount(self.left, by_vote["gap"], layout.answers)
        gradient[: layout.answers] -= np.bincount(self.right, by_vote["gap"], layout.answers)
        for name in TRAITS:
            gradient[layout.trait(name)] = np.bincount(self._who, by_vote[name], layout.annotators)
        return value, gradient

    def scores(self, flat: Array) -> Iterator[Scores]:
        """For each thing a vote might have said, what it would say of the parameters: the columns whose squares sum to the information."""
        for votes, slopes, over in self._outcomes(flat):
            yield self._columns(votes, slopes, over)

    def _outcomes(self, flat: Array) -> Iterator[tuple[Array, Mapping[str, Array], Array]]:
        """For each thing that votes might have said: which votes, its slopes, and what these are to be divided by."""
        pool = Pool.at(flat, self.layout, ties=self.has_ties)
        ties = [Said(TIE)] if self.has_ties else []
        for asked in (False, True):
            votes = np.flatnonzero(self._asked == asked)
            sides = [Said(side, strength) for side in (LEFT, RIGHT) for strength in (STRENGTHS if asked else (0,))]
            # Of two outcomes one says all.
            for said in [*sides, *ties] if asked or ties else sides[:1]:
                if len(votes):
                    chance, slopes = pool.chance(said, self._who[votes], *self._gaps(flat, votes))
                    yield votes, slopes, np.sqrt(chance if asked or ties else chance * (1 - chance))

    def on_gaps(self, flat: Array) -> tuple[Array, Array]:
        """Per vote: by how much its log-likelihood grows with the left answer's lead, and the information in it about that."""
        pool, slope, told = Pool.at(flat, self.layout, ties=self.has_ties), np.empty(len(self)), np.zeros(len(self))
        for said, votes in self._kinds:
            chance, slopes = pool.chance(said, self._who[votes], *self._gaps(flat, votes))
            slope[votes] = slopes["gap"] / chance
        for votes, slopes, over in self._outcomes(flat):
            told[votes] += (slopes["gap"] / over) ** 2
        return slope, told

    def log_chance(self, flat: Array, lead: Array, start: int) -> Array:
        """Of the votes from number `start` on: the log of the likelihood if their left answers were ahead by `lead` [votes, any]."""
        pool, found = Pool.at(flat, self.layout, ties=self.has_ties), np.empty_like(lead)
        for said, votes in self._kinds:
            part = slice(max(votes.start, start), min(votes.stop, start + len(lead)))
            if part.start < part.stop:
                gap = lead[part.start - start : part.stop - start]
                if self._known is not None:
                    gap = gap + flat[self.layout.pooled("known")] * self._known[part, None]
                chance, _ = pool.chance(said, self._who[part, None], gap, None)
                found[part.start - start : part.stop - start] = np.log(chance)
        return found

    def gaps(self, flat: Array) -> Array:
        """The difference of the two answers' utilities in each vote, what is known of it included."""
        return self._gaps(flat, slice(None))[0]

    def _gaps(self, flat: Array, part: slice | Array) -> tuple[Array, Array | None]:
        gap = flat[self.left[part]] - flat[self.right[part]]
        if self._known is None:
            return gap, None
        known = self._known[part]
        return gap + flat[self.layout.pooled("known")] * known, known

    def _columns(self, votes: Array, slopes: Mapping[str, Array], over: Array) -> Scores:
        layout, who = self.layout, self._who[votes]
        places = [self.left[votes], self.right[votes], *(layout.trait(name).start + who for name in TRAITS)]
        values = [slopes["gap"], -slopes["gap"], *(slopes[name] for name in TRAITS)]
        pooled = [name for name in slopes if name != "gap" and name not in TRAITS]
        places += [np.full(len(votes), layout.pooled(name)) for name in pooled]
        values += [slopes[name] for name in pooled]
        return who, np.stack(places), np.stack(values) / over


@dataclass(frozen=True)
class Pool:
    """The annotators' traits as they act, and what the pool shares."""

    attention: Array
    sharpness: Array
    offset: Array
    side: Array
    tie: float
    idle_tie: float
    cuts: tuple[float, float, float]
    idle: tuple[float, float, float]

    @classmethod
    def at(cls, flat: Array, layout: Layout, *, ties: bool) -> Pool:
        """Read off the parameters."""
        attention, sharpness, offset, side = (flat[layout.trait(name)] for name in TRAITS)
        tie, idle_tie, *steps, clearly, far = (
            float(flat[layout.pooled(name)])
            for name in ("tie", "idle tie", "clearly", "far", "idle clearly", "idle far")
        )
        clear, further = np.exp(steps)
        often = np.exp([0.0, clearly, far])
        return cls(
            expit(attention),
            np.exp(sharpness),
            offset,
            expit(side),
            float(np.exp(tie)) if ties else 0.0,
            float(expit(idle_tie)) if ties else 0.0,
            (0.0, float(clear), float(clear + further)),
            tuple(often / often.sum()),
        )

    def chance(self, said: Said, who: Array, gap: Array, known: Array | None) -> tuple[Array, dict[str, Array]]:
        """P(`said`) of each vote, and by how much it changes with the gap, each trait as it is fitted, and what the pool shares."""
        sign, attention, sharpness = SIGNS[said.outcome], self.attention[who], self.sharpness[who]
        careful, by_lean, more = self._careful(said, sharpness * gap + self.offset[who])
        idle, by_side, idle_more = self._idle(said)
        by_lean *= attention
        slopes = {
            "gap": by_lean * sharpness,
            "attention": (careful - idle[who]) * (self.attention * (1 - self.attention))[who],
            "sharpness": by_lean * sharpness * gap,
            "offset": by_lean,
            "side": (sign * by_side)[who],
        }
        slopes |= {name: attention * slope for name, slope in more.items()}
        slopes |= {name: ((1 - self.attention) * slope)[who] for name, slope in idle_more.items()}
        if known is not None:
            slopes["known"] = slopes["gap"] * known
        # Too long a step of a search may call what was said impossible.
        return np.maximum(attention * careful + ((1 - self.attention) * idle)[who], LEAST), slopes

    def _careful(self, said: Said, lean: Array) -> tuple[Array, Array, dict[str, Array]]:
        """P(said) to an attentive annotator; its slope in the log-odds `lean`; its slopes in what the pool shares."""
        if said.outcome == TIE:
            left, right, tie = self._davidson(lean)
            return tie, tie * (right - left) / 2, {"tie": tie * (1 - tie)}
        toward = lean if said.outcome == LEFT else -lean
        chance, slope, by_tie = self._beyond(toward, max(said.strength, 1))
        more = {"tie": by_tie} if self.tie else {}
        if said.strength > 1:
            more["clearly"] = -slope * self.cuts[1]
        if said.strength > 2:
            more["far"] = -slope * (self.cuts[2] - self.cuts[1])
        if said.strength in (1, 2):
            less, less_slope, less_by_tie = self._beyond(toward, said.strength + 1)
            chance, slope = chance - less, slope - less_slope
            more = more | ({"tie": by_tie - less_by_tie} if self.tie else {})
            more["clearly"] = more.get("clearly", 0.0) + less_slope * self.cuts[1]
            if said.strength == 2:
                more["far"] = less_slope * (self.cuts[2] - self.cuts[1])
        return chance, slope if said.outcome == LEFT else -slope, more

    def _beyond(self, toward: Array, strength: int) -> tuple[Array, Array, Array]:
        """P(this side, by at least `strength`); its slopes in the log-odds and in the log of the tie strength."""
        here, there, tie = self._davidson(toward - self.cuts[strength - 1] if strength > 1 else toward)
        return here, here * (there + tie / 2), -here * tie

    def _davidson(self, lean: Array) -> tuple[Array, Array, Array]:
        """P(left), P(right), P(tie) at log-odds `lean`."""
        less = np.exp(-0.5 * np.abs(lean))
        tie = self.tie * less
        less *= less
        whole = 1 / (1 + less + tie)
        ahead = lean > 0
        less *= whole
        return np.where(ahead, whole, less), np.where(ahead, less, whole), tie * whole

    def _idle(self, said: Said) -> tuple[Array, Array, dict[str, Array]]:
        """Per annotator: P(said) without looking, its slope in the log-odds of side, and its slopes in what the pool shares."""
        if said.outcome == TIE:
            tie = np.full_like(self.side, self.idle_tie)
            return tie, np.zeros_like(tie), {"idle tie": tie * (1 - tie)}
        often = self.idle[said.strength - 1] if said.strength else 1.0
        side = self.side if said.outcome == LEFT else 1 - self.side
        chance = (1 - self.idle_tie) * often * side
        more = {"idle tie": -self.idle_tie * chance} if self.idle_tie else {}
        if said.strength:
            for place, name in ((1, "idle clearly"), (2, "idle far")):
                more[name] = chance * ((said.strength - 1 == place) - self.idle[place])
        return chance, (1 - self.attention) * chance * (1 - side), more
