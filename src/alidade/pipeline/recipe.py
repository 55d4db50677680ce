"""A recipe: a named list of stages, read from YAML and checked as a whole before anything runs.

::

    name: tour
    seed: 0
    stages:
      sft: {use: sft, in: {model: base, demonstrations: demos}, with: {lr: 6.0e-4}}
    quick:                # with --quick these values replace those above; mappings are merged
      sft: {rows: 300}
    report: {...}         # handed to the report; under `ways` names are given to stages, the rest is as the report takes it

`use` may be left out where the stage has the registered stage's own name.
`--set sft.lr=1e-4` is short for `--set stages.sft.with.lr=1e-4`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from alidade.digest import canonical_json
from alidade.errors import RecipeError
from alidade.pipeline.marks import Place, missing_inputs, result_bearing
from alidade.pipeline.stage import ANY_NAME, Stage, Upstream, stage_named
from alidade.registry import did_you_mean
from alidade.seeds import derive
from alidade.store import explain_invalid
from alidade.yaml_source import Source, read_source, read_value

_FIELDS = ("name", "about", "seed", "stages", "quick", "report")
_STAGE_FIELDS = ("use", "in", "with")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class StageUse:
    """One stage of a recipe: what it is, where its inputs come from, and its checked config.

    `asked` is the result-bearing part of the config.
    """

    name: str
    stage: Stage
    inputs: Mapping[str, str]
    config: BaseModel
    asked: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; `stages` is in an order in which they can run."""

    name: str
    seed: int
    stages: Mapping[str, StageUse]
    report: Mapping[str, Any]
    about: str = ""
    path: str = ""
    sets: tuple[str, ...] = ()
    is_quick: bool = False

    def seed_of(self, stage: str) -> int:
        """The seed of one stage: its own stream of chance."""
        return derive(self.seed, stage)

    def resolved(self) -> dict[str, Any]:
        """The whole recipe as JSON, every default filled in."""
        stages = {
            name: {"use": use.stage.name, "in": dict(use.inputs), "with": use.config.model_dump(mode="json")}
            for name, use in self.stages.items()
        }
        return {
            "name": self.name,
            "about": self.about,
            "seed": self.seed,
            "stages": stages,
            "report": dict(self.report),
        }

    def options(self) -> str:
        """The command-line arguments that give this recipe again."""
        parts = [self.path, *(["--quick"] if self.is_quick else []), "--seed", str(self.seed)]
        for one in self.sets:
            parts += ["--set", one]
        return shlex.join(parts)

    def upstream(self, stage: str) -> dict[str, Upstream]:
        """What feeds each input of a stage, all the way up."""
        return {
            name: Upstream(source, self.stages[source].config, self.upstream(source))
            for name, source in self.stages[stage].inputs.items()
        }


def load_recipe(path: Path, sets: Sequence[str] = (), *, quick: bool = False, seed: int | None = None) -> Recipe:
    """The recipe in a YAML file, with `--set` values, checked.

    Raises:
        RecipeError: with file:line and a hint, for whatever would keep it from running.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError("no such recipe", where=str(path), hint="check the path; it is relative to here") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the recipe cannot be read: {error}", where=str(path)) from error
    source = read_source(text, str(path))
    _known_fields(source, (), _FIELDS)
    stages = _stage_tables(source)
    _overlay(source, stages, apply=quick)
    for one in sets:
        _set(source, stages, one)
    if seed is not None:
        source.put(("seed",), seed, "--seed")
    return _recipe(source, tuple(sets), is_quick=quick)


def _recipe(source: Source, sets: tuple[str, ...], *, is_quick: bool) -> Recipe:
    _known_fields(source, (), _FIELDS)
    uses = {name: _use(name, source) for name in _stage_tables(source)}
    for use in uses.values():
        _check_inputs(use, uses, source)
    name, seed = source.tree.get("name", Path(source.file).stem), source.tree.get("seed", 0)
    if not isinstance(name, str) or not name:
        raise RecipeError("`name` must be text", where=source.where("name"))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise RecipeError("`seed` must be a whole number, 0 or more", where=source.where("seed"))
    return Recipe(
        name=name,
        seed=seed,
        stages=_in_order(uses, source),
        report=_report(source, uses),
        about=str(source.tree.get("about") or ""),
        path=source.file,
        sets=sets,
        is_quick=is_quick,
    )


def _report(source: Source, uses: Mapping[str, StageUse]) -> dict[str, Any]:
    """What is handed to the report: the stages it names under `ways` must be there."""
    report = _mapping_at(source, "report")
    for way, stage in _mapping_at(source, "report", "ways").items():
        if not isinstance(stage, str) or stage not in uses:
            raise RecipeError(
                f"way `{way}` is `{stage}`, which is no stage of this recipe",
                where=source.where("report", "ways", way),
                hint=did_you_mean(str(stage), uses),
            )
    return report


def _stage_tables(source: Source) -> dict[str, Any]:
    stages = _mapping_at(source, "stages")
    if not stages:
        raise RecipeError("the recipe has no stages", where=source.where("stages"), hint="list them under `stages:`")
    for name in stages:
        if not _NAME.fullmatch(name):
            raise RecipeError(
                f"`{name}` is no name for a stage",
                where=source.where("stages", name),
                hint="use letters, digits, - and _",
            )
        table = _mapping_at(source, "stages", name)
        source.tree["stages"][name] = table
        _known_fields(source, ("stages", name), _STAGE_FIELDS)
    return stages


def _overlay(source: Source, stages: Mapping[str, Any], *, apply: bool) -> None:
    """Check the `quick` section always, and let its values replace those of the stages when it is asked for."""
    quick = _mapping_at(source, "quick")
    for name in quick:
        if name not in stages:
            raise RecipeError(
                f"`quick` names a stage `{name}` that is not in the recipe",
                where=source.where("quick", name),
                hint=did_you_mean(name, stages),
            )
        known = _stage(name, source).config.model_fields
        for field, value in _mapping_at(source, "quick", name).items():
            where = source.where("quick", name, field)
            if field not in known:
                raise RecipeError(f"unknown field `{field}`", where=where, hint=did_you_mean(field, known))
            if apply:
                _merge(source, ("stages", name, "with", field), value, ("quick", name, field))


def _merge(source: Source, place: Place, value: Any, origin: Place) -> None:
    """Put an overlay's value in its place: mappings field by field, anything else as a whole."""
    if isinstance(value, dict) and value:
        for field, below in cast("dict[str, Any]", value).items():
            _merge(source, (*place, field), below, (*origin, field))
    else:
        source.put(place, value, source.places[origin])


def _set(source: Source, stages: Mapping[str, Any], assignment: str) -> None:
    place, sign, text = assignment.partition("=")
    where = f"--set {assignment}"
    parts = place.strip().split(".")
    if not sign or not all(parts):
        raise RecipeError("`--set` takes NAME=VALUE", where=where, hint="for instance --set sft.lr=1e-4")
    if parts[0] not in _FIELDS:
        if parts[0] not in stages:
            raise RecipeError(f"the recipe has no stage `{parts[0]}`", where=where, hint=did_you_mean(parts[0], stages))
        if len(parts) < 2:
            raise RecipeError("`--set` must name a field of the stage", where=where, hint=f"{parts[0]}.FIELD=VALUE")
        parts = ["stages", parts[0], "with", *parts[1:]]
    source.put(tuple(parts), read_value(text, where), where)


def _use(name: str, source: Source) -> StageUse:
    stage = _stage(name, source)
    inputs = _mapping_at(source, "stages", name, "in")
    config = _config(name, stage, source)
    faults = missing_inputs(config)
    if faults:
        place, fault = faults[0]
        raise RecipeError(
            fault,
            where=source.where("stages", name, "with", *place),
            hint="paths are relative to the current directory",
        )
    asked = result_bearing(config)
    try:
        canonical_json(asked)
    except ValueError as error:
        raise RecipeError(
            "a number is not finite", where=source.where("stages", name, "with"), hint="nan and inf are no settings"
        ) from error
    return StageUse(name, stage, inputs, config, asked, source.where("stages", name))


def _stage(name: str, source: Source) -> Stage:
    use = source.tree["stages"][name].get("use", name)
    try:
        return stage_named(str(use))
    except RecipeError as error:
        raise RecipeError(error.what, where=source.where("stages", name, "use"), hint=error.hint) from error


def _config(name: str, stage: Stage, source: Source) -> BaseModel:
    values = _mapping_at(source, "stages", name, "with")
    try:
        return stage.config.model_validate(_over_defaults(stage.config, values))
    except ValidationError as error:
        first = error.errors()[0]
        where = source.where("stages", name, "with", *first["loc"])
        if first["type"] == "extra_forbidden":
            *above, field = first["loc"]
            known = _fields_below(stage.config, above)
            raise RecipeError(f"unknown field `{field}`", where=where, hint=did_you_mean(str(field), known)) from error
        raise RecipeError(explain_invalid(error), where=where, hint=_describe(stage.config, first["loc"])) from error


def _over_defaults(config: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`; a record given in part keeps the stage's own defaults for the rest, not those of the record's class."""
    defaults = {name: field.default for name, field in config.model_fields.items()}
    return {name: _laid_over(defaults.get(name), value) for name, value in values.items()}


def _laid_over(default: Any, value: Any) -> Any:
    if not (isinstance(default, BaseModel) and isinstance(value, Mapping)):
        return value
    merged: dict[str, Any] = {name: getattr(default, name) for name in type(default).model_fields}
    for name, given in cast("Mapping[str, Any]", value).items():
        merged[name] = _laid_over(merged.get(name), given)
    return merged


def _fields_below(config: type[BaseModel], place: Sequence[str | int]) -> Iterable[str]:
    """The field names of the record at a place inside a config class."""
    parts = iter(place)
    for part in parts:
        field = config.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if field is None or not below:
            return ()
        if get_origin(field.annotation) is dict:
            next(parts, None)  # a key, which is any name
        config = below[0]
    return config.model_fields


def _describe(config: type[BaseModel], place: Sequence[str | int]) -> str | None:
    """What the config class says about a field, as a hint."""
    field = config.model_fields.get(str(place[0])) if place else None
    return f"`{place[0]}` is: {field.description}" if field is not None and field.description else None


def _check_inputs(use: StageUse, uses: Mapping[str, StageUse], source: Source) -> None:
    for name, origin in use.inputs.items():
        where = source.where("stages", use.name, "in", name)
        kind = use.stage.kind_of(name)
        if kind is None:
            raise RecipeError(f"unknown input `{name}`", where=where, hint=did_you_mean(name, use.stage.reads))
        if not isinstance(cast(object, origin), str) or origin not in uses:
            raise RecipeError(
                f"input `{name}` comes from `{origin}`, which is no stage of this recipe",
                where=where,
                hint=did_you_mean(str(origin), [other for other in uses if other != use.name]),
            )
        wanted, given = kind.name, uses[origin].stage.writes.name
        if wanted != given:
            fitting = [other.name for other in uses.values() if other.stage.writes.name == wanted]
            raise RecipeError(
                f"input `{name}` wants {wanted}, but `{origin}` makes {given}",
                where=where,
                hint=f"stages that make {wanted}: {_listed(fitting) or 'none here'}" + _other_names(name, use.stage),
            )
    for name, kind in use.stage.reads.items():
        if name not in use.inputs and not kind.is_optional:
            raise RecipeError(
                f"stage `{use.name}` lacks its input `{name}` ({kind.name})",
                where=source.where("stages", use.name),
                hint=f"add `in: {{{name}: STAGE}}`",
            )


def _other_names(name: str, stage: Stage) -> str:
    """The inputs that have a name of their own, for one that was taken for an input of any name."""
    named = sorted(set(stage.reads) - {ANY_NAME})
    return "" if name in stage.reads else f"; inputs of other kinds: {_listed(named)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _in_order(uses: Mapping[str, StageUse], source: Source) -> dict[str, StageUse]:
    """The stages so that inputs come first, else in the order they are written."""
    done: dict[str, StageUse] = {}
    while len(done) < len(uses):
        ready = next(
            (use for name, use in uses.items() if name not in done and set(use.inputs.values()) <= set(done)), None
        )
        if ready is None:
            stuck = [name for name in uses if name not in done]
            raise RecipeError(
                "stages wait for one another in a circle: " + ", ".join(f"`{name}`" for name in stuck),
                where=source.where("stages", stuck[0]),
                hint="let one of them read from an earlier stage",
            )
        done[ready.name] = ready
    return done


def _mapping_at(source: Source, *place: str) -> dict[str, Any]:
    here: Any = source.tree
    for part in place:
        here = here.get(part)
        if here is None:
            return {}
    if not isinstance(here, dict):
        raise RecipeError(f"`{place[-1]}` must be a mapping of fields", where=source.where(*place))
    return cast("dict[str, Any]", here)


def _known_fields(source: Source, place: tuple[str, ...], known: Sequence[str]) -> None:
    for field in _mapping_at(source, *place):
        if field not in known:
            raise RecipeError(
                f"unknown field `{field}`", where=source.where(*place, field), hint=did_you_mean(field, known)
            )
