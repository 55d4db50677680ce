"""Reinforcement: answers are drawn, scored and credited token by token; the policy follows in a few clipped epochs.

PPO holds an answer against a value network; GRPO, RLOO and REINFORCE++ against other answers (`PpoConfig.baseline`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import nn

from alidade.errors import ModelError, UsageError
from alidade.models.local import LocalModel
from alidade.records import Demonstration, Prompt
from alidade.training.experience import Networks
from alidade.training.fit import Fit, TrainingResult, TrainingRun
from alidade.training.objectives.ppo_source import PpoSource, PpoTask
from alidade.training.objectives.ppo_watch import Watch, check_watch
from alidade.training.objectives.sft import TokenRow
from alidade.training.optimise import AdamW, Part
from alidade.training.preflight import shares
from alidade.training.reward_model import RewardModel
from alidade.training.rewards import Scorer
from alidade.training.room import with_room
from alidade.training.settings import Baseline, PpoConfig
from alidade.training.sources import dropped_counts, refuse_loss
from alidade.training.symptoms import symptoms
from alidade.training.trunk import prepare
from alidade.training.watching import CHOOSING, REPORTING, Asked, WatchedSource

NAMES: dict[Baseline, str] = {"critic": "PPO", "group": "GRPO", "leave-one-out": "RLOO", "batch": "REINFORCE++"}


def value_from_reward(reward: RewardModel) -> nn.Module:
    """A value network that starts as the reward model, its heads as their weighted mean."""
    return reward.folded()


def train_ppo(
    networks: Networks,
    prompts: Sequence[Prompt] | Asked,
    cfg: PpoConfig,
    run: TrainingRun,
    *,
    gold: Scorer | None = None,
    mixed: Sequence[Demonstration | str] = (),
) -> TrainingResult:
    """Train the policy, and the value network where there is one, in place.

    The history has a row per iteration. `gold` scores answers for the record and, where `prompts` names some to choose a
    policy on, decides which policy is handed on (`cfg.keep`); `mixed` are demonstrations, or plain documents, for the
    supervised term. With watched prompts the result's `summary` has the rows `watched` and the `best` iteration.

    Raises:
        UsageError: when value network and baseline, or rewards and their weights and constraints, do not go together, the
            longest answer does not fit the context, or nothing says which policy is best.
        TrainingStopped: when a pre-flight check fails or a loss is not finite.
        DataError: when too many prompts are longer than the context allows.
    """
    policy = networks.policy
    if (networks.value is not None) != (cfg.baseline == "critic"):
        raise UsageError("a value network goes with the baseline `critic`, and with no other")
    for reward in networks.reward_models.values():
        _same_vocabulary(policy, reward)
        prepare(reward.module)
    for module in (policy.module, networks.reference, networks.value):
        if module is not None:
            prepare(module, cfg.updating.checkpointing)
    cfg = with_room(cfg, policy.module, networks.value)
    asked = prompts if isinstance(prompts, Asked) else Asked(prompts)
    check_watch(asked, gold, cfg.keep)
    kept, ids, counts = _render_prompts(policy, asked.trained, cfg)
    rows, mixed_counts = _render_mixed(policy, mixed, cfg)
    counts["mixed"] = mixed_counts
    task = PpoTask(policy.renderer, kept, ids, rows, gold)
    source = PpoSource(networks, task, cfg, run.seed)
    parts = [Part("policy", policy.module)]
    if networks.value is not None:
        parts.append(Part("value", networks.value, cfg.updating.value_learning_rate))
    watched = None
    if asked.watched and gold is not None:
        counts["watched"] = {name: len(getattr(asked, name)) for name in (CHOOSING, REPORTING)}
        measure = Watch(networks, asked.watched, gold, cfg, run.seed)
        watched = WatchedSource(source, policy.module, cfg.keep, measure)
    fit = Fit(policy.module, source.objective, watched or source, AdamW(parts, cfg.optimiser), run)
    for _ in fit.over(NAMES[cfg.baseline], "iteration", [cfg.model_dump(), counts]):
        pass
    preflight = [*source.preflight, *shares(counts, "prompts")]
    found = {"symptoms": symptoms(source.curves)}
    if watched is not None:
        watched.finish()
        found |= {"watched": watched.rows, "best": watched.best}
    return TrainingResult(source.curves, counts, found, preflight)


def _same_vocabulary(policy: LocalModel, reward: RewardModel) -> None:
    if policy.tokenizer.get_vocab() != reward.tokenizer.get_vocab():
        raise ModelError(
            "the policy and the reward model have different tokenizers",
            where=policy.name,
            hint="train the reward model from the model that PPO starts from",
        )


def _render_prompts(
    policy: LocalModel, prompts: Sequence[Prompt], cfg: PpoConfig
) -> tuple[list[Prompt], list[list[int]], dict[str, Any]]:
    room = (policy.context_length or math.inf) - cfg.drawing.max_new_tokens
    if room < 1:
        raise UsageError(
            f"answers of up to {cfg.drawing.max_new_tokens} tokens leave no room for a prompt",
            where=f"{policy.name}: a context of {policy.context_length} tokens",
            hint="lower training.drawing.max_new_tokens",
        )
    rendered = [list(policy.renderer.prompt(prompt.conversation)) for prompt in prompts]
    fits = [len(ids) <= room for ids in rendered]
    dropped = Counter({"too long": fits.count(False)})
    refuse_loss(len(prompts), dropped, cfg.allowed_loss, "prompts")
    counts = {"prompts": len(prompts), "dropped": dropped_counts(dropped, "too long"), "truncated": 0}
    kept = [prompt for prompt, fit in zip(prompts, fits, strict=True) if fit]
    return kept, [ids for ids, fit in zip(rendered, fits, strict=True) if fit], counts


def _render_mixed(
    policy: LocalModel, mixed: Sequence[Demonstration | str], cfg: PpoConfig
) -> tuple[list[TokenRow], dict[str, int]]:
    rows: list[TokenRow] = []
    truncated = 0
    for row in mixed if cfg.mix.weight else ():
        if isinstance(row, Demonstration):
            rendered = policy.renderer.row(row.prompt, row.answer)
            ids, trained = list(rendered.ids), list(rendered.trained)
        else:
            ids = list(policy.renderer.bare(row))
            trained = [True] * len(ids)
        truncated += policy.context_length is not None and len(ids) > policy.context_length
        ids, trained = ids[: policy.context_length], trained[: policy.context_length]
        if any(trained[1:]):
            rows.append(TokenRow(ids, trained))
    return rows, {"rows": len(rows), "truncated": truncated}
