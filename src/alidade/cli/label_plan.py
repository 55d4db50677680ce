"""`label plan`: how to spend a budget of votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alidade.cli import terminal
from alidade.cli.label import book_at
from alidade.cli.options import JsonOption
from alidade.errors import DataError, UsageError

if TYPE_CHECKING:
    from alidade.preferences.budget import Outlook, Plan
    from alidade.preferences.crowd import Crowd
    from alidade.records import Vote

ANNOTATORS, SKILL = 6, 0.8
ASSUMED = (
    "Assumed: everybody is equally careful and leans to no side; gaps between answers are normal around 0; gold pairs lie a typical gap "
    "apart, and are no labels, nor are the 5 % of the tasks that are hidden repeats; a tie is what its pair is, and tells nothing of "
    "people. All columns leave ties out. `labels right` goes by most votes. `teaches like` counts votes on pairs of their own for a "
    "learner who foresees nothing of a pair; for one who foresees all, every vote counts. +- are half-widths of 95 % intervals, `skill +-` "
    "of one annotator's."
)


def plan(
    votes: Annotated[int, typer.Option("--votes", help="Votes in all, checks included.", min=10)],
    annotators: Annotated[int | None, typer.Option("--annotators", help="People.  [default: 6]", min=1)] = None,
    skill: Annotated[
        float | None,
        typer.Option(
            "--skill", help="How often the better of two answers a typical gap apart is picked.  [default: 0.8]"
        ),
    ] = None,
    agreement: Annotated[
        float | None, typer.Option("--agreement", help="How often two people pick the same, ties left out.")
    ] = None,
    seen: Annotated[
        str, typer.Option("--from", help="Votes to take people, skill, agreement and ties from: a folder or votebook.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Say how many pairs, how much overlap and how much gold a number of votes should go into, and what else they could buy."""
    from alidade.preferences.budget import plan_votes

    crowd = _crowd(seen, annotators, skill, agreement)
    made = plan_votes(votes, crowd)
    if as_json:
        known = {name: getattr(crowd, name) for name in ("skill", "agreement", "correlation")}
        terminal.echo_json(made.model_dump(mode="json") | {"expected": known})
    else:
        _show(made)


def _crowd(seen: str, annotators: int | None, skill: float | None, agreement: float | None) -> Crowd:
    """The people as they are said to be; where nothing is said, as their votes show, or as is usual."""
    from alidade.preferences.crowd import crowd_agreeing, crowd_of, crowd_seen

    given = {"--skill": skill, "--agreement": agreement, "--from": seen or None}
    if sum(value is not None for value in given.values()) > 1:
        raise UsageError(f"{', '.join(given)} each say how good people are", hint="give one of them")
    for name, value in given.items():
        if isinstance(value, float) and not 0.5 < value < 1:
            raise UsageError(f"{name} is between 0.5 and 1, not {value:g}", hint="0.5 is a coin")
    if seen:
        found = crowd_seen(_votes(seen))
        return found.model_copy(update={"annotators": annotators or found.annotators})
    if agreement is not None:
        return crowd_agreeing(annotators or ANNOTATORS, agreement=agreement)
    return crowd_of(annotators or ANNOTATORS, skill=SKILL if skill is None else skill)


def _votes(where: str) -> list[Vote]:
    """All votes between two answers, those that rankings imply too, of an export's folder or of a votebook's queues."""
    from alidade.preferences.collected import votes_in
    from alidade.preferences.tally import implied_votes
    from alidade.preferences.votebook.collect import collect
    from alidade.preferences.votebook.queues import queues_in

    if (Path(where) / "rows.jsonl").exists():
        found = [votes_in(Path(where))]
    else:
        with terminal.opened(book_at(where, must_exist=True)) as book:
            found = [collect(book, name) for name in queues_in(book)]
    votes = [vote for one in found for vote in (*one.votes, *implied_votes(one.rankings))]
    if not votes:
        raise DataError("nobody has voted yet", where=where, hint="leave --from out, and say --skill")
    return votes


def _show(made: Plan) -> None:
    crowd, best = made.crowd, made.best
    console = terminal.results()
    console.print(
        f"{made.votes:,} votes of {crowd.annotators} people: skill {crowd.skill:.2f} (attention {crowd.attention:.2f}, "
        f"gaps {crowd.spread:.1f} log-odds apart), agreement {crowd.agreement:.2f}, ties {crowd.ties:.2f}"
    )
    design = best.design
    console.print(
        f"\nRecommended: {best.pairs:,} pairs with {design.votes_per_item} vote(s) each, {design.overlap_share:.0%} of them with "
        f"{design.overlap_votes}; {design.gold_share:.0%} of the tasks gold, {best.gold_items} known answers."
    )
    if best.skill is None or best.skill > made.wanted:
        console.print(f"Skill within {made.wanted:g} needs more votes from each person: more votes, or fewer people.")
    names = ("votes_per_item", "overlap_share", "overlap_votes", "gold_share", "repeat_share")
    console.print(
        "  alidade label RUN " + " ".join(f"--set {name}={getattr(design, name):g}" for name in names), soft_wrap=True
    )
    for title, rows, setting in (
        ("votes a pair", made.by_votes_per_item, lambda one: f"{one.design.votes_per_item}"),
        ("overlap", made.by_overlap_share, lambda one: f"{one.design.overlap_share:.0%}"),
        ("gold", made.by_gold_share, lambda one: f"{one.design.gold_share:.0%}"),
    ):
        console.print()
        _show_table(title, rows, setting, best)
    console.print(f"\n{ASSUMED}")


def _show_table(title: str, rows: Sequence[Outlook], setting: Callable[[Outlook], str], best: Outlook) -> None:
    """The outlooks, one a row; the recommended one is marked."""
    from rich.table import Table

    table = Table(title, box=None)
    for name in ("pairs", "labels right", "teaches like", "agreement +-", "alpha +-", "skill +-"):
        table.add_column(name, justify="right")
    for row in rows:
        mark = "*" if row.design == best.design else " "
        widths = ("-" if value is None else f"{value:.3f}" for value in (row.agreement, row.alpha, row.skill))
        labels = f"{row.labels_right:.3f}"
        table.add_row(f"{mark} {setting(row)}", f"{row.pairs:,}", labels, f"{row.teaches_like:,.0f}", *widths)
    terminal.results().print(table)
