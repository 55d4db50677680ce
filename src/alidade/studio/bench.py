"""Answers being criticised and revised: one at a time, others wait; what is there so far can be looked at any time."""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import Literal, final

from markupsafe import Markup

from alidade.constitution.principles import Principle
from alidade.constitution.revise import RevisionStep
from alidade.constitution.unfolding import Method, asked, first_answer, unfold
from alidade.constitution.wording import Wording
from alidade.errors import AlidadeError, NotFound
from alidade.models.base import ChatModel
from alidade.models.continuing import TextModel
from alidade.records import Completion
from alidade.studio.access import TooMany
from alidade.studio.text import changes

MOST_KEPT = 40
MOST_WAITING = 8
State = Literal["waiting", "running", "done", "stopped", "failed"]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speaker:
    """A model that answers and that criticises, and the form of asking that it knows."""

    chat: ChatModel
    text: TextModel
    wording: Wording


@dataclass(frozen=True)
class Asked:
    """What a person wants revised: by which models and how; without an answer, the model gives one."""

    prompt: str
    answer: str
    model: str
    critic: str
    method: Method


@dataclass(frozen=True)
class Shown:
    """One step as far as it is: None is not there yet."""

    principle: Principle
    critique: str | None = None
    made: RevisionStep | None = None
    change: Markup | None = None

    @property
    def state(self) -> str:
        """A word that differs whenever what is shown does."""
        return "whole" if self.made else "begun" if self.critique is None else "criticised"


class _Stopped(Exception):
    """The person has stopped it."""


@final
class Loop:
    """One answer on its way; read by pages while the bench works at it."""

    def __init__(self, name: str, wanted: Asked) -> None:
        self.name, self.wanted = name, wanted
        self.state: State = "waiting"
        self.fault = ""
        self.initial: str | None = None
        self.steps: tuple[Shown, ...] = ()
        self.stopping = Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "stopped", "failed")

    @property
    def last(self) -> str:
        """The answer that stands."""
        revised = [one.made.revision for one in self.steps if one.made and not one.made.fault]
        return revised[-1] if revised else self.initial or ""

    def heard(self, completion: Completion) -> None:
        """Take a text of the step in work."""
        if self.steps[-1].critique is None:
            self.steps = (*self.steps[:-1], replace(self.steps[-1], critique=completion.text))

    def begin(self, principle: Principle) -> None:
        """Show the principle of a step that begins."""
        self.steps = (*self.steps, Shown(principle))

    def end(self, made: RevisionStep) -> None:
        """Show a whole step."""
        change = None if made.fault else changes(self.last, made.revision)
        self.steps = (*self.steps[:-1], replace(self.steps[-1], critique=made.critique, made=made, change=change))


@final
class Bench:
    """The models, loaded once, and whatever they were asked lately. The first of `critics` is offered first; "" is the model itself."""

    def __init__(self, speakers: Mapping[str, Speaker], models: Sequence[str], critics: Sequence[str]) -> None:
        self.speakers, self.models, self.critics = speakers, tuple(models), tuple(critics)
        self._loops: OrderedDict[str, Loop] = OrderedDict()
        self._numbers, self._lock = itertools.count(1), Lock()
        self._current: Loop | None = None
        self._threads = ThreadPoolExecutor(1, "revise")

    def start(self, wanted: Asked) -> Loop:
        """Have an answer revised, after those that wait.

        Raises:
            TooMany: when too many wait.
        """
        with self._lock:
            if sum(not one.is_over for one in self._loops.values()) > MOST_WAITING:
                raise TooMany("too many answers wait to be revised", hint="stop one of them")
            loop = Loop(str(next(self._numbers)), wanted)
            self._loops[loop.name] = loop
            for name in [name for name, one in self._loops.items() if one.is_over][
                : max(0, len(self._loops) - MOST_KEPT)
            ]:
                del self._loops[name]
        self._threads.submit(self._work, loop)
        return loop

    def loop(self, name: str) -> Loop:
        """One that was asked for.

        Raises:
            NotFound: when there is none, or not any more.
        """
        if (found := self._loops.get(name)) is None:
            raise NotFound("this answer is not kept any more", hint="ask again")
        return found

    def loops(self) -> list[Loop]:
        """All that are kept, the newest first."""
        with self._lock:
            return list(reversed(self._loops.values()))

    def before(self, loop: Loop) -> int:
        """How many have to be over before this one begins."""
        with self._lock:
            ahead = itertools.takewhile(lambda one: one is not loop, self._loops.values())
            return sum(not one.is_over for one in ahead)

    def stop(self, loop: Loop) -> None:
        """End it: at once where it waits, and otherwise as soon as the model lets it."""
        with self._lock:
            loop.stopping.set()
            if loop.state == "waiting":
                loop.state = "stopped"

    def between_tokens(self, *_: object) -> None:
        """For a model that can be interrupted to call: ends what was stopped."""
        if self._current is not None and self._current.stopping.is_set():
            raise _Stopped

    def close(self) -> None:
        """End all of it."""
        for loop in self.loops():
            loop.stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, loop: Loop) -> None:
        with self._lock:
            if loop.is_over:
                return
            self._current, loop.state = loop, "running"
        try:
            self._unfold(loop)
            loop.state = "done"
        except _Stopped:
            loop.state = "stopped"
        except AlidadeError as error:
            loop.fault, loop.state = error.what, "failed"
        except Exception as error:
            _LOG.exception("an answer could not be revised")
            loop.fault, loop.state = f"something nobody foresaw ({type(error).__name__})", "failed"
        finally:
            self._current = None

    def _unfold(self, loop: Loop) -> None:
        wanted, method = loop.wanted, loop.wanted.method
        loop.initial = wanted.answer or first_answer(self.speakers[wanted.model].chat, wanted.prompt, method)
        critic = self.speakers[wanted.critic or wanted.model].text

        def heard(completion: Completion) -> None:
            loop.heard(completion)
            self.between_tokens()

        steps = unfold(asked(wanted.prompt, loop.initial), critic, method, heard)
        for number in range(method.settings.steps):
            self.between_tokens()
            loop.begin(method.principle(number))
            loop.end(next(steps))
