"""What a model is, whichever way it was opened."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from alidade.digest import digest_file, digest_folder, digest_of
from alidade.errors import ModelError


def model_digest(address: str) -> str:
    """The sha256 of the files of a model that `open_model` has opened; for a store's artifact it is the artifact's digest.

    Nobody sees an endpoint's weights: its digest is that of its address, without user, password and query, and of the model's name.

    Raises:
        ModelError: when its files are nowhere.
    """
    scheme, colon, rest = address.partition(":")
    if scheme in {"http", "https"} and colon:
        parts = urlsplit(address)
        place = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path.rstrip('/')}"
        return digest_of(["endpoint/1", place, parts.fragment])
    if scheme == "script" and colon:
        return digest_file(Path(rest))
    name = rest if scheme == "hf" and colon else address
    folder = Path(name) if Path(name).is_dir() else _cached(name)
    return digest_folder(folder)


def _cached(name: str) -> Path:
    """The hub's cached files of a model, those of the revision that was opened."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    if not isinstance(found, str):
        raise ModelError("the model's files are nowhere", where=name)
    return Path(found).parent
