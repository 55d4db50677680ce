"""Whether a model's name leads anywhere, found out at once: the hub's own client tries for minutes before it gives up."""

from __future__ import annotations

from pathlib import Path

from alidade.errors import ModelError

PATIENCE = 3.0  # seconds in which a connection to the hub must stand
ELSEWHERE = ("http:", "https:", "script:")


def refuse_missing(address: str | Path) -> None:
    """Nothing, for a model's address that is a folder, a hub id that is cached or can be asked for, or no matter of these.

    Raises:
        ModelError: when it is no folder, and no hub id or one of a hub that cannot be reached.
    """
    name = str(address).removeprefix("hf:")
    if name.startswith(ELSEWHERE) or Path(name).exists():
        return
    if not _is_hub_id(name):
        raise ModelError("there is no such model folder", where=str(address), hint="check the path")
    if not _is_cached(name) and not _hub_answers():
        raise ModelError(
            "there is no such model folder, and the hub cannot be asked for a model of that name",
            where=str(address),
            hint="check the path; a hub id needs a connection, or the model in the hub's cache",
        )


def _is_hub_id(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _hub_answers() -> bool:
    """Whether the hub can be connected to; what it says, and how slowly, is left to its own client."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=PATIENCE)
    except httpx.TransportError as error:
        return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    return True
