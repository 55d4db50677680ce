"""`label order`: hand out first what a scorer is least sure of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from alidade.cli import terminal
from alidade.cli.label import WhereArgument, book_at
from alidade.cli.options import JsonOption
from alidade.errors import DataError, UsageError

if TYPE_CHECKING:
    from alidade.preferences.arms import Measure


def order(
    where: WhereArgument,
    scores: Annotated[
        Path,
        typer.Option("--scores", help='A scorer\'s gaps or scores, JSON: {"PROMPT/0-1": 0.3} or {"PROMPT/0": 1.2}.'),
    ],
    measure: Annotated[
        str, typer.Option("--by", help="What unsure means: margin, label, or of an ensemble variance, information.")
    ] = "margin",
    queue: Annotated[str, typer.Option("--queue", help="The queue, where there are several.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Hand out the waiting items of the arm `uncertain` by how unsure a scorer is of them."""
    from alidade.preferences.arms import Measure
    from alidade.preferences.votebook.arms import order_uncertain
    from alidade.preferences.votebook.queues import queues_in
    from alidade.store import read_json

    if measure not in get_args(Measure):
        raise UsageError(f"nothing is called `{measure}`", hint=f"--by with one of {', '.join(get_args(Measure))}")
    known = read_json(scores)
    if not isinstance(known, dict):
        raise DataError("not a JSON object of scores", where=str(scores), hint='write {"PROMPT/0-1": 0.3}')
    with terminal.opened(book_at(where, must_exist=True)) as book:
        names = queues_in(book)
        if not queue and len(names) != 1:
            raise UsageError("say which queue", hint=f"--queue with one of {', '.join(names) or 'none'}")
        count = order_uncertain(book, queue or names[0], known, cast("Measure", measure))
    if as_json:
        terminal.echo_json({"items": count})
    else:
        typer.echo(f"{count} items in order, least sure first")
