"""The plan: which stages run and which are reused, and why, in words."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

from alidade.digest import digest_of
from alidade.errors import AlidadeError
from alidade.pipeline.recipe import Recipe, StageUse
from alidade.pipeline.source_digest import source_digest
from alidade.store import Manifest, Store

_MOST_REASONS = 4


@dataclass(frozen=True)
class Planned:
    """What will happen to one stage.

    `key` is None while an input is not known yet; `digest` is the reused artifact's.
    """

    name: str
    use: str
    action: Literal["run", "reuse"]
    because: str
    key: str | None = None
    digest: str | None = None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.action} - {self.because}"


def plan(recipe: Recipe, store: Store) -> list[Planned]:
    """What a run of `recipe` in `store` would do, in its order. Reads only."""
    latest = latest_by_name(store)
    planned: dict[str, Planned] = {}
    for name, use in recipe.stages.items():
        digests = {origin: planned[origin].digest for origin in use.inputs.values()}
        planned[name] = decide(use, recipe.seed_of(name), digests, store, latest.get(name))
    return list(planned.values())


def check_stages(recipe: Recipe, planned: Iterable[Planned]) -> None:
    """Let the stages that will run look at their settings and at the user's files. Reads only.

    Raises:
        AlidadeError: what a stage's check refuses, with the stage named.
    """
    for one in planned:
        use = recipe.stages[one.name]
        if one.action == "run" and use.stage.check is not None:
            with naming(use):
                use.stage.check(use.config, recipe.upstream(one.name))


@contextmanager
def naming(use: StageUse) -> Generator[None]:
    """Add the stage's name to errors that do not say where they happened."""
    try:
        yield
    except AlidadeError as error:
        error.where = error.where or f"stage `{use.name}`"
        raise


def latest_by_name(store: Store) -> dict[str, Manifest]:
    """The newest manifest of every stage name."""
    return {manifest.name: manifest for manifest in store.manifests()}


def key_of(use: StageUse, seed: int, inputs: Mapping[str, str]) -> str:
    """The key of a stage: what is asked of it, and of which inputs (digests by input name)."""
    return digest_of(["stage/1", use.stage.name, use.stage.version, dict(use.asked), dict(inputs), seed])


def decide(
    use: StageUse, seed: int, digests: Mapping[str, str | None], store: Store, previous: Manifest | None
) -> Planned:
    """Whether one stage runs or is reused. `digests` are by stage name, None for what will be made anew."""
    unknown = [name for name, origin in use.inputs.items() if digests[origin] is None]
    if unknown:
        because = "; ".join(f"input `{name}` will be made anew" for name in unknown)
        return Planned(use.name, use.stage.name, "run", because if previous else "never made")
    inputs = {name: digests[origin] or "" for name, origin in use.inputs.items()}
    key = key_of(use, seed, inputs)
    made = store.find(key)
    if made is None:
        because = _why(use, seed, inputs, key, previous)
        return Planned(use.name, use.stage.name, "run", because, key)
    same_code = made.environment.get("code", "") == source_digest(use.stage.run)
    warnings = () if same_code else ("its code differs from the code that made it, but its version is unchanged",)
    return Planned(use.name, use.stage.name, "reuse", "unchanged", key, made.digest, warnings)


def _why(use: StageUse, seed: int, inputs: Mapping[str, str], key: str, previous: Manifest | None) -> str:
    if previous is None:
        return "never made"
    if previous.key == key:
        return "its artifact is no longer in the store"
    reasons = list(_differences(use, seed, inputs, previous))
    shown = "; ".join(reasons[:_MOST_REASONS])
    more = len(reasons) - _MOST_REASONS
    return (shown + (f"; and {more} more" if more > 0 else "")) or "never made in this form"


def _differences(use: StageUse, seed: int, inputs: Mapping[str, str], previous: Manifest) -> Iterator[str]:
    if previous.stage != use.stage.name:
        yield f"stage `{previous.stage}` -> `{use.stage.name}`"
    elif previous.version != use.stage.version:
        yield f"version {previous.version} -> {use.stage.version}"
    before = {name: record.digest for name, record in previous.inputs.items()}
    for name in [*inputs, *(name for name in before if name not in inputs)]:
        old, new = before.get(name), inputs.get(name)
        if old != new:
            yield f"input `{name}` changed {_short(old)} -> {_short(new)}"
    old_config, new_config = dict(_leaves(previous.asked)), dict(_leaves(use.asked))
    for name in [*new_config, *(name for name in old_config if name not in new_config)]:
        old, new = old_config.get(name, "absent"), new_config.get(name, "absent")
        if old != new:
            yield f"config `{name}` {old} -> {new}"
    if previous.seed != seed:
        yield "seed changed"


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value in words) of every leaf of a config."""
    for name, item in value.items():
        if not isinstance(item, Mapping):
            yield f"{above}{name}", _in_words(item)
            continue
        fields = cast("Mapping[str, Any]", item)
        if set(fields) == {"content"}:
            yield f"{above}{name}", f"content {_short(str(fields['content']))}"
        else:
            yield from _leaves(fields, f"{above}{name}.")


def _in_words(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:40]}... ({_short(digest_of(value))})"


def _short(digest: str | None) -> str:
    return f"{digest[:6]}.." if digest else "none"
