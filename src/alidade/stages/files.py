"""Stages that bring a user's own things into a run: a model, demonstrations, comparisons, feedback, prompts.

Files are read once before anything runs (`check`), so that a bad row stops a recipe before its folder exists. All
kinds are split by the same rule, seed and share: a prompt held out of one is held out of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, Field

from alidade.errors import DataError, ModelError
from alidade.hub import refuse_missing
from alidade.pipeline import InputFile, InputReference, StageContext, Upstream, stage
from alidade.preferences import (
    Loaded,
    read_demonstrations,
    read_feedback,
    read_judgements,
    read_prompts,
    split_by_prompt,
    take,
    together,
)
from alidade.records import Comparison, Demonstration, Feedback, Prompt, Ranking, Record
from alidade.stages.judged import write_split
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, FEEDBACK, MODEL, PROMPTS
from alidade.stages.pilot import PilotConfig
from alidade.store import Artifact, write_json
from alidade.testbed.pilot import pilot_folder

if TYPE_CHECKING:
    from alidade.models.local import LocalModel

T = TypeVar("T", Demonstration, Comparison | Ranking, Feedback, Prompt)
Row = Demonstration | Comparison | Ranking | Feedback | Prompt
PILOT = "pilot"
TOO_LONG = "longer than the model's context"
OVER_TOKENS = "longer than max_tokens"
OVER_LIMIT = "over the limit"
NO_END = 1 << 40


def _pilot_by_name(value: Any) -> Any:
    return str(pilot_folder()) if value == PILOT else value


def listed(value: Any) -> Any:
    """One value as a list of it; several as they are."""
    return [value] if isinstance(value, str | Path) else value


class FilesConfig(Record):
    """Which files are read, and how."""

    file: Annotated[list[InputFile], BeforeValidator(listed)] = Field(
        min_length=1, description="one file or several: .jsonl, .jsonl.gz, .json or .parquet"
    )
    format: str = Field(default="auto", description="the name of a format; `auto` tells it from the columns")
    limit: int | None = Field(
        default=None, ge=1, description="records in all, drawn by chance, whole prompts; all where absent"
    )
    max_tokens: int | None = Field(
        default=None,
        ge=8,
        description="longest prompt with its answer, in tokens; longer records are left out and counted",
    )
    allow_dropped: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a file's rows that may be unusable; such rows are left out and counted",
    )
    heldout_share: float = Field(default=0.1, ge=0, lt=1, description="share of the prompts kept back from training")
    split_seed: int = Field(default=0, description="which prompts are kept back; the same in every stage of a recipe")


class PromptFilesConfig(FilesConfig):
    """Which files of prompts are read, and how."""

    answer_room: int = Field(default=128, ge=1, description="tokens that must be left in the context for the answer")


class ModelFolderConfig(Record):
    """The model to start from."""

    path: Annotated[InputReference, BeforeValidator(_pilot_by_name)] = Field(
        default=PILOT,
        validate_default=True,
        description="a folder, a hub id, or `pilot` for the model that ships with alidade; or a folder with a peft adapter",
    )
    base: InputReference | None = Field(
        default=None,
        description="the model that an adapter belongs to; an adapter's own word for it is not in the lineage",
    )


@dataclass(frozen=True)
class Ruler:
    """Measures records in a model's tokens."""

    renderer: Any
    context_length: int | None

    def length(self, row: Row) -> int:
        """Tokens of a record's longest row: the prompt and the answer, stop token included."""
        if isinstance(row, Prompt):
            return len(self.renderer.prompt(row.conversation))
        answers = _answers_in(row)
        return len(self.renderer.prompt(row.prompt)) + max(
            len(self.renderer.answer(row.prompt, text)) for text in answers
        )


def _answers_in(row: Demonstration | Comparison | Ranking | Feedback) -> tuple[str, ...]:
    if isinstance(row, Ranking):
        return row.answers
    return (row.left, row.right) if isinstance(row, Comparison) else (row.answer,)


@dataclass(frozen=True)
class Gathered(Generic[T]):
    """The records of all files, what was left out by reason, and the numbers of each file."""

    rows: list[T]
    dropped: Counter[str]
    files: list[dict[str, object]]


def _gather(config: FilesConfig, read: Callable[..., Loaded[T]], ruler: Ruler | None) -> Gathered[T]:
    rows: list[T] = []
    dropped: Counter[str] = Counter()
    files: list[dict[str, object]] = []
    for path in config.file:
        loaded = read(path, config.format, allow_dropped=config.allow_dropped)
        kept = loaded.rows if ruler is None else _fitting(loaded.rows, path, config, ruler, dropped)
        dropped.update(loaded.dropped)
        files.append({"name": path.name, **loaded.counts()})
        rows += kept
    if not rows:
        raise DataError("no record is left", where=", ".join(map(str, config.file)), hint=f"left out: {dict(dropped)}")
    return Gathered(rows, dropped, files)


def _fitting(rows: Sequence[T], path: Path, config: FilesConfig, ruler: Ruler, dropped: Counter[str]) -> list[T]:
    """The records that fit into the context, and into `max_tokens` where the user asks for less.

    Raises:
        DataError: when more than the allowed share does not fit into the context.
    """
    room = NO_END if ruler.context_length is None else ruler.context_length
    room -= config.answer_room if isinstance(config, PromptFilesConfig) else 0
    wanted = room if config.max_tokens is None else min(config.max_tokens, room)
    lengths = [_length(row, path, ruler) for row in rows]
    too_long = [row for row, length in zip(rows, lengths, strict=True) if length > wanted]
    by_choice = config.max_tokens is not None and config.max_tokens <= room
    if too_long and not by_choice and len(too_long) > config.allow_dropped * len(rows):
        raise DataError(
            f"{TOO_LONG}: {len(too_long)} of {len(rows)} records have over {room} tokens, the longest {max(lengths)}",
            where=f"{path} ({too_long[0].id})",
            hint=f"shorten them, use a model with a longer context, or set max_tokens to {room} to leave them out",
        )
    dropped[OVER_TOKENS if by_choice else TOO_LONG] += len(too_long)
    return [row for row, length in zip(rows, lengths, strict=True) if length <= wanted]


def _length(row: Row, path: Path, ruler: Ruler) -> int:
    try:
        return ruler.length(row)
    except DataError as error:
        raise DataError(error.what, where=f"{path} ({row.id})", hint=error.hint) from error


def _write(gathered: Gathered[T], config: FilesConfig, context: StageContext) -> None:
    limit = len(gathered.rows) if config.limit is None else config.limit
    rows = take(gathered.rows, limit, config.split_seed)
    gathered.dropped[OVER_LIMIT] += len(gathered.rows) - len(rows)
    split = split_by_prompt(rows, config.heldout_share, config.split_seed)
    if not split.train:
        raise DataError(
            "no record is left to train on", where=str(config.file[0]), hint="lower heldout_share or add rows"
        )
    if config.heldout_share and not split.heldout:
        context.warn(f"none of {len(rows)} records is held out: nothing can be measured on unseen prompts")
    rankings = write_split(context.out, split.train, split.heldout)
    dropped = {reason: count for reason, count in sorted(gathered.dropped.items()) if count}
    numbers = {"rows": len(split.train), "heldout": len(split.heldout), "dropped": dropped, "files": gathered.files}
    write_json(context.out / "counts.json", numbers | ({"rankings": rankings} if rankings else {}))
    context.note("rows", len(split.train))
    context.note("heldout", len(split.heldout))
    context.note("dropped", sum(dropped.values()))


def _open(place: Path | str, base: str | None) -> LocalModel:
    """A user's model.

    Raises:
        ModelError: when it cannot be found, or is an adapter whose base the recipe does not name.
    """
    for address in (place, base):
        if address is not None:
            refuse_missing(address)
    from alidade.models.adapters import is_adapter
    from alidade.models.local import load

    if base is None and is_adapter(Path(place)):
        raise ModelError(
            "the recipe does not name the base of an adapter",
            where=str(place),
            hint="name its folder beside the adapter's, such as --set base.base=FOLDER, so that the run knows what it stood on",
        )
    return load(place, base=base)


@lru_cache(maxsize=4)
def open_ruler(place: Path | str, base: str | None = None) -> Ruler:
    """The ruler of a model, which is opened whole, so that one that cannot be used is refused."""
    model = _open(place, base)
    return Ruler(model.renderer, model.context_length)


def _ruler_of(inputs: Mapping[str, Artifact]) -> Ruler | None:
    return open_ruler(inputs["model"].path) if "model" in inputs else None


def _ruler_before(inputs: Mapping[str, Upstream]) -> Ruler | None:
    """The ruler of a model that is not yet an artifact, where its stage tells what it will be."""
    origin = inputs.get("model")
    if origin is not None and isinstance(origin.config, ModelFolderConfig):
        return open_ruler(origin.config.path, origin.config.base)
    if origin is not None and isinstance(origin.config, PilotConfig):
        return open_ruler(origin.config.weights)
    return None


def check_demonstrations(config: FilesConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the files and measure their records, keeping nothing."""
    _gather(config, read_demonstrations, _ruler_before(inputs))


def check_comparisons(config: FilesConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the files and measure their records, keeping nothing."""
    _gather(config, read_judgements, _ruler_before(inputs))


def check_feedback(config: FilesConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the files and measure their records, keeping nothing."""
    _gather(config, read_feedback, _ruler_before(inputs))


def check_prompts(config: PromptFilesConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the files and measure their records, keeping nothing."""
    _gather(config, read_prompts, _ruler_before(inputs))


def check_model(config: ModelFolderConfig, inputs: Mapping[str, Upstream]) -> None:
    """Open the model: its weights, its tokenizer, its chat template."""
    open_ruler(config.path, config.base)


@stage(
    "demonstrations-file",
    version=1,
    reads={"model": MODEL.if_given()},
    writes=DEMONSTRATIONS,
    config=FilesConfig,
    check=check_demonstrations,
)
def demonstrations_file(config: FilesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Demonstrations from a user's files."""
    _write(_gather(config, read_demonstrations, _ruler_of(inputs)), config, context)


@stage(
    "comparisons-file",
    version=2,
    reads={"model": MODEL.if_given()},
    writes=COMPARISONS,
    config=FilesConfig,
    check=check_comparisons,
)
def comparisons_file(config: FilesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Comparisons, and rankings of several answers, from a user's files."""
    gathered = _gather(config, read_judgements, _ruler_of(inputs))
    _write(Gathered(together(gathered.rows), gathered.dropped, gathered.files), config, context)


@stage(
    "feedback-file",
    version=1,
    reads={"model": MODEL.if_given()},
    writes=FEEDBACK,
    config=FilesConfig,
    check=check_feedback,
)
def feedback_file(config: FilesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Answers judged one by one, from a user's files; files of comparisons count as feedback on both answers."""
    gathered = _gather(config, read_feedback, _ruler_of(inputs))
    context.note("desirable", round(fmean(row.label_prob for row in gathered.rows), 4))
    _write(gathered, config, context)


@stage(
    "prompts-file",
    version=2,
    reads={"model": MODEL.if_given()},
    writes=PROMPTS,
    config=PromptFilesConfig,
    check=check_prompts,
)
def prompts_file(config: PromptFilesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Prompts from a user's files."""
    _write(_gather(config, read_prompts, _ruler_of(inputs)), config, context)


@stage("model-folder", version=1, reads={}, writes=MODEL, config=ModelFolderConfig, check=check_model)
def model_folder(config: ModelFolderConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A user's own model as a plain folder."""
    from alidade.models.local import save_model

    model = _open(config.path, config.base)
    save_model(model.module, model.tokenizer, context.out)
