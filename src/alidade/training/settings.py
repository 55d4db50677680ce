"""The settings of every training, one record each; nothing here loads torch, so a recipe is checked in no time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from alidade.errors import UsageError
from alidade.models.quantised import Quantised
from alidade.records import Attribute, Record

Noise = Literal["smoothed", "robust"]
Combine = Literal["mean", "lower", "worst"]
CHECKPOINTING = "layers are computed again in the backward pass: the same gradients in less memory and more time"


class OptimiserConfig(Record):
    """How weights are updated."""

    learning_rate: float = Field(default=1e-4, gt=0, description="peak step size")
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = Field(default=1e-5, gt=0, description="added to the root of the second moment, outside it")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled; never on norms and biases")
    clip: float = Field(default=1.0, gt=0, description="largest gradient norm of one network")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="how the step size falls after `decay_start`"
    )
    warmup: float = Field(default=0.0, ge=0, lt=1, description="share of the run with a rising step size")
    decay_start: float = Field(default=0.0, ge=0, lt=1, description="share of the run before the decay begins")


class RowLimits(Record):
    """How long a row may be and how many rows may be lost to that."""

    max_tokens: int | None = Field(
        default=None, gt=1, description="longest row in tokens; the model's context if unset"
    )
    allowed_loss: float = Field(default=0.01, ge=0, le=1, description="share of rows that may be dropped")

    def longest(self, context: int | None) -> float:
        """The longest row allowed for a model with `context` tokens, if it says so."""
        return min(self.max_tokens or math.inf, context or math.inf)


class Room(Record):
    """How much of a step is worked on at a time: what is learned is the same, in more or less memory."""

    tokens_at_once: int = Field(default=4096, gt=0, description="tokens of one forward pass")
    memory: int | None = Field(
        default=None,
        gt=0,
        description="MiB that one pass may keep for its backward pass, measured on the model, in place of tokens_at_once",
        exclude_if=lambda value: value is None,
    )
    checkpointing: bool = Field(default=False, description=CHECKPOINTING)


class Batching(Room):
    """How rows become steps."""

    epochs: int = Field(default=1, gt=0, description="passes over the rows")
    rows: int = Field(
        default=32, gt=0, description="rows of one step (demonstrations, or prompts with all their answers)"
    )


class LoraConfig(Record):
    """Size and place of the adapters."""

    rank: int = Field(default=16, gt=0)
    alpha: float = Field(default=32.0, gt=0, description="the adapter's output is scaled by alpha / rank")
    targets: str | tuple[str, ...] = Field(default="all-linear", description="names of the layers that get an adapter")
    quantised: Quantised = Field(
        default="no", description="frozen weights in 4 bits while training (QLoRA): a GPU and bitsandbytes are needed"
    )


class ModelShape(Record):
    """The size of a Llama-architecture network."""

    hidden: int = Field(default=256, gt=0, description="width of the residual stream")
    ffn: int = Field(default=704, gt=0, description="width of the feed-forward layers")
    layers: int = Field(default=4, gt=0)
    heads: int = Field(default=4, gt=0, description="heads of 64 are the fastest on a CPU")
    context: int = Field(default=1024, gt=0, description="longest row, in tokens")


class PretrainConfig(Record):
    """How a language model is trained from text."""

    tokens: int = Field(default=7_000_000, gt=0, description="tokens to train on, all sources together")
    context: int = Field(default=256, gt=1, description="tokens of one row")
    rows: int = Field(default=16, gt=0, description="rows of one step")
    rows_at_once: int = Field(default=16, gt=0, description="rows of one forward pass")
    checkpointing: bool = Field(default=False, description=CHECKPOINTING)
    heldout_every: int = Field(default=100, gt=0, description="steps between two measurements of held-out loss")
    heldout_rows: int = Field(default=64, ge=0, description="held-out rows of `context` tokens per source")
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=2.5e-3, weight_decay=0.05, eps=1e-8, schedule="linear", warmup=0.02, decay_start=0.4
    )


class SftConfig(Record):
    """How a model is fine-tuned on demonstrations."""

    batching: Batching = Batching()
    limits: RowLimits = RowLimits()
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=6e-4, schedule="cosine", warmup=0.05)


class JudgementConfig(Record):
    """How comparisons are learned from, whatever learns from them."""

    batching: Batching = Batching(epochs=1, rows=16)
    limits: RowLimits = RowLimits()
    flips: float = Field(default=0.0, ge=0, lt=0.5, description="share of labels assumed to be the wrong way round")
    noise: Noise = Field(
        default="robust", description="what flips do: believe labels less (cDPO), or undo the flips on average"
    )


class HeadsConfig(Record):
    """How many heads a reward model has, and how they become one score."""

    by_attribute: bool = Field(
        default=False, description="a head for each attribute that was judged; else one for all judgements"
    )
    members: int = Field(default=1, gt=0, description="heads of each attribute: an ensemble on one trunk")
    bootstrap: bool = Field(default=True, description="each member of several learns from judgements drawn again")
    combine: Combine = Field(
        default="mean", description="an attribute's score: its members' mean, mean - caution x spread, or least"
    )
    caution: float = Field(default=1.0, ge=0, description="standard deviations below the mean that `lower` goes")
    weights: dict[Attribute, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default={}, description="each attribute's weight in the score; if unset, `overall` alone, or all alike"
    )

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.weights and not self.by_attribute:
            raise ValueError("`weights` are those of attributes, and need by_attribute: true")
        if self.weights and not sum(self.weights.values()) > 0:
            raise ValueError("one of the `weights` must be above 0")
        return self


class RewardConfig(JudgementConfig):
    """How a reward model is trained."""

    heads: HeadsConfig = HeadsConfig()
    margin_scale: float = Field(
        default=0.0, ge=0, description="nats by which the better answer should lead, per unit of a comparison's margin"
    )
    ties: Literal["half", "davidson"] = Field(
        default="half", description="a declared tie is half a win for each side, or an outcome of its own"
    )
    tie_strength: float | None = Field(
        default=None, gt=0, description="Davidson's nu: the odds of a tie between equals are nu / 2; learned if unset"
    )
    tie_learning_rate: float = Field(default=1e-2, gt=0, description="peak step size of the log of the tie strength")
    length_bias: Literal["kept", "removed"] = Field(
        default="kept", description="`removed`: what length alone explains of the labels is not learned"
    )
    centring: float = Field(
        default=0.0, ge=0, description="coefficient of the squared sum of a pair's scores, near 0.01"
    )
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=3e-4, schedule="cosine", warmup=0.05)

    @model_validator(mode="after")
    def _ties_stand_alone(self) -> Self:
        if self.ties == "davidson" and (self.margin_scale or self.flips):
            raise ValueError("`ties: davidson` goes with neither margin_scale nor flips")
        if self.ties == "half" and self.tie_strength is not None:
            raise ValueError("`tie_strength` needs ties: davidson")
        return self


class PreferenceConfig(JudgementConfig):
    """How a policy is trained on comparisons without a reward model; the loss has settings of its own."""

    sft_weight: float = Field(
        default=0.0,
        ge=0,
        description="coefficient of the chosen answers' mean loss per token; holds their likelihood up",
    )
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-5, schedule="linear", warmup=0.1)


class DpoConfig(PreferenceConfig):
    """Direct preference optimisation; K ranked answers are one judgement."""

    beta: float = Field(default=0.1, gt=0, description="how strongly the policy is held to the reference")


class IpoConfig(PreferenceConfig):
    """Identity preference optimisation."""

    beta: float = Field(
        default=0.1, gt=0, description="the log-ratios of two answers are drawn to a gap of 1 / (2 beta)"
    )
    per_token: bool = Field(default=True, description="log-ratios are means over an answer's tokens, not sums")


class SimpoConfig(PreferenceConfig):
    """Simple preference optimisation: no reference, rewards per token."""

    beta: float = Field(default=2.0, gt=0, description="reward per nat a token")
    margin: float = Field(default=1.0, ge=0, description="how far the better answer's reward should lead")


class OrpoConfig(PreferenceConfig):
    """Odds-ratio preference optimisation: no reference; fine-tuning on the better answer with a penalty for the worse."""

    weight: float = Field(default=0.1, gt=0, description="coefficient of the odds-ratio term")
    sft_weight: float = Field(default=1.0, ge=0, description="coefficient of the chosen answers' mean loss per token")


class KtoConfig(JudgementConfig):
    """Kahneman-Tversky optimisation: answers judged one by one, each against a reference point."""

    beta: float = Field(default=0.1, gt=0, description="how strongly the policy is held to the reference")
    desirable_weight: float = Field(
        default=1.0,
        gt=0,
        description="worth of a desirable answer; this times their number should be 1 to 1.5 times the other such product",
    )
    undesirable_weight: float = Field(default=1.0, gt=0, description="worth of not giving an undesirable answer")
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-5, schedule="linear", warmup=0.1)


Baseline = Literal["critic", "group", "leave-one-out", "batch"]
Estimator = Literal["k1", "k2", "k3"]
MAIN_REWARD = "reward"  # the reward that counts 1 unless its weight is given, and that a value network starts from


class KlControl(Record):
    """The penalty that keeps the policy near the reference."""

    beta: float = Field(default=0.1, ge=0, description="penalty per nat; the starting value when `target` is set")
    placement: Literal["reward", "loss"] = Field(
        default="reward", description="a part of each token's reward, or a term of the loss"
    )
    estimator: Estimator | None = Field(
        default=None,
        description="how KL is estimated at a token: log-ratio (k1), half its square (k2), or Schulman's k3; "
        "k1 for a reward and k3 for a loss unless given",
    )
    target: float | None = Field(default=None, gt=0, description="nats per answer that an adaptive penalty aims at")
    horizon: float = Field(default=10_000, gt=0, description="answers over which an adaptive penalty moves")
    stop: float | None = Field(default=None, gt=0, description="nats per answer beyond which training ends")

    @property
    def estimator_used(self) -> Estimator:
        """The estimator asked for, or the placement's own."""
        return self.estimator or ("k1" if self.placement == "reward" else "k3")

    @model_validator(mode="after")
    def _the_loss_has_a_gradient(self) -> Self:
        if self.placement == "loss" and self.estimator == "k1":
            raise ValueError("k1 as a term of the loss has a gradient of mean 0; use k2, whose gradient is KL's, or k3")
        return self


class RewardShape(Record):
    """From a reward model's score to a reward per token."""

    score_clip: float = Field(
        default=3.0,
        gt=0,
        description="bound on a reward model's score, in standard deviations; no other score is bound",
    )
    normalise: bool = Field(
        default=False,
        description="measure every reward's scores in standard deviations from their mean so far in this training; "
        "all are bound then, and bounds of constraints are on scores as they come",
    )
    truncated: Literal["penalise", "mask", "bootstrap"] = Field(
        default="penalise",
        description="what an answer without stop token is: worth `unfinished_score`, not learned from, or worth what "
        "the value network expects at the cut",
    )
    unfinished_score: float | None = Field(
        default=-1.0, description="what replaces the score of an answer without stop token; null keeps the score"
    )
    missing_end_penalty: float = Field(
        default=0.0, ge=0, description="what an answer without stop token loses, whatever it is worth"
    )
    whiten: bool = Field(default=False, description="scale rewards to unit variance; their mean is kept")
    gamma: float = Field(default=1.0, gt=0, le=1)
    lam: float = Field(default=0.95, ge=0, le=1)


class Drawing(Record):
    """How answers are drawn in one iteration."""

    prompts: int = Field(default=128, gt=0, description="prompts of one iteration")
    answers_per_prompt: int = Field(default=1, gt=0)
    max_new_tokens: int = Field(default=80, gt=0, description="longest answer, in tokens")
    temperature: float = Field(default=1.0, gt=0, description="of drawing, of the reference and of the update alike")
    engine_gap: float = Field(
        default=0.05, gt=0, description="nats a token the engine may be off on average at the start"
    )


class Updating(Room):
    """How one iteration's answers are learned from."""

    epochs: int = Field(default=2, gt=0)
    minibatches: int = Field(default=2, gt=0, description="optimiser steps of one epoch, at most one a prompt")
    clip: float = Field(default=0.2, gt=0, description="how far a ratio may move from 1")
    value_clip: float = Field(default=0.2, gt=0, description="how far a value may move from its old self")
    value_weight: float = Field(default=0.1, gt=0)
    entropy: float = Field(default=0.0, ge=0, description="coefficient of the policy's entropy, in nats a token")
    value_learning_rate: float = Field(default=5e-4, gt=0, description="peak step size of the value network")
    target_kl: float | None = Field(
        default=0.1, gt=0, description="nats a token from the old policy that end an iteration early"
    )


class Mix(Record):
    """Supervised rows mixed into every minibatch (PPO-ptx)."""

    weight: float = Field(default=0.0, ge=0, description="coefficient of the rows' mean loss per token")
    rows: int = Field(default=16, gt=0, description="rows of one minibatch")


class Constraint(Record):
    """A bound that one reward's mean must keep; what breaking it costs is a multiplier that learns."""

    at_least: float | None = Field(default=None, description="the mean score must not be lower")
    at_most: float | None = Field(default=None, description="the mean score must not be higher")
    multiplier: float = Field(default=1.0, gt=0, description="its starting value")
    rate: float = Field(default=0.1, gt=0, description="step of the multiplier's logarithm per unit of violation")
    lead: float = Field(
        default=0.0,
        ge=0,
        description="iterations by which the violation is extrapolated along its last change; about as many as the policy "
        "lags behind the multiplier damp it",
    )
    least: float = Field(default=0.01, gt=0, description="the smallest multiplier")
    most: float = Field(default=10.0, gt=0, description="the largest multiplier")

    @property
    def direction(self) -> int:
        """1 where higher scores are wanted, -1 where lower ones are."""
        return 1 if self.at_most is None else -1

    def violation(self, mean: float) -> float:
        """How far a mean score is on the wrong side of the bound; below 0 within it."""
        bound = self.at_least if self.at_most is None else self.at_most
        assert bound is not None
        return self.direction * (bound - mean)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a constraint has one bound: at_least or at_most")
        return self

    @model_validator(mode="after")
    def _starts_within(self) -> Self:
        if not self.least <= self.multiplier <= self.most:
            raise ValueError("a constraint's multiplier starts between least and most")
        return self


NOTHING_WATCHED = "there are no prompts to choose the best policy on"
WATCH = "give the stage the input `watched`, prompts that are not trained on, or leave `keep` at its defaults"


class Keeping(Record):
    """Which policy of a training is handed on, by gold measured on prompts that are neither trained nor reported on."""

    policy: Literal["last", "best"] = Field(
        default="last", description="the policy at the end, or the one whose gold on the choosing prompts was best"
    )
    every: int = Field(default=2, gt=0, description="iterations between two measurements of watched prompts")
    answers: int = Field(
        default=1, gt=0, description="answers to each watched prompt, drawn by the same seeds each time"
    )
    margin: float = Field(
        default=1.0,
        ge=0,
        description="standard errors of the paired difference by which a later policy must lead to be the best; 0 takes "
        "the highest mean, noise included",
    )
    patience: int | None = Field(
        default=None, gt=0, description="measurements without a new best that end the training"
    )

    @property
    def chooses(self) -> bool:
        """Whether anything depends on which policy is best."""
        return self.policy == "best" or self.patience is not None


class PpoConfig(Record):
    """How a policy is trained by reinforcement on its own answers; PPO unless `baseline` says otherwise."""

    iterations: int = Field(default=16, gt=0)
    baseline: Baseline = Field(
        default="critic",
        description="what an answer is held against: a value network (PPO), its group's mean and spread (GRPO), "
        "the mean of the others in its group (RLOO), or the whole batch (REINFORCE++)",
    )
    drawing: Drawing = Drawing()
    updating: Updating = Updating()
    kl: KlControl = KlControl()
    shape: RewardShape = RewardShape()
    mix: Mix = Mix()
    weights: dict[str, float] = Field(
        default_factory=dict, description="coefficient of each reward by its name; `reward` has 1 unless given"
    )
    constraints: dict[str, Constraint] = Field(
        default_factory=dict, description="bounds by the name of the reward whose mean must keep them"
    )
    keep: Keeping = Keeping()
    allowed_loss: float = Field(default=0.01, ge=0, le=1, description="share of prompts that may be too long")
    must_start_equal: bool = Field(default=True, description="stop unless policy and reference start equal")
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1.5e-4, eps=1e-5, schedule="linear")

    def check_rewards(self, names: Iterable[str]) -> None:
        """Every reward has a purpose, and every purpose its reward.

        Raises:
            UsageError: naming one that has not.
        """
        known, asked = set(names), {MAIN_REWARD, *self.weights, *self.constraints}
        for name in sorted(asked - known):
            raise UsageError(
                f"no reward is called `{name}`",
                hint="rewards of this training: " + (", ".join(sorted(known)) or "none"),
            )
        for name in sorted(known - asked):
            raise UsageError(
                f"nothing says what the reward `{name}` is for",
                hint=f"give it training.weights.{name} (0 only records it) or training.constraints.{name}",
            )

    @model_validator(mode="after")
    def _groups_have_two(self) -> Self:
        if self.baseline in ("group", "leave-one-out") and self.drawing.answers_per_prompt < 2:
            raise ValueError(f"baseline `{self.baseline}` needs drawing.answers_per_prompt of at least 2")
        return self

    @model_validator(mode="after")
    def _bootstraps_have_a_value(self) -> Self:
        if self.shape.truncated == "bootstrap" and self.baseline != "critic":
            raise ValueError(f"truncated `bootstrap` needs a value network; baseline `{self.baseline}` has none")
        return self


class GrpoConfig(PpoConfig):
    """Group-relative policy optimisation: no value network, KL as a term of the loss."""

    baseline: Literal["group"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower
        default="group", description="an answer is held against its group's mean and spread"
    )
    drawing: Drawing = Drawing(prompts=32, answers_per_prompt=8)
    updating: Updating = Updating(epochs=1)
    kl: KlControl = KlControl(beta=0.04, placement="loss")


class RlooConfig(PpoConfig):
    """REINFORCE with a leave-one-out baseline."""

    baseline: Literal["leave-one-out"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower
        default="leave-one-out", description="an answer is held against the mean of the others in its group"
    )
    drawing: Drawing = Drawing(prompts=64, answers_per_prompt=4)
    updating: Updating = Updating(epochs=1)
    kl: KlControl = KlControl(beta=0.05)


class ReinforceConfig(PpoConfig):
    """REINFORCE++: every token's return, held against the whole batch's."""

    baseline: Literal["batch"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower
        default="batch", description="an answer is held against the whole batch"
    )
    updating: Updating = Updating(epochs=1)
