"""What a vote says whichever side its answers were shown on, which votes are about the same thing, and in which order they were cast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from alidade.preferences.tally import Pair, implied_votes, pair_of
from alidade.records import Act, Choice, RankingVote, Vote

A = TypeVar("A", bound=Act)
CHOICES: tuple[Choice, ...] = ("left", "right", "tie")
MIRRORED: Mapping[Choice, Choice] = {"left": "right", "right": "left", "tie": "tie"}


class Item(NamedTuple):
    """What people can be asked to agree on: two answers, judged by one version of the guideline."""

    pair: Pair
    guideline: str


Poll = Mapping[str, Choice]


def item_of(vote: Vote) -> Item:
    """What a vote is about, and by which guideline."""
    return Item(pair_of(vote), vote.guideline)


def choice_of(vote: Vote) -> Choice:
    """What was chosen, the answer of the lower number being the left one."""
    return vote.choice if vote.left < vote.right else MIRRORED[vote.choice]


def in_order(votes: Iterable[Vote]) -> list[Vote]:
    """Votes by the time they were cast; in the order given where one has no time."""
    given = list(votes)
    times = [vote.at for vote in given if vote.at is not None]
    if len(times) < len(given):
        return given
    return [given[place] for place in sorted(range(len(given)), key=times.__getitem__)]


def first_votes(votes: Sequence[Vote]) -> list[Vote]:
    """Each annotator's first vote on each item: later ones are repeats, and no second opinion."""
    first: dict[tuple[Item, str], Vote] = {}
    for vote in in_order(votes):
        first.setdefault((item_of(vote), vote.annotator), vote)
    return list(first.values())


def polls(votes: Sequence[Vote]) -> Mapping[Item, Poll]:
    """What each annotator chose first, item by item."""
    found: dict[Item, dict[str, Choice]] = {}
    for vote in first_votes(votes):
        found.setdefault(item_of(vote), {})[vote.annotator] = choice_of(vote)
    return found


def others_choice(poll: Poll, annotator: str) -> Choice | None:
    """What most of the other annotators chose; None where nobody else voted or no choice leads."""
    counts: Counter[Choice] = Counter()
    for name, choice in poll.items():
        counts[choice] += name != annotator
    (first, most), *rest = counts.most_common(2)
    return first if most > (rest[0][1] if rest else 0) else None


def with_others(vote: Vote, every: Mapping[Item, Poll]) -> bool | None:
    """Whether a vote chose what most of the others did; None where they have no such choice."""
    label = others_choice(every[item_of(vote)], vote.annotator)
    return None if label is None else choice_of(vote) == label


def by_annotator(acts: Iterable[A]) -> dict[str, list[A]]:
    """The acts of each annotator, by name."""
    found: dict[str, list[A]] = {}
    for act in acts:
        found.setdefault(act.annotator, []).append(act)
    return dict(sorted(found.items()))


def as_votes(acts: Iterable[Vote | RankingVote]) -> list[Vote]:
    """Votes as they are, rankings as the votes they imply."""
    return [vote for act in acts for vote in ([act] if isinstance(act, Vote) else implied_votes([act]))]
