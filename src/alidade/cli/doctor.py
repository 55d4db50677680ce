"""`doctor`: is the installation sound, and is a run?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from alidade.cli import terminal
from alidade.cli.diagnosis import Finding, as_text, not_finite, of_training
from alidade.cli.folders import run_folder, store_of
from alidade.cli.options import JsonOption
from alidade.errors import AlidadeError, StoreError

if TYPE_CHECKING:
    from alidade.store import Manifest, Store

_LEAST_FREE_BYTES = 2 << 30
_NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "pydantic", "numpy", "scipy", "pyarrow")


def doctor(
    run: Annotated[str, typer.Argument(help="Folder of a run to look at too.")] = "",
    repair: Annotated[bool, typer.Option("--repair", help="Remove damaged artifacts; their stages run again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the installation and, where one is given, a run.

    Of a run: whether its artifacts are whole, what was dropped or cut, what its stages warned of, and of each training what
    was healthy and what was not, with the likely cause and the setting to change.
    """
    findings = list(installation())
    if run:
        findings += look_at_run(run_folder(Path(run)), repair=repair)
    if as_json:
        terminal.echo_json([vars(one) for one in findings])
    else:
        for one in findings:
            typer.echo(as_text(one, terminal.width()))
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(1)


def installation() -> Iterator[Finding]:
    """What alidade needs of this machine."""
    from importlib.metadata import PackageNotFoundError, version

    from alidade.cli.recipes import shipped_recipes
    from alidade.pipeline.run_record import thread_count

    yield Finding("good", f"Python {sys.version.split()[0]}, {thread_count()} processors")
    for package in _NEEDED:
        try:
            yield Finding("good", f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding("bad", f"{package} is not installed", "install alidade again: pip install alidade")
    recipes = ", ".join(sorted(shipped_recipes()))
    yield Finding("good", f"recipes: {recipes}") if recipes else Finding("bad", "no recipes are installed")
    yield _pilot()
    free = shutil.disk_usage(Path.cwd()).free
    room = f"{free / (1 << 30):.1f} GiB free here"
    hint = "" if free >= _LEAST_FREE_BYTES else "a run needs a few hundred MB"
    yield Finding("warning" if hint else "good", room, hint)


def _pilot() -> Finding:
    try:
        from alidade.testbed.pilot import pilot_folder

        return Finding("good", f"pilot model in {pilot_folder()}")
    except AlidadeError as error:
        return Finding("warning", error.what, error.hint or "")


def look_at_run(folder: Path, *, repair: bool) -> list[Finding]:
    """What is worth knowing of a run folder."""
    store = store_of(folder)
    findings = [*_damage(store, repair=repair), *_unfinished(store)]
    for manifest in _current(folder, store):
        trained = list(_trained(store, manifest))
        said = [one.what for one in trained]
        findings += [
            Finding("warning", f"{manifest.name}: {warning}")
            for warning in manifest.warnings
            if not any(f"{manifest.name}: {warning}".startswith(what) for what in said)
        ]
        findings += trained
        findings += [
            Finding("note", f"{manifest.name}: {name} {value}")
            for name, value in manifest.notes.items()
            if name.startswith("diagnosis")
        ]
        findings += _lost(store, manifest)
    return findings


def _damage(store: Store, *, repair: bool) -> Iterator[Finding]:
    names = {manifest.digest: manifest.name for manifest in store.manifests()}
    damaged = store.verify()
    for one in damaged:
        name = names.get(one.digest, "no stage")
        if repair:
            store.remove(one.digest)
            yield Finding("note", f"removed the damaged artifact {one.digest[:12]} of {name}", "run the recipe again")
        else:
            hint = f"alidade doctor {store.root.parent} --repair"
            yield Finding("bad", f"artifact {one.digest[:12]} of {name}: {one.problem}", hint)
    if not damaged:
        yield Finding("good", f"{len(names)} artifacts are whole")


def _trained(store: Store, manifest: Manifest) -> list[Finding]:
    try:
        return list(of_training(manifest.name, store.artifact(manifest.digest, manifest.kind).path))
    except StoreError:
        return []


def _unfinished(store: Store) -> Iterator[Finding]:
    for folder in sorted((store.root / "scratch").glob("*")):
        broken = list(not_finite(folder))
        yield from broken
        if not broken and any(folder.iterdir()):
            yield Finding(
                "note", f"a stage stopped half way ({folder.name[:12]})", "the same command goes on from there"
            )


def _current(folder: Path, store: Store) -> list[Manifest]:
    """The manifests of the folder's last finished run, or of everything in the store."""
    from alidade.pipeline import read_run

    if not (folder / "run.json").exists():
        return store.manifests()
    found = [store.find(stage.key) for stage in read_run(folder).stages]
    return [manifest for manifest in found if manifest is not None]


def _lost(store: Store, manifest: Manifest) -> Iterator[Finding]:
    """What a stage dropped, truncated or masked, from its `counts.json`, its parts too."""
    from alidade.report.page import parts
    from alidade.store import read_json

    try:
        path = store.artifact(manifest.digest, manifest.kind).path / "counts.json"
    except StoreError:
        return
    counts: Any = read_json(path) if path.exists() else {}
    for part, values in parts(counts):
        about = f"{manifest.name}, {part}" if part else manifest.name
        for sort in ("dropped", "truncated", "masked"):
            for reason, count in _reasons(values.get(sort)):
                yield Finding("note", f"{about}: {sort} {count} ({reason})")


def _reasons(value: Any) -> list[tuple[str, int]]:
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return [(reason, count) for reason, count in pairs if isinstance(count, int) and count]
    return [("in all", value)] if isinstance(value, int) and value else []
