"""Rewards that are computed, not learned: an answer is checked against what is known of its prompt.

A plugin adds one by registering a function under the entry point `alidade.rewards`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from alidade.errors import AlidadeError, DataError, TrainingStopped
from alidade.records import Prompt
from alidade.registry import Registry

RewardFunction = Callable[[Prompt, str, bool], float]  # prompt, answer, whether it ended by itself; 1 is right
Scorer = Callable[[list[Prompt], list[str], list[bool]], list[float]]  # the same of a batch, in order
REWARDS: Registry[RewardFunction] = Registry(
    "alidade.rewards",
    {
        **{name: f"{__name__}:{name.replace('-', '_')}" for name in ("final-number", "exact-answer", "named-answer")},
        "checks": "alidade.training.checks:share_of_checks",
        "all-checks": "alidade.training.checks:all_checks",
    },
    noun="reward",
)

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_MARK = "####"  # what stands before the result in GSM8K's solutions


def final_number(prompt: Prompt, answer: str, finished: bool) -> float:
    """1 when the last number of the answer (the one after `####`, if that is there) is the known one's.

    Raises:
        DataError: when the prompt comes without a known answer, or that has no number.
    """
    known = _last_number(known_answer(prompt))
    if known is None:
        raise DataError("the known answer has no number", where=prompt.id, hint="use the reward `exact-answer`")
    return float(_last_number(answer) == known)


def exact_answer(prompt: Prompt, answer: str, finished: bool) -> float:
    """1 when the answer's words are the known answer's, whatever their case and punctuation."""
    return float(finished and _words(answer) == _known_words(prompt))


def named_answer(prompt: Prompt, answer: str, finished: bool) -> float:
    """1 when the known answer's words stand in the answer, next to each other."""
    return float(f" {_known_words(prompt)} " in f" {_words(answer)} ")


def known_answer(prompt: Prompt) -> str:
    """The answer that a file gave with the prompt.

    Raises:
        DataError: when it gave none.
    """
    if "answer" not in prompt.about:
        raise DataError(
            "the prompt comes without a known answer",
            where=prompt.id,
            hint="a file of prompts needs a column answer (text or a number) beside prompt or question",
        )
    return prompt.about["answer"]


def check_prompts(reward: RewardFunction, prompts: Sequence[Prompt]) -> None:
    """Every prompt has what the reward needs.

    Raises:
        DataError: naming the first that has not, and how many there are.
    """
    faults: list[DataError] = []
    for prompt in prompts:
        try:
            reward(prompt, "", True)
        except DataError as error:
            faults.append(error)
    if faults:
        what = f"{len(faults)} of {len(prompts)} prompts cannot be rewarded: {faults[0].what}"
        raise DataError(what, where=faults[0].where, hint=faults[0].hint)


def score_by(reward: RewardFunction) -> Scorer:
    """The reward function as a scorer of a batch of answers."""
    return lambda prompts, texts, finished: [reward(*one) for one in zip(prompts, texts, finished, strict=True)]


def ask(
    scorer: Scorer, prompts: Sequence[Prompt], texts: Sequence[str], finished: Sequence[bool], where: str
) -> list[float]:
    """What `scorer` makes of a batch of answers; whatever goes wrong is said to be at `where`.

    Raises:
        TrainingStopped: when it gives not one score to each answer.
        AlidadeError: what the scorer raises.
    """
    try:
        scores = scorer(list(prompts), list(texts), list(finished))
    except AlidadeError as error:
        place = ", ".join(part for part in (error.where, where) if part)
        raise type(error)(error.what, where=place, hint=error.hint) from error
    if len(scores) != len(texts):
        raise TrainingStopped(
            f"a reward gave {len(scores)} scores to {len(texts)} answers",
            where=where,
            hint="a reward gives one number to every answer, in their order",
        )
    return scores


def _last_number(text: str) -> Decimal | None:
    _, _, marked = text.rpartition(_MARK)
    found = _NUMBER.findall(marked if _MARK in text else text)
    try:
        return Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def _known_words(prompt: Prompt) -> str:
    words = _words(known_answer(prompt))
    if not words:
        raise DataError("the known answer has no words", where=prompt.id, hint="use a reward of your own for symbols")
    return words


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
