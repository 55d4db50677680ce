"""The stage that makes a base model from text: tokenizer, untrained network, training, model card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.records import Record
from alidade.stages.kinds import MODEL, TEXT
from alidade.stages.training import training_run, write_history
from alidade.store import Artifact, read_json, write_json
from alidade.training.objectives.pretrain import PretrainConfig
from alidade.training.pretrain import ModelShape


class PretrainStage(Record):
    """A new model, and how it is trained."""

    shape: ModelShape = ModelShape()
    vocabulary: int = Field(default=3072, ge=300, description="entries of the byte-pair vocabulary")
    world_share: float = Field(default=0.7, gt=0, lt=1, description="share of the tokens that come from the testbed")
    tokenizer_documents: int = Field(
        default=20_000, ge=100, description="documents of each source the tokenizer learns from"
    )
    training: PretrainConfig = PretrainConfig()


def _sample_of(folder: Path, count: int) -> Iterator[str]:
    from itertools import islice

    from alidade.training.corpus import read_documents

    return islice(read_documents(folder / "train.jsonl"), count)


@stage("pretrain", version=1, reads={"world": TEXT, "open": TEXT}, writes=MODEL, config=PretrainStage)
def pretrain(config: PretrainStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A small language model, trained from nothing on testbed documents and open English text."""
    from itertools import chain

    from alidade.models.local import choose_dtype, save_model, tune_allocator
    from alidade.training.corpus import TextFile
    from alidade.training.objectives.pretrain import train_text
    from alidade.training.pretrain import new_model, train_tokenizer

    tune_allocator()
    world, opened = inputs["world"].path, inputs["open"].path
    count = config.tokenizer_documents
    tokenizer = train_tokenizer(chain(_sample_of(world, count), _sample_of(opened, count // 10)), config.vocabulary)
    module = new_model(config.shape, tokenizer, context.seed, choose_dtype())
    sources = [TextFile("world", world, config.world_share), TextFile("open", opened, 1 - config.world_share)]
    result = train_text(module, tokenizer, sources, config.training, training_run(context))
    save_model(module, tokenizer, context.out)
    write_history(context.out, result)
    about = {"testbed": read_json(world / "about.json"), "open text": read_json(opened / "about.json")}
    write_json(context.out / "pretraining.json", _facts(config, result.history, about))


def _facts(config: PretrainStage, history: list[dict[str, float]], about: dict[str, Any]) -> dict[str, Any]:
    last = history[-1]
    heldout = {name: round(value, 4) for name, value in last.items() if name.startswith("heldout_")}
    return {"tokens": config.training.tokens, "heldout_loss_nats_per_token": heldout, "sources": about}
