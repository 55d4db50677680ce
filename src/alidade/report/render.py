"""The page: one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alidade.preferences.groups import LEAST_PEOPLE
from alidade.report import figures, frontier, overoptimisation, page, values
from alidade.report.changes import are_in_line
from alidade.report.collect import Evidence, collect
from alidade.report.examples import examples, homes
from alidade.report.graph import lineage
from alidade.report.summary import calibration, reward_summary, summary_of
from alidade.report.ways import marks_of
from alidade.report.words import duration, number, visible
from alidade.store import write_json
from alidade.store.store import explaining_full_disk


def write_report(run_folder: Path) -> Path:
    """Write `summary.json` and `report.html` into a finished run's folder, each at once or not at all.

    Raises:
        UsageError: when the folder holds no finished run.
        StoreError: when the disk is full or an artifact cannot be read.
    """
    run_folder = Path(run_folder)
    evidence = collect(run_folder)
    text = render(evidence)
    with explaining_full_disk(run_folder):
        write_json(run_folder / "summary.json", summary_of(evidence))
        return write_page(run_folder / "report.html", text)


def render(evidence: Evidence) -> str:
    """The page as text. Whatever a model or a user wrote is escaped, and its invisible characters are spelt out."""
    return filled("report.html", _shown(evidence))


def filled(template: str, shown: Mapping[str, Any]) -> str:
    """One of the templates with what it shows; plain text is escaped and made visible."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("alidade.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_safe,
    )
    environment.filters |= {"duration": duration, "number": number}
    return environment.get_template(template).render(**shown)


def _shown(evidence: Evidence) -> dict[str, Any]:
    run, reward = evidence.run, reward_summary(evidence.reward)
    bins = calibration(reward.get("calibration") or [])
    marks = marks_of(evidence.columns, evidence.ways)
    in_line = are_in_line(evidence.changes, evidence.columns)
    return {
        "run": run,
        "recipe": json.dumps(dict(run.recipe), indent=2, ensure_ascii=False),
        "columns": [(one, figures.key(mark)) for one, mark in zip(evidence.columns, marks, strict=True)],
        "headline": page.headline(evidence),
        "frontier": frontier.section(evidence),
        "examples": examples(homes(run, evidence.columns, evidence.ways)),
        "groups": page.groups(evidence),
        "greedy": page.groups(evidence, greedy=True),
        "tested": sum(len(change.tests) for change in evidence.changes),
        "in_line": in_line,
        "wins": page.wins(evidence),
        "reward": reward,
        "reward_checks": page.reward_checks(evidence.reward),
        "voters": page.voters(evidence),
        "reward_slices": page.reward_slices(evidence.reward),
        "bins": bins,
        "reliability": figures.reliability(bins) if bins else "",
        "overoptimisation": overoptimisation.rows(evidence.overoptimisation),
        "values": values.sections(evidence.values),
        "least_people": LEAST_PEOPLE,
        "fits": overoptimisation.fits(evidence.overoptimisation),
        "curves": page.curve_sets(evidence),
        "lost": page.lost_rows(evidence.counts),
        "warnings": [
            *((stage.name, warning) for stage in run.stages for warning in stage.warnings),
            *(("report", note) for note in evidence.ways.notes),
        ],
        "lineage": lineage(run.stages),
        "manifests": evidence.manifests,
        "made_at": max((one.made_at for one in evidence.manifests.values()), default="")[:16].replace("T", " "),
    }


def _safe(value: Any) -> Any:
    """Plain text made visible; pictures and what is no text as they are."""
    return visible(value) if type(value) is str else value


def write_page(path: Path, text: str) -> Path:
    """Write a page at once or not at all, and return where it is."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
