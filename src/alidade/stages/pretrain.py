"""The stage that makes a base model from text, from nothing or going on from an earlier one."""

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
from alidade.training.settings import ModelShape, PretrainConfig


class PretrainStage(Record):
    """A model, new unless one is given as input, and how it is trained."""

    shape: ModelShape = Field(default=ModelShape(), description="of a new model")
    vocabulary: int = Field(default=3072, ge=300, description="entries of a new model's byte-pair vocabulary")
    world_share: float = Field(default=0.7, gt=0, lt=1, description="share of the tokens that come from the testbed")
    tokenizer_documents: int = Field(
        default=20_000, ge=100, description="documents of each source the tokenizer learns from"
    )
    training: PretrainConfig = PretrainConfig()


def _sample_of(folder: Path, count: int) -> Iterator[str]:
    from itertools import islice

    from alidade.training.corpus import read_documents

    return islice(read_documents(folder / "train.jsonl"), count)


@stage(
    "pretrain",
    version=2,
    reads={"world": TEXT, "open": TEXT, "model": MODEL.if_given()},
    writes=MODEL,
    config=PretrainStage,
)
def pretrain(config: PretrainStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A small language model, trained on testbed documents and open English text; it goes on from `model` where one is given."""
    from alidade.models.local import save_model, tune_allocator
    from alidade.training.corpus import TextFile
    from alidade.training.objectives.pretrain import train_text

    tune_allocator()
    world, opened = inputs["world"].path, inputs["open"].path
    module, tokenizer = _start(config, inputs, context.seed)
    sources = [TextFile("world", world, config.world_share), TextFile("open", opened, 1 - config.world_share)]
    result = train_text(module, tokenizer, sources, config.training, training_run(context))
    save_model(
        module.bfloat16(), tokenizer, context.out
    )  # half the size, and no coarser than what most machines train in
    write_history(context, result)
    about = {"testbed": read_json(world / "about.json"), "open text": read_json(opened / "about.json")}
    write_json(context.out / "pretraining.json", _facts(config, result.history, about))


def _start(config: PretrainStage, inputs: Mapping[str, Artifact], seed: int) -> tuple[Any, Any]:
    """The network and tokenizer that training starts from."""
    from itertools import chain

    from alidade.models.local import choose_dtype, load
    from alidade.training.pretrain import new_model, train_tokenizer

    if "model" in inputs:
        earlier = load(inputs["model"].path, attention=False)
        return earlier.module, earlier.tokenizer
    count = config.tokenizer_documents
    texts = chain(_sample_of(inputs["world"].path, count), _sample_of(inputs["open"].path, count // 10))
    tokenizer = train_tokenizer(texts, config.vocabulary)
    return new_model(config.shape, tokenizer, seed, choose_dtype()), tokenizer


def _facts(config: PretrainStage, history: list[dict[str, float]], about: dict[str, Any]) -> dict[str, Any]:
    last = history[-1]
    heldout = {name: round(value, 4) for name, value in last.items() if name.startswith("heldout_")}
    return {"tokens": config.training.tokens, "heldout_loss_nats_per_token": heldout, "sources": about}
