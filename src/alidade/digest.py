"""Content digests: canonical JSON and sha256, of values, files and folders.

Canonical JSON (sorted keys, UTF-8, no spaces, NaN refused) makes equal values equal bytes. Joined strings and pickles are never hashed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Bytes that are equal exactly when two JSON values are equal.

    Raises:
        ValueError: for NaN, infinities and anything that is not JSON.
    """
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from error
    return text.encode("utf-8", "surrogatepass")


def digest_of(value: Any) -> str:
    """The sha256 of a JSON value's canonical form, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def digest_folder(folder: Path) -> str:
    """The sha256 over the sorted (relative path, size, sha256) of every file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [[path.relative_to(folder).as_posix(), path.stat().st_size, digest_file(path)] for path in files]
    return digest_of(["folder/1", rows])
