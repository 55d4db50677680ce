"""What curves look like when a training goes wrong, the likely cause, and the setting to change. No tensors.

Each entry of `SYMPTOMS` is one symptom; it is looked for in the rows that have its columns.
`docs/guides/when-training-goes-wrong.md` has the same table in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, correlation, fmean

Curves = Sequence[Mapping[str, float]]
RECENT = 3  # rows
NEGATIVE_KL = -0.5  # nats an answer
FAR = 1.0  # nats a token
ENTROPY_SHARE = 0.2
GROWTH = 10.0
TIED = 0.8  # share of groups
DISPLACED = 2.0  # nats an answer
FOLLOWS = 0.5  # correlation
FOLLOWS_MORE = 0.3
LONGER = 1.5
TOGETHER = 0.8  # correlation
SAME = 0.9  # share of answers
WORSE = 1.5


@dataclass(frozen=True)
class Symptom:
    """One way in which a training goes wrong; `sign` says in words how rows with all its columns show it, or nothing."""

    name: str
    columns: tuple[str, ...]
    cause: str
    remedy: str
    sign: Callable[[Curves], str]


@dataclass(frozen=True)
class Found:
    """A symptom, and what shows it."""

    symptom: Symptom
    evidence: str

    def __str__(self) -> str:
        return f"{self.symptom.name}: {self.evidence}; {self.symptom.remedy}"


def looked_for(curves: Curves) -> list[Symptom]:
    """The symptoms that these curves could show: those whose columns stand together in two rows or more."""
    return [symptom for symptom in SYMPTOMS if len(_course(curves, symptom)) > 1]


def found_in(curves: Curves) -> list[Found]:
    """The symptoms that the curves of a training show; none when they look healthy."""
    signs = [(symptom, symptom.sign(_course(curves, symptom))) for symptom in looked_for(curves)]
    return [Found(symptom, evidence) for symptom, evidence in signs if evidence]


def symptoms(curves: Curves) -> list[str]:
    """What the curves of a finished training look like, in words; nothing when they look healthy."""
    return [str(one) for one in found_in(curves)]


def _course(curves: Curves, symptom: Symptom) -> Curves:
    """The rows that have all that a symptom is told by: not every row has every column (some are measured now and then)."""
    return [row for row in curves if all(name in row for name in symptom.columns)]


def _recent(curves: Curves, name: str) -> list[float]:
    return [row[name] for row in curves[-RECENT:]]


def _negative_kl(curves: Curves) -> str:
    kl = _recent(curves, "kl")
    return f"KL stays below zero ({kl[-1]:.2f} nats an answer)" if max(kl) < NEGATIVE_KL else ""


def _exploding_kl(curves: Curves) -> str:
    per_token = fmean(_recent(curves, "kl")) / max(1.0, fmean(_recent(curves, "length")))
    if per_token < FAR:
        return ""
    return f"KL rose to {curves[-1]['kl']:.1f} nats an answer, {per_token:.2f} a token"


def _entropy_collapse(curves: Curves) -> str:
    first, last = curves[0]["entropy"], curves[-1]["entropy"]
    return f"entropy fell from {first:.2f} to {last:.2f} nats a token" if last < ENTROPY_SHARE * first else ""


def _value_blow_up(curves: Curves) -> str:
    losses = [row["value_loss"] for row in curves]
    if losses[-1] <= GROWTH * max(losses[0], 1e-3):
        return ""
    return f"the value loss grew from {losses[0]:.3g} to {losses[-1]:.3g}"


def _score_follows_length(curves: Curves) -> str:
    first, now = curves[0]["length_correlation"], fmean(_recent(curves, "length_correlation"))
    if now < FOLLOWS or now - first < FOLLOWS_MORE:
        return ""
    return f"the correlation of an answer's score with its length rose from {first:.2f} to {now:.2f}"


def _length_drift(curves: Curves) -> str:
    lengths, rewards = ([row[name] for row in curves] for name in ("length", "proxy_reward"))
    if len(curves) <= RECENT or fmean(lengths[-RECENT:]) < LONGER * lengths[0]:
        return ""
    try:
        together = correlation(lengths, rewards)
    except StatisticsError:  # a reward that never changes
        return ""
    grew = f"answers grew from {lengths[0]:.0f} to {lengths[-1]:.0f} tokens as the reward rose"
    return f"{grew} (correlation {together:.2f})" if together > TOGETHER else ""


def _displacement(curves: Curves) -> str:
    fall = fmean(_recent(curves, "chosen_shift")) - curves[0]["chosen_shift"]
    if fall > -DISPLACED or curves[-1]["margin"] <= curves[0]["margin"]:
        return ""
    return f"the chosen answers became {-fall:.1f} nats less likely while the margin grew"


def _sinking(curves: Curves) -> str:
    fall = fmean(_recent(curves, "desirable_shift")) - curves[0]["desirable_shift"]
    return f"the desirable answers became {-fall:.1f} nats less likely" if fall <= -DISPLACED else ""


def _tied_groups(curves: Curves) -> str:
    tied = min(_recent(curves, "tied_groups"))
    return f"in {tied:.0%} of the groups all answers score the same, and teach nothing" if tied > TIED else ""


def _empty_answers(curves: Curves) -> str:
    empty = min(_recent(curves, "empty"))
    return f"{empty:.0%} of the answers are empty" if empty > SAME else ""


def _one_answer(curves: Curves) -> str:
    share = min(_recent(curves, "commonest"))
    if share <= SAME or min(_recent(curves, "empty")) > SAME:
        return ""
    return f"{share:.0%} of the answers are the same, whatever was asked"


def _endless(curves: Curves) -> str:
    unfinished = min(_recent(curves, "unfinished"))
    return f"{unfinished:.0%} of the answers never stop" if unfinished > 0.5 else ""


def _exploited(curves: Curves) -> str:
    first, last = curves[0], curves[-1]
    if last["gold"] >= first["gold"] or last["proxy_reward"] <= first["proxy_reward"]:
        return ""
    return f"the reward rose while the gold reward fell from {first['gold']:.2f} to {last['gold']:.2f}"


def _growing_loss(curves: Curves) -> str:
    losses = [row["loss"] for row in curves]
    tenth = max(1, len(losses) // 10)
    first, last = fmean(losses[:tenth]), fmean(losses[-tenth:])
    return f"the loss grew from {first:.3g} to {last:.3g}" if 0 < WORSE * first < last else ""


SYMPTOMS = (
    Symptom(
        "negative KL",
        ("kl",),
        "answers are not drawn from the policy that is trained: a warper, another temperature, or stale weights",
        "draw at the temperature that is trained (`training.drawing.temperature`); a lower "
        "`training.drawing.engine_gap` stops such a run at its start",
        _negative_kl,
    ),
    Symptom(
        "exploding KL",
        ("kl", "length"),
        "the penalty is too weak for the reward, or the steps are too large",
        "raise `training.kl.beta`, aim at a distance with `training.kl.target`, end there with `training.kl.stop`, "
        "or lower `training.optimiser.learning_rate`",
        _exploding_kl,
    ),
    Symptom(
        "entropy collapse",
        ("entropy",),
        "a few answers took all of the probability before others were tried",
        "raise `training.kl.beta`, lower `training.optimiser.learning_rate`, or take fewer `training.updating.epochs`",
        _entropy_collapse,
    ),
    Symptom(
        "value blow-up",
        ("value_loss",),
        "the value network's steps are too large, or the scores it learns are far from 0",
        "lower `training.updating.value_learning_rate`, or bound the scores with `training.shape.score_clip`",
        _value_blow_up,
    ),
    Symptom(
        "score follows length",
        ("length_correlation",),
        "the reward model prefers long answers, and the policy has found out",
        "compare the reward model with `length_only` in its evaluation; then raise `training.kl.beta` or lower "
        "`training.drawing.max_new_tokens`",
        _score_follows_length,
    ),
    Symptom(
        "length drift",
        ("length", "proxy_reward"),
        "longer answers are the easiest way to a higher reward",
        "raise `training.kl.beta`, lower `training.drawing.max_new_tokens`, or score lower what does not end "
        "(`training.shape.unfinished_score`)",
        _length_drift,
    ),
    Symptom(
        "likelihood displacement",
        ("chosen_shift", "margin"),
        "the loss needs only the margin, and pushing both answers down widens it (Razin et al. 2024, arXiv 2410.08847)",
        "raise `training.beta`, lower `training.optimiser.learning_rate`, or set `training.sft_weight`",
        _displacement,
    ),
    Symptom(
        "sinking desirable answers",
        ("desirable_shift",),
        "undesirable answers weigh so much that whatever resembles them becomes less likely, good answers too",
        "raise `training.beta` or `training.desirable_weight`, or lower `training.optimiser.learning_rate`",
        _sinking,
    ),
    Symptom(
        "dead groups",
        ("tied_groups",),
        "prompts are too easy, too hard, or groups too small for a difference",
        "choose easier or harder prompts, or raise `training.drawing.answers_per_prompt`",
        _tied_groups,
    ),
    Symptom(
        "empty answers",
        ("empty",),
        "saying nothing is the best rewarded answer",
        "look at what the reward makes of an empty answer; then raise `training.kl.beta`",
        _empty_answers,
    ),
    Symptom(
        "one answer to everything",
        ("commonest", "empty"),
        "the policy collapsed onto an answer that is always well rewarded",
        "look at how that answer is scored; then raise `training.kl.beta` or lower `training.optimiser.learning_rate`",
        _one_answer,
    ),
    Symptom(
        "answers without end",
        ("unfinished",),
        "the room is too small for an answer, or an answer without end costs too little",
        "raise `training.drawing.max_new_tokens`, or lower `training.shape.unfinished_score`",
        _endless,
    ),
    Symptom(
        "exploited reward",
        ("gold", "proxy_reward"),
        "the policy found answers that the reward model scores too high",
        "stop earlier (`training.iterations`, `training.kl.stop`), or raise `training.kl.beta`",
        _exploited,
    ),
    Symptom(
        "growing loss",
        ("loss",),
        "the steps are too large",
        "lower `training.optimiser.learning_rate`, or raise `training.optimiser.warmup`",
        _growing_loss,
    ),
)
