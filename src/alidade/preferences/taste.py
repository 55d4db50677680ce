"""Disagreement that is taste and not error: answers on which reliable annotators split, and what their sides have in common.

An annotator is reliable who passes trials better than a coin: gold pairs got right, repeats answered as before, and the choice that
others (two or more) made nearly all. A pair of answers is contested where `LEAST_A_SIDE` reliable annotators or more are
on each side. A dimension predicts the split as far as people's choices on *other* prompts tell theirs on contested ones: who picks
longer answers elsewhere should pick the longer one here. A lean that all share predicts no split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

from alidade.preferences.acts import choice_of, polls
from alidade.preferences.agreement import by_prompt, is_right, repeats_of
from alidade.preferences.contrasts import TRAITS, Contrast
from alidade.preferences.sensitivity import decided
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Choice, Estimate, Record, Vote
from alidade.stats import clustered_proportion, wilson_interval

LEAST_TRIALS = 10
LEAST_A_SIDE = 2
NEARLY_ALL = 0.8
EXAMPLES = 5
ATTRIBUTE = "attribute"
SIGNS: Mapping[Choice, int] = {"left": 1, "right": -1, "tie": 0}


class Answers(NamedTuple):
    """Two answers to a prompt in any attribute."""

    prompt_id: str
    left: int
    right: int


class Split(Record):
    """A contested pair of answers: how many reliable annotators picked each, and for how many of them a dimension tells which."""

    prompt_id: str
    left: int
    right: int
    left_votes: int
    right_votes: int
    predicted: int
    told: int


class Dimension(Record):
    """The share of votes on contested pairs that a dimension tells right, clustered by pair, and the pairs it tells best."""

    name: str
    predicts: Estimate
    examples: tuple[Split, ...]


class Taste(Record):
    """How many are reliable, on how many pairs they split, and the dimensions from the best predictor down.

    `best` is the first dimension if its interval lies above .5, else None: then nothing looked at here tells the sides.
    """

    reliable: int
    annotators: int
    contested: int
    shared: int
    dimensions: tuple[Dimension, ...]
    best: str | None


Guess = Callable[[Vote], int]


def taste(votes: Sequence[Vote], seen: Mapping[Pair, Contrast], trusted: Set[str]) -> Taste:
    """Where `trusted` annotators split, and the dimension that tells best who takes which side."""
    picked = [vote for vote in decided(votes) if vote.annotator in trusted]
    asked: dict[Answers, list[Vote]] = defaultdict(list)
    for vote in picked:
        asked[Answers(*pair_of(vote)[:3])].append(vote)
    contested = {answers: found for answers, found in asked.items() if _least_side(found) >= LEAST_A_SIDE}
    guesses: dict[str, Guess] = {trait: _by_lean(picked, seen, place) for place, trait in enumerate(TRAITS)}
    guesses[ATTRIBUTE] = _by_attribute(contested)
    found = [one for name, guess in guesses.items() if (one := _dimension(name, guess, contested)) is not None]
    found.sort(key=lambda one: -one.predicts.low)
    return Taste(
        reliable=len(trusted & {vote.annotator for vote in votes}),
        annotators=len({vote.annotator for vote in votes}),
        contested=len(contested),
        shared=sum(len({vote.annotator for vote in one}) >= 2 * LEAST_A_SIDE for one in asked.values()),
        dimensions=tuple(found),
        best=found[0].name if found and found[0].predicts.low > 0.5 else None,
    )


def reliable(votes: Sequence[Vote], gold: Mapping[Pair, Choice]) -> set[str]:
    """Who passes trials better than a coin: on at least `LEAST_TRIALS` prompts, and an interval above one half."""
    trials: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for item, poll in polls(votes).items():
        for name, choice in poll.items():
            others = Counter(said for other, said in poll.items() if other != name)
            if len(poll) > 2 and max(others.values()) >= NEARLY_ALL * (len(poll) - 1):
                trials[name].append((item.pair.prompt_id, others[choice] == max(others.values())))
    for vote in votes:
        right = is_right(vote, gold)
        if right is not None:
            trials[vote.annotator].append((vote.prompt_id, right))
    for repeat in repeats_of(votes):
        trials[repeat.annotator].append((repeat.prompt_id, repeat.same))
    return {
        name
        for name, passed in trials.items()
        if len({prompt for prompt, _ in passed}) >= LEAST_TRIALS and by_prompt(passed).low > 0.5
    }


def _least_side(votes: Sequence[Vote]) -> int:
    """How many annotators are on the smaller side; somebody who is on both, in two attributes, counts on each."""
    sides = [{vote.annotator for vote in votes if choice_of(vote) == side} for side in ("left", "right")]
    return min(map(len, sides))


def _by_lean(picked: Sequence[Vote], seen: Mapping[Pair, Contrast], place: int) -> Guess:
    """The answer with more, or less, of a trait, as this annotator picks more often on other prompts."""
    leans: Counter[str] = Counter()
    here: Counter[tuple[str, str]] = Counter()

    def sign(vote: Vote) -> int:
        value = seen[pair_of(vote)][place]
        return (value > 0) - (value < 0)

    for vote in picked:
        towards = SIGNS[choice_of(vote)] * sign(vote)
        leans[vote.annotator] += towards
        here[vote.annotator, vote.prompt_id] += towards

    def guess(vote: Vote) -> int:
        elsewhere = leans[vote.annotator] - here[vote.annotator, vote.prompt_id]
        return ((elsewhere > 0) - (elsewhere < 0)) * sign(vote)

    return guess


def _by_attribute(contested: Mapping[Answers, Sequence[Vote]]) -> Guess:
    """What the others chose who judged the same answers in the same attribute, where they were judged in several."""
    sums: Counter[tuple[Answers, str]] = Counter()
    several: dict[Answers, set[str]] = {answers: {v.attribute for v in votes} for answers, votes in contested.items()}
    for answers, votes in contested.items():
        for vote in votes:
            sums[answers, vote.attribute] += SIGNS[choice_of(vote)]

    def guess(vote: Vote) -> int:
        answers = Answers(*pair_of(vote)[:3])
        if len(several[answers]) < 2:
            return 0
        others = sums[answers, vote.attribute] - SIGNS[choice_of(vote)]
        return (others > 0) - (others < 0)

    return guess


def _dimension(name: str, guess: Guess, contested: Mapping[Answers, Sequence[Vote]]) -> Dimension | None:
    right, pairs, splits = [], [], []
    for answers, votes in contested.items():
        told = [guess(vote) == SIGNS[choice_of(vote)] for vote in votes if guess(vote)]
        right += told
        pairs += [answers] * len(told)
        sides = Counter(choice_of(vote) for vote in votes)
        if told:
            splits.append(
                Split(
                    **answers._asdict(),
                    left_votes=sides["left"],
                    right_votes=sides["right"],
                    predicted=sum(told),
                    told=len(told),
                )
            )
    if not right:
        return None
    splits.sort(key=lambda one: (-wilson_interval(one.predicted, one.told)[0], one.prompt_id, one.left, one.right))
    shown = [one for one in splits if 2 * one.predicted > one.told]
    return Dimension(name=name, predicts=clustered_proportion(right, pairs), examples=tuple(shown[:EXAMPLES]))
