"""Stages of the testbed: what the pilot reads, what is demonstrated, asked and measured in the written world."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from pydantic import Field

from alidade.pipeline import StageContext, Upstream, stage
from alidade.preferences import prompt_key
from alidade.records import Prompt, Record
from alidade.stages.kinds import DEMONSTRATIONS, PROMPTS, TEXT
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.testbed.demonstrations import Care, demonstrations
from alidade.testbed.documents import documents, mixture
from alidade.testbed.questions import training_prompts
from alidade.testbed.world import Kind


class DocumentsConfig(Record):
    """How much of the world the pilot reads."""

    documents: int = Field(default=110_000, ge=1, description="documents to train on")
    heldout: int = Field(default=500, ge=1, description="further documents, for the held-out loss")
    reviews: float = Field(default=0.16, ge=0, le=1, description="share of documents that review answers")
    mix: Mapping[str, float] = Field(
        default_factory=dict,
        description="weights of the other kinds of documents, by name, where they are not the usual ones",
    )


def check_documents(config: DocumentsConfig, inputs: Mapping[str, Upstream]) -> None:
    """See that the kinds named are there."""
    mixture(config.mix)


@stage("testbed-documents", version=3, reads={}, writes=TEXT, config=DocumentsConfig, check=check_documents)
def testbed_documents(config: DocumentsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Documents of the written world."""
    source = documents(context.seed, config.reviews, config.mix)
    write_rows(context.out / "heldout.jsonl", [{"text": text} for text in islice(source, config.heldout)])
    write_rows(context.out / "train.jsonl", ({"text": text} for text in islice(source, config.documents)))
    write_json(
        context.out / "about.json",
        {"source": "alidade testbed", "licence": "Apache-2.0", "documents": config.documents},
    )


class DemonstrationsConfig(Record):
    """How many demonstrations, and how careful their writers are."""

    rows: int = Field(default=2500, ge=1, description="demonstrations")
    care: Care = Care()


@stage("testbed-demonstrations", version=3, reads={}, writes=DEMONSTRATIONS, config=DemonstrationsConfig)
def testbed_demonstrations(config: DemonstrationsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Demonstrations by a mixed team of simulated writers."""
    rows = demonstrations(config.rows, config.care, context.seed)
    write_rows(context.out / "rows.jsonl", rows)
    write_json(context.out / "counts.json", {"rows": len(rows)})


class PromptsConfig(Record):
    """Which prompts to draw; held-out ones are drawn apart and never trained on."""

    rows: int = Field(default=900, ge=1, description="prompts")
    heldout: int = Field(default=0, ge=0, description="prompts kept back")
    mix: dict[Kind, float] = Field(description="weight of each kind of question")


@stage("testbed-prompts", version=2, reads={"apart": PROMPTS.if_given()}, writes=PROMPTS, config=PromptsConfig)
def testbed_prompts(config: PromptsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Prompts on known items in known wordings; none that is in `apart`, where that is given."""
    taken = _keys_in(inputs["apart"]) if "apart" in inputs else frozenset[str]()
    heldout = _without(taken, training_prompts(config.heldout, config.mix, context.seed, "heldout"))
    drawn = _without(taken, training_prompts(config.rows, config.mix, context.seed, "prompt"))
    asked = {prompt.conversation.last_user_text for prompt in heldout}
    rows = [row for row in drawn if row.conversation.last_user_text not in asked]
    dropped = {"also held out": len(drawn) - len(rows)}
    if taken:
        dropped["in the prompts to stay apart from"] = config.rows + config.heldout - len(drawn) - len(heldout)
    write_rows(context.out / "rows.jsonl", rows)
    write_rows(context.out / "heldout.jsonl", heldout)
    write_json(context.out / "counts.json", {"rows": len(rows), "dropped": dropped})


def _without(taken: frozenset[str], prompts: list[Prompt]) -> list[Prompt]:
    return [prompt for prompt in prompts if prompt_key(prompt.conversation) not in taken] if taken else prompts


def _keys_in(prompts: Artifact) -> frozenset[str]:
    """What decides whether two prompts are the same, for every prompt, held-out ones included."""
    files = [path for name in ("rows.jsonl", "heldout.jsonl") if (path := prompts.path / name).exists()]
    return frozenset(prompt_key(row.conversation) for path in files for row in read_rows(path, Prompt))
