"""Stages of Constitutional AI: the document, answers revised by it, what is trained on, answers compared by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from alidade.constitution.document import NAMES, SHIPPED, find_constitution, shipped_path
from alidade.constitution.judges import judge_cards
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings, Preferred
from alidade.constitution.principles import Constitution
from alidade.constitution.revise import Answered, Revised, Reviser, RevisionSettings, mixed, revisions_to_train_on
from alidade.constitution.wording import WORDINGS
from alidade.errors import DataError
from alidade.pipeline import InputReference, StageContext, Upstream, stage
from alidade.records import Candidates, Demonstration, Record
from alidade.stages.kinds import ANSWERS, COMPARISONS, CONSTITUTION, DEMONSTRATIONS, MODEL, REVISIONS
from alidade.store import Artifact, read_json, read_rows, write_json, write_rows

if TYPE_CHECKING:
    from alidade.models.continuing import ContinuingModel

R = TypeVar("R", bound=Record)
T = TypeVar("T")
CHUNK = 256  # rows asked at once, and kept when a stage is killed: part of a row's chance, so never a setting
DOCUMENT = "constitution.json"
Form = Literal["published", "reviews"]


def _shipped_by_name(value: Any) -> Any:
    """The file of a shipped constitution, so that its words and not its name decide the result."""
    return str(shipped_path(value)) if value in NAMES else value


class ConstitutionConfig(Record):
    """Which constitution."""

    document: Annotated[InputReference, BeforeValidator(_shipped_by_name)] = Field(
        default=SHIPPED,
        validate_default=True,
        description="a YAML file, or the name of one that ships with alidade: `alidade`, `pilot`",
    )


def check_constitution(config: ConstitutionConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the document, keeping nothing."""
    find_constitution(config.document)


@stage("constitution", version=1, reads={}, writes=CONSTITUTION, config=ConstitutionConfig, check=check_constitution)
def constitution(config: ConstitutionConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A constitution as its canonical content, so that equal words are an equal artifact."""
    found = find_constitution(config.document)
    write_json(context.out / DOCUMENT, found.model_dump(mode="json"))
    context.note("version", found.version)
    context.note("principles", len(found.principles))


class ReviseConfig(Record):
    """How answers are criticised and revised."""

    wording: Form = Field(default="published", description="the form in which the critic is asked")
    revision: RevisionSettings = RevisionSettings()


@stage(
    "revise",
    version=1,
    reads={"critic": MODEL, "constitution": CONSTITUTION, "answers": ANSWERS},
    writes=REVISIONS,
    config=ReviseConfig,
)
def revise(config: ReviseConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The first answer to each prompt, criticised and revised step by step ([B22] section 3.1); held-out prompts are left alone."""
    answered = [
        Answered(prompt=row.prompt, answer=row.answers[0].text)
        for row in read_rows(inputs["answers"].path / "rows.jsonl", Candidates)
        if row.answers[0].text
    ]
    reviser = Reviser(
        _model(inputs["critic"]), _document(inputs["constitution"]), WORDINGS[config.wording], config.revision
    )

    def made(rows: Sequence[Answered], chunk: int) -> list[Revised]:
        return reviser.revise(rows, context.seed, chunk)

    revised = _in_chunks(answered, made, Revised, context, "revising")
    write_rows(context.out / "rows.jsonl", revised)
    faults = [step.fault for row in revised for step in row.steps if step.fault]
    write_json(
        context.out / "counts.json",
        {"rows": len(revised), "failed steps": {fault: faults.count(fault) for fault in sorted(set(faults))}},
    )
    context.note("prompts", len(revised))
    context.note("failed_steps", len(faults))


class RevisionsConfig(Record):
    """What of the revisions is trained on, and how much help is mixed in."""

    helpful_share: float = Field(
        default=0.6,
        ge=0,
        lt=1,
        description="share of the rows that are answers to harmless prompts, as they were given",
    )


@stage(
    "revisions",
    version=1,
    reads={"revisions": REVISIONS, "helpful": ANSWERS.if_given()},
    writes=DEMONSTRATIONS,
    config=RevisionsConfig,
)
def revisions(config: RevisionsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The revisions of all steps, mixed with helpful answers ([B22] section 3.2)."""
    rows = read_rows(inputs["revisions"].path / "rows.jsonl", Revised)
    helpful = _helpful(inputs["helpful"]) if "helpful" in inputs else []
    try:
        together = mixed(revisions_to_train_on(rows), helpful, config.helpful_share if helpful else 0.0, context.seed)
    except ValueError as error:
        raise DataError(str(error), hint="sample more helpful answers, or lower helpful_share") from error
    write_rows(context.out / "rows.jsonl", together)
    revised = sum(row.source == "constitution" for row in together)
    write_json(context.out / "counts.json", {"rows": len(together), "revisions": revised})
    context.note("revisions", revised)
    context.note("helpful", len(together) - revised)


def _helpful(answers: Artifact) -> list[Demonstration]:
    """Every finished answer as a demonstration."""
    return [
        Demonstration(id=f"{row.prompt.id}/helpful{number}", prompt=row.prompt.conversation, answer=answer.text)
        for row in read_rows(answers.path / "rows.jsonl", Candidates)
        for number, answer in enumerate(row.answers)
        if answer.finished and answer.text
    ]


class PreferConfig(Record):
    """How two answers are compared."""

    wording: Form = Field(default="published", description="the form in which the judge is asked")
    pairs_per_prompt: int = Field(
        default=1,
        ge=1,
        description="comparisons of different answers to each prompt: the first with the second, the second with the next",
    )
    preference: PreferenceSettings = PreferenceSettings()


@stage(
    "prefer",
    version=1,
    reads={"judge": MODEL, "constitution": CONSTITUTION, "answers": ANSWERS},
    writes=COMPARISONS,
    config=PreferConfig,
)
def prefer(config: PreferConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Different answers to each prompt compared by principles ([B22] section 4.1); every judgement, and the judge's cards."""
    feedback = Feedback(
        _model(inputs["judge"]), _document(inputs["constitution"]), WORDINGS[config.wording], config.preference
    )
    labelled: list[Preferred] = []
    for name in ("rows", "heldout"):
        pairs = _pairs(inputs["answers"].path / f"{name}.jsonl", config.pairs_per_prompt)

        def made(rows: Sequence[Pair], chunk: int) -> list[Preferred]:
            return feedback.compare(rows, context.seed, chunk)

        found = _in_chunks(pairs, made, Preferred, context, f"comparing {name}")
        write_rows(context.out / f"{name}.jsonl", [row.comparison for row in found])
        labelled += found
    if not labelled:
        raise DataError("no prompt has two different answers", hint="sample more answers to each prompt")
    write_rows(context.out / "judgements.jsonl", labelled)
    cards = judge_cards(labelled)
    write_json(context.out / "cards.json", [card.model_dump(mode="json") for card in cards])
    write_json(context.out / "counts.json", {"rows": len(labelled)})
    context.note("comparisons", len(labelled))
    context.note("flips", round(cards[0].flips.mean, 3))


def _pairs(path: Path, per_prompt: int) -> list[Pair]:
    """Neighbours among each prompt's different answers; three or more close a circle."""
    pairs = list[Pair]()
    for row in read_rows(path, Candidates):
        texts = list(dict.fromkeys(answer.text for answer in row.answers if answer.text))
        rights = texts[1:] + (texts[:1] if len(texts) > 2 else [])
        for number, (left, right) in enumerate(list(zip(texts, rights, strict=False))[:per_prompt]):
            name = f"{row.prompt.id}/{number}" if number else row.prompt.id
            pairs.append(Pair(id=name, prompt=row.prompt.conversation, left=left, right=right))
    return pairs


def _in_chunks(
    rows: Sequence[T],
    made: Callable[[Sequence[T], int], list[R]],
    record: type[R],
    context: StageContext,
    label: str,
) -> list[R]:
    """What `made` makes of the rows, chunk by chunk; what a killed run had finished is read and not made again."""
    results: list[R] = []
    kept = context.scratch / label.replace(" ", "-")
    kept.mkdir(parents=True, exist_ok=True)
    with context.progress.track(len(rows), label, "rows") as tracker:
        for chunk, start in enumerate(range(0, len(rows), CHUNK)):
            part, path = rows[start : start + CHUNK], kept / f"{chunk:06d}.jsonl"
            if not path.exists():
                write_rows(path, made(part, chunk))
            results += read_rows(path, record)
            tracker.advance(len(part))
    return results


def _document(artifact: Artifact) -> Constitution:
    return Constitution.model_validate(read_json(artifact.path / DOCUMENT))


def _model(artifact: Artifact) -> ContinuingModel:
    from alidade.models.continuing import ContinuingModel
    from alidade.models.local import load

    return ContinuingModel(load(artifact.path))
