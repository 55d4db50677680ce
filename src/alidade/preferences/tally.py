"""Votes become comparisons: per prompt and pair of answers, the left one's share of the votes, a tie being half a vote.

Vote shares are kept instead of majorities: they are worth more to a reward model and need no rule for 1 : 1. In their place a label
can be what an annotator model makes of the votes (`belief.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

from alidade.errors import DataError
from alidade.records import Candidates, Choice, Comparison, RankingVote, Vote

Ties = Literal["drop", "keep"]
WINS: Mapping[str, float] = {"left": 1.0, "right": 0.0, "tie": 0.5}
EQUAL = "equal answers"
ALL_TIES = "every vote a tie"
FAULT = "answer with an error"


@dataclass(frozen=True)
class Tallied:
    """Comparisons, those of one prompt together in the order of the prompts, and the pairs left out by reason."""

    comparisons: list[Comparison]
    dropped: dict[str, int]
    votes: int


class Pair(NamedTuple):
    """Two answers to a prompt, the lower number left, in one attribute."""

    prompt_id: str
    left: int
    right: int
    attribute: str


def tally(
    candidates: Sequence[Candidates],
    votes: Sequence[Vote],
    *,
    ties: Ties = "drop",
    labels: Mapping[Pair, float] | None = None,
) -> Tallied:
    """Comparisons from votes; `ties` says what becomes of pairs on which every vote was a tie.

    The order of the answers in a comparison is that of their numbers, whichever side they were shown on. `labels` are
    probabilities to use in place of shares of votes.

    Raises:
        DataError: when a vote names a prompt or an answer that does not exist.
    """
    asked = {row.prompt.id: row for row in candidates}
    groups: dict[Pair, list[Vote]] = {}
    for vote in votes:
        groups.setdefault(known_pair(vote, asked), []).append(vote)
    place = {prompt_id: number for number, prompt_id in enumerate(asked)}
    comparisons: list[Comparison] = []
    dropped: Counter[str] = Counter()
    for pair in sorted(groups, key=lambda pair: (place[pair.prompt_id], *pair[1:])):
        found = _judged(asked[pair.prompt_id], pair, groups[pair], ties)
        if isinstance(found, Comparison):
            comparisons.append(found if labels is None else _relabelled(found, labels[pair]))
        else:
            dropped[found] += 1
    return Tallied(comparisons, dict(sorted(dropped.items())), len(votes))


def implied_votes(rankings: Iterable[RankingVote]) -> list[Vote]:
    """Rankings as votes on each of their pairs. Of more than two answers, those that share the last place were not told apart."""
    return [vote for ranking in rankings for vote in _implied(ranking)]


def _implied(ranking: RankingVote) -> Iterator[Vote]:
    ranks, last = dict(zip(ranking.shown, ranking.ranks, strict=True)), max(ranking.ranks)
    about = ranking.model_dump(exclude={"shown", "ranks", "id", "seconds"})
    for left, right in combinations(ranking.shown, 2):
        if len(ranks) > 2 and ranks[left] == ranks[right] == last:
            continue
        choice: Choice = "tie" if ranks[left] == ranks[right] else "left" if ranks[left] < ranks[right] else "right"
        yield Vote(id=f"{ranking.id}/{left}-{right}", left=left, right=right, choice=choice, **about)


def pair_of(vote: Vote) -> Pair:
    """What a vote is about."""
    return Pair(vote.prompt_id, min(vote.left, vote.right), max(vote.left, vote.right), vote.attribute)


def _relabelled(row: Comparison, label_prob: float) -> Comparison:
    """`row` with another label; as much of it counts as a tie as the label leaves room for."""
    tie_prob = min(row.tie_prob, 2 * min(label_prob, 1 - label_prob))
    return row.model_copy(update={"label_prob": label_prob, "tie_prob": tie_prob})


def known_pair(vote: Vote, asked: Mapping[str, Candidates]) -> Pair:
    """What a vote is about, among the prompts `asked`.

    Raises:
        DataError: when it names a prompt or an answer that does not exist.
    """
    row = asked.get(vote.prompt_id)
    if row is None:
        raise DataError(
            f"the vote is about an unknown prompt {vote.prompt_id!r}",
            where=f"vote {vote.id}",
            hint="vote on these answers",
        )
    pair = pair_of(vote)
    if pair.left == pair.right or pair.left < 0 or pair.right >= len(row.answers):
        hint = f"the prompt has the answers 0 to {len(row.answers) - 1}"
        raise DataError(f"the vote is about answers {vote.left} and {vote.right}", where=f"vote {vote.id}", hint=hint)
    return pair


def _judged(row: Candidates, pair: Pair, votes: Sequence[Vote], ties: Ties) -> Comparison | str:
    left, right = row.answers[pair.left], row.answers[pair.right]
    if left.error or right.error:
        return FAULT
    if left.text == right.text:
        return EQUAL
    if ties == "drop" and all(vote.choice == "tie" for vote in votes):
        return ALL_TIES
    wins = sum(WINS[vote.choice] if vote.left == pair.left else 1 - WINS[vote.choice] for vote in votes)
    suffix = "" if pair.attribute == "overall" else f".{pair.attribute}"
    return Comparison(
        id=f"{pair.prompt_id}/{pair.left}-{pair.right}{suffix}",
        prompt=row.prompt.conversation,
        left=left.text,
        right=right.text,
        label_prob=wins / len(votes),
        annotator=_shared({vote.annotator for vote in votes}),
        shown=_order_shown(pair, votes),
        attribute=votes[0].attribute,
        guideline=_shared({vote.guideline for vote in votes}),
        source=votes[0].source,
        tie_prob=sum(vote.choice == "tie" for vote in votes) / len(votes),
    )


def _shared(names: set[str]) -> str:
    return names.pop() if len(names) == 1 else ""


def _order_shown(pair: Pair, votes: Sequence[Vote]) -> Literal["left first", "right first", "unknown"]:
    straight = {vote.left == pair.left for vote in votes}
    if len(straight) == 2:
        return "unknown"
    return "left first" if straight.pop() else "right first"
