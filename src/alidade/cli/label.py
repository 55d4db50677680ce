"""`label`: serve the pages on which people judge answers, and keep, check and hand out what they said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from alidade.cli import terminal
from alidade.cli.options import JsonOption
from alidade.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alidade.models.base import Sampling
    from alidade.preferences.partners import Partners
    from alidade.preferences.votebook import Votebook
    from alidade.preferences.votebook.queues import QueueSettings
    from alidade.records import Candidates

PLACE = Path("label") / "votes.db"
WhereArgument = Annotated[str, typer.Argument(help="A run's folder, a file of answers, or a votebook (file or URL).")]


class _ServeByDefault(TyperGroup):
    """`alidade label WHERE` is `alidade label serve WHERE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(help="Collect people's votes on answers.", no_args_is_help=True, cls=_ServeByDefault)


@app.callback()
def label() -> None:
    """Collect people's votes on answers: `alidade label WHERE` serves the pages for it."""


@app.command("serve")
def serve(
    where: WhereArgument,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="A setting of the queue: task=ranking, votes_per_item=2. May be repeated."),
    ] = None,
    gold: Annotated[Path | None, typer.Option("--gold", help='Known answers: {"PROMPT/0-1": 1}.')] = None,
    guidelines: Annotated[Path | None, typer.Option("--guidelines", help="What labelers read: Markdown.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.", min=1, max=65535)] = 8400,
) -> None:
    """Make a queue of the answers, unless it is there, and serve the labelling pages until interrupted."""
    from alidade.preferences.votebook.queues import add_queue, items_of, publish_guideline, queues_in

    with terminal.opened(book_at(where)) as book:
        if guidelines:
            publish_guideline(book, _text(guidelines))
        rows, usual = _answers(where)
        wanted = _settings(Path(where).stem, settings, usual)
        if rows is not None and wanted.name not in queues_in(book):
            known = json.loads(_text(gold)) if gold else None
            add_queue(book, wanted, items_of(rows, wanted.task, known))
        _serve(book, host, port)


@app.command("talk")
def talk(  # noqa: PLR0913, PLR0917
    where: WhereArgument,
    left: Annotated[str, typer.Option("--left", help="A model, named as for `alidade chat`.")],
    right: Annotated[str, typer.Option("--right", help="The other one.  [default: the same]")] = "",
    temperature: Annotated[
        list[float] | None, typer.Option("--temperature", help="Once for both, or twice: left, right.  [default: 1]")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", help="Longest answer, in tokens.", min=1)] = 256,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the queue: name=weekly, harmful=true.")
    ] = None,
    guidelines: Annotated[Path | None, typer.Option("--guidelines", help="What labelers read: Markdown.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.", min=1, max=65535)] = 8400,
) -> None:
    """Have people talk to two models: two answers to each message, and the better one goes on. Serves the pages for it.

    An endpoint's key is read from its variable, as `alidade chat` does, and kept nowhere.
    """
    from alidade.cli.partners import open_partners
    from alidade.preferences.votebook.queues import add_queue, publish_guideline, queue_named, queues_in

    run = Path(where) if (Path(where) / "store").is_dir() else None
    wanted = _settings("talk", settings, task="talk", gold_share=0, repeat_share=0, overlap_share=0)
    partners = open_partners((left, right or left), _samplings(temperature, max_new_tokens), run)
    with terminal.opened(book_at(where, makes=True)) as book:
        if guidelines:
            publish_guideline(book, _text(guidelines))
        if wanted.name not in queues_in(book):
            add_queue(book, wanted, [])
        elif queue_named(book, wanted.name)[1].task != "talk":
            raise UsageError(f"the queue {wanted.name} is no talk", where=where, hint="--set name=ANOTHER")
        _serve(book, host, port, {wanted.name: partners})


@app.command("invite")
def invite_one(where: WhereArgument, role: Annotated[str, typer.Option("--role")] = "labeler") -> None:
    """Print the end of a link by which one person can join, within seven days."""
    from alidade.preferences.votebook.people import invite, role_named

    known = role_named(role)
    with terminal.opened(book_at(where)) as book:
        typer.echo(f"/join/{invite(book, known)}")


@app.command("verify")
def verify_chain(
    where: WhereArgument,
    known: Annotated[str, typer.Option("--known", help="A hash noted earlier that must be in the chain.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Check that no act was changed, taken out or cut off."""
    from alidade.preferences.votebook.chain import verify

    with terminal.opened(book_at(where, must_exist=True)) as book:
        checked = verify(book, known)
    if as_json:
        terminal.echo_json(vars(checked))
    else:
        typer.echo(f"{checked.events} events, the last {checked.head}")
    if checked.fault:
        raise GateFailed(f"the chain is broken: {checked.fault}", where=where)


@app.command("export")
def export(
    where: WhereArgument,
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
    queue: Annotated[str, typer.Option("--queue", help="The queue, where there are several.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write a queue's votes and what they are about, for `votes report` and for the stage `testbed-votes`."""
    from alidade.preferences.votebook.export import write_export
    from alidade.preferences.votebook.queues import queues_in

    with terminal.opened(book_at(where, must_exist=True)) as book:
        names = queues_in(book)
        if not queue and len(names) != 1:
            raise UsageError("say which queue", hint=f"--queue with one of {', '.join(names) or 'none'}")
        files = write_export(book, queue or names[0], out)
    if as_json:
        terminal.echo_json({"folder": str(out), "files": files})
    else:
        typer.echo(str(out))


def book_at(where: str, *, must_exist: bool = False, makes: bool = False) -> Votebook:
    """The votebook of a run, beside a file of answers, or at an address; `makes` a new one, too, of a name that ends in `.db`."""
    from alidade.preferences.votebook import open_votebook

    if "://" in where:
        return open_votebook(where)
    path = Path(where)
    if path.is_dir():
        path = path / PLACE
    elif path.suffix in (".jsonl", ".gz"):
        path = path.with_name(f"{path.name.partition('.')[0]}.votes.db")
    is_named = path == Path(where) and not (makes and path.suffix == ".db")
    if not path.exists() and (must_exist or is_named):
        raise UsageError("no votebook here", where=where, hint="`alidade label RUN` makes one")
    return open_votebook(path)


def _answers(where: str) -> tuple[list[Candidates] | None, dict[str, Any]]:
    """The answers to learn from that a run or a file holds, None for a votebook; and how the run's own annotators were asked."""
    path = Path(where)
    if not path.is_dir() and path.suffix not in (".jsonl", ".gz"):
        return None, {}
    from alidade.cli.folders import store_of
    from alidade.pipeline.lineage import newest_of_kind
    from alidade.preferences.votebook.queues import QueueSettings
    from alidade.records import Candidates
    from alidade.store import read_rows

    if not path.is_dir():
        return read_rows(path, Candidates), {}
    store = store_of(path)
    try:
        asked = newest_of_kind(store, "votes")
        digest, usual = asked.inputs["answers"].digest, asked.config
    except (UsageError, KeyError):  # nobody has voted in this run
        digest, usual = newest_of_kind(store, "answers").digest, {}
    rows = read_rows(store.artifact(digest, "answers").path / "rows.jsonl", Candidates)
    return rows, {name: value for name, value in usual.items() if name in QueueSettings.model_fields}


def _serve(book: Votebook, host: str, port: int, partners: Mapping[str, Partners] | None = None) -> None:
    """Serve the pages, after a word on where they are and how to come in."""
    from alidade.preferences.votebook.people import everyone, invite
    from alidade.studio.app import serve as serve_app

    address = f"http://{host}:{port}"
    typer.echo(f"labelling at {address}")
    if not any(person.role == "admin" for person in everyone(book)):
        typer.echo(f"nobody is an admin yet; this link makes you one: {address}/join/{invite(book, 'admin')}")
    serve_app(book, host, port, partners)


def _samplings(temperatures: list[float] | None, max_new_tokens: int) -> tuple[Sampling, Sampling]:
    from alidade.models.base import Sampling

    given = temperatures or [1.0]
    if len(given) > 2 or min(given) < 0:
        raise UsageError("a temperature is 0 or more, and there are two answers", hint="--temperature once or twice")
    left, right = (Sampling(temperature=value, max_new_tokens=max_new_tokens) for value in (given[0], given[-1]))
    return left, right


def _settings(
    name: str, given: list[str] | None, usual: Mapping[str, Any] | None = None, **fixed: Any
) -> QueueSettings:
    from pydantic import ValidationError

    from alidade.preferences.votebook.queues import QueueSettings
    from alidade.store import explain_invalid

    pairs = {name: value for name, _, value in (pair.partition("=") for pair in given or ())}
    try:
        return QueueSettings.model_validate({"name": name, **(usual or {}), **pairs, **fixed})
    except ValidationError as error:
        hint = f"settings are {', '.join(QueueSettings.model_fields)}"
        raise UsageError(f"no such queue can be made: {explain_invalid(error)}", hint=hint) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file cannot be read: {error}", where=str(path)) from error
