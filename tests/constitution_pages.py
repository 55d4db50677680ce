"""The constitution's pages on loopback, in a thread of the tests' own process; and models that are written down."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from alidade.constitution.document import open_document
from alidade.constitution.wording import PUBLISHED
from alidade.models.base import Sampling
from alidade.progress import Progress
from alidade.records import Completion, Conversation
from alidade.studio.bench import Bench, Speaker
from alidade.studio.solo import create_solo_app, listen
from alidade.studio.study import Study


class Written:
    """A model that says given texts, one after the other and again; with `go`, only when it is let go."""

    name = "written"

    def __init__(self, *texts: str, go: threading.Event | None = None) -> None:
        self._texts, self._go, self.asked = texts, go, 0

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """The next text, for each conversation."""
        return [self._next() for _ in chats]

    def continued(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Completion]:
        """The next text, for each text to go on with."""
        return [self._next() for _ in texts]

    def _next(self) -> Completion:
        if self._go is not None:
            assert self._go.wait(20)
        self.asked += 1
        return Completion(text=self._texts[(self.asked - 1) % len(self._texts)])


def bench_of(model: Written, name: str = "written") -> Bench:
    """A bench with one model."""
    return Bench({name: Speaker(model, model, PUBLISHED)}, [name], [""])


def study_of(path: Path, bench: Bench, folder: Path | None = None) -> Study:
    """The pages' state over a file, new versions beside it."""
    return Study(open_document(path), path, folder or path.parent, bench)


@contextmanager
def pages(study: Study) -> Iterator[str]:
    """The address of the pages over a study."""
    at = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_solo_app(study), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
