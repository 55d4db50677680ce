"""A queue as files: the votes, the answers they are about, and what measures the people who gave them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alidade.errors import UsageError
from alidade.preferences.votebook.chain import verify
from alidade.preferences.votebook.collect import collect, groups_of
from alidade.preferences.votebook.database import Votebook
from alidade.preferences.votebook.people import everyone
from alidade.preferences.votebook.queues import Answer, Content, QueueSettings, queue_named
from alidade.preferences.votebook.schema import items
from alidade.records import Candidates, Completion, Prompt, Record


def export_files(book: Votebook, queue: str) -> dict[str, str]:
    """The text of each file of a queue's export, by name; `rows.jsonl` are the votes, `answers.jsonl` what they are about.

    `repeats.jsonl` and `checks.jsonl` (votes on gold) measure people and are no labels; `chain.json` is the end of the chain.

    Raises:
        NotFound: when there is no such queue.
    """
    number, settings = queue_named(book, queue)
    found, checked = collect(book, queue), verify(book)
    contents = _contents(book, number)
    rows = {
        "rows.jsonl": found.votes,
        "rankings.jsonl": found.rankings,
        "demonstrations.jsonl": found.demonstrations,
        "repeats.jsonl": found.repeats,
        "checks.jsonl": found.checks,
    }
    about = {
        "about.json": {"queue": settings.model_dump(mode="json"), "skipped": found.skipped, "flagged": found.flagged},
        "chain.json": vars(checked),
        "gold.json": [row for key, best in found.gold.items() for row in _gold(contents[key], best, settings)],
        "groups.json": groups_of(everyone(book)),
    }
    files = {name: lines(kept) for name, kept in rows.items() if kept or name == "rows.jsonl"}
    files["answers.jsonl"] = lines(_candidates(list(contents.values())))
    return files | {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in about.items()}


def write_export(book: Votebook, queue: str, out: Path) -> list[str]:
    """Write a queue's export into a folder; the names of its files.

    Raises:
        UsageError: when the folder has files that are not of an export.
    """
    files = export_files(book, queue)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / "chain.json").exists():
        raise UsageError("the folder holds something else", where=str(out), hint="name a new folder")
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    return list(files)


def _contents(book: Votebook, queue: int) -> dict[str, Content]:
    query = sa.select(items.c.key, items.c.content).where(items.c.queue_id == queue).order_by(items.c.id)
    with book.reading() as connection:
        return {row.key: Content.model_validate(row.content) for row in connection.execute(query)}


def _candidates(contents: Sequence[Content]) -> list[Candidates]:
    """Prompts with the answers that were shown; one that was not stands as an answer with an error, so that numbers stay true."""
    shown: dict[str, dict[int, Answer]] = {}
    prompts = {content.prompt_id: content.prompt for content in contents}
    for content in contents:
        shown.setdefault(content.prompt_id, {}).update({each.number: each for each in content.answers})
    return [
        Candidates(
            prompt=Prompt(id=name, conversation=prompts[name], about=_makers(answers)),
            answers=tuple(_completion(answers.get(number)) for number in range(max(answers) + 1)),
        )
        for name, answers in shown.items()
    ]


def _gold(content: Content, best: int, settings: QueueSettings) -> list[dict[str, Any]]:
    """That the best answer is better than each other one, in every attribute that was asked."""
    attributes = settings.attributes if settings.task == "attributes" else (settings.attribute,)
    others = [answer.number for answer in content.answers if answer.number != best]
    return [
        {
            "prompt_id": content.prompt_id,
            "left": min(best, other),
            "right": max(best, other),
            "choice": "left" if best < other else "right",
            **({} if attribute == "overall" else {"attribute": attribute}),
        }
        for attribute in attributes
        for other in others
    ]


def _completion(answer: Answer | None) -> Completion:
    if answer is None:
        return Completion(text="", error="not shown")
    return Completion(text=answer.text, finished=answer.made is None or answer.made.finished)


def _makers(answers: Mapping[int, Answer]) -> dict[str, str]:
    """What made each answer, as far as it is known: `model 0`, `name 0` and `sampling 0` are of answer 0."""
    return {
        f"{what} {number}": said
        for number, answer in sorted(answers.items())
        if answer.made is not None
        for what, said in (
            ("model", answer.made.model),
            ("name", answer.made.name),
            ("sampling", answer.made.sampling.model_dump_json()),
        )
    }


def lines(rows: Iterable[Record]) -> str:
    """Records as a file of lines."""
    return "".join(f"{row.model_dump_json()}\n" for row in rows)
