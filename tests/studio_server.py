"""The studio on loopback, in a thread of the tests' own process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn

from alidade.preferences.partners import Partners
from alidade.preferences.votebook import Votebook
from alidade.studio.app import create_app


@contextmanager
def studio(book: Votebook, partners: Mapping[str, Partners] | None = None) -> Iterator[str]:
    """The address of a studio over `book`, in whose talks `partners` answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(create_app(book, partners=partners), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
