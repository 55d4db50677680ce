"""What talks: local weights, endpoints, scripts, and models around models; `open_model` finds one by its address."""

from __future__ import annotations

import os
from pathlib import Path

from alidade.errors import ModelError
from alidade.models.base import ChatModel

HINT = "an address is a folder, hf:OWNER/NAME, http://HOST/v1#MODEL, https://HOST/v1#MODEL or script:FILE.jsonl"


def open_model(address: str) -> ChatModel:
    """The model at `address`: a folder, `hf:OWNER/NAME`, `http(s)://HOST/v1#MODEL` or `script:FILE.jsonl`.

    An endpoint's key is read from the variable that ALIDADE_KEY_VARIABLE names, OPENAI_API_KEY without it.

    Raises:
        ModelError: when nothing can be found under the address.
    """
    scheme, colon, rest = address.partition(":")
    if scheme in {"http", "https"} and colon:
        return _endpoint(address)
    if scheme == "script" and colon:
        from alidade.models.scripted import read_script

        return read_script(Path(rest))
    if not address or (scheme == "hf" and colon and not rest):
        raise ModelError(f"{address!r} names no model", hint=HINT)
    from alidade.models.local import load

    return load(rest if scheme == "hf" and colon else address)


def _endpoint(address: str) -> ChatModel:
    from alidade.models.http import Endpoint, HttpModel

    url, _, model = address.partition("#")
    if not model:
        raise ModelError("the endpoint's address does not name a model", where=address, hint=HINT)
    return HttpModel(
        Endpoint(url=url, model=model, key_variable=os.environ.get("ALIDADE_KEY_VARIABLE", "OPENAI_API_KEY"))
    )
