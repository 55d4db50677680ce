"""`diff`: two versions of a constitution, in their words and in the labels they give."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.constitution import SIGNS
from alidade.cli.constitution_measures import said, show_table
from alidade.cli.folders import model_place
from alidade.cli.ledgers import first_fields, is_place, open_judged, rows_at
from alidade.cli.options import JsonOption, RunOption
from alidade.cli.revise import wording_of
from alidade.errors import DataError, UsageError

if TYPE_CHECKING:
    from alidade.constitution import Constitution
    from alidade.constitution.difference import Difference, Edit
    from alidade.constitution.label_difference import Cause, LabelDifference
    from alidade.constitution.prefer import Pair, PreferenceSettings
    from alidade.constitution.wording import Wording
    from alidade.models.continuing import TextModel

THOUGHT_TOKENS = 128
VersionArgument = Annotated[str, typer.Argument(help="A constitution (a name or file), or a RUN:STAGE of `prefer`.")]


def diff(  # noqa: PLR0913, PLR0917  (a command's parameters are its options)
    old: VersionArgument,
    new: VersionArgument,
    answers: Annotated[
        str, typer.Option("--answers", help="Label these by both: RUN:STAGE or a file, of answers or comparisons.")
    ] = "",
    judge: Annotated[str, typer.Option("--judge", help="Who labels: a model, as for `alidade chat`.")] = "",
    wording: Annotated[
        str, typer.Option("--wording", help="The form the judge knows: published, or reviews (the pilot's).")
    ] = "",
    votes: Annotated[
        int | None,
        typer.Option("--votes", help="Ask a judge that hides its probabilities so often, and count.", min=1, max=1000),
    ] = None,
    thoughts: Annotated[bool, typer.Option("--thoughts", help="The judge reasons in words before it chooses.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", help="Labels shown.", min=1)] = 20,
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two constitutions, by words and labels.

    By itself it says what changed, word by word, and how far the version must be raised for it. With --answers and --judge
    it also labels the same pairs by every principle of both versions, and shows exactly the labels that changed and by
    which principles. Of two artifacts of `prefer` it compares the labels they have.
    """
    if is_place(old) or is_place(new):
        _refuse_mixed(old, new, is_asked=bool(answers or judge or wording or votes or thoughts))
        labels = _of_artifacts(old, new, out)
        if as_json:
            terminal.echo_json({"labels": labels.model_dump(mode="json")})
        else:
            _show_labels(labels, count)
        return
    if bool(answers) != bool(judge) or ((wording or votes or thoughts) and not judge):
        raise UsageError("labels need answers and a judge", hint="--answers RUN:STAGE --judge MODEL, or none of them")
    from alidade.constitution.difference import difference
    from alidade.constitution.document import find_constitution
    from alidade.constitution.prefer import PreferenceSettings

    versions = find_constitution(old), find_constitution(new)
    found = difference(*versions)
    how = PreferenceSettings(shots=0, thoughts=thoughts, thought_tokens=THOUGHT_TOKENS, temperature=0, votes=votes)
    labels = _of_versions(versions, _pairs(answers, out), _judge(judge, wording, how, out), how) if answers else None
    if as_json:
        terminal.echo_json(_plain(found) | ({"labels": labels.model_dump(mode="json")} if labels else {}))
        return
    typer.echo("\n".join(_differing(found)))
    if labels:
        typer.echo("")
        _show_labels(labels, count)


def _refuse_mixed(old: str, new: str, *, is_asked: bool) -> None:
    if not (is_place(old) and is_place(new)):
        raise UsageError("an artifact and a constitution cannot be compared", hint="give two of a kind")
    if is_asked:
        raise UsageError(
            "artifacts have labels already", hint="leave out --answers, --judge, --wording, --votes and --thoughts"
        )


def _of_artifacts(old: str, new: str, out: Path | None) -> LabelDifference:
    from alidade.constitution.label_difference import label_difference

    try:
        return label_difference(open_judged(old, out).judged, open_judged(new, out).judged)
    except ValueError as error:
        raise DataError(str(error), where=f"{old}, {new}", hint="give judgements of the same answers") from error


def _of_versions(
    versions: tuple[Constitution, Constitution],
    pairs: list[Pair],
    judge: tuple[TextModel, Wording],
    how: PreferenceSettings,
) -> LabelDifference:
    from alidade.constitution.label_difference import judged_by_both, label_difference

    try:
        both = judged_by_both(pairs, versions, judge, how, progress=terminal.progress_for_terminal())
    except ValueError as error:
        raise DataError(str(error), hint="give answers to several prompts, and another judge or wording") from error
    return label_difference(*both)


def _judge(judge: str, wording: str, how: PreferenceSettings, out: Path | None) -> tuple[TextModel, Wording]:
    from alidade.models import open_model
    from alidade.models.continuing import ContinuingModel, text_model

    place = model_place(judge, out)
    form = wording_of(place, wording)
    model = text_model(open_model(place))
    if how.votes is None and not isinstance(model, ContinuingModel):
        raise UsageError(f"{model.name} shows no probabilities of options", hint="have it vote: --votes 8")
    return model, form


def _pairs(answers: str, out: Path | None) -> list[Pair]:
    from alidade.constitution.prefer import pairs_of_candidates, pairs_of_comparisons
    from alidade.records import Candidates, Comparison

    if {"left", "right"} <= first_fields(answers, out):
        return pairs_of_comparisons(rows_at(answers, Comparison, out))
    return pairs_of_candidates(rows_at(answers, Candidates, out))


def _plain(found: Difference) -> dict[str, Any]:
    needed = {
        "needed": found.needed,
        "least_version": found.least_version,
        "is_raised_enough": found.is_raised_enough,
    }
    return {**found.model_dump(mode="json"), **needed}


def _differing(found: Difference) -> list[str]:
    lines = [f"removed: {one.id}: {one.text}" for one in found.removed]
    lines += [f"added: {one.id}: {one.text}" for one in found.added]
    lines += [f"renamed: {one.old} to {one.new}" for one in found.renamed]
    lines += [f"tier removed: {name}" for name in found.tiers_removed]
    lines += [f"tier added: {name}" for name in found.tiers_added]
    lines += ["the tiers are in another order"] if found.are_tiers_moved else []
    lines += ["the principles are in another order"] if found.are_principles_moved else []
    lines += [_changed(one) for one in found.edits]
    if found.needed == "none":
        return [f"no word differs between {found.old_version} and {found.new_version}"]
    verdict = "raised enough" if found.is_raised_enough else f"not raised enough: at least {found.least_version}"
    return [*lines, f"a {found.needed} change; {found.old_version} to {found.new_version} is {verdict}"]


def _changed(one: Edit) -> str:
    words = "".join(SIGNS[piece.sign].format(piece.text) for piece in one.pieces)
    return f"changed ({one.step}): {f'{one.of} ' if one.of else ''}{one.field}: {words}"


def _show_labels(found: LabelDifference, count: int) -> None:
    turned = sum(one.is_other_side for one in found.changes)
    typer.echo(f"{len(found.changes)} of {found.pairs} labels changed: {said(found.changed)}")
    typer.echo(f"{turned} of them to another side: {said(found.other_side)} of all; mean change {_shift(found)}")
    if found.only_old or found.only_new:
        typer.echo(f"not compared: {found.only_old} only in the older, {found.only_new} only in the newer", err=True)
    if not found.changes:
        return
    causes = Counter((cause.principle, cause.how) for one in found.changes for cause in one.by)
    typer.echo("by " + ", ".join(f"{name} ({how}) {times}" for (name, how), times in causes.most_common()))
    rows = [
        (
            one.id,
            f"{one.old:.3f}",
            f"{one.new:.3f}",
            "other side" if one.is_other_side else "",
            "; ".join(map(_cause, one.by)),
        )
        for one in found.changes[:count]
    ]
    show_table(("label", "old", "new", "", "by"), rows)
    if len(found.changes) > count:
        typer.echo(f"and {len(found.changes) - count} more (--json shows all)")


def _shift(found: LabelDifference) -> str:
    return said(found.shift, signed=True, places=3)


def _cause(one: Cause) -> str:
    was, now = ("none" if prob is None else f"{prob:.2f}" for prob in (one.old, one.new))
    return f"{one.principle} ({one.how}: {was} to {now}) {one.effect:+.3f}"
