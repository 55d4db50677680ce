"""The stage that reads open English text from files of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from alidade.errors import DataError
from alidade.pipeline import InputFile, StageContext, stage
from alidade.records import Record
from alidade.seeds import generator
from alidade.stages.kinds import TEXT
from alidade.store import Artifact, write_json, write_rows
from alidade.store.rows import each_row


class OpenTextConfig(Record):
    """Which files, and how much of each document."""

    files: list[InputFile] = Field(
        min_length=1, description="JSON lines (.jsonl or .jsonl.gz) with `text`, or `turns` of a dialogue"
    )
    longest: int = Field(default=4000, ge=100, description="characters kept of each document")
    documents: int | None = Field(default=None, ge=1, description="documents in all, drawn at random; all where absent")
    heldout: int = Field(default=200, ge=1, description="documents kept back for the held-out loss")


def _turn(turn: object) -> str:
    """The words of one turn: a string, or the last part of [speaker, words]."""
    return turn if isinstance(turn, str) else str(turn[-1]) if isinstance(turn, list) and turn else ""


def _documents(path: Path, longest: int) -> Iterator[str]:
    for number, row in each_row(path):
        if not isinstance(row, dict):
            raise DataError("not an object", where=f"{path}:{number}", hint='each line is one, such as {"text": "..."}')
        body = row["text"] if "text" in row else "\n".join(_turn(turn) for turn in row.get("turns", ()))
        if body.strip():
            yield "\n".join(part for part in (row.get("title", ""), body) if part)[:longest]


@stage("open-text", version=1, reads={}, writes=TEXT, config=OpenTextConfig)
def open_text(config: OpenTextConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Open English text, shuffled, with a held-out part."""
    found = [text for path in config.files for text in _documents(Path(path), config.longest)]
    if len(found) <= config.heldout:
        raise DataError(f"only {len(found)} documents, {config.heldout} are to be held out", where=str(config.files[0]))
    generator(context.seed, "open text").shuffle(found)
    last = None if config.documents is None else config.heldout + config.documents
    write_rows(context.out / "heldout.jsonl", [{"text": text} for text in found[: config.heldout]])
    write_rows(context.out / "train.jsonl", [{"text": text} for text in found[config.heldout : last]])
    write_json(
        context.out / "about.json", {"files": [Path(path).name for path in config.files], "documents": len(found)}
    )
