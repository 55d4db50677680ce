"""As little of HTTP/1.1 as the load needs: the generator shares the processor with the server, and a whole client takes half of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, final
from urllib.parse import urlsplit

PATIENCE = 10.0  # seconds


class Answered(NamedTuple):
    """What a server sent back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@final
class Line:
    """One connection, kept open and opened again where it broke."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, place: str, headers: Mapping[str, str], sent: Any) -> Answered:
        """One request with `sent` as its JSON body, or none, and its answer.

        Raises:
            OSError, EOFError, TimeoutError: where there is no answer.
        """
        body = b"" if sent is None else json.dumps(sent).encode()
        lines = [f"POST {place} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
        async with asyncio.timeout(PATIENCE):
            reader, writer = self._streams = self._streams or await asyncio.open_connection(self._host, self._port)
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            answered = Answered(int(head[0].split()[1]), await reader.readexactly(int(fields["content-length"])))
        if fields.get("connection", "").lower() == "close":
            self.close()
        return answered

    def close(self) -> None:
        """Let go of the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
