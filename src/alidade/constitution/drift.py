"""Where revisions go, step by step: longer or shorter, more alike, refusing, evading; and whether they do what the critique says.

All of it is counted from words, so it sees what changed and not whether it got better. What each number cannot see is said where
it is made. Length, copies, openings and shared phrases hold in any language that puts spaces between words; refusing, evading and
finding no fault are lists of phrases (`markers`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from pydantic import Field

from alidade.constitution.markers import ENGLISH, Markers, content_words, quoted, says, words
from alidade.constitution.opinions import by_prompt
from alidade.constitution.revise import Revised, RevisionStep
from alidade.records import Estimate, Prompt, Record
from alidade.stats import clustered_proportion, mean_estimate, paired_difference

PHRASE = 5  # words of a phrase that answers may share
OPENING = 4  # words with which an answer opens
MANY = 0.05  # a phrase is boilerplate where this share of the prompts' answers has it,
LEAST_MANY = 3  # and never fewer prompts than this


class Texts(Record):
    """What the answers are like at one step; `shared` and `openings` are of all answers, as are `opening` and its words."""

    words: Estimate
    refusing: Estimate
    evading: Estimate
    shared: Estimate = Field(description="share of an answer's words in phrases of five that many answers have")
    opening: str = Field(description="the commonest four words an answer opens with")
    openings: Estimate = Field(description="share of the answers that open with these")
    over_refusing: Estimate | None = Field(
        description="share of the harmless prompts that are refused, where some are marked"
    )


class Faithfulness(Record):
    """Whether revisions do what critiques say."""

    named: int = Field(description="steps whose critique names words of the answer")
    gone: Estimate | None = Field(description="share of the words named that the revision lacks, the mean over steps")
    gone_otherwise: Estimate | None = Field(description="the same for the answer's other content words")
    excess: Estimate | None = Field(
        description="the first less the second, of the same steps; near 0: not led by the critique"
    )
    copied: Estimate | None = Field(description="share of the steps with a fault found whose answer is left as it was")


class StepDrift(Record):
    """One step, 0 the first answers. What compares with the answer before is absent there."""

    step: int
    answers: int
    texts: Texts
    change: Estimate | None = Field(default=None, description="words more than the answer before")
    since_first: Estimate | None = Field(default=None, description="words more than the first answer")
    unchanged: Estimate | None = Field(
        default=None, description="share copied unchanged, of the steps that did not fail"
    )
    failed: Estimate | None = Field(
        default=None, description="share of steps without a revision: the answer before stands"
    )
    critique: Faithfulness | None = None


@dataclass(frozen=True)
class _Made:
    """One step of one row."""

    prompt: Prompt
    cluster: Hashable
    first: str
    before: str
    after: str
    step: RevisionStep


def drift(
    rows: Sequence[Revised], harmless: Callable[[Prompt], bool] | None = None, markers: Markers = ENGLISH
) -> list[StepDrift]:
    """What the answers are like before the first step and after each; rows with fewer steps end earlier.

    `harmless` says of a prompt that nothing in it should be refused. Intervals count the rows of one prompt as a cluster.

    Raises:
        ValueError: when there are no rows.
    """
    if not rows:
        raise ValueError("no revisions, no drift")
    clusters = by_prompt([row.prompt.conversation for row in rows])
    firsts = [(row.prompt, cluster, row.initial) for row, cluster in zip(rows, clusters, strict=True)]
    found = [StepDrift(step=0, answers=len(rows), texts=_texts(firsts, harmless, markers))]
    for number in range(max(len(row.steps) for row in rows)):
        made = [
            _Made(row.prompt, cluster, row.initial, row.answers[number], row.answers[number + 1], row.steps[number])
            for row, cluster in zip(rows, clusters, strict=True)
            if len(row.steps) > number
        ]
        found.append(_step(number + 1, made, harmless, markers))
    return found


def _step(number: int, made: Sequence[_Made], harmless: Callable[[Prompt], bool] | None, markers: Markers) -> StepDrift:
    clusters = [one.cluster for one in made]
    lengths = [float(len(words(one.after))) for one in made]
    revised = [one for one in made if not one.step.fault]
    return StepDrift(
        step=number,
        answers=len(made),
        texts=_texts([(one.prompt, one.cluster, one.after) for one in made], harmless, markers),
        change=paired_difference([len(words(one.before)) for one in made], lengths, clusters),
        since_first=paired_difference([len(words(one.first)) for one in made], lengths, clusters),
        unchanged=_share([_is_copy(one) for one in revised], revised),
        failed=_share([bool(one.step.fault) for one in made], made),
        critique=_faithfulness([one for one in revised if one.step.critique], markers),
    )


def _texts(
    answers: Sequence[tuple[Prompt, Hashable, str]], harmless: Callable[[Prompt], bool] | None, markers: Markers
) -> Texts:
    clusters = [cluster for _, cluster, _ in answers]
    texts = [text for _, _, text in answers]
    refusing = [says(text, markers.refusing) for text in texts]
    opens = [" ".join(words(text)[:OPENING]) for text in texts]
    opening = min(Counter(opens).items(), key=lambda one: (-one[1], one[0]))[0]
    spared = [place for place, (prompt, _, _) in enumerate(answers) if harmless is not None and harmless(prompt)]
    return Texts(
        words=mean_estimate([len(words(text)) for text in texts], clusters),
        refusing=clustered_proportion(refusing, clusters),
        evading=clustered_proportion([says(text, markers.evading) for text in texts], clusters),
        shared=mean_estimate(shared_shares(texts, clusters), clusters),
        opening=opening,
        openings=clustered_proportion([one == opening for one in opens], clusters),
        over_refusing=clustered_proportion([refusing[place] for place in spared], [clusters[place] for place in spared])
        if spared
        else None,
    )


def shared_shares(texts: Sequence[str], prompts: Sequence[Hashable]) -> list[float]:
    """For each text the share of its words that stand in a phrase of five which texts of many prompts have.

    Many is a twentieth of the prompts, and three at least. It cannot tell boilerplate from what many prompts rightly ask for,
    such as the same fact, and does not see one phrase in slightly different words.
    """
    split = [words(text) for text in texts]
    having: dict[tuple[str, ...], set[Hashable]] = {}
    for one, prompt in zip(split, prompts, strict=True):
        for phrase in _phrases(one):
            having.setdefault(phrase, set()).add(prompt)
    many = max(LEAST_MANY, MANY * len(set(prompts)))
    shared = {phrase for phrase, found in having.items() if len(found) >= many}
    return [_covered(one, shared) for one in split]


def _phrases(text: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(text[start : start + PHRASE]) for start in range(len(text) - PHRASE + 1)]


def _covered(text: Sequence[str], shared: set[tuple[str, ...]]) -> float:
    inside = {
        start + place for start, phrase in enumerate(_phrases(text)) if phrase in shared for place in range(PHRASE)
    }
    return len(inside) / len(text) if text else 0.0


def named_words(critique: str, answer: str, prompt: str) -> set[str]:
    """The content words of an answer that a critique names as at fault.

    Words inside quotes count, if the answer has them; without such, every content word of the critique that the answer has and the
    prompt lacks, since what was asked about stays. It cannot see what a critique says in other words ("that tone"), takes praise
    for blame, and knows nothing of what should be *added*.
    """
    said = content_words(answer)
    inside = {word for piece in quoted(critique) for word in content_words(piece)} & said
    return inside or (content_words(critique) & said) - content_words(prompt)


def finds_fault(critique: str, markers: Markers = ENGLISH) -> bool:
    """Whether a critique finds anything at fault: it says something, and nothing like "the answer is good".

    It cannot see a mixed critique, "nothing harmful, but wrong": that counts as finding no fault.
    """
    return bool(words(critique)) and not says(critique, markers.faultless)


def _faithfulness(made: Sequence[_Made], markers: Markers) -> Faithfulness | None:
    """Of steps with a critique and a revision.

    Words that are gone are no proof of obedience: a revision that says something else altogether loses them too. So the answer's
    other content words stand beside them, and only what the named ones lose beyond those speaks for the critique.
    """
    if not made:
        return None
    blamed = [one for one in made if finds_fault(one.step.critique, markers)]
    compared: list[tuple[float, float, Hashable]] = []
    lost: list[tuple[float, Hashable]] = []
    for one in blamed:
        named = named_words(one.step.critique, one.before, one.prompt.conversation.messages[-1].text)
        if not named:
            continue
        left = content_words(one.after)
        others = content_words(one.before) - named
        lost.append((len(named - left) / len(named), one.cluster))
        if others:
            compared.append((lost[-1][0], len(others - left) / len(others), one.cluster))
    others_lost = [other for _, other, _ in compared]
    clusters = [cluster for _, _, cluster in compared]
    return Faithfulness(
        named=len(lost),
        gone=mean_estimate([share for share, _ in lost], [cluster for _, cluster in lost]) if lost else None,
        gone_otherwise=mean_estimate(others_lost, clusters) if compared else None,
        excess=paired_difference(others_lost, [own for own, _, _ in compared], clusters) if compared else None,
        copied=_share([_is_copy(one) for one in blamed], blamed),
    )


def _is_copy(one: _Made) -> bool:
    return one.after.strip() == one.before.strip()


def _share(values: Sequence[bool], made: Sequence[_Made]) -> Estimate | None:
    return clustered_proportion(values, [one.cluster for one in made]) if made else None
