"""Simulated annotators at work: in a queue of a votebook, as people are, with its leases, drawn orders, overlap, gold and repeats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from pydantic import Field

from alidade.pipeline import StageContext
from alidade.records import Attribute, Candidates, Conversation, Record
from alidade.seeds import derive, generator
from alidade.testbed.annotators import Annotator, choose, felt_utility, gold_utilities, put_in_order
from alidade.testbed.judge import gold_judge, words_of

if TYPE_CHECKING:
    from alidade.preferences.votebook import Votebook
    from alidade.preferences.votebook.acts import Submission
    from alidade.preferences.votebook.leases import Task
    from alidade.preferences.votebook.people import Person
    from alidade.preferences.votebook.queues import Item, QueueSettings

CLEAR = 1.0  # how far the best answer of a gold item is ahead, in gold utility
WORDS_A_SECOND = 4.0
FILES = ("rows.jsonl", "rankings.jsonl", "checks.jsonl", "repeats.jsonl")
Worth = Mapping[tuple[Conversation, str], float]


class Collection(Record):
    """What annotators are asked about each item, how many of them, and how they are checked."""

    task: Literal["pair", "ranking"] = Field(
        default="pair", description="which of two answers is better (every pair), or all answers to a prompt in order"
    )
    attribute: Attribute = Field(
        default="overall", description="what they look at: helpful, honest, harmless, or the answer over all"
    )
    votes_per_item: int = Field(
        default=3, ge=1, le=100, description="annotators for an item, as far as there are so many"
    )
    overlap_share: float = Field(default=0.15, ge=0, le=1, description="share of items that more annotators vote on")
    overlap_votes: int = Field(
        default=5, ge=1, le=100, description="annotators for an item of the overlap, and for held-out ones"
    )
    gold: int = Field(default=40, ge=0, description="items whose best answer is known, to check annotators by")
    gold_share: float = Field(default=0.05, ge=0, le=0.5, description="share of tasks that are gold")
    repeat_share: float = Field(default=0.05, ge=0, le=0.5, description="share of tasks that were seen before")


def collect_votes(
    answered: Mapping[str, Sequence[Candidates]], pool: Sequence[Annotator], asked: Collection, context: StageContext
) -> dict[str, str]:
    """The files of an export, by name, of all queues together: `rows` to learn from, and `heldout`, which measures."""
    from alidade.preferences.votebook import open_votebook
    from alidade.preferences.votebook.export import export_files

    everything = [row for rows in answered.values() for row in rows]
    clock = _Clock()
    book = open_votebook(clock=clock)
    office = _Office(book, clock, _hired(book, pool, _worth_of(everything, asked.attribute), context.seed))
    exported = []
    for name, rows in answered.items():
        wanted = _queue(name, asked, context.seed)
        if items := _items(rows, wanted, asked, context.seed):
            office.collect(wanted, items, context)
            exported.append(export_files(book, name))
    gold = [known for files in exported for known in json.loads(files["gold.json"])]
    found = {file: "".join(files.get(file, "") for files in exported) for file in FILES}
    return {file: text for file, text in found.items() if text} | {"gold.json": json.dumps(gold, indent=1) + "\n"}


def _worth_of(rows: Sequence[Candidates], attribute: Attribute) -> Worth:
    """What each answer is worth to the gold judge, by what an annotator sees of it."""
    judge = gold_judge()
    return {
        (row.prompt.conversation, answer.text): value
        for row in rows
        for answer, value in zip(row.answers, gold_utilities(row, judge, attribute), strict=True)
    }


def _queue(name: str, config: Collection, seed: int) -> QueueSettings:
    """How a queue is asked; what is held out measures, so that every item of it is one of the overlap, and none checks annotators."""
    from alidade.preferences.votebook.queues import QueueSettings

    held_out = name == "heldout"
    return QueueSettings(
        name=name,
        task=config.task,
        attribute=config.attribute,
        votes_per_item=config.votes_per_item,
        overlap_share=1.0 if held_out else config.overlap_share,
        overlap_votes=config.overlap_votes,
        gold_share=0.0 if held_out else config.gold_share,
        repeat_share=0.0 if held_out else config.repeat_share,
        source="testbed",
        seed=derive(seed, name),
    )


def _items(rows: Sequence[Candidates], wanted: QueueSettings, config: Collection, seed: int) -> list[Item]:
    """The items of a queue, a draw of those with a clear best answer being gold."""
    from alidade.preferences.votebook.queues import items_of

    asked = items_of(rows, wanted.task) if rows else []
    if not wanted.gold_share:
        return asked
    worth = _worth_of(rows, config.attribute)
    clear = {item.key: best for item in asked if (best := _clear_best(item, worth)) is not None}
    chosen = generator(seed, "gold").sample(sorted(clear), min(config.gold, len(clear)))
    known = {key: clear[key] for key in chosen}
    return [item.model_copy(update={"gold": known.get(item.key)}) for item in asked]


def _clear_best(item: Item, worth: Worth) -> int | None:
    """The number of the answer that is clearly the best; None where there is none."""
    content = item.content
    values = sorted(((worth[content.prompt, each.text], each.number) for each in content.answers), reverse=True)
    return values[0][1] if values[0][0] - values[1][0] >= CLEAR else None


@dataclass(frozen=True)
class _Labeler:
    person: Person
    answer: Callable[[Task], Submission]


def _hired(book: Votebook, pool: Sequence[Annotator], worth: Worth, seed: int) -> list[_Labeler]:
    from alidade.preferences.votebook.people import invite, join

    return [
        _Labeler(
            join(book, invite(book, "labeler"), annotator.name, f"simulated {annotator.name}"),
            _mind(annotator, worth, seed),
        )
        for annotator in pool
    ]


def _mind(annotator: Annotator, worth: Worth, seed: int) -> Callable[[Task], Submission]:
    """What an annotator answers to a task."""
    from alidade.preferences.votebook.acts import Order, Pick

    rng = generator(seed, "votes", annotator.name)

    def answer(task: Task) -> Submission:
        felt = [felt_utility(annotator, worth[task.prompt, text], text) for text in task.answers]
        if task.kind == "pair":
            return Pick(choice=choose(annotator, felt[0] - felt[1], rng))
        return Order(ranks=put_in_order(annotator, felt, rng))

    return answer


@final
class _Clock:
    """Seconds of simulated work."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def read(self, task: Task) -> None:
        """Let pass as long as reading a task takes."""
        self.seconds += sum(len(words_of(text)) for text in task.answers) / WORDS_A_SECOND


@dataclass(frozen=True)
class _Office:
    """Annotators who take tasks in turns until there is none left for them."""

    book: Votebook
    clock: _Clock
    labelers: Sequence[_Labeler]

    def collect(self, wanted: QueueSettings, items: Sequence[Item], context: StageContext) -> None:
        from alidade.preferences.votebook.casting import cast
        from alidade.preferences.votebook.leases import claim
        from alidade.preferences.votebook.queues import add_queue

        add_queue(self.book, wanted, items)
        working = list(self.labelers)
        with context.progress.track(_votes_in(wanted, items), f"votes on {wanted.name}", "votes") as tracker:
            while working:
                for labeler in tuple(working):
                    task = claim(self.book, labeler.person, wanted.name)
                    if task is None:
                        working.remove(labeler)
                        continue
                    self.clock.read(task)
                    cast(self.book, labeler.person, task.id, labeler.answer(task), task.id)
                    tracker.advance()


def _votes_in(wanted: QueueSettings, items: Sequence[Item]) -> int:
    """About how many votes a queue brings, gold and repeats included."""
    from alidade.preferences.votebook.queues import votes_wanted

    work = sum(votes_wanted(wanted, item) for item in items)
    return round(work / (1 - wanted.gold_share - wanted.repeat_share))
