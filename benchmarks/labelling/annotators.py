"""Simulated annotators over HTTP: each asks for a task, thinks, answers, and tries again with the same key until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.labelling.line import Answered, Line

CHOICES = ("left", "right", "tie")


@dataclass
class Seen:
    """What all annotators saw: acknowledged votes by (person, key), seconds until a task came, and requests that failed."""

    acknowledged: dict[tuple[str, str], int] = field(default_factory=dict)
    next_seconds: list[float] = field(default_factory=list)
    answer_seconds: list[float] = field(default_factory=list)
    failed: int = 0
    refused: int = 0
    finished: int = 0


async def work(base: str, people: Sequence[tuple[str, str]], seconds: float, think: tuple[float, float]) -> Seen:
    """All annotators at once, for so many seconds; each is a name and a token."""
    seen, until = Seen(), time.monotonic() + seconds
    await asyncio.gather(*(_annotate(base, seen, name, token, until, think) for name, token in people))
    return seen


async def _annotate(base: str, seen: Seen, name: str, token: str, until: float, think: tuple[float, float]) -> None:
    """One person at one browser: a connection each."""
    line = Line(base)
    try:
        await _work(line, seen, name, token, until, think)
    finally:
        line.close()


async def _work(line: Line, seen: Seen, name: str, token: str, until: float, think: tuple[float, float]) -> None:
    chance = random.Random(name)
    headers = {"Authorization": f"Bearer {token}"}
    await asyncio.sleep(chance.uniform(0, think[1]))
    number = 0
    while time.monotonic() < until:
        asked = await _until_answered(line, seen, seen.next_seconds, "/api/v1/queues/load/next", headers, None)
        if asked.status != 200:
            seen.finished += 1
            return
        await asyncio.sleep(chance.uniform(*think))
        key, number = f"{name}-{number}", number + 1
        sent = {"kind": "pick", "choice": chance.choice(CHOICES)}
        place = f"/api/v1/tasks/{asked.json()['id']}/answer"
        told = await _until_answered(line, seen, seen.answer_seconds, place, {**headers, "Idempotency-Key": key}, sent)
        if told.status == 200:
            seen.acknowledged[name, key] = told.json()["seq"]
        else:
            seen.refused += 1


async def _until_answered(
    line: Line, seen: Seen, seconds: list[float], place: str, headers: dict[str, str], sent: Any
) -> Answered:
    """The server's answer, however often it has to be asked; only the time of the request that was answered counts."""
    while True:
        began = time.monotonic()
        try:
            answered = await line.post(place, headers, sent)
        except (OSError, EOFError, TimeoutError):
            seen.failed += 1
            line.close()
            await asyncio.sleep(0.3)
            continue
        seconds.append(time.monotonic() - began)
        return answered
