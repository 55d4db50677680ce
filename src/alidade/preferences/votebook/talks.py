"""Talks: a person says something, two answers come, and the one judged better goes on.

Each turn is an item of its own, made when its answers are there and lent in the same transaction to who said it; nobody else is ever
given it. Where a talk stands is read from what its person answered last, so that an undone answer takes the talk back to it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from alidade.digest import digest_of
from alidade.errors import Conflict, UsageError
from alidade.preferences.assign import shown_order
from alidade.preferences.partners import Drawn
from alidade.preferences.votebook.acts import Pick, read_submission
from alidade.preferences.votebook.casting import receipt_of, refuse_bad_key, write_receipt
from alidade.preferences.votebook.chain import append
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.leases import ANSWERED, EXPIRED, HELD, SKIPPED, Task, claim, take_again, wait_for_turn
from alidade.preferences.votebook.people import Person
from alidade.preferences.votebook.queues import Answer, Content, QueueSettings
from alidade.preferences.votebook.schema import events, items, leases, queues, talks
from alidade.records import Conversation, Message
from alidade.seeds import derive

LONGEST_MESSAGE = 8_000  # characters


# Built once: putting these together costs more than running them.
_LAST = (
    sa.select(leases.c.state, leases.c.order, leases.c.event, items.c.content, events.c.body)
    .join(items, items.c.id == leases.c.item_id)
    .join(events, events.c.seq == leases.c.event)
    .where(
        leases.c.person_id == sa.bindparam("person"),
        leases.c.queue_id == sa.bindparam("queue"),
        leases.c.state.in_(ANSWERED),
        leases.c.event > sa.bindparam("after"),
    )
    .order_by(leases.c.event.desc())
    .limit(1)
)
_IN_STATE = (
    sa.select(leases, items.c.content)
    .join(items, items.c.id == leases.c.item_id)
    .where(
        leases.c.person_id == sa.bindparam("person"),
        leases.c.queue_id == sa.bindparam("queue"),
        leases.c.state == sa.bindparam("state"),
    )
    .order_by(leases.c.shown_at.desc())
    .limit(1)
)


@dataclass(frozen=True)
class Talk:
    """What was said so far, nothing at the beginning; `message` was said and has no answers yet."""

    said: tuple[Message, ...]
    message: str


@dataclass(frozen=True)
class Asked:
    """A message that waits for its answers: the conversation that it ends, and what is needed to draw and keep them."""

    queue: str
    prompt_id: str
    chat: Conversation
    seed: int
    key: str
    request: str


@dataclass(frozen=True)
class _State:
    """A person's row of `talks`; before their first message there is none."""

    after: int = 0
    messages: int = 0
    message: str = ""


def next_turn(book: Votebook, person: Person, queue: str) -> Task | None:
    """The two answers that the person is to judge; None when it is the person's turn to say something.

    Raises:
        NotFound: when there is no open queue of that name.
        NotAllowed: when the person may not vote there.
    """
    task = claim(book, person, queue)
    if task is None and _took_up(book, person, queue):
        return claim(book, person, queue)
    return task


def talk_of(book: Votebook, person: Person, queue: str) -> Talk:
    """Where the person's talk stands."""
    with book.reading() as connection:
        row = _queue(connection, queue)
        state = _state(connection, person.id, row.id)
        return Talk(_said(connection, person.id, row, state.after)[0], state.message)


def say(book: Votebook, person: Person, queue: str, text: str, key: str) -> Asked | None:
    """Say something; what is to be answered, or None where this very submission was answered already.

    Said again before its answers were kept, under this key or another, a message is asked for anew.

    Raises:
        NotFound: when there is no open queue of that name.
        NotAllowed: when the person may not vote there.
        UsageError: when the text is empty or too long, or the key cannot be used.
        Conflict: when two answers wait to be judged, or the key stood for something else.
    """
    refuse_bad_key(key)
    text = _usable(text)
    request = digest_of(["message", queue, text])
    to_judge = next_turn(book, person, queue)
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        if receipt_of(connection, person.id, key, request) is not None:
            return None
        if to_judge is not None:
            raise Conflict("two answers wait for you", hint="say which is better, or skip them, before you go on")
        row = _queue(connection, queue)
        state = _state(connection, person.id, row.id)
        said, talk = _said(connection, person.id, row, state.after)
        state = replace(state, messages=state.messages + 1, message=text)
        _write(connection, person.id, row.id, state)
    prompt_id = f"{talk or secrets.token_hex(8)}.{state.messages}"
    seed = derive(QueueSettings.model_validate(row.settings).seed, "talk", prompt_id)
    chat = Conversation(messages=(*said, Message(role="user", text=text)))
    return Asked(queue, prompt_id, chat, seed, key, request)


def keep_answers(book: Votebook, person: Person, asked: Asked, answers: Sequence[Drawn]) -> None:
    """Keep two answers as an item and lend it to who asked, all or nothing. Which of them is number 0 is drawn, too.

    Raises:
        Conflict: when the talk has moved on since the message was said.
    """
    numbered = list(answers)
    if derive(asked.seed, "numbers") & 1:
        numbered.reverse()
    kept = [Answer(number=number, text=each.text, made=each.made) for number, each in enumerate(numbered)]
    content = Content(prompt_id=asked.prompt_id, prompt=asked.chat, answers=tuple(kept))
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        if receipt_of(connection, person.id, asked.key, asked.request) is not None:
            return
        row = _queue(connection, asked.queue)
        state = _state(connection, person.id, row.id)
        said, _ = _said(connection, person.id, row, state.after)
        if said != asked.chat.messages[:-1] or _holds(connection, person.id, row.id):
            raise Conflict("the talk has moved on since you said this")
        key = _lend(book, connection, person, row, content)
        _write(connection, person.id, row.id, replace(state, message=""))
        body = {"queue": asked.queue, "item": key, "digest": digest_of(content.model_dump(mode="json"))}
        event = append(connection, book.now(), "message", person.name, body)
        write_receipt(connection, person.id, asked.key, asked.request, event.seq)


def begin_anew(book: Votebook, person: Person, queue: str) -> None:
    """End the person's talk; what is said next begins another."""
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        row = _queue(connection, queue)
        last = connection.execute(_LAST, {"person": person.id, "queue": row.id, "after": 0}).first()
        state = _state(connection, person.id, row.id)
        _write(connection, person.id, row.id, replace(state, after=last.event if last else 0, message=""))


def _said(connection: sa.Connection, person: int, queue: Any, after: int) -> tuple[tuple[Message, ...], str]:
    """What was said so far in the talk that began behind event `after`, and the talk's name, empty before its first turn.

    The answer that was chosen goes on; of two equal ones, one that is drawn. A message whose answers were skipped is taken back.
    """
    last = connection.execute(_LAST, {"person": person, "queue": queue.id, "after": after}).one_or_none()
    if last is None:
        return (), ""
    content = Content.model_validate(last.content)
    talk = content.prompt_id.partition(".")[0]
    if last.state == SKIPPED:
        return content.prompt.messages[:-1], talk
    act = read_submission(json.loads(last.body)["act"])
    assert isinstance(act, Pick)
    seed = QueueSettings.model_validate(queue.settings).seed
    place = {"left": 0, "right": 1, "tie": derive(seed, "tie", content.prompt_id) & 1}[act.choice]
    chosen = content.answers[last.order[place]].text
    return (*content.prompt.messages, Message(role="assistant", text=chosen)), talk


def _took_up(book: Votebook, person: Person, queue: str) -> bool:
    """Lend the person's newest turn that ran out once more, if the talk still stands where it was said."""
    with book.writing() as connection:
        wait_for_turn(book, connection, person.id)
        row = _queue(connection, queue)
        mine = {"person": person.id, "queue": row.id, "state": EXPIRED}
        lease = connection.execute(_IN_STATE, mine).one_or_none()
        if lease is None or _holds(connection, person.id, row.id):
            return False
        said, _ = _said(connection, person.id, row, _state(connection, person.id, row.id).after)
        asked = Content.model_validate(lease.content).prompt.messages[:-1]
        if said != asked or not take_again(connection, lease):
            return False
        connection.execute(leases.update().where(leases.c.id == lease.id).values(**_loan(book, row)))
    return True


def _lend(book: Votebook, connection: sa.Connection, person: Person, queue: Any, content: Content) -> str:
    """Write an item and its lease; the item's key."""
    key = f"{content.prompt_id}/0-1"
    item = {"queue_id": queue.id, "key": key, "place": 0, "arm": "talk", "target": 1, "taken": 1}
    item["content"] = content.model_dump(mode="json")
    number = connection.execute(items.insert().values(item).returning(items.c.id)).scalar_one()
    order = shown_order(QueueSettings.model_validate(queue.settings).seed, key, person.name, len(content.answers))
    lease = {"id": secrets.token_hex(16), "item_id": number, "queue_id": queue.id, "person_id": person.id}
    lease |= {"purpose": "work", "order": list(order), "draft": None, "event": None}
    connection.execute(leases.insert(), lease | _loan(book, queue))
    return key


def _loan(book: Votebook, queue: Any) -> dict[str, Any]:
    now = book.now()
    until = now + QueueSettings.model_validate(queue.settings).lease_seconds
    return {"state": HELD, "guideline": queue.guideline or "", "shown_at": now, "expires_at": until}


def _holds(connection: sa.Connection, person: int, queue: int) -> bool:
    mine = {"person": person, "queue": queue, "state": HELD}
    return connection.execute(_IN_STATE, mine).first() is not None


def _state(connection: sa.Connection, person: int, queue: int) -> _State:
    mine = (talks.c.person_id == person) & (talks.c.queue_id == queue)
    row = connection.execute(sa.select(talks).where(mine)).one_or_none()
    return _State() if row is None else _State(row.after, row.messages, row.message)


def _write(connection: sa.Connection, person: int, queue: int, state: _State) -> None:
    mine = (talks.c.person_id == person) & (talks.c.queue_id == queue)
    if not connection.execute(talks.update().where(mine).values(vars(state))).rowcount:
        connection.execute(talks.insert(), {"person_id": person, "queue_id": queue, **vars(state)})


def _queue(connection: sa.Connection, name: str) -> Any:
    return connection.execute(sa.select(queues).where(queues.c.name == name)).one()


def _usable(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not text:
        raise UsageError("the message is empty", hint="say something")
    if len(text) > LONGEST_MESSAGE:
        raise UsageError(f"the message is too long: {len(text):,} characters", hint=f"at most {LONGEST_MESSAGE:,}")
    return text
