"""`revise`: watch an answer being criticised and revised by principles, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.constitution import SIGNS
from alidade.cli.folders import model_place
from alidade.cli.options import JsonOption, RunOption

if TYPE_CHECKING:
    from rich.text import Text

    from alidade.constitution import Constitution
    from alidade.constitution.revise import Revised
    from alidade.constitution.wording import Wording

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
        str,
        typer.Option(
            "--constitution",
            "-c",
            help="A YAML file, or a shipped name.  [default: pilot for a critic that is the pilot, else alidade]",
        ),
    ] = "",
    wording: Annotated[
        str, typer.Option("--wording", help="The form the critic knows: published, or reviews (the pilot's).")
    ] = "",
    answer: Annotated[str | None, typer.Option("--answer", help="Revise this answer; nobody is asked for one.")] = None,
    steps: Annotated[int, typer.Option("--steps", help="Critiques and revisions.", min=1, max=16)] = 4,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.", min=0)] = 0.3,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", help="Longest answer, critique and revision, in tokens.", min=1)
    ] = 128,
    seed: Annotated[int, typer.Option("--seed", help="Stream of chance.", min=0)] = 0,
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch an answer being criticised and revised by principles."""
    from alidade.constitution.document import find_constitution
    from alidade.constitution.revise import Revised, RevisionSettings, RevisionStep
    from alidade.constitution.unfolding import Method, asked, first_answer, unfold
    from alidade.models import open_model
    from alidade.models.continuing import text_model

    place = model_place(model, out)
    critic_place = model_place(critic, out) if critic else place
    document = find_constitution(constitution or ("pilot" if _is_pilot(critic_place) else "alidade"))
    form = wording_of(critic_place, wording)
    settings = RevisionSettings(steps=steps, temperature=temperature, max_new_tokens=max_new_tokens)
    method = Method(document, form, settings, seed)
    talker = open_model(place)
    writer = text_model(talker if critic_place == place else open_model(critic_place))
    first = first_answer(talker, prompt, method) if answer is None else answer
    row, made = asked(prompt, first), list[RevisionStep]()
    if not as_json:
        terminal.results().print(_headed("answer  ", first))
    for step in unfold(row, writer, method):
        made.append(step)
        if not as_json:
            _show(Revised(prompt=row.prompt, initial=first, steps=tuple(made)), document)
    if as_json:
        terminal.echo_json(_plain(Revised(prompt=row.prompt, initial=first, steps=tuple(made)), document, form.name))


def wording_of(place: str, given: str) -> Wording:
    """The form of asking that is given, or the one that the critic at this place knows.

    Raises:
        UsageError: when there is no such form.
    """
    from alidade.constitution.unfolding import wording_named

    return wording_named(given or ("reviews" if _is_pilot(place) else "published"))


def _is_pilot(place: str) -> bool:
    """Whether a critic is the pilot, which follows only words that it has read."""
    return place == model_place("pilot", None)


def _show(revised: Revised, document: Constitution) -> None:
    """Print the last step."""
    from rich.text import Text

    console, number, step = terminal.results(), len(revised.steps), revised.steps[-1]
    console.print()
    console.print(Text(f"{number}  by {document.named(step.principle).title}", style="bold"))
    if step.critique:
        console.print(_headed("critique  ", step.critique))
    if step.fault:
        console.print(Text(f"no revision ({step.fault}): the answer stands"))
        return
    console.print(_headed("revision  ", step.revision))
    console.print(_headed("changes   ", changes(*revised.answers[-2:])))


def _headed(head: str, text: str | Text) -> Text:
    from rich.text import Text

    return Text(head, style="bold") + (Text(text) if isinstance(text, str) else text)


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
