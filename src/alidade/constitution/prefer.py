"""Compare by principles: the second half of the method (RL-CAI).

Source: [B22] Bai et al. 2022, arXiv 2212.08073, section 4.1: a feedback model is shown two answers and one
principle drawn at random, and asked which is better as a question of two choices; the label is the normalised probability of the
options. After reasoning in words the probabilities lie near 0 and 1, so they are clamped to .4 to .6.
Both orders are shown and averaged, as in RLAIF (Lee et al. 2023, arXiv 2309.00267): a judge that only ever picks the first gives .5.
A model that hides its probabilities votes instead (`voting`); a row then says how uncertain its label is by the votes that were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from pydantic import Field

from alidade.constitution.examples import ComparisonShot, ReasonedShot, reasoned_text
from alidade.constitution.principles import Constitution, Principle
from alidade.constitution.revise import SHOT_ORDERS
from alidade.constitution.voting import Ballot, VotingModel
from alidade.constitution.wording import ChoiceFrames, Wording
from alidade.models.base import Sampling
from alidade.models.continuing import OptionModel, TextModel, normalised
from alidade.progress import Progress
from alidade.records import Candidates, Comparison, Conversation, Probability, Record
from alidade.seeds import derive, generator

Shown = Literal["left first", "right first"]
ORDERS: tuple[Shown, Shown] = ("left first", "right first")


class PreferenceSettings(Record):
    """How a model compares two answers by principles."""

    principles_per_pair: int = Field(
        default=1, ge=1, description="principles drawn for each comparison; their labels are averaged"
    )
    shots: int = Field(default=5, ge=0, description="few-shot examples in front of each question, as many as there are")
    thoughts: bool = Field(default=False, description="whether the model reasons in words before it chooses")
    thought_tokens: int = Field(default=256, ge=1, description="longest reasoning, in tokens")
    temperature: float = Field(default=1.0, ge=0, description="softmax temperature of the reasoning")
    clamp: tuple[Probability, Probability] = Field(
        default=(0.4, 0.6), description="bounds of a probability after reasoning; without reasoning it stays as it is"
    )
    votes: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="answers drawn to each question, for a model that hides its probabilities; by default these are read",
    )


class Pair(Record):
    """Two different answers to one prompt, to be compared."""

    id: str
    prompt: Conversation
    left: str
    right: str


class Judgement(Record):
    """One question that was asked: by which principle, in which order, and what the model made of it."""

    principle: str
    principle_digest: str
    shown: Shown
    shots: tuple[int, ...] = ()
    thought: str = ""
    log_probs: tuple[float, float] = Field(description="of the first and the second option, as the model gave them")
    left_prob: Probability = Field(description="of the left answer, normalised and clamped")
    ballot: Ballot | None = Field(
        default=None, exclude_if=lambda value: value is None, description="the votes, where the options were sampled"
    )
    fault: Literal["", "no option"] = Field(
        default="", exclude_if=lambda value: not value, description="why the label is one half: no vote was an option"
    )


class Preferred(Record):
    """A comparison with every question behind its label."""

    comparison: Comparison
    judgements: tuple[Judgement, ...]
    votes: int | None = Field(
        default=None, exclude_if=lambda value: value is None, description="votes that count behind the label"
    )
    standard_error: float | None = Field(
        default=None, exclude_if=lambda value: value is None, description="of the label, by which votes were drawn"
    )


def pairs_of_candidates(rows: Iterable[Candidates], per_prompt: int = 1) -> list[Pair]:
    """Neighbours among each prompt's different answers, at most `per_prompt`; three or more close a circle."""
    pairs: list[Pair] = []
    for row in rows:
        texts = list(dict.fromkeys(answer.text for answer in row.answers if answer.text))
        rights = texts[1:] + (texts[:1] if len(texts) > 2 else [])
        for number, (left, right) in enumerate(list(zip(texts, rights, strict=False))[:per_prompt]):
            name = f"{row.prompt.id}/{number}" if number else row.prompt.id
            pairs.append(Pair(id=name, prompt=row.prompt.conversation, left=left, right=right))
    return pairs


def pairs_of_comparisons(rows: Iterable[Comparison]) -> list[Pair]:
    """The pairs that were compared, without their labels; one that several people judged under one id comes once."""
    pairs = [Pair(id=row.id, prompt=row.prompt, left=row.left, right=row.right) for row in rows]
    return list(dict.fromkeys(pairs))


def draw_principles(principles: Sequence[Principle], wanted: int, seed: int, pair_id: str) -> list[Principle]:
    """`wanted` different principles by their weights, or all where there are no more; one is the published way ([B22] section 4.1)."""
    rng, left, drawn = generator(seed, "principles of", pair_id), list(principles), list[Principle]()
    while left and len(drawn) < wanted:
        one = rng.choices(left, weights=[each.weight for each in left])[0]
        drawn.append(one)
        left.remove(one)
    return drawn


class _Question(Record):
    """One question about a pair, before it is asked."""

    place: int
    principle: Principle
    shown: Shown
    shots: tuple[int, ...]


class Feedback:
    """A model that compares answers by a constitution.

    Raises:
        ValueError: when no principle can be drawn for a comparison; the wording knows no reasoning and the settings ask for it; an
            example has none then; or the model shows no probabilities and is not asked for votes.
    """

    def __init__(
        self,
        model: OptionModel | TextModel,
        constitution: Constitution,
        wording: Wording,
        settings: PreferenceSettings,
        shots: Sequence[ComparisonShot | ReasonedShot] = (),
    ) -> None:
        if not constitution.judges:
            raise ValueError(f"constitution `{constitution.id}` has no principle with a comparison question")
        frames = wording.thought if settings.thoughts else wording.choice
        if frames is None:
            raise ValueError(f"the wording `{wording.name}` has no form for reasoning before a choice")
        if settings.thoughts and not all(isinstance(one, ReasonedShot) for one in shots):
            raise ValueError("an example without reasoning cannot be shown to a model that reasons")
        if settings.votes is None and not hasattr(model, "option_log_probs"):
            raise ValueError(
                f"{model.name} shows no probabilities of options, so `votes` must say how often it is asked"
            )
        self._model, self._principles, self._settings = model, constitution.judges, settings
        self._frames: ChoiceFrames = frames
        self._wording, self._shots = wording, tuple(shots)

    def compare(
        self, pairs: Sequence[Pair], seed: int, chunk: int = 0, progress: Progress | None = None
    ) -> list[Preferred]:
        """A labelled comparison for each pair, in the same order; equal pairs, seed and chunk give equal bytes."""
        questions = [one for place, pair in enumerate(pairs) for one in self._questions(place, pair, seed)]
        texts = [self._text(pairs[one.place], one, seed) for one in questions]
        thoughts = self._thoughts(pairs, questions, texts, derive(seed, "thoughts", chunk), progress)
        texts = [
            text + (f"{self._frames.thinking} {thought}" if self._settings.thoughts else "") + self._frames.answer
            for text, thought in zip(texts, thoughts, strict=True)
        ]
        judged: list[list[Judgement]] = [[] for _ in pairs]
        chosen = self._chosen(texts, derive(seed, "votes", chunk), progress)
        for one, thought, (log_probs, ballot) in zip(questions, thoughts, chosen, strict=True):
            judged[one.place].append(
                Judgement(
                    principle=one.principle.id,
                    principle_digest=one.principle.digest,
                    shown=one.shown,
                    shots=one.shots,
                    thought=thought,
                    log_probs=log_probs,
                    left_prob=self._left_prob(log_probs, one.shown),
                    ballot=ballot,
                    fault="no option" if ballot is not None and ballot.n == 0 else "",
                )
            )
        return [_preferred(pair, judgements) for pair, judgements in zip(pairs, judged, strict=True)]

    def _chosen(
        self, texts: Sequence[str], seed: int, progress: Progress | None
    ) -> list[tuple[tuple[float, float], Ballot | None]]:
        """What the model makes of each question: the two options' log-probabilities, and the votes they are from, if any."""
        options, votes = self._frames.options, self._settings.votes
        if votes is None:
            scores = cast("OptionModel", self._model).option_log_probs(texts, options)
            return [((first, second), None) for first, second in scores]
        assert isinstance(self._model, TextModel), "votes need a model that writes"
        ballots = VotingModel(self._model, votes).ballots(texts, options, seed, progress)
        return [((ballot.log_probs[0], ballot.log_probs[1]), ballot) for ballot in ballots]

    def _questions(self, place: int, pair: Pair, seed: int) -> list[_Question]:
        count, wanted = len(self._shots), min(len(self._shots), self._settings.shots)
        order = generator(seed, "which order of", pair.id).randrange(SHOT_ORDERS)
        shots = tuple(generator(seed, "order of choices", order).sample(range(count), wanted))
        drawn = draw_principles(self._principles, self._settings.principles_per_pair, seed, pair.id)
        return [_Question(place=place, principle=one, shown=shown, shots=shots) for one in drawn for shown in ORDERS]

    def _text(self, pair: Pair, one: _Question, seed: int) -> str:
        """The question behind its few-shot examples, up to where the model thinks or chooses."""
        first, second = _in_order(pair.left, pair.right, one.shown)
        question = one.principle.requests.comparison
        shots = [self._shot(number, question, seed) for number in one.shots]
        return self._wording.with_shots(shots, self._frames.prompt(pair.prompt, first, second, question))

    def _shot(self, number: int, question: str, seed: int) -> str:
        """An example with its answer; which of its answers is shown first is drawn once for each example, unless reasoning names them."""
        shot, frames = self._shots[number], self._frames
        if isinstance(shot, ReasonedShot):
            return reasoned_text(shot, frames, question, thought=self._settings.thoughts)
        rng = generator(seed, "order in shot", number)
        better_first = rng.random() < 0.5
        better, worse = rng.choice(shot.corrects), rng.choice(shot.incorrects)
        first, second = (better, worse) if better_first else (worse, better)
        option = frames.options[0 if better_first else 1]
        return frames.prompt(shot.talk, first, second, question) + frames.answer + option

    def _thoughts(
        self,
        pairs: Sequence[Pair],
        questions: Sequence[_Question],
        texts: Sequence[str],
        seed: int,
        progress: Progress | None,
    ) -> list[str]:
        """What stands between each question and its choice, from behind `thinking` on."""
        frames, settings = self._frames, self._settings
        if not settings.thoughts:
            return [""] * len(texts)
        how = Sampling(temperature=settings.temperature, max_new_tokens=settings.thought_tokens, seed=seed)
        if frames.thinking_of_second:
            return self._critiques(pairs, questions, how, progress)
        return self._written([text + frames.thinking for text in texts], how, frames.thought_stops, progress)

    def _critiques(
        self, pairs: Sequence[Pair], questions: Sequence[_Question], how: Sampling, progress: Progress | None
    ) -> list[str]:
        """Each answer criticised without the other in sight; both orders of a pair are shown the same two critiques."""
        asked: dict[tuple[int, str, str], str] = {}
        for one in questions:
            pair, words = pairs[one.place], one.principle.requests
            for answer in (pair.left, pair.right):
                request = words.critique or words.comparison
                asked[one.place, one.principle.id, answer] = self._wording.critique_prompt(pair.prompt, answer, request)
        written = self._written([*asked.values()], how, self._wording.critique.critique_stops, progress)
        critiques = dict(zip(asked, written, strict=True))
        thoughts = list[str]()
        for one in questions:
            pair = pairs[one.place]
            first, second = (
                critiques[one.place, one.principle.id, answer] for answer in _in_order(pair.left, pair.right, one.shown)
            )
            thoughts.append(f"{first}{self._frames.thinking_of_second} {second}")
        return thoughts

    def _written(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str], progress: Progress | None
    ) -> list[str]:
        assert isinstance(self._model, TextModel), "reasoning needs a model that writes"
        return [one.text for one in self._model.continued(texts, how, stops, progress)]

    def _left_prob(self, log_probs: tuple[float, float], shown: Shown) -> float:
        first = normalised(log_probs)[0]
        left = first if shown == "left first" else 1 - first
        low, high = self._settings.clamp if self._settings.thoughts else (0.0, 1.0)
        return min(max(left, low), high)


def _in_order(left: str, right: str, shown: Shown) -> tuple[str, str]:
    return (left, right) if shown == "left first" else (right, left)


def _preferred(pair: Pair, judgements: Sequence[Judgement]) -> Preferred:
    """The label is the mean over principles and orders."""
    label = sum(one.left_prob for one in judgements) / len(judgements)
    comparison = Comparison(
        id=pair.id,
        prompt=pair.prompt,
        left=pair.left,
        right=pair.right,
        label_prob=label,
        annotator="constitution",
        source="constitution",
    )
    ballots = [one.ballot for one in judgements if one.ballot is not None]
    if not ballots:
        return Preferred(comparison=comparison, judgements=tuple(judgements))
    return Preferred(
        comparison=comparison,
        judgements=tuple(judgements),
        votes=sum(ballot.n for ballot in ballots),
        standard_error=math.sqrt(sum(ballot.variance for ballot in ballots)) / len(ballots),
    )
