"""What each principle said of a comparison, both orders together, and which side that is: what every measure of labels is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Literal

from alidade.constitution.prefer import Preferred
from alidade.constitution.principles import Constitution
from alidade.records import Conversation, Probability, Record

Side = Literal[-1, 0, 1]  # the left answer, neither, the right one
MARGIN = 0.1  # a principle decides where it is further than this from one half
EVEN = 1e-9  # closer to one half than this is neither side: what rounding leaves of two orders that cancel


class Opinion(Record):
    """What one principle said of one comparison."""

    principle_digest: str
    left_prob: Probability
    questions: int


def opinions(row: Preferred) -> dict[str, Opinion]:
    """The opinion of every principle that was asked, by its id, in the order asked.

    Raises:
        ValueError: when nothing was asked.
    """
    if not row.judgements:
        raise ValueError(f"comparison `{row.comparison.id}` has no judgements")
    said: dict[str, list[float]] = defaultdict(list)
    digests: dict[str, str] = {}
    for one in row.judgements:
        said[one.principle].append(one.left_prob)
        digests[one.principle] = one.principle_digest
    return {
        name: Opinion(principle_digest=digests[name], left_prob=sum(probs) / len(probs), questions=len(probs))
        for name, probs in said.items()
    }


def label(
    found: Mapping[str, Opinion], without: Collection[str] = (), weights: Mapping[str, float] | None = None
) -> float:
    """The label by these opinions: the mean over all questions, as `prefer` takes it; `without` are principles left out.

    With `weights` it is the mean of the labels that drawing one principle by its weight would give.

    Raises:
        ValueError: when no principle of any weight is left.
    """
    kept = {name: one.questions * (weights or {}).get(name, 1.0) for name, one in found.items() if name not in without}
    if not sum(kept.values()):
        raise ValueError("a label needs a principle")
    return sum(found[name].left_prob * weight for name, weight in kept.items()) / sum(kept.values())


def drawing_weights(found: Mapping[str, Opinion], constitution: Constitution | None) -> dict[str, float] | None:
    """The principles' weights where every principle was asked; where some were drawn, the draw has counted them already."""
    if constitution is None or {one.id for one in constitution.judges} != set(found):
        return None
    return {one.id: one.weight for one in constitution.judges}


def side(left_prob: float, margin: float = EVEN) -> Side:
    """Which answer is preferred: -1 the left one, 1 the right one, 0 neither within `margin` of one half."""
    if abs(left_prob - 0.5) <= max(margin, EVEN):
        return 0
    return -1 if left_prob > 0.5 else 1


def by_prompt(prompts: Sequence[Conversation]) -> list[Hashable]:
    """A name for each prompt, the same for equal ones: rows of one prompt may resemble each other."""
    names: dict[Conversation, int] = {}
    return [names.setdefault(prompt, len(names)) for prompt in prompts]


def check_margin(margin: float) -> None:
    """Refuse a distance from one half that no probability can have.

    Raises:
        ValueError: when it is not in [0, 0.5).
    """
    if not 0 <= margin < 0.5:
        raise ValueError(f"a margin is at least 0 and below 0.5, not {margin:g}")
