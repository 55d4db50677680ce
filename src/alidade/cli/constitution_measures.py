"""`constitution coverage`, `ablate`, `conflicts` and `drift`: what a constitution did, read from a run's ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from alidade.cli import terminal
from alidade.cli.ledgers import Ledger, labels_of_people, open_judged, open_ledger, open_revised
from alidade.cli.options import JsonOption, RunOption
from alidade.errors import DataError, GateFailed, UsageError

if TYPE_CHECKING:
    from alidade.constitution import Constitution
    from alidade.constitution.ablation import Ablated
    from alidade.constitution.conflicts import ConflictMap
    from alidade.constitution.coverage import Coverage
    from alidade.constitution.drift import StepDrift
    from alidade.records import Estimate, Prompt

T = TypeVar("T")
_LEADING_ZERO = re.compile(r"(?<![\d])0(?=\.)")
ArtifactArgument = Annotated[str, typer.Argument(help="RUN:STAGE, a folder, or a file of judgements or revisions.")]
MarginOption = Annotated[
    float, typer.Option("--margin", help="A principle decides where it is further than this from .5.", min=0, max=0.49)
]
DocumentOption = Annotated[
    str, typer.Option("--constitution", "-c", help="The document, a name or file.  [default: the run's]")
]


def coverage(
    artifacts: Annotated[
        list[str], typer.Argument(help="RUN:STAGE, folders or files: judgements, revisions, or some of each.")
    ],
    least: Annotated[
        int | None, typer.Option("--least", help="Exit with 3 where a principle has fewer effects.", min=1)
    ] = None,
    document: DocumentOption = "",
    margin: MarginOption = 0.1,
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each principle did, and which did too little.

    How often it was asked or drawn, decided, turned a label, changed an answer. An effect is a comparison it decided or an
    answer it changed. With a constitution, those never asked are listed too.
    """
    from alidade.constitution.coverage import coverage as covered
    from alidade.constitution.coverage import uncovered

    ledgers = [open_ledger(one, out) for one in artifacts]
    known = [
        one.id
        for constitution in _documents(document, ledgers)
        for one in constitution.principles
        if one in (*constitution.judges, *constitution.critics)
    ]
    judged = [row for ledger in ledgers for row in ledger.judged]
    revised = [row for ledger in ledgers for row in ledger.revised]
    found = _measured(lambda: covered(judged, revised, known, margin), artifacts[0])
    below = uncovered(found, least) if least is not None else []
    if as_json:
        terminal.echo_json({"margin": margin, "least": least, "below": below, "principles": _plain(found)})
    else:
        _show_coverage(found)
    if below:
        raise GateFailed(f"fewer than {least} effects: {', '.join(below)}", hint="ask more often, or reword them")


def ablate(
    artifact: ArtifactArgument,
    people: Annotated[
        str, typer.Option("--people", help='Gold: comparisons (RUN:STAGE, JSONL), or JSON {"ID": left probability}.')
    ] = "",
    document: DocumentOption = "",
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the labels would be without each principle.

    Where people's labels are given, the principle whose removal raises the agreement with them most comes first; without them,
    the one that moves the labels most. Where every principle of the constitution was asked, they count by their weights.
    """
    from alidade.constitution.ablation import ablate as ablated

    ledger = open_judged(artifact, out)
    labels = labels_of_people(people, ledger.judged, out) if people else None
    if people and not labels:
        raise DataError("no label given is about a comparison that was judged", where=people)
    constitution = next(iter(_documents(document, [ledger])), None)
    found = _measured(lambda: ablated(ledger.judged, labels, constitution), artifact)
    if as_json:
        terminal.echo_json({"people": people or None, "principles": _plain(found)})
    else:
        _show_ablation(found)


def conflicts(
    artifact: ArtifactArgument,
    document: DocumentOption = "",
    margin: MarginOption = 0.1,
    count: Annotated[int, typer.Option("--count", "-n", help="Pairs shown.", min=1)] = 20,
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which principles want opposite answers, and which won."""
    from alidade.constitution.conflicts import conflict_map

    ledger = open_judged(artifact, out)
    constitution = next(iter(_documents(document, [ledger])), None)
    found = _measured(lambda: conflict_map(ledger.judged, constitution, margin), artifact)
    if as_json:
        terminal.echo_json(found.model_dump(mode="json"))
    else:
        _show_conflicts(found, count, is_ranked=constitution is not None)


def drift(
    artifact: ArtifactArgument,
    harmless: Annotated[
        str, typer.Option("--harmless", help="Which prompts nobody should refuse, by what they are about: kind=twin.")
    ] = "",
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where revisions go, step by step.

    Length, copies, refusals, how much alike the answers are, and whether what a critique names is gone from the revision.
    """
    from alidade.constitution.drift import drift as drifted

    ledger = open_revised(artifact, out)
    is_harmless = _marked(harmless) if harmless else None
    if is_harmless and not any(is_harmless(row.prompt) for row in ledger.revised):
        keys = sorted({key for row in ledger.revised for key in row.prompt.about})
        raise UsageError(
            f"no prompt has {harmless}", where=artifact, hint=f"prompts have {', '.join(keys) or 'no marks'}"
        )
    found = _measured(lambda: drifted(ledger.revised, is_harmless), artifact)
    if as_json:
        terminal.echo_json(_plain(found))
    else:
        _show_drift(found)


def _measured(measure: Callable[[], T], where: str) -> T:
    """What is measured; rows of which it cannot be measured are the user's to mend."""
    try:
        return measure()
    except ValueError as error:
        raise DataError(str(error), where=where) from error


def _documents(given: str, ledgers: Sequence[Ledger]) -> list[Constitution]:
    from alidade.constitution import find_constitution

    if given:
        return [find_constitution(given)]
    return [ledger.constitution for ledger in ledgers if ledger.constitution is not None]


def _marked(harmless: str) -> Callable[[Prompt], bool]:
    key, equals, value = harmless.partition("=")
    if not equals:
        raise UsageError(f"`{harmless}` says no value", hint="--harmless KEY=VALUE, such as kind=twin")
    return lambda prompt: prompt.about.get(key) == value


def _plain(found: Sequence[Any]) -> list[Any]:
    return [one.model_dump(mode="json") for one in found]


def said(value: Estimate | None, *, signed: bool = False, places: int = 2) -> str:
    """A number with its interval, as short as it can be read; a dash where there is none."""
    if value is None:
        return "-"
    form = f"{'+' if signed else ''}.{places}f"
    mean, low, high = (_LEADING_ZERO.sub("", format(one, form)) for one in (value.mean, value.low, value.high))
    return f"{mean} ({low} to {high})" if signed else f"{mean} ({low}-{high})"


def show_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, its numbers to the right."""
    from rich.table import Table

    table = Table(box=None)
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    terminal.results().print(table)


def _show_coverage(found: Sequence[Coverage]) -> None:
    rows = [
        (one.principle, str(one.effects), *map(said, (one.asked, one.decided, one.flipped, one.drawn, one.changed)))
        for one in found
    ]
    show_table(("principle", "effects", "asked of", "decided", "turned label", "drawn for", "changed answer"), rows)


def _show_ablation(found: Sequence[Ablated]) -> None:
    has_people = any(one.agreement for one in found)
    names = ("without", "rows", "label moves by", "shift", "turned")
    names += ("agreement with", "without", "gain", "p") if has_people else ()
    rows: list[tuple[str, ...]] = []
    for one in found:
        row = (one.principle, str(one.rows), said(one.moved, places=3))
        row += (said(one.shift, signed=True, places=3), said(one.flipped))
        if one.agreement is not None:
            agreed = one.agreement
            row += (f"{agreed.with_it.mean:.2f}", f"{agreed.without_it.mean:.2f}", said(agreed.gain, signed=True))
            row += (f"{agreed.p_value:.3f}",)
        rows.append(row)
    show_table(names, rows)


def _show_conflicts(found: ConflictMap, count: int, *, is_ranked: bool) -> None:
    show_table(
        ("principle", "against another"),
        [(one.principle, said(one.opposed)) for one in found.principles],
    )
    opposed = [one for one in found.pairs if one.opposed_rows]
    typer.echo("")
    if not opposed:
        typer.echo(f"no two principles decide opposite sides, in {len(found.pairs)} pairs of principles")
        return
    rows = [
        (
            f"{one.first} | {one.second}",
            str(one.opposed_rows),
            said(one.opposed),
            one.higher or "none",
            f"{one.with_higher}, {one.with_lower}, {one.undecided}" if one.higher else "-",
            ", ".join(one.examples[:2]),
        )
        for one in opposed[:count]
    ]
    show_table(("opposed", "rows", "share", "higher", "label with it, against, neither", "such as"), rows)
    if len(opposed) > count:
        typer.echo(f"and {len(opposed) - count} more (--json shows all)")
    if not is_ranked:
        typer.echo("no constitution is known, so no principle outranks another; -c FILE gives one", err=True)


def _show_drift(found: Sequence[StepDrift]) -> None:
    measures: list[tuple[str, Callable[[StepDrift], str]]] = [
        ("answers", lambda one: str(one.answers)),
        ("words", lambda one: said(one.texts.words, places=1)),
        ("  more than before", lambda one: said(one.change, signed=True, places=1)),
        ("  more than at first", lambda one: said(one.since_first, signed=True, places=1)),
        ("failed", lambda one: said(one.failed)),
        ("copied unchanged", lambda one: said(one.unchanged)),
        ("refusing", lambda one: said(one.texts.refusing)),
        ("  harmless refused", lambda one: said(one.texts.over_refusing)),
        ("evading", lambda one: said(one.texts.evading)),
        ("words in shared phrases", lambda one: said(one.texts.shared)),
        ("same opening", lambda one: said(one.texts.openings)),
        ("critiques that name words", lambda one: str(one.critique.named) if one.critique else "-"),
        ("  these words gone", lambda one: said(one.critique.gone if one.critique else None)),
        ("  other words gone", lambda one: said(one.critique.gone_otherwise if one.critique else None)),
        ("  difference", lambda one: said(one.critique.excess if one.critique else None, signed=True)),
        ("fault found, yet copied", lambda one: said(one.critique.copied if one.critique else None)),
    ]
    names = ("", *(f"step {one.step}" if one.step else "first answers" for one in found))
    show_table(names, [(name, *(show(one) for one in found)) for name, show in measures])
    for one in found:
        typer.echo(f"step {one.step} opens most with: {one.texts.opening}")
