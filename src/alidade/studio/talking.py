"""Pages for talking to two models. Answers are drawn in threads of their own, while the browser waits on a page that looks for them.

A message is written down before it is answered and its answers before they are shown: whoever sends it twice, reloads, or meets a server
that was killed finds it answered once, or there to be sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any, final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from alidade.errors import AlidadeError, Conflict, NotFound, UsageError
from alidade.preferences.partners import Partners, Unanswered
from alidade.preferences.votebook import Votebook
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import guideline_text, newest_guideline, queue_named
from alidade.preferences.votebook.talks import LONGEST_MESSAGE, Asked, begin_anew, keep_answers, say, talk_of
from alidade.studio.access import Book, Sending, Visit
from alidade.studio.pages import go, page

talking = APIRouter(include_in_schema=False)
MOST_AT_ONCE = 64  # messages in work; further ones wait
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """A message in work: the key it was sent under, and what will be wrong with its answers, or nothing."""

    key: str
    fault: Future[str]


@final
class Desk:
    """Who answers in which queue, and what is being answered: one message of a person in a queue at a time."""

    def __init__(self, book: Votebook, partners: Mapping[str, Partners]) -> None:
        self._book, self._partners = book, partners
        self._jobs: dict[tuple[int, str], _Job] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "talk")

    def serves(self, queue: str) -> bool:
        """Whether anybody answers in a queue."""
        return queue in self._partners

    def say(self, person: Person, queue: str, text: str, key: str) -> None:
        """Take a message and have it answered; the same one again, meanwhile or later, changes nothing.

        Raises:
            UsageError: when nobody answers in this queue, or the message cannot be used.
            Conflict: when an earlier message or two answers wait.
        """
        if not self.serves(queue):
            raise UsageError("nobody answers in this queue now", hint="it is served by `alidade label talk`")
        with self._lock:
            job = self._jobs.get((person.id, queue))
            if job is not None and not job.fault.done():
                if job.key != key:
                    raise Conflict("your message before this one is being answered", hint="go back and wait for it")
                return
            asked = say(self._book, person, queue, text, key)
            if asked is not None:
                self._jobs[person.id, queue] = _Job(key, self._threads.submit(self._answer, person, asked))

    def in_work(self, person: Person, queue: str) -> bool:
        """Whether a message of the person is being answered."""
        job = self._jobs.get((person.id, queue))
        return job is not None and not job.fault.done()

    def fault(self, person: Person, queue: str) -> str:
        """Why the person's last message has no answers, or nothing."""
        job = self._jobs.get((person.id, queue))
        return job.fault.result() if job is not None and job.fault.done() else ""

    def _answer(self, person: Person, asked: Asked) -> str:
        try:
            answers = self._partners[asked.queue].answers(asked.chat, asked.seed)
            keep_answers(self._book, person, asked, answers)
        except Unanswered as error:
            _LOG.warning("%s: %s (%s)", asked.prompt_id, error.what, error.where or "no fault of the models")
            return error.what
        except AlidadeError as error:
            return error.what
        except Exception:  # whatever a model's own code raises: its person is told, and the server goes on
            _LOG.exception("%s: two answers could not be drawn", asked.prompt_id)
            return "something went wrong while the models answered"
        return ""


async def desk_of(request: Request) -> Desk:
    """The desk of this app."""
    return request.app.state.desk


AtDesk = Annotated[Desk, Depends(desk_of)]


@talking.post("/label/{queue}/message")
def speak(
    book: Book,
    desk: AtDesk,
    visit: Sending,
    queue: str,
    text: Annotated[str, Form(max_length=4 * LONGEST_MESSAGE)] = "",
    key: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    """Say something; then the page that waits for its answers."""
    _refuse_other(book, queue)
    desk.say(visit.person, queue, text, key)
    return go(_place(queue))


@talking.post("/label/{queue}/anew")
def end(book: Book, desk: AtDesk, visit: Sending, queue: str) -> Response:
    """End the talk and begin another."""
    _refuse_other(book, queue)
    if not desk.in_work(visit.person, queue):
        begin_anew(book, visit.person, queue)
    return go(_place(queue))


def waiting_page(book: Votebook, visit: Visit, queue: str) -> Response:
    """The page that waits for answers."""
    return page("waiting", visit, queue=queue, talk=talk_of(book, visit.person, queue))


def talk_page(book: Votebook, desk: Desk, visit: Visit, shown: Mapping[str, Any]) -> Response:
    """The page on which a person says something."""
    queue = shown["queue"]
    newest = newest_guideline(book)
    told = {"fault": desk.fault(visit.person, queue), "served": desk.serves(queue), "longest": LONGEST_MESSAGE}
    told |= {"newest": newest, "guideline": guideline_text(book, newest)}
    return page("talk", visit, **shown, talk=talk_of(book, visit.person, queue), **told)


def _refuse_other(book: Votebook, queue: str) -> None:
    if queue_named(book, queue)[1].task != "talk":
        raise NotFound("nobody talks in this queue")


def _place(queue: str) -> str:
    return f"/label/{quote(queue, safe='')}"
