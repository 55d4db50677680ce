"""What is looked at before the first step, with its numbers: kept beside a model as `preflight.json`. No tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FILE_NAME = "preflight.json"


@dataclass(frozen=True)
class Preflight:
    """A thing looked at: in words (with the number found), and why it may be wrong and what to change."""

    words: str
    cause: str
    remedy: str
    at_least: bool = False


@dataclass(frozen=True)
class Checked:
    """What was found, and its bound: from above, or from below where `PREFLIGHT` says so."""

    name: str
    found: float
    bound: float

    @property
    def about(self) -> Preflight:
        """What the number means."""
        return PREFLIGHT[self.name]

    @property
    def is_good(self) -> bool:
        """Whether the bound is kept; a number that is none keeps no bound."""
        return self.found >= self.bound if self.about.at_least else self.found <= self.bound

    def __str__(self) -> str:
        allowed = "at least" if self.about.at_least else "at most"
        return f"{self.about.words.format(self.found)} ({allowed} {self.bound:g})"


SAME_WEIGHTS = "load both from one folder with one dtype, or set `training.must_start_equal: false`"
NOISE = "dropout, a noise layer, or a layer that depends on training mode"

PREFLIGHT: Mapping[str, Preflight] = {
    "reference": Preflight(
        "KL is 0: policy and reference differ by {:.2g} nats at a token",
        "the policy and its reference are not the same network",
        SAME_WEIGHTS,
    ),
    "ratio": Preflight(
        "training and scoring agree (the first ratio is 1): log-probabilities with and without gradient differ by {:.2g} nats",
        NOISE,
        "take the layer out of the network; no setting makes up for it",
    ),
    "engine": Preflight(
        "no warper: the sampling engine is off by {:.2g} nats a token on average",
        "answers are not drawn from what is trained: a warper, or the engine's cache",
        "set the warper in the model's generation settings aside, or allow more: `training.drawing.engine_gap`",
    ),
    "score alone": Preflight(
        "a score does not depend on its batch: scored alone it differs by {:.2g}",
        "the reward model looks beyond the answer, at padding or at its neighbours",
        "use a causal network; no setting makes up for it",
    ),
    "answer alone": Preflight(
        "a log-probability does not depend on its batch: alone it differs by {:.2g} nats over the root of its tokens",
        f"the network looks beyond the answer: {NOISE}",
        "use a causal network without noise; no setting makes up for it",
    ),
    "dropout": Preflight(
        "no dropout: {:.0f} layers of it are at work",
        "the network was switched to training mode",
        "leave the mode to the training; no setting makes up for it",
    ),
    "stop token": Preflight(
        "the stop token is trained: share of answers that end with it {:.3g}",
        "the template ends answers with a token that the model does not stop at",
        "name the template's end of turn as `eos_token` in tokenizer_config.json",
        at_least=True,
    ),
    "prefix": Preflight(
        "the template keeps the prompt as it was asked: share of rows where it does not {:.3g}",
        "the template rewrites earlier turns once they are answered",
        "give the tokenizer another chat template",
    ),
    "trained": Preflight(
        "tokens are trained: share of all tokens {:.3g}",
        "prompts are so long that answers hardly count",
        "shorten the prompts, or leave out the longest with `training.limits.max_tokens`",
        at_least=True,
    ),
    "truncated": Preflight(
        "rows are whole: share that is cut {:.3g}",
        "rows are longer than the context of the model",
        "raise `training.limits.max_tokens` up to the context, or shorten the rows",
    ),
    "dropped": Preflight(
        "rows are used: share that is dropped {:.3g}",
        "rows are too long, or have nothing to learn from",
        "read the reasons in counts.json; raise `training.limits.max_tokens`, or mend the rows",
    ),
}
LEAST_TRAINED = 0.02  # share of the tokens
MOST_LOST = 0.01  # share of the rows


def shares(counts: Mapping[str, Any], rows: str = "rows") -> list[Checked]:
    """What the counts of a training say: the shares of rows dropped and cut, and of tokens trained."""
    seen = max(1, counts[rows])
    found = [
        Checked("dropped", sum(counts["dropped"].values()) / seen, MOST_LOST),
        Checked("truncated", counts["truncated"] / seen, MOST_LOST),
    ]
    if "trained_tokens" in counts:
        found.append(Checked("trained", counts["trained_tokens"] / max(1, counts["tokens"]), LEAST_TRAINED))
    return found


def ends(answers: Sequence[Sequence[int]], stop_ids: frozenset[int]) -> list[Checked]:
    """That answers end with a stop token, and that rendering them kept their prompts (it refuses where it cannot)."""
    stopped = sum(answer[-1] in stop_ids for answer in answers)
    return [Checked("stop token", stopped / max(1, len(answers)), 1.0), Checked("prefix", 0.0, 0.0)]


def as_json(checks: Sequence[Checked]) -> list[dict[str, Any]]:
    """The checks as JSON values."""
    return [vars(one) for one in checks]


def from_json(rows: Sequence[Mapping[str, Any]]) -> list[Checked]:
    """What `as_json` made, without what this version does not know."""
    return [Checked(**row) for row in rows if row["name"] in PREFLIGHT]
