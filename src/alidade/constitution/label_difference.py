"""Which labels a change of the constitution changes, and by which principles.

Both versions judge the same pairs, every principle of each asked of every pair in both orders, so that no draw comes between the
words and the labels. What did not change is asked once and counts for both: its answers are the same bytes. A label is the mean
over a version's principles; a weight decides how often a principle is drawn and so changes no label here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from alidade.constitution.opinions import Opinion, by_prompt, label, opinions, side
from alidade.constitution.prefer import Feedback, Judgement, Pair, PreferenceSettings, Preferred
from alidade.constitution.principles import Constitution
from alidade.constitution.wording import Wording
from alidade.models.continuing import OptionModel, TextModel
from alidade.progress import Progress, SilentProgress
from alidade.records import Estimate, Probability, Record
from alidade.stats import clustered_proportion, mean_estimate

CHUNK = 16  # pairs asked at once, each by every principle
LEAST = 1e-6  # a smaller change is what rounding leaves
How = Literal["added", "removed", "changed", "answered anew"]


class Cause(Record):
    """A principle by which a label changed; `answered anew` is one whose words did not, asked again with another answer."""

    principle: str
    how: How
    old: Probability | None = Field(description="its probability of the left answer before, where it was asked")
    new: Probability | None
    effect: float = Field(description="the new label less what it would be with this one change undone")


class LabelChange(Record):
    """A label that changed; what changed it most comes first."""

    id: str
    old: Probability
    new: Probability
    is_other_side: bool
    by: tuple[Cause, ...]


class LabelDifference(Record):
    """Exactly the labels that changed: those on another side first, then by how far."""

    pairs: int
    only_old: int = Field(default=0, description="comparisons that only the older labels have, or with other answers")
    only_new: int = 0
    changed: Estimate
    other_side: Estimate
    shift: Estimate = Field(description="mean of the new label less the old one, over all pairs")
    changes: tuple[LabelChange, ...]


def judged_by_both(
    pairs: Sequence[Pair],
    versions: tuple[Constitution, Constitution],
    judge: tuple[OptionModel | TextModel, Wording],
    how: PreferenceSettings | None = None,
    progress: Progress | None = None,
) -> tuple[list[Preferred], list[Preferred]]:
    """Every pair judged by every principle of both versions, what both have in the same words asked once.

    `how` the judge is asked, but for the number of principles; without examples or reasoning where it is absent.

    Raises:
        ValueError: when there are no pairs, two pairs have one id, or a version has no principle with a comparison question.
    """
    _check(pairs, versions)
    old, new = versions
    known = {one.digest for one in old.judges}
    fresh = [one for one in new.judges if one.digest not in known]
    how = how or PreferenceSettings(shots=0)
    asked = _asked(pairs, old, judge, how, progress)
    before = [_of_version(row, row.judgements, old) for row in asked]
    if not fresh:
        return before, [_of_version(row, row.judgements, new) for row in asked]
    only_fresh = new.model_copy(update={"principles": tuple(fresh)})
    more = _asked(pairs, only_fresh, judge, how, progress)
    both = [(*row.judgements, *other.judgements) for row, other in zip(asked, more, strict=True)]
    return before, [_of_version(row, judgements, new) for row, judgements in zip(asked, both, strict=True)]


def label_difference(old: Sequence[Preferred], new: Sequence[Preferred]) -> LabelDifference:
    """The labels that changed between two judgings of the same pairs, matched by the comparison's id and its texts.

    Labels are taken from the judgements. Of two runs that drew their principles, a principle that one of them did not draw counts as
    added or removed there. Intervals count the comparisons of one prompt as a cluster.

    Raises:
        ValueError: when the two have no comparison in common.
    """
    before = {row.comparison.id: row for row in old}
    both = [(before[row.comparison.id], row) for row in new if _is_same_pair(before.get(row.comparison.id), row)]
    if not both:
        raise ValueError("no comparison, with the same two answers, is in both")
    prompts = by_prompt([row.comparison.prompt for _, row in both])
    labels = [(label(opinions(left)), label(opinions(right))) for left, right in both]
    changes = [
        LabelChange(
            id=row.comparison.id, old=was, new=now, is_other_side=side(was) != side(now), by=_causes(earlier, row)
        )
        for (earlier, row), (was, now) in zip(both, labels, strict=True)
        if abs(now - was) > LEAST
    ]
    return LabelDifference(
        pairs=len(both),
        only_old=len(before) - len(both),
        only_new=len(new) - len(both),
        changed=clustered_proportion([abs(now - was) > LEAST for was, now in labels], prompts),
        other_side=clustered_proportion(
            [abs(now - was) > LEAST and side(was) != side(now) for was, now in labels], prompts
        ),
        shift=mean_estimate([now - was if abs(now - was) > LEAST else 0.0 for was, now in labels], prompts),
        changes=tuple(sorted(changes, key=lambda one: (not one.is_other_side, -abs(one.new - one.old), one.id))),
    )


def _check(pairs: Sequence[Pair], versions: tuple[Constitution, Constitution]) -> None:
    if not pairs:
        raise ValueError("no pair of two different answers to judge")
    if len({one.id for one in pairs}) < len(pairs):
        raise ValueError("two pairs have one id, so their labels cannot be told apart")
    for one in versions:
        if not one.judges:
            raise ValueError(f"constitution `{one.id}` has no principle with a comparison question")


def _asked(
    pairs: Sequence[Pair],
    constitution: Constitution,
    judge: tuple[OptionModel | TextModel, Wording],
    how: PreferenceSettings,
    progress: Progress | None,
) -> list[Preferred]:
    model, wording = judge
    everyone = how.model_copy(update={"principles_per_pair": len(constitution.judges)})
    feedback = Feedback(model, constitution, wording, everyone)
    judged: list[Preferred] = []
    what = f"judging by {len(constitution.judges)} principles of {constitution.version}"
    with (progress or SilentProgress()).track(len(pairs), what, "pairs") as tracker:
        for chunk, start in enumerate(range(0, len(pairs), CHUNK)):
            part = feedback.compare(pairs[start : start + CHUNK], seed=0, chunk=chunk)
            judged += part
            tracker.advance(len(part))
    return judged


def _of_version(row: Preferred, judgements: Sequence[Judgement], version: Constitution) -> Preferred:
    """The row with the judgements of one version, in the order of its principles, and the label they give."""
    digests = {one.digest: place for place, one in enumerate(version.judges)}
    kept = [one for one in judgements if one.principle_digest in digests]
    kept.sort(key=lambda one: digests[one.principle_digest])
    found = row.model_copy(update={"judgements": tuple(kept)})
    comparison = row.comparison.model_copy(update={"label_prob": label(opinions(found))})
    return found.model_copy(update={"comparison": comparison})


def _is_same_pair(old: Preferred | None, new: Preferred) -> bool:
    if old is None:
        return False
    left, right = old.comparison, new.comparison
    return (left.prompt, left.left, left.right) == (right.prompt, right.left, right.right)


def _causes(old: Preferred, new: Preferred) -> tuple[Cause, ...]:
    before, after = opinions(old), opinions(new)
    now = label(after)
    causes: list[Cause] = []
    for name in {**before, **after}:
        was, is_now = before.get(name), after.get(name)
        how = _how(was, is_now)
        if how is None:
            continue
        undone = {**after} if was is None else {**after, name: was}
        if was is None:
            del undone[name]
        causes.append(
            Cause(
                principle=name,
                how=how,
                old=was and was.left_prob,
                new=is_now and is_now.left_prob,
                effect=now - _label_or_even(undone),
            )
        )
    return tuple(sorted((one for one in causes if abs(one.effect) > LEAST), key=lambda one: -abs(one.effect)))


def _how(was: Opinion | None, now: Opinion | None) -> How | None:
    if was is None or now is None:
        return "added" if was is None else "removed"
    if was.principle_digest != now.principle_digest:
        return "changed"
    return "answered anew" if abs(was.left_prob - now.left_prob) > LEAST else None


def _label_or_even(found: Mapping[str, Opinion]) -> float:
    """A version that no principle is left of prefers neither answer."""
    return label(found) if found else 0.5
