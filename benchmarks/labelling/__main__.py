"""`python -m benchmarks.labelling`: two hundred simulated annotators over HTTP, and a server that is killed five times meanwhile.

Per database it writes how many acknowledged votes were lost, how many items were assigned too often, whether the chain verifies,
and the 95th percentile of the time until the next task. The server is `alidade label`, as anybody starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from tests import postgres

from alidade.preferences.votebook import Votebook, open_votebook
from alidade.preferences.votebook.chain import read_events, verify
from alidade.preferences.votebook.people import invite, join, new_key
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.preferences.votebook.schema import items
from alidade.records import Candidates, Completion, Conversation, Prompt
from benchmarks.labelling.annotators import Seen, work

ROOT = Path(__file__).parents[2]
PASSWORD = "a password of the benchmark"
DURABLE = ("fsync=on", "synchronous_commit=on")


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.labelling", description=__doc__)
    parser.add_argument("--annotators", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument(
        "--think", type=float, nargs=2, default=(1.5, 3.5), help="seconds before an answer, from and to"
    )
    parser.add_argument("--only", choices=("sqlite", "postgresql"), nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "labelling.json")
    return parser.parse_args()


class Server:
    """`alidade label` over a votebook, killed and started again."""

    def __init__(self, where: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "alidade.cli", "label", where, "--port", str(self.port)]
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}
        )
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/login", timeout=5, trust_env=False)
                return
            except httpx.TransportError:
                time.sleep(0.1)

    def kill(self) -> None:
        """What `kill -9` does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def filled(book: Votebook, count: int, people: int) -> list[tuple[str, str]]:
    """A queue of so many pairs, and so many people with tokens."""
    rows = [
        Candidates(
            prompt=Prompt(id=f"p{number}", conversation=Conversation.ask(f"Question {number}? " + "word " * 40)),
            answers=tuple(Completion(text=f"Answer {number}.{place} " + "text " * 150) for place in range(2)),
        )
        for number in range(count)
    ]
    gold = {f"p{number}/0-1": 1 for number in range(50)}
    add_queue(book, QueueSettings(name="load"), items_of(rows, "pair", gold))
    names = [f"annotator-{number}" for number in range(people)]
    joined = [join(book, invite(book, "labeler"), name, PASSWORD) for name in names]
    return [(person.name, new_key(book, person.id, "token", "load", 7200)) for person in joined]


def killing(server: Server, times: Sequence[float]) -> threading.Thread:
    """Kill the server at these seconds from now, and start it again each time."""

    def kill_on_time() -> None:
        began = time.monotonic()
        for at in times:
            time.sleep(max(0.0, began + at - time.monotonic()))
            server.kill()
            server.start()

    thread = threading.Thread(target=kill_on_time)
    thread.start()
    return thread


def counted(book: Votebook, seen: Seen) -> dict[str, Any]:
    """What the votebook holds against what was acknowledged."""
    kept, votes = set(), Counter()
    for event in read_events(book):
        if event.kind == "pick":
            kept.add((event.person, event.seq))
            votes[event.body["item"]] += event.body["purpose"] == "work"
    with book.reading() as connection:
        targets = {row.key: row.target for row in connection.execute(sa.select(items.c.key, items.c.target))}
    checked = verify(book)
    return {
        "votes": len(kept),
        "acknowledged": len(seen.acknowledged),
        "lost": sum((person, seq) not in kept for (person, _), seq in seen.acknowledged.items()),
        "over_assigned": sum(count > targets[key] for key, count in votes.items()),
        "chain": checked.fault or "verifies",
        "refused": seen.refused,
        "failed_requests": seen.failed,
        "p50_next_ms": _percentile(seen.next_seconds, 0.5),
        "p95_next_ms": _percentile(seen.next_seconds, 0.95),
        "p95_answer_ms": _percentile(seen.answer_seconds, 0.95),
    }


def measured(where: str, given: argparse.Namespace, kills: int) -> dict[str, Any]:
    """One run over a fresh database."""
    book = open_votebook(where)
    people = filled(book, given.items, given.annotators)
    server = Server(where)
    gap = given.seconds / (kills + 1)
    killer = killing(server, [gap * (number + 1) for number in range(kills)])
    seen = asyncio.run(work(f"http://127.0.0.1:{server.port}", people, given.seconds, tuple(given.think)))
    killer.join()
    server.kill()
    found = {"annotators": given.annotators, "seconds": given.seconds, "kills": kills, **counted(book, seen)}
    book.close()
    return found


def _percentile(seconds: Sequence[float], share: float) -> float:
    return round(1000 * sorted(seconds)[int(share * (len(seconds) - 1))], 1)


def main() -> None:
    """Measure each database quietly, then with kills, and write the results."""
    given = arguments()
    results: dict[str, Any] = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    for name in given.only:
        for kind, kills in (("without kills", 0), ("with kills", given.kills)):
            with tempfile.TemporaryDirectory() as folder:
                if name == "sqlite":
                    found = measured(f"sqlite:///{folder}/votes.db", given, kills)
                else:
                    with postgres.server(DURABLE) as address:
                        found = measured(f"{address}/postgres", given, kills)
            results.setdefault(name, {})[kind] = {**found, "date": time.strftime("%Y-%m-%d")}
            print(name, kind, json.dumps(found), flush=True)
            given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
