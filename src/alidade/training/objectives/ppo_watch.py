"""What a policy in training is worth on watched prompts: gold, proxy and KL of freshly drawn answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from alidade.errors import UsageError
from alidade.models.base import Sampling
from alidade.records import Prompt
from alidade.seeds import derive
from alidade.training.diagnose import check_scores
from alidade.training.experience import Appraisal, Networks, appraise, final_scores
from alidade.training.losses import kl_k1
from alidade.training.reward_model import RewardModel
from alidade.training.rewards import Scorer, ask
from alidade.training.rollouts import Answers, pack_answers, roll_out
from alidade.training.settings import NOTHING_WATCHED, WATCH, Keeping, PpoConfig
from alidade.training.watching import Asked


def check_watch(asked: Asked, gold: Scorer | None, keep: Keeping) -> None:
    """A best policy needs prompts to choose it on, and something that says what is wanted.

    Raises:
        UsageError: when one of them is missing.
    """
    chooses = keep.chooses or bool(asked.watched)
    if chooses and len(asked.choosing) < 2:
        raise UsageError(NOTHING_WATCHED, hint=WATCH)
    if chooses and gold is None:
        raise UsageError(
            "nothing says which policy is best",
            hint="choosing one needs the testbed's gold judge: prompts made by the stage `testbed-prompts`",
        )


@dataclass(frozen=True)
class Watch:
    """Draws answers of the policy to watched prompts (set, prompt) and scores them; the same seeds each time.

    Each call gives a row per prompt: its `set` and `prompt_id`, and the means over its answers of `gold`, `proxy_reward` (the
    main reward alone, on one scale all along: unfinished answers at their fixed score, a reward model's scores bounded where
    training bounds them) and `kl` (nats an answer, k1).
    """

    networks: Networks
    watched: Sequence[tuple[str, Prompt]]
    gold: Scorer
    cfg: PpoConfig
    seed: int

    def __call__(self) -> list[dict[str, Any]]:
        """One measurement."""
        drawing, policy = self.cfg.drawing, self.networks.policy
        seed = derive(self.seed, "watch")
        how = Sampling(temperature=drawing.temperature, max_new_tokens=drawing.max_new_tokens, seed=seed)
        ids = [list(policy.renderer.prompt(prompt.conversation)) for _, prompt in self.watched]
        copies = self.cfg.keep.answers
        answers = roll_out(policy.module, ids, how, policy.renderer.stop_ids, copies)
        device = next(policy.module.parameters()).device
        packs = pack_answers(answers, range(len(answers.tokens)), self.cfg.updating.tokens_at_once, device)
        appraised = appraise(replace(self.networks, value=None, more={}), answers, packs, drawing.temperature)
        columns = {
            "gold": torch.tensor(self._ask(self.gold, answers), dtype=torch.float64),
            "proxy_reward": self._proxy(appraised, answers),
            "kl": self._kl(appraised, answers),
        }
        means = {name: column.double().reshape(-1, copies).mean(dim=1).tolist() for name, column in columns.items()}
        return [
            {"set": name, "prompt_id": prompt.id, **{column: values[place] for column, values in means.items()}}
            for place, (name, prompt) in enumerate(self.watched)
        ]

    def _proxy(self, appraised: Appraisal, answers: Answers) -> Tensor:
        reward, shape = self.networks.reward, self.cfg.shape
        if not isinstance(reward, RewardModel):
            scores = torch.tensor(self._ask(reward, answers))
        elif shape.normalise:
            scores = appraised.scores
        else:
            scores = appraised.scores.clamp(-shape.score_clip, shape.score_clip)
        check_scores(scores)
        return final_scores(scores, answers.finished, shape)

    @staticmethod
    def _kl(appraised: Appraisal, answers: Answers) -> Tensor:
        per_token = kl_k1(appraised.log_probs, appraised.reference)
        return torch.stack([part.sum() for part in per_token.split([len(tokens) for tokens in answers.tokens])])

    def _ask(self, scorer: Scorer, answers: Answers) -> list[float]:
        prompts = [self.watched[place][1] for place in answers.places]
        texts = [self.networks.policy.renderer.decode(tokens) for tokens in answers.tokens]
        return ask(scorer, prompts, texts, answers.finished, "watched prompts")
