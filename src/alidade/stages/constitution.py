"""Stages of Constitutional AI: the document, answers revised by it, what is trained on, answers compared by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field

from alidade.constitution.document import NAMES, SHIPPED, find_constitution, shipped_path
from alidade.constitution.examples import Shots, critique_text, reasoned_of
from alidade.constitution.judges import judge_cards
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings, Preferred, pairs_of_candidates
from alidade.constitution.principles import Constitution
from alidade.constitution.revise import Answered, Revised, Reviser, RevisionSettings, mixed, revisions_to_train_on
from alidade.constitution.wording import WORDINGS
from alidade.errors import DataError, UsageError
from alidade.models.continuing import ChatText
from alidade.models.http import Endpoint, HttpModel
from alidade.pipeline import InputReference, StageContext, Upstream, stage
from alidade.records import Candidates, Conversation, Demonstration, Record
from alidade.stages.examples import check_examples, safe_examples
from alidade.stages.files import listed
from alidade.stages.kinds import ANSWERS, COMPARISONS, CONSTITUTION, DEMONSTRATIONS, MODEL, REVISIONS
from alidade.store import Artifact, read_json, read_rows, write_json, write_rows

if TYPE_CHECKING:
    from alidade.models.continuing import ContinuingModel

R = TypeVar("R", bound=Record)
T = TypeVar("T")
CHUNK = 256  # rows asked at once, and kept when a stage is killed: part of a row's chance, so never a setting
DOCUMENT = "constitution.json"
Form = Literal["published", "reviews"]
Examples = Annotated[list[InputReference], BeforeValidator(listed)]


@dataclass(frozen=True)
class Asking(Generic[T, R]):
    """The rows of one file, and what makes a chunk of them; `left_out` are the examples that would have given a prompt away."""

    rows: Sequence[T]
    made: Callable[[Sequence[T], int], list[R]]
    record: type[R]
    shown: Shots
    left_out: Sequence[str]


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
    examples: Examples = Field(
        default=[], description="files of few-shot examples: the published JSON, or `critiques` of one's own in YAML"
    )


def check_revise(config: ReviseConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the examples, keeping nothing."""
    _check_shown(config.examples, config.revision.shots)
    check_examples(config.examples, ["critiques"])


@stage(
    "revise",
    version=1,
    reads={"critic": MODEL, "constitution": CONSTITUTION, "answers": ANSWERS},
    writes=REVISIONS,
    config=ReviseConfig,
    check=check_revise,
)
def revise(config: ReviseConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The first answer to each prompt, criticised and revised step by step ([B22] section 3.1); held-out prompts are left alone."""
    asking = revising(config, inputs, context.seed)
    revised = _in_chunks(asking, context, "revising")
    write_rows(context.out / "rows.jsonl", revised)
    faults = [step.fault for row in revised for step in row.steps if step.fault]
    write_json(
        context.out / "counts.json",
        {"rows": len(revised), "failed steps": {fault: faults.count(fault) for fault in sorted(set(faults))}}
        | _shown(asking, config.examples, context),
    )
    context.note("prompts", len(revised))
    context.note("failed_steps", len(faults))


def revising(config: ReviseConfig, inputs: Mapping[str, Artifact], seed: int) -> Asking[Answered, Revised]:
    """What the stage `revise` asks, chunk by chunk."""
    wording, settings = WORDINGS[config.wording], config.revision
    shots, left_out = safe_examples(config.examples, _prompts(inputs["answers"]))
    answered = [
        Answered(prompt=row.prompt, answer=row.answers[0].text)
        for row in read_rows(inputs["answers"].path / "rows.jsonl", Candidates)
        if row.answers[0].text
    ]
    texts = [critique_text(one, wording, critique=settings.critique) for one in shots.critiques]
    reviser = Reviser(_model(inputs["critic"]), _document(inputs["constitution"]), wording, settings, texts)

    def made(rows: Sequence[Answered], chunk: int) -> list[Revised]:
        return reviser.revise(rows, seed, chunk)

    return Asking(answered, made, Revised, Shots(critiques=shots.critiques), left_out)


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
    examples: Examples = Field(
        default=[],
        description="few-shot examples: the published JSON, `comparisons` or `thoughts` of one's own in YAML, or a folder of people's "
        "votes written by `alidade label export`",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="a chat endpoint that judges by `preference.votes`, in place of the input `judge`"
    )


def check_prefer(config: PreferConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the examples, keeping nothing, and see that there is one judge that can be asked in this way."""
    settings = config.preference
    _check_shown(config.examples, settings.shots)
    check_examples(config.examples, ["thoughts" if settings.thoughts else "comparisons"])
    if (config.endpoint is None) != ("judge" in inputs):
        raise UsageError("one judge is wanted", hint="give the input `judge`, or the setting `endpoint`, not both")
    if config.endpoint is not None and settings.votes is None:
        raise UsageError(
            "an endpoint shows no probabilities of options", hint="set preference.votes, for instance to 8"
        )


@stage(
    "prefer",
    version=1,
    reads={"judge": MODEL.if_given(), "constitution": CONSTITUTION, "answers": ANSWERS},
    writes=COMPARISONS,
    config=PreferConfig,
    check=check_prefer,
)
def prefer(config: PreferConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Different answers to each prompt compared by principles ([B22] section 4.1); every judgement, and the judge's cards."""
    labelled: list[Preferred] = []
    told: dict[str, Any] = {}
    for name, asking in preferring(config, inputs, context.seed).items():
        found = _in_chunks(asking, context, f"comparing {name}")
        write_rows(context.out / f"{name}.jsonl", [row.comparison for row in found])
        labelled += found
        told = told or _shown(asking, config.examples, context)
    if not labelled:
        raise DataError("no prompt has two different answers", hint="sample more answers to each prompt")
    write_rows(context.out / "judgements.jsonl", labelled)
    cards = judge_cards(labelled)
    write_json(context.out / "cards.json", [card.model_dump(mode="json") for card in cards])
    unanswered = sum(bool(one.fault) for row in labelled for one in row.judgements)
    write_json(
        context.out / "counts.json",
        {"rows": len(labelled)} | ({} if config.preference.votes is None else {"no option": unanswered}) | told,
    )
    if unanswered:
        context.warn(f"{unanswered} questions were never answered with an option: their label is one half")
    context.note("comparisons", len(labelled))
    context.note("flips", round(cards[0].flips.mean, 3))


def preferring(
    config: PreferConfig, inputs: Mapping[str, Artifact], seed: int
) -> dict[Literal["rows", "heldout"], Asking[Pair, Preferred]]:
    """What the stage `prefer` asks of each file, chunk by chunk."""
    shots, left_out = safe_examples(config.examples, _prompts(inputs["answers"]))
    reasoned = [reasoned_of(one) for one in shots.thoughts]
    model = _model(inputs["judge"]) if config.endpoint is None else ChatText(HttpModel(config.endpoint))
    settings = config.preference
    document = _document(inputs["constitution"])
    shown = reasoned if settings.thoughts else shots.comparisons
    feedback = Feedback(model, document, WORDINGS[config.wording], settings, shown)

    def made(rows: Sequence[Pair], chunk: int) -> list[Preferred]:
        return feedback.compare(rows, seed, chunk)

    kept = Shots(thoughts=tuple(reasoned)) if settings.thoughts else Shots(comparisons=shots.comparisons)

    def asked(name: str) -> Asking[Pair, Preferred]:
        rows = read_rows(inputs["answers"].path / f"{name}.jsonl", Candidates)
        return Asking(pairs_of_candidates(rows, config.pairs_per_prompt), made, Preferred, kept, left_out)

    return {"rows": asked("rows"), "heldout": asked("heldout")}


def _check_shown(examples: Sequence[str], shots: int) -> None:
    if examples and not shots:
        raise UsageError("examples that are never shown", hint="set `shots` above 0, or leave `examples` out")


def _shown(asking: Asking[Any, Any], examples: Sequence[str], context: StageContext) -> dict[str, Any]:
    """What a count says of the examples; beside it, the examples are written down in the order of their numbers."""
    if not examples:
        return {}
    write_json(context.out / "examples.json", asking.shown)
    for name in asking.left_out:
        context.warn(f"an example is left out, since its prompt is among those asked: {name}")
    return {"examples left out": list(asking.left_out)}


def _prompts(answers: Artifact) -> list[Conversation]:
    """Every prompt that is asked about, and every one that measures."""
    places = [answers.path / name for name in ("rows.jsonl", "heldout.jsonl")]
    return [row.prompt.conversation for place in places for row in read_rows(place, Candidates)]


def _in_chunks(asking: Asking[T, R], context: StageContext, label: str) -> list[R]:
    """What is made of the rows, chunk by chunk; what a killed run had finished is read and not made again."""
    results: list[R] = []
    kept = context.scratch / label.replace(" ", "-")
    kept.mkdir(parents=True, exist_ok=True)
    with context.progress.track(len(asking.rows), label, "rows") as tracker:
        for chunk, start in enumerate(range(0, len(asking.rows), CHUNK)):
            part, path = asking.rows[start : start + CHUNK], kept / f"{chunk:06d}.jsonl"
            if not path.exists():
                write_rows(path, asking.made(part, chunk))
            results += read_rows(path, asking.record)
            tracker.advance(len(part))
    return results


def _document(artifact: Artifact) -> Constitution:
    return Constitution.model_validate(read_json(artifact.path / DOCUMENT))


def _model(artifact: Artifact) -> ContinuingModel:
    from alidade.models.continuing import ContinuingModel
    from alidade.models.local import load

    return ContinuingModel(load(artifact.path))
