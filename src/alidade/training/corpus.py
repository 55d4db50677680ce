"""Documents as one long row of token ids on disk, and the windows training reads from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alidade.digest import digest_file, digest_of
from alidade.errors import DataError
from alidade.progress import Progress
from alidade.seeds import derive

DOCUMENTS_AT_ONCE = 512
Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TextFile:
    """A named folder with `train.jsonl` and `heldout.jsonl` of `{"text": ...}` rows, and its share of the mixture."""

    name: str
    folder: Path
    weight: float


@dataclass(frozen=True)
class Windows:
    """Which tokens each training row reads: `starts[i]` in the tokens of source `sources[i]`."""

    sources: NDArray[np.integer[Any]]
    starts: NDArray[np.integer[Any]]


def read_documents(path: Path) -> Iterator[str]:
    """The texts of a JSONL file.

    Raises:
        DataError: for a missing file or a row that is not an object with a text.
    """
    if not path.exists():
        raise DataError("there is no such file of documents", where=str(path))
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError) as error:
                hint = 'each row is a JSON object such as {"text": "..."}'
                raise DataError(f"not a document: {error}", where=f"{path}:{number}", hint=hint) from error
            yield text


def tokenise(tokenizer: Any, path: Path, cache: Path | None, progress: Progress) -> Tokens:
    """All documents of `path`, each followed by the stop token; kept as a memory map in `cache` between runs."""
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32)
    if cache is None:
        pieces = list(_encoded(tokenizer, read_documents(path), dtype))
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype)
    key = digest_of(["tokens/1", digest_file(path), digest_of(sorted(tokenizer.get_vocab().items()))])
    target = cache / f"{key[:24]}.tokens"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        with part.open("wb") as file, progress.track(path.stat().st_size, f"tokens of {path.parent.name}", "B") as bar:
            for piece in _encoded(tokenizer, _told(read_documents(path), bar), dtype):
                file.write(piece.tobytes())
        part.replace(target)
    if target.stat().st_size == 0:
        return np.zeros(0, dtype)
    return np.memmap(target, dtype=dtype, mode="r")


def _told(texts: Iterable[str], bar: Any) -> Iterator[str]:
    for text in texts:
        bar.advance(len(text.encode("utf-8", "surrogatepass")))
        yield text


def _encoded(tokenizer: Any, texts: Iterable[str], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    stop = [tokenizer.eos_token_id]
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == DOCUMENTS_AT_ONCE:
            yield _joined(tokenizer, batch, stop, dtype)
            batch = []
    if batch:
        yield _joined(tokenizer, batch, stop, dtype)


def _joined(tokenizer: Any, texts: list[str], stop: list[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return np.concatenate([np.asarray(row + stop, dtype=dtype) for row in rows])


def plan_windows(sizes: Sequence[int], weights: Sequence[float], rows: int, context: int, seed: int) -> Windows:
    """Draw `rows` windows of `context` tokens (and one more to predict) from sources of `sizes` tokens, by weight.

    Within a source every window is read once before any is read again; each pass cuts the windows at another offset.

    Raises:
        DataError: for a source too short for a single window.
    """
    shares = _apportion(weights, rows)
    sources = np.repeat(np.arange(len(sizes)), shares)
    starts = [
        _starts(size, share, context, derive(seed, "windows", place))
        for place, (size, share) in enumerate(zip(sizes, shares, strict=True))
    ]
    order = np.random.Generator(np.random.PCG64(derive(seed, "mixture"))).permutation(rows)
    return Windows(sources[order], np.concatenate(starts)[order])


def _apportion(weights: Sequence[float], rows: int) -> list[int]:
    total = sum(weights)
    exact = [weight / total * rows for weight in weights]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: (shares[place] - exact[place], place))
    for place in by_remainder[: rows - sum(shares)]:
        shares[place] += 1
    return shares


def _starts(size: int, rows: int, context: int, seed: int) -> NDArray[Any]:
    if rows and size < context + 1:
        raise DataError(f"a text source has {size} tokens, fewer than one window of {context + 1}")
    chance = np.random.Generator(np.random.PCG64(seed))
    pieces = [np.zeros(0, dtype=np.int64)]
    while sum(len(piece) for piece in pieces) < rows:
        offset = int(chance.integers(0, min(context, size - context)))
        count = (size - 1 - offset) // context
        pieces.append(offset + context * chance.permutation(count))
    return np.concatenate(pieces)[:rows]
