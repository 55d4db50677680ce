"""Critique and revise: the first half of the method (SL-CAI).

Source: [B22] Bai et al. 2022, arXiv 2212.08073, section 3.1: an answer is criticised by a principle drawn at random and revised, again
and again, a new draw each time; the revisions of all steps are trained on, mixed with helpful answers (section 3.2).
Differs: every draw comes from a stream of its own: principles and the order of examples from one named by the prompt's id and the step,
texts from one named by the chunk of rows that is asked at once. So a chunk, and with it any row, can be made again by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from alidade.constitution.principles import Constitution, Principle
from alidade.constitution.wording import Wording
from alidade.models.base import Sampling
from alidade.models.continuing import TextModel
from alidade.progress import Progress
from alidade.records import Completion, Demonstration, Prompt, Record
from alidade.seeds import derive, generator

Fault = Literal["", "model", "empty", "cut"]
SHOT_ORDERS = 8  # shuffles in use at a time: prompts with one order share its computation


class RevisionSettings(Record):
    """How answers are criticised and revised."""

    steps: int = Field(default=4, ge=1, description="critiques and revisions of each answer")
    critique: bool = Field(default=True, description="false revises without a critique ([B22] section 3.5)")
    temperature: float = Field(default=1.0, ge=0, description="softmax temperature of critiques and revisions")
    max_new_tokens: int = Field(default=128, ge=1, description="longest critique, and longest revision, in tokens")
    shots: int = Field(default=5, ge=0, description="few-shot examples in front of each request, as many as there are")


class Answered(Record):
    """A prompt with the answer to revise."""

    prompt: Prompt
    answer: str


class RevisionStep(Record):
    """One critique and revision, with all that made it."""

    principle: str
    principle_digest: str
    shots: tuple[int, ...] = Field(default=(), description="the few-shot examples' numbers, in the order shown")
    critique: str = ""
    revision: str = ""
    fault: Fault = Field(default="", description="why the step has no revision: the answer before stands")


class Revised(Record):
    """A prompt, its first answer, and every step from there."""

    prompt: Prompt
    initial: str
    steps: tuple[RevisionStep, ...]

    @property
    def answers(self) -> list[str]:
        """The answer before each step and after the last; a step that failed repeats the one before."""
        answers = [self.initial]
        for step in self.steps:
            answers.append(answers[-1] if step.fault else step.revision)
        return answers


def draw_principle(principles: Sequence[Principle], seed: int, prompt_id: str, step: int) -> Principle:
    """One of the principles, by their weights; independent of every other draw ([B22] section 3.1).

    Two steps may draw the same one, as they do in the published samples.
    """
    rng = generator(seed, "principle", prompt_id, step)
    return rng.choices(principles, weights=[one.weight for one in principles])[0]


def draw_shots(count: int, wanted: int, seed: int, prompt_id: str, step: int) -> tuple[int, ...]:
    """The numbers of `wanted` of `count` few-shot examples, shuffled.

    Each step has `SHOT_ORDERS` shuffles, of which a prompt draws one.
    """
    order = generator(seed, "which order", prompt_id, step).randrange(SHOT_ORDERS)
    return tuple(generator(seed, "order of shots", step, order).sample(range(count), min(wanted, count)))


class Reviser:
    """A model that criticises and revises by a constitution.

    `shots` are whole examples in the form of `wording`: conversation, answer, request, critique, request, revision.

    Raises:
        ValueError: when no principle of the constitution can be drawn for a critique.
    """

    def __init__(
        self,
        model: TextModel,
        constitution: Constitution,
        wording: Wording,
        settings: RevisionSettings,
        shots: Sequence[str] = (),
    ) -> None:
        if not constitution.critics:
            raise ValueError(f"constitution `{constitution.id}` has no principle with a critique request")
        self._model, self._principles, self._wording = model, constitution.critics, wording
        self._settings, self._shots = settings, tuple(shots)

    def revise(
        self, rows: Sequence[Answered], seed: int, chunk: int = 0, progress: Progress | None = None
    ) -> list[Revised]:
        """Every row with all its steps, in the same order; equal rows, seed and chunk give equal bytes."""
        steps: list[list[RevisionStep]] = [[] for _ in rows]
        answers = [row.answer for row in rows]
        for number in range(self._settings.steps):
            made = self._step([row.prompt for row in rows], answers, (seed, number, chunk), progress)
            for place, step in enumerate(made):
                steps[place].append(step)
                answers[place] = answers[place] if step.fault else step.revision
        return [
            Revised(prompt=row.prompt, initial=row.answer, steps=tuple(each))
            for row, each in zip(rows, steps, strict=True)
        ]

    def _step(
        self, prompts: Sequence[Prompt], answers: Sequence[str], place: tuple[int, int, int], progress: Progress | None
    ) -> list[RevisionStep]:
        seed, number, chunk = place
        settings, wording = self._settings, self._wording
        drawn = [draw_principle(self._principles, seed, prompt.id, number) for prompt in prompts]
        orders = [draw_shots(len(self._shots), settings.shots, seed, prompt.id, number) for prompt in prompts]
        talks = [prompt.conversation for prompt in prompts]
        critiques: list[Completion] = [Completion(text="")] * len(prompts)
        if settings.critique:
            asked = [
                wording.critique_prompt(talk, answer, one.requests.critique)
                for talk, answer, one in zip(talks, answers, drawn, strict=True)
            ]
            critiques = self._ask(
                asked, orders, wording.critique.critique_stops, derive(seed, "critique", number, chunk), progress
            )
            revisable = [
                wording.revision_prompt(text, critique.text, one.requests.revision)
                for text, critique, one in zip(asked, critiques, drawn, strict=True)
            ]
        else:
            revisable = [
                wording.direct_revision_prompt(talk, answer, one.requests.revision)
                for talk, answer, one in zip(talks, answers, drawn, strict=True)
            ]
        revisions = self._ask(
            revisable, orders, wording.critique.revision_stops, derive(seed, "revision", number, chunk), progress
        )
        return [
            RevisionStep(
                principle=one.id,
                principle_digest=one.digest,
                shots=order,
                critique=critique.text,
                revision=revision.text,
                fault=_fault(critique, revision),
            )
            for one, order, critique, revision in zip(drawn, orders, critiques, revisions, strict=True)
        ]

    def _ask(
        self,
        texts: Sequence[str],
        orders: Sequence[tuple[int, ...]],
        stops: Sequence[str],
        seed: int,
        progress: Progress | None,
    ) -> list[Completion]:
        settings = self._settings
        how = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, seed=seed)
        whole = [
            self._wording.with_shots([self._shots[shot] for shot in order], text)
            for text, order in zip(texts, orders, strict=True)
        ]
        return self._model.continued(whole, how, stops, progress)


def _fault(critique: Completion, revision: Completion) -> Fault:
    if critique.error is not None or revision.error is not None:
        return "model"
    if not revision.text:
        return "empty"
    return "" if revision.finished else "cut"


def revisions_to_train_on(rows: Sequence[Revised]) -> list[Demonstration]:
    """Every step's revision as a demonstration ([B22] section 3.2: the revisions of all steps); a failed step gives none."""
    return [
        Demonstration(
            id=f"{row.prompt.id}/revision{number}",
            prompt=row.prompt.conversation,
            answer=step.revision,
            source="constitution",
        )
        for row in rows
        for number, step in enumerate(row.steps, 1)
        if not step.fault
    ]


def mixed(
    revisions: Sequence[Demonstration], helpful: Sequence[Demonstration], helpful_share: float, seed: int
) -> list[Demonstration]:
    """All revisions, and so many helpful answers that they are `helpful_share` of the rows, shuffled.

    Raises:
        ValueError: when there are too few helpful answers for that share, or the share is not in [0, 1).
    """
    if not 0 <= helpful_share < 1:
        raise ValueError(f"a share of helpful answers is at least 0 and below 1, not {helpful_share:g}")
    wanted = round(len(revisions) * helpful_share / (1 - helpful_share))
    if wanted > len(helpful):
        raise ValueError(
            f"{len(revisions)} revisions at a share of {helpful_share:g} need {wanted} helpful answers; there are {len(helpful)}"
        )
    rng = generator(seed, "mix of revisions and helpful answers")
    rows = [*revisions, *rng.sample(list(helpful), wanted)]
    rng.shuffle(rows)
    return rows
