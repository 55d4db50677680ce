"""Where the batches of reinforcement come from: the policy's own answers, drawn anew each iteration.

Everything that decides what comes next is in `state_dict`: the iteration, epoch and minibatch, the answers drawn and
what they are worth, the KL penalty, multipliers and running moments of the rewards, the curves. A run killed within an
iteration goes on with the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from alidade.errors import TrainingStopped
from alidade.models.base import Sampling
from alidade.models.render import Renderer
from alidade.records import Prompt
from alidade.seeds import derive, generator
from alidade.training.combined import CombinedReward
from alidade.training.diagnose import (
    check_alone,
    check_dropout,
    check_engine,
    check_ratio,
    check_reference,
    check_scores,
)
from alidade.training.experience import (
    Appraisal,
    Experience,
    Networks,
    appraise,
    build_experience,
    learned_from,
    measure,
    next_beta,
)
from alidade.training.fit import StepReport
from alidade.training.objectives.ppo_update import AnswerBatch, MixBatch, PpoObjective
from alidade.training.objectives.sft import TokenRow
from alidade.training.packing import Tree, pack_rows, split_by_budget
from alidade.training.preflight import Checked, as_json, from_json
from alidade.training.reward_model import RewardModel
from alidade.training.rewards import Scorer, ask
from alidade.training.rollouts import Answers, Pack, pack_answers, roll_out
from alidade.training.settings import MAIN_REWARD, PpoConfig

AVERAGED = ("policy_loss", "value_loss", "mix_loss", "clip_fraction", "update_kl")


@dataclass(frozen=True)
class PpoTask:
    """What is asked of a policy: prompts with their token ids, rows to mix in, and who scores answers for the record."""

    renderer: Renderer
    prompts: Sequence[Prompt]
    ids: Sequence[list[int]]
    mixed: Sequence[TokenRow] = ()
    gold: Scorer | None = None


class PpoSource:
    """Steps of PPO and its kin; the schedule and the progress bar count iterations."""

    def __init__(self, networks: Networks, task: PpoTask, cfg: PpoConfig, seed: int) -> None:
        self.objective = PpoObjective(networks, cfg.updating, cfg.drawing.temperature, cfg.kl.estimator_used)
        self.curves: list[dict[str, float]] = []
        bounds = dict.fromkeys(networks.rewards, math.inf) | dict.fromkeys(networks.reward_models, cfg.shape.score_clip)
        self._reward = CombinedReward(bounds, cfg)
        self.preflight: list[Checked] = []
        self._networks, self._task, self._cfg, self._seed = networks, task, cfg, seed
        self._device = next(networks.policy.module.parameters()).device
        self._iteration = self._epoch = self._minibatch = 0
        self._beta = cfg.kl.beta
        self._stopped = False
        self._drawn: tuple[Answers, Experience] | None = None
        self._row: dict[str, float] = {}
        self._steps: list[dict[str, float]] = []

    @property
    def position(self) -> tuple[int, int]:
        """Iterations done and in all."""
        return self._iteration, self._cfg.iterations

    def __iter__(self) -> Iterator[list[AnswerBatch | MixBatch]]:
        while self._iteration < self._cfg.iterations and not self._stopped:
            if self._drawn is None:
                self._drawn = self._draw()
                if self._cfg.kl.stop is not None and self._row["kl"] > self._cfg.kl.stop:
                    self._finish_iteration()
                    self._stopped = True
                    return
            yield self._step(*self._drawn)

    def _draw(self) -> tuple[Answers, Experience]:
        drawing = self._cfg.drawing
        chosen = self._chosen_prompts()
        how = Sampling(
            temperature=drawing.temperature,
            max_new_tokens=drawing.max_new_tokens,
            seed=derive(self._seed, "rollout", self._iteration),
        )
        prompts = [self._task.ids[place] for place in chosen]
        stop_ids = self._task.renderer.stop_ids
        answers = roll_out(self._networks.policy.module, prompts, how, stop_ids, drawing.answers_per_prompt)
        budget = self._cfg.updating.tokens_at_once
        blocks = [*self._parts(answers, 0), self._left_out(answers)]
        packs = [pack for part in blocks for pack in pack_answers(answers, part, budget, self._device)]
        appraised = appraise(self._networks, answers, packs, drawing.temperature)
        scores = self._scores(appraised, chosen, answers)
        appraised = replace(appraised, scores=self._reward.combine(scores))
        experience = build_experience(answers, appraised, self._beta, self._cfg)
        self._row = {"iteration": self._iteration, "beta": self._beta}
        self._row |= measure(answers, appraised, experience, self._cfg)
        self._row |= {"score": float(scores[MAIN_REWARD].mean())} | self._reward.measure()
        if self._iteration == 0:
            self.preflight = self._checks(answers, appraised, packs[0])
        self._record_gold(chosen, answers)
        return answers, experience

    def _checks(self, answers: Answers, appraised: Appraisal, pack: Pack) -> list[Checked]:
        """What must hold before the first step, measured."""
        checks = [
            check_engine(self._row["engine_gap"], self._cfg.drawing.engine_gap),
            check_ratio(self.objective.log_probs(pack.packed).detach(), appraised.log_probs[pack.where]),
            check_dropout(self._networks.policy.module),
        ]
        if self._cfg.must_start_equal:
            checks.insert(0, check_reference(appraised.log_probs, appraised.reference))
        trees = [Tree(answers.prompts[answers.places[one]], [answers.tokens[one]]) for one in pack.chosen[:2]]
        return checks + [check_alone(reward, trees) for reward in self._networks.reward_models.values()]

    def _chosen_prompts(self) -> list[int]:
        """The next prompts: every prompt once, in a fresh order each time round."""
        count, size = self._cfg.drawing.prompts, len(self._task.ids)
        chosen: list[int] = []
        order: list[int] = []
        for at in range(self._iteration * count, (self._iteration + 1) * count):
            lap, place = divmod(at, size)
            if not order or place == 0:
                order = list(range(size))
                generator(self._seed, "prompts", lap).shuffle(order)
            chosen.append(order[place])
        return chosen

    def _scores(self, appraised: Appraisal, chosen: Sequence[int], answers: Answers) -> dict[str, Tensor]:
        """Every answer's score by every reward, each in its own unit."""
        scores: dict[str, Tensor] = {}
        for name, reward in self._networks.rewards.items():
            if isinstance(reward, RewardModel):
                scores[name] = appraised.by_model[name]
            else:
                given = self._ask(reward, chosen, answers)
                scores[name] = torch.tensor(given, dtype=appraised.scores.dtype, device=self._device)
            check_scores(scores[name], name if self._networks.more else "")
        return scores

    def _record_gold(self, chosen: Sequence[int], answers: Answers) -> None:
        if self._task.gold is not None:
            self._row["gold"] = fmean(self._ask(self._task.gold, chosen, answers))

    def _ask(self, scorer: Scorer, chosen: Sequence[int], answers: Answers) -> list[float]:
        prompts = [self._task.prompts[chosen[place]] for place in answers.places]
        texts = [self._task.renderer.decode(tokens) for tokens in answers.tokens]
        return ask(scorer, prompts, texts, answers.finished, f"iteration {self._iteration}")

    def _parts(self, answers: Answers, epoch: int) -> list[list[int]]:
        """The answers of each minibatch of an epoch that are learned from; those to one prompt stay together and share it."""
        copies = self._cfg.drawing.answers_per_prompt
        order = list(range(len(answers.prompts)))
        generator(self._seed, "minibatches", self._iteration, epoch).shuffle(order)
        count = min(self._cfg.updating.minibatches, len(order))
        parts = [order[part * len(order) // count : (part + 1) * len(order) // count] for part in range(count)]
        learned = set(learned_from(answers, self._cfg.shape))
        chosen = [[place * copies + copy for place in part for copy in range(copies)] for part in parts]
        kept = [[answer for answer in part if answer in learned] for part in chosen]
        return [part for part in kept if part]

    def _left_out(self, answers: Answers) -> list[int]:
        """The answers that no minibatch has.

        Raises:
            TrainingStopped: when none is left to learn from.
        """
        learned = set(learned_from(answers, self._cfg.shape))
        if not learned:
            raise TrainingStopped(
                f"all {len(answers.tokens)} answers were cut before their end, and cut answers are masked",
                where=f"iteration {self._iteration}",
                hint="raise drawing.max_new_tokens, or learn that cut answers are bad with shape.truncated: penalise",
            )
        return [place for place in range(len(answers.tokens)) if place not in learned]

    def _step(self, answers: Answers, experience: Experience) -> list[AnswerBatch | MixBatch]:
        part = self._parts(answers, self._epoch)[self._minibatch]
        packs = pack_answers(answers, part, self._cfg.updating.tokens_at_once, self._device)
        beta = self._beta if self._cfg.kl.placement == "loss" else 0.0
        batches: list[AnswerBatch | MixBatch] = [
            AnswerBatch(pack.packed, experience.at(pack.where), beta) for pack in packs
        ]
        return batches + self._mixed(sum(len(pack.where) for pack in packs))

    def _mixed(self, answer_tokens: int) -> list[AnswerBatch | MixBatch]:
        mix = self._cfg.mix
        if not mix.weight or not self._task.mixed:
            return []
        chance = generator(self._seed, "mix", self._iteration, self._epoch, self._minibatch)
        rows = chance.sample(list(self._task.mixed), min(mix.rows, len(self._task.mixed)))
        tokens = sum(sum(row.trained[1:]) for row in rows)
        blocks = split_by_budget([len(row.ids) for row in rows], self._cfg.updating.tokens_at_once)
        packed = [pack_rows([(rows[place].ids, rows[place].trained) for place in block]) for block in blocks]
        return [MixBatch(one.to(self._device), mix.weight * answer_tokens / tokens) for one in packed]

    def observe(self, report: StepReport) -> None:
        """Move on; the iteration ends after its last epoch or when the policy has moved too far."""
        assert self._drawn is not None
        self._steps.append({name: report.values[name] for name in AVERAGED if name in report.values})
        self._minibatch += 1
        if self._minibatch == len(self._parts(self._drawn[0], self._epoch)):
            self._epoch, self._minibatch = self._epoch + 1, 0
        limit = self._cfg.updating.target_kl
        too_far = limit is not None and report.values["update_kl"] > limit
        if self._epoch == self._cfg.updating.epochs or too_far:
            self._finish_iteration()

    def _finish_iteration(self) -> None:
        assert self._drawn is not None
        answers = len(self._drawn[0].tokens)
        names = {name for step in self._steps for name in step}
        averages = {name: fmean(step[name] for step in self._steps if name in step) for name in sorted(names)}
        self.curves.append({**self._row, **averages, "steps": len(self._steps)})
        self._beta = next_beta(self._beta, self._row["kl"], answers, self._cfg.kl)
        self._reward.learn()
        self._iteration += 1
        self._epoch = self._minibatch = 0
        self._drawn, self._row, self._steps = None, {}, []

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands, the answers being learned from included."""
        drawn = None
        if self._drawn is not None:
            drawn = {"answers": self._drawn[0].state_dict(), "experience": asdict(self._drawn[1])}
        return {
            "iteration": self._iteration,
            "epoch": self._epoch,
            "minibatch": self._minibatch,
            "beta": self._beta,
            "reward": self._reward.state_dict(),
            "stopped": self._stopped,
            "drawn": drawn,
            "row": self._row,
            "steps": self._steps,
            "curves": self.curves,
            "preflight": as_json(self.preflight),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._iteration, self._epoch, self._minibatch = state["iteration"], state["epoch"], state["minibatch"]
        self._beta, self._stopped = state["beta"], state["stopped"]
        self._row, self._steps = state["row"], state["steps"]
        self._reward.load_state_dict(state["reward"])
        self.curves[:] = state["curves"]
        self.preflight = from_json(state["preflight"])
        drawn = state["drawn"]
        self._drawn = None
        if drawn is not None:
            experience = {name: value.to(self._device) for name, value in drawn["experience"].items()}
            self._drawn = Answers(**drawn["answers"]), Experience(**experience)
