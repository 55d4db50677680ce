"""Hugging Face's constitutions: pairs of `critic` and `revision` without frames, and `system_chat`, examples as turns.

Source: huggingface/llm-swarm, `examples/constitutional-ai`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from alidade.constitution.examples import Shots
from alidade.constitution.importers.imported import (
    Given,
    Imported,
    fields_of,
    items_of,
    made,
    short_title,
    words_of,
)
from alidade.constitution.principles import Principle, Requests
from alidade.records import Message

_PAIR = 'a pair is {"critic": TEXT, "revision": TEXT}'
_TURN = 'a turn is {"role": "user", "content": TEXT}'


def read_chats(given: Given) -> Imported:
    """A principle for each pair, its words those of the revision.

    Raises:
        DataError: naming the place that is of another make.
    """
    tree = fields_of(given.json(), given.file, "an object with `constitutions`")
    left = Counter({name: 1 for name in tree if name not in {"constitutions", "system_chat"}})
    principles: list[Principle] = []
    for place, value in enumerate(items_of(tree.get("constitutions"), given.at("constitutions"), _PAIR)):
        where = given.at("constitutions", place)
        pair = fields_of(value, where, _PAIR)
        critique, revision = (words_of(pair.get(name), f"{where[:-1]}.{name})") for name in ("critic", "revision"))
        left.update(f"constitutions.{name}" for name in pair if name not in {"critic", "revision"})
        requests = Requests(critique=critique, revision=revision)
        principles.append(
            Principle(id=f"principle{place}", title=short_title(revision), text=revision, requests=requests)
        )
    chats = items_of(tree.get("system_chat", []), given.at("system_chat"), "a list of conversations")
    return Imported(
        constitution=given.constitution(given.stem, principles),
        format="hf",
        shots=Shots(chats=tuple(_chat(given, place, chat) for place, chat in enumerate(chats))),
        left=dict(left),
    )


def _chat(given: Given, place: int, value: Any) -> tuple[Message, ...]:
    turns: list[Message] = []
    for number, turn in enumerate(items_of(value, given.at("system_chat", place), _TURN)):
        where = given.at("system_chat", place, number)
        said = fields_of(turn, where, _TURN)
        named = {("text" if name == "content" else name): words for name, words in said.items()}
        turns.append(made(Message, named, where))
    return tuple(turns)
