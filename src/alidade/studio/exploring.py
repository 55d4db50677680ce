"""Pages on which a person watches an answer being criticised and revised."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from alidade.constitution.revise import RevisionSettings
from alidade.constitution.unfolding import Method
from alidade.errors import AlidadeError, UsageError
from alidade.store import explain_invalid
from alidade.studio.bench import Asked, Loop
from alidade.studio.labelling import Sent
from alidade.studio.pages import go
from alidade.studio.study import InStudy, Sending, Study, study_page

exploring = APIRouter(include_in_schema=False)
LONGEST_PROMPT = 20_000
MOST_STEPS = 16
MOST_TOKENS = 1024


class Wish(BaseModel):
    """What the form says, within its bounds; the field names are those of the form."""

    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT)
    answer: str = Field(default="", max_length=LONGEST_PROMPT)
    model: str
    critic: str = ""
    steps: int = Field(default=2, ge=1, le=MOST_STEPS)
    temperature: float = Field(default=0.3, ge=0, le=5, allow_inf_nan=False)
    tokens: int = Field(default=128, ge=1, le=MOST_TOKENS)
    seed: int = Field(default=0, ge=0, le=2**32)


@exploring.get("/revise")
def ask_page(study: InStudy, again: str = "") -> Response:
    """The form; with `again`, filled in as for an earlier answer."""
    bench = study.bench
    usual = Wish.model_construct(prompt="", model=bench.models[0], critic=bench.critics[0])
    return _ask_page(study, _wish_of(bench.loop(again)) if again else usual, "")


@exploring.post("/revise")
def ask(study: Sending, sent: Sent) -> Response:
    """Have an answer criticised and revised; then the page that shows it as it comes."""
    fields = {name: str(sent.get(name, "")).replace("\r\n", "\n").strip() for name in Wish.model_fields}
    try:
        wish = Wish.model_validate({name: text for name, text in fields.items() if text or name == "prompt"})
    except ValidationError as error:
        problem = explain_invalid(error) if fields["prompt"] else "type a prompt"
        return _ask_page(study, Wish.model_construct(**fields), problem)  # pyright: ignore[reportArgumentType]
    try:
        loop = study.bench.start(_asked(study, wish))
    except AlidadeError as error:
        return _ask_page(study, wish, error.what + (f" ({error.hint})" if error.hint else ""))
    return go(f"/revise/{loop.name}")


@exploring.get("/revise/{name}")
def loop_page(study: InStudy, name: str) -> Response:
    """An answer and its steps, as far as they are."""
    made = study.bench.loop(name)
    return study_page(study, "loop", made=made, said=said_of(study, made))


@exploring.get("/revise/{name}/steps")
def steps(study: InStudy, name: str) -> Response:
    """The steps alone, for a page that is open."""
    made = study.bench.loop(name)
    return study_page(study, "loop_steps", made=made, said=said_of(study, made))


@exploring.post("/revise/{name}/stop")
def stop(study: Sending, name: str) -> Response:
    """End it."""
    study.bench.stop(study.bench.loop(name))
    return go(f"/revise/{name}")


def said_of(study: Study, made: Loop) -> str:
    """How far it is, in words."""
    count, wanted = len(made.steps), made.wanted.method.settings.steps
    if made.state == "running":
        return "Stopping." if made.stopping.is_set() else _doing(made)
    return {
        "waiting": f"Waiting for {study.bench.before(made)} before this one.",
        "failed": f"That did not work: {made.fault}.",
        "stopped": f"Stopped in step {count} of {wanted}." if count else "Stopped before the first step.",
        "done": f"Done: {wanted} {'step' if wanted == 1 else 'steps'}.",
    }[made.state]


def _doing(made: Loop) -> str:
    if made.initial is None:
        return "The first answer is being written."
    if not made.steps:
        return "The first principle is being drawn."
    doing = {"begun": "the critique is being written", "criticised": "the revision is being written", "whole": "done"}
    return f"Step {len(made.steps)} of {made.wanted.method.settings.steps}: {doing[made.steps[-1].state]}."


def _asked(study: Study, wish: Wish) -> Asked:
    bench = study.bench
    if wish.model not in bench.models or wish.critic not in bench.critics:
        raise UsageError("there is no such model here", hint="choose one of the list")
    settings = RevisionSettings(steps=wish.steps, temperature=wish.temperature, max_new_tokens=wish.tokens)
    form = bench.speakers[wish.critic or wish.model].wording
    return Asked(
        wish.prompt, wish.answer, wish.model, wish.critic, Method(study.constitution, form, settings, wish.seed)
    )


def _wish_of(made: Loop) -> Wish:
    wanted = made.wanted
    settings = wanted.method.settings
    return Wish.model_construct(
        prompt=wanted.prompt,
        answer=wanted.answer,
        model=wanted.model,
        critic=wanted.critic,
        steps=settings.steps,
        temperature=settings.temperature,
        tokens=settings.max_new_tokens,
        seed=wanted.method.seed,
    )


def _ask_page(study: Study, sent: Wish, problem: str) -> Response:
    return study_page(
        study,
        "revise",
        status=400 if problem else 200,
        sent=sent,
        problem=problem,
        loops=study.bench.loops(),
        longest=LONGEST_PROMPT,
        most_steps=MOST_STEPS,
        most_tokens=MOST_TOKENS,
    )
