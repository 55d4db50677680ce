"""`revise`: watch an answer being criticised and revised by principles, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.constitution import SIGNS
from alidade.cli.folders import model_place
from alidade.cli.options import JsonOption, RunOption
from alidade.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from alidade.constitution import Constitution
    from alidade.constitution.revise import Revised
    from alidade.models.local import LocalModel

_STYLES = {"same": "", "gone": "red", "new": "green"}


def revise(  # noqa: PLR0913, PLR0917
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Who answers: as for `alidade chat`.", show_default=True)
    ] = "pilot",
    critic: Annotated[
        str, typer.Option("--critic", help="Who criticises and revises; the model itself where absent.")
    ] = "",
    constitution: Annotated[
        str, typer.Option("--constitution", "-c", help="A YAML file, or the name of a shipped constitution.")
    ] = "alidade",
    wording: Annotated[
        str, typer.Option("--wording", help="The form the critic knows: published, or reviews (the pilot's).")
    ] = "",
    answer: Annotated[str | None, typer.Option("--answer", help="Revise this answer; nobody is asked for one.")] = None,
    steps: Annotated[int, typer.Option("--steps", help="Critiques and revisions.", min=1, max=16)] = 4,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.", min=0)] = 0.7,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", help="Longest answer, critique and revision, in tokens.", min=1)
    ] = 128,
    seed: Annotated[int, typer.Option("--seed", help="Stream of chance.", min=0)] = 0,
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch an answer being criticised and revised by principles."""
    from alidade.constitution.document import find_constitution
    from alidade.constitution.revise import RevisionSettings
    from alidade.models.local import load

    document = find_constitution(constitution)
    settings = RevisionSettings(steps=steps, temperature=temperature, max_new_tokens=max_new_tokens)
    place = model_place(model, out)
    talker = load(place)
    critic_place = model_place(critic, out) if critic else place
    writer = talker if critic_place == place else load(critic_place)
    form = wording or ("reviews" if critic_place == model_place("pilot", out) else "published")
    revised = _revised(prompt, answer, (talker, writer), (document, form, settings), seed)
    if as_json:
        terminal.echo_json(_plain(revised, document, form))
    else:
        _show(revised, document)


def _revised(
    prompt: str, answer: str | None, models: tuple[LocalModel, LocalModel], by: tuple[Constitution, str, Any], seed: int
) -> Revised:
    from alidade.constitution.revise import Answered, Reviser
    from alidade.constitution.wording import WORDINGS
    from alidade.models.base import Sampling
    from alidade.models.continuing import ContinuingModel
    from alidade.records import Conversation, Prompt

    document, form, settings = by
    if form not in WORDINGS:
        raise UsageError(f"unknown wording `{form}`", hint=f"there are {', '.join(sorted(WORDINGS))}")
    asked = Prompt(id="asked", conversation=Conversation.ask(prompt))
    if answer is None:
        how = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, seed=seed)
        said = models[0].reply([asked.conversation], how)[0]
        if said.error:
            raise UsageError(f"the model cannot answer: {said.error}", hint="ask something shorter")
        answer = said.text
    reviser = Reviser(ContinuingModel(models[1]), document, WORDINGS[form], settings)
    return reviser.revise([Answered(prompt=asked, answer=answer)], seed)[0]


def _show(revised: Revised, document: Constitution) -> None:
    from rich.text import Text

    console = terminal.results()
    console.print(Text("answer  ", style="bold") + Text(revised.initial))
    answers = revised.answers
    for number, step in enumerate(revised.steps, 1):
        console.print()
        console.print(Text(f"{number}  by {document.named(step.principle).title}", style="bold"))
        if step.critique:
            console.print(Text("critique  ", style="bold") + Text(step.critique))
        if step.fault:
            console.print(Text(f"no revision ({step.fault}): the answer stands"))
            continue
        console.print(Text("revision  ", style="bold") + Text(step.revision))
        console.print(Text("changes   ", style="bold") + changes(answers[number - 1], answers[number]))


def changes(before: str, after: str) -> Text:
    """The words of both texts: [-taken away-] and {+added+}, coloured where there is colour."""
    from rich.text import Text

    from alidade.constitution.difference import word_difference

    shown = Text()
    for piece in word_difference(before, after):
        shown.append(SIGNS[piece.sign].format(piece.text), style=_STYLES[piece.sign])
    return shown


def _plain(revised: Revised, document: Constitution, form: str) -> dict[str, Any]:
    return {
        "constitution": {"id": document.id, "version": document.version, "digest": document.digest},
        "wording": form,
    } | revised.model_dump(mode="json")
