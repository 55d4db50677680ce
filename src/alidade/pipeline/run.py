"""A run: every stage of a plan made or reused, in order, and the record of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alidade.errors import AlidadeError, StageFailed, UsageError
from alidade.pipeline.plan import Planned, check_stages, decide, latest_by_name, naming, plan
from alidade.pipeline.recipe import Recipe, StageUse
from alidade.pipeline.run_record import Run, StageRun, environment, peak_rss_mb, thread_count
from alidade.pipeline.source_digest import source_digest
from alidade.pipeline.stage import StageContext
from alidade.progress import Progress, SilentProgress
from alidade.registry import did_you_mean
from alidade.store import Artifact, Manifest, Store, write_json
from alidade.store.store import explaining_full_disk, full_disk, is_full_disk


@dataclass(frozen=True)
class Event:
    """Something that happened to one stage while a run goes on."""

    what: Literal["reused", "started", "made"]
    stage: str
    number: int
    of: int
    because: str = ""
    seconds: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _Going:
    """What stays the same while one run goes on."""

    recipe: Recipe
    store: Store
    progress: Progress
    on_event: Callable[[Event], None]
    latest: Mapping[str, Manifest]
    names: tuple[str, ...]


def run(
    recipe: Recipe,
    store: Store,
    *,
    only: Sequence[str] = (),
    progress: Progress | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    out: Path | None = None,
) -> Run:
    """Make or reuse every stage, and record it in `out`, if given.

    With `only`, those stages alone, from inputs already in the store. Checks come first: until all pass nothing is
    written.

    Raises:
        AlidadeError: from a check or a stage, with the stage named; StageFailed for any other failure of a stage.
    """
    started = time.monotonic()
    names = _chosen(recipe, store, only)
    with store.lock():
        if out is not None:
            with explaining_full_disk(out):
                out.mkdir(parents=True, exist_ok=True)
                write_json(out / "recipe.json", recipe.resolved())
        going = _Going(recipe, store, progress or SilentProgress(), on_event, latest_by_name(store), names)
        stages = _run_stages(going)
        record = Run(
            name=recipe.name,
            command=f"alidade align {recipe.options()}" + (f" --out {out}" if out is not None else ""),
            seed=recipe.seed,
            stages=stages,
            seconds=round(time.monotonic() - started, 3),
            peak_rss_mb=peak_rss_mb(),
            environment=environment(),
            recipe=recipe.resolved(),
        )
        if out is not None:
            with explaining_full_disk(out):
                write_json(out / "run.json", record)
    return record


def _chosen(recipe: Recipe, store: Store, only: Sequence[str]) -> tuple[str, ...]:
    """The stages to go through, after the checks of those that will run."""
    for name in only:
        if name not in recipe.stages:
            raise UsageError(f"the recipe has no stage `{name}`", hint=did_you_mean(name, recipe.stages))
    planned = {one.name: one for one in plan(recipe, store)}
    names = tuple(name for name in recipe.stages if not only or name in only)
    for name in names:
        use = recipe.stages[name]
        for origin in use.inputs.values():
            if origin not in names and planned[origin].action == "run":
                raise UsageError(
                    f"stage `{name}` needs `{origin}`, which is not made yet ({planned[origin].because})",
                    hint=f"run it too: --only {origin} --only {name}",
                )
    check_stages(recipe, [planned[name] for name in names])
    return names


def _run_stages(going: _Going) -> tuple[StageRun, ...]:
    digests: dict[str, str | None] = {}
    done: list[StageRun] = []
    for name, use in going.recipe.stages.items():
        planned = decide(use, going.recipe.seed_of(name), digests, going.store, going.latest.get(name))
        if name in going.names:
            done.append(_make_or_reuse(going, use, planned, digests))
        digests[name] = done[-1].digest if name in going.names else planned.digest
    return tuple(done)


def _make_or_reuse(going: _Going, use: StageUse, planned: Planned, digests: Mapping[str, str | None]) -> StageRun:
    number, of = going.names.index(use.name) + 1, len(going.names)
    key, reused = planned.key, planned.action == "reuse"
    assert key is not None, "the inputs of a chosen stage are known"
    if not reused:
        going.on_event(Event("started", use.name, number, of, planned.because))
        inputs = {
            name: going.store.artifact(digests[origin] or "", kind.name)
            for name, origin in use.inputs.items()
            if (kind := use.stage.kind_of(name)) is not None
        }
        _make(going, use, key, inputs)
    manifest = going.store.find(key)
    assert manifest is not None, "a made stage has a manifest"
    going.on_event(
        Event("reused" if reused else "made", use.name, number, of, planned.because, manifest.seconds, manifest.notes)
    )
    return StageRun(
        name=use.name,
        use=use.stage.name,
        key=key,
        digest=manifest.digest,
        kind=manifest.kind,
        seconds=manifest.seconds,
        reused=reused,
        because=planned.because,
        inputs=dict(use.inputs),
        notes=manifest.notes,
        warnings=(*manifest.warnings, *planned.warnings),
    )


def _make(going: _Going, use: StageUse, key: str, inputs: Mapping[str, Artifact]) -> None:
    """Run one stage into a draft and commit it; a failure leaves no draft, but the scratch folder for the next try."""
    store, seed = going.store, going.recipe.seed_of(use.name)
    with naming(use):
        for artifact in inputs.values():
            store.check(artifact)
        draft = store.draft(key)
        with explaining_full_disk(store.root):
            scratch = store.scratch(key)
        context = StageContext(seed, draft, scratch, going.progress, thread_count())
        started = time.monotonic()
        try:
            with _failing(use, store):
                use.stage.run(use.config, inputs, context)
                _check_files(use, draft)
        except BaseException:
            store.discard(draft)
            raise
        seconds = round(time.monotonic() - started, 3)
        store.commit(draft, _manifest_fields(use, key, seed, inputs, context) | {"seconds": seconds})


def _manifest_fields(
    use: StageUse, key: str, seed: int, inputs: Mapping[str, Artifact], context: StageContext
) -> dict[str, Any]:
    return {
        "kind": use.stage.writes.name,
        "key": key,
        "name": use.name,
        "stage": use.stage.name,
        "version": use.stage.version,
        "config": use.config.model_dump(mode="json"),
        "asked": dict(use.asked),
        "seed": seed,
        "inputs": {
            name: {"kind": artifact.kind, "digest": artifact.digest, "from": use.inputs[name]}
            for name, artifact in inputs.items()
        },
        "environment": environment() | {"code": source_digest(use.stage.run)},
        "notes": context.notes,
        "warnings": tuple(context.warnings),
    }


def _check_files(use: StageUse, draft: Path) -> None:
    missing = [name for name in use.stage.writes.files if not (draft / name).exists()]
    if missing:
        raise StageFailed(
            f"stage `{use.name}` wrote no `{missing[0]}`", hint=f"every {use.stage.writes.name} artifact holds one"
        )


@contextmanager
def _failing(use: StageUse, store: Store) -> Generator[None]:
    """Turn whatever a stage stumbles over into an error for a person."""
    try:
        yield
    except AlidadeError:
        raise
    except Exception as error:
        if is_full_disk(error):
            raise full_disk(store.root) from error
        raise StageFailed(
            f"stage `{use.name}` failed: {type(error).__name__}: {error}",
            where=use.where,
            hint="--debug shows the traceback; finished stages are kept, so the same command goes on from here",
        ) from error
