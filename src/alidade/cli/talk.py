"""`chat` and `compare`: talk to a model, or ask several the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alidade.cli import terminal
from alidade.cli.folders import models_of, open_chat_model, run_folder
from alidade.cli.options import JsonOption, RunOption

if TYPE_CHECKING:
    from alidade.models.base import ChatModel, Sampling
    from alidade.records import Completion, Conversation

TemperatureOption = Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.", min=0)]
TokensOption = Annotated[int, typer.Option("--max-new-tokens", help="Longest answer, in tokens.", min=1)]
SeedOption = Annotated[int, typer.Option("--seed", help="Stream of chance.", min=0)]


def chat(
    model: Annotated[
        str, typer.Argument(help="A stage of the run, RUN:STAGE, pilot, a folder, a hub id or http://HOST/v1#NAME.")
    ] = "",
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="Ask this and leave.")] = None,
    out: RunOption = None,
    temperature: TemperatureOption = 0.7,
    max_new_tokens: TokensOption = 256,
    seed: SeedOption = 0,
) -> None:
    """Talk to a model; an empty line or Ctrl-D ends it."""
    from alidade.models.base import Sampling

    asked = model or models_of(run_folder(out))[-1]
    opened = open_chat_model(asked, out)
    how = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    if prompt is not None:
        typer.echo(_answer(opened, None, prompt, how)[1])
        return
    typer.echo(f"talking to {asked}; an empty line ends it", err=True)
    talk: Conversation | None = None
    while said := _next_line():
        talk, answer = _answer(opened, talk, said, how)
        typer.echo(answer)
        how = how.model_copy(update={"seed": how.seed + 1})


def compare(  # noqa: PLR0913, PLR0917
    prompts: Annotated[list[str], typer.Argument(help="What to ask.")],
    models: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Which models; all of the run where absent.")
    ] = None,
    out: RunOption = None,
    temperature: TemperatureOption = 0.7,
    max_new_tokens: TokensOption = 128,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Ask several models the same, answers side by side."""
    from alidade.models.base import Sampling
    from alidade.records import Conversation

    names = models or list(models_of(run_folder(out)))
    how = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    chats = [Conversation.ask(prompt) for prompt in prompts]
    # One model at a time: several need not fit in memory together.
    answers = {name: open_chat_model(name, out).reply(chats, how) for name in names}
    if as_json:
        rows = [
            {"prompt": prompt, "answers": {name: said[number].model_dump() for name, said in answers.items()}}
            for number, prompt in enumerate(prompts)
        ]
        terminal.echo_json(rows)
    else:
        _show_side_by_side(prompts, answers)


def _show_side_by_side(prompts: list[str], answers: dict[str, list[Completion]]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = terminal.results()
    for number, prompt in enumerate(prompts):
        table = Table(*answers, title=Text(prompt), title_justify="left", expand=True)
        table.add_row(*(Text(_said(said[number])) for said in answers.values()))
        console.print(table)


def _said(completion: Completion) -> str:
    if completion.error:
        return f"[no answer: {completion.error}]"
    return completion.text if completion.finished else f"{completion.text} [cut off]"


def _next_line() -> str:
    typer.echo("you> ", nl=False, err=True)
    try:
        return input().strip()
    except EOFError:
        return ""


def _answer(model: ChatModel, talk: Conversation | None, said: str, how: Sampling) -> tuple[Conversation, str]:
    from alidade.records import Conversation

    asked = talk.then("user", said) if talk else Conversation.ask(said)
    completion = model.reply([asked], how)[0]
    return asked.then("assistant", completion.text), _said(completion)
