"""What is asked: guidelines, and queues of items made from models' answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import sqlalchemy as sa
from pydantic import Field

from alidade.digest import digest_of
from alidade.errors import Conflict, DataError, NotFound, UsageError
from alidade.preferences.assign import arm_of, places, wanted_votes
from alidade.preferences.partners import Made
from alidade.preferences.votebook.acts import TaskKind
from alidade.preferences.votebook.chain import append
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.schema import guidelines, items, queues
from alidade.records import Attribute, Candidates, Conversation, Record, Source

SEPARATE: tuple[Attribute, ...] = ("helpful", "honest", "harmless")


class QueueSettings(Record):
    """What is asked about each item, of how many people, and how they are checked."""

    name: str = Field(min_length=1, max_length=80)
    task: TaskKind = "pair"
    attribute: Attribute = Field(default="overall", description="what is asked about in all other tasks")
    attributes: tuple[Attribute, ...] = Field(default=SEPARATE, description="asked one by one in a task `attributes`")
    source: Source = Field(default="person", description="who answers")
    votes_per_item: int = Field(default=1, ge=1, le=100)
    overlap_share: float = Field(default=0.15, ge=0, le=1, description="share of items that more people vote on")
    overlap_votes: int = Field(default=3, ge=1, le=100, description="people for an item of the overlap")
    uncertain_share: float = Field(
        default=0.0, ge=0, le=1, description="share of items that are handed out by how unsure a scorer is of them"
    )
    gold_share: float = Field(default=0.05, ge=0, le=0.5, description="share of tasks whose answer is known")
    repeat_share: float = Field(default=0.05, ge=0, le=0.5, description="share of tasks that were seen before")
    lease_minutes: float = Field(default=20, gt=0, le=1440, description="minutes until a task goes to somebody else")
    harmful: bool = Field(default=False, description="shown only to people who chose to see harmful text")
    seed: int = 0

    @property
    def lease_seconds(self) -> float:
        """How long a task is lent."""
        return self.lease_minutes * 60


class Answer(Record):
    """An answer's number in its prompt, and its text; `made` says what made it, where that is known."""

    number: int
    text: str
    made: Made | None = Field(default=None, exclude_if=lambda value: value is None)


class Content(Record):
    """A prompt and the answers to be judged."""

    prompt_id: str
    prompt: Conversation
    answers: tuple[Answer, ...]


class Item(Record):
    """What one task is about; `gold` is the known best answer's number, or None where it is not known."""

    key: str = Field(max_length=300)
    content: Content
    gold: int | None = None


def items_of(candidates: Sequence[Candidates], task: TaskKind, gold: Mapping[str, int] | None = None) -> list[Item]:
    """Items from models' answers: every pair of different answers, all of a prompt's together, or one (`edit`).

    `gold` maps an item's key (`PROMPT/0-1`) to the number of its better answer. Answers with an error are left out.

    Raises:
        DataError: when nothing is left, or `gold` names an item or answer that does not exist.
        UsageError: for a talk, whose items are made while it goes on.
    """
    if task == "talk":
        raise UsageError("a talk needs models, not answers", hint="`alidade label talk` has people talk to two models")
    found = [item for row in candidates for item in _of_prompt(row, task)]
    known = dict(gold or {})
    made = [item.model_copy(update={"gold": known.pop(item.key, None)}) for item in found]
    if known:
        raise DataError(f"gold for an unknown item: {next(iter(known))}", hint=f"a key looks like {_example(made)}")
    for item in made:
        if item.gold is not None and item.gold not in {answer.number for answer in item.content.answers}:
            raise DataError(f"gold names answer {item.gold}, which is not shown", where=item.key)
    if not made:
        raise DataError("there is nothing to compare", hint="give at least two different answers to a prompt")
    return made


def add_queue(book: Votebook, settings: QueueSettings, asked: Sequence[Item], by: str = "") -> int:
    """A new queue; its number. What is asked becomes an event, so that the chain covers it.

    Raises:
        Conflict: when there is a queue of that name.
        DataError: when two items have one key.
    """
    by_key = {item.key: item for item in asked}
    if len(by_key) < len(asked):
        raise DataError("two items have the same key", hint="a prompt's id must be its own")
    with book.writing() as connection:
        if connection.scalar(sa.select(queues.c.id).where(queues.c.name == settings.name)) is not None:
            raise Conflict(f"there is a queue called {settings.name}", hint="choose another name")
        newest = connection.scalar(sa.select(guidelines.c.id).order_by(guidelines.c.version.desc()).limit(1))
        row = {"name": settings.name, "settings": settings.model_dump(mode="json"), "guideline": newest, "open": True}
        number = connection.execute(queues.insert().values(row).returning(queues.c.id)).scalar_one()
        rows = [_row(number, place, by_key[key], settings) for place, key in enumerate(places(settings.seed, by_key))]
        if rows:
            connection.execute(items.insert(), rows)
        digest = digest_of([by_key[key].model_dump(mode="json") for key in sorted(by_key)])
        body = {"queue": settings.name, "settings": row["settings"], "items": len(rows), "digest": digest}
        append(connection, book.now(), "queue", by, body)
    return number


def votes_wanted(settings: QueueSettings, item: Item) -> int:
    """How many people vote on an item as work; nobody on gold."""
    if item.gold is not None:
        return 0
    return wanted_votes(
        settings.seed, item.key, settings.votes_per_item, settings.overlap_votes, settings.overlap_share
    )


def publish_guideline(book: Votebook, text: str, by: str = "") -> int:
    """A new version of the guidelines, which all later tasks are bound to; its number from 1. The newest text again changes nothing."""
    key = digest_of(["guideline/1", text])
    with book.writing() as connection:
        last = connection.execute(sa.select(guidelines).order_by(guidelines.c.version.desc()).limit(1)).one_or_none()
        if last is not None and last.text == text:
            return last.version
        version = 1 if last is None else last.version + 1
        row = {"id": f"{version}-{key[:16]}", "version": version, "text": text, "at": book.now()}
        connection.execute(guidelines.insert(), row)
        connection.execute(queues.update().values(guideline=row["id"]))
        append(connection, book.now(), "guideline", by, {"id": row["id"], "digest": key, "version": version})
    return version


def guideline_text(book: Votebook, key: str) -> str:
    """The guidelines called `key`, or an empty text."""
    with book.reading() as connection:
        return connection.scalar(sa.select(guidelines.c.text).where(guidelines.c.id == key)) or ""


def newest_guideline(book: Votebook) -> str:
    """The key of the newest guidelines, or an empty string."""
    with book.reading() as connection:
        return connection.scalar(sa.select(guidelines.c.id).order_by(guidelines.c.version.desc()).limit(1)) or ""


def queue_named(book: Votebook, name: str) -> tuple[int, QueueSettings]:
    """A queue's number and settings.

    Raises:
        NotFound: when there is no queue of that name.
    """
    with book.reading() as connection:
        named = sa.select(queues).where(queues.c.name == name.replace("\x00", ""))  # PostgreSQL knows no such character
        row = connection.execute(named).one_or_none()
    if row is None:
        raise NotFound(f"no queue is called {name}")
    return row.id, QueueSettings.model_validate(row.settings)


def set_open(book: Votebook, name: str, is_open: bool) -> None:
    """Open or close a queue.

    Raises:
        NotFound: when there is no queue of that name.
    """
    number, _ = queue_named(book, name)
    with book.writing() as connection:
        connection.execute(queues.update().where(queues.c.id == number).values(open=is_open))


def queues_in(book: Votebook) -> list[str]:
    """The names of all queues."""
    with book.reading() as connection:
        return list(connection.scalars(sa.select(queues.c.name).order_by(queues.c.name)))


def _of_prompt(row: Candidates, task: TaskKind) -> Iterator[Item]:
    usable = [
        Answer(number=number, text=answer.text)
        for number, answer in enumerate(row.answers)
        if not answer.error and answer.text.strip()
    ]
    different = list({answer.text: answer for answer in reversed(usable)}.values())[::-1]
    if task in ("pair", "attributes"):
        chosen: list[tuple[Answer, ...]] = list(combinations(different, 2))
    elif task == "edit":
        chosen = [(answer,) for answer in different[:1]]
    else:
        chosen = [tuple(different)] if len(different) > 1 else []
    for answers in chosen:
        key = f"{row.prompt.id}/{'-'.join(str(answer.number) for answer in answers)}"
        content = Content(prompt_id=row.prompt.id, prompt=row.prompt.conversation, answers=answers)
        yield Item(key=key, content=content)


def _row(queue: int, place: int, item: Item, settings: QueueSettings) -> dict[str, Any]:
    return {
        "queue_id": queue,
        "key": item.key,
        "place": place,
        "arm": arm_of(settings.seed, item.key, settings.uncertain_share) if item.gold is None else "gold",
        "target": votes_wanted(settings, item),
        "taken": 0,
        "content": item.content.model_dump(mode="json"),
        "gold": item.gold,
    }


def _example(made: Sequence[Item]) -> str:
    return made[0].key if made else "PROMPT/0-1"
