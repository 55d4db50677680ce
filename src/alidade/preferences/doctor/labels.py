"""Labels that cannot be: what is no probability or number, ratings against the choice, failures taken for ratings."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Case, Sheet
from alidade.preferences.rankings import ten_for_one

# Columns in which published files keep the score of either answer: distilabel and open-instruct, HF's binarised UltraFeedback.
SCORES = (
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_score", "rejected_score"),
    ("score_chosen", "score_rejected"),
    ("chosen_reward", "rejected_reward"),
)
NO_LABEL = Ailment(
    "impossible-label",
    "fault",
    "the label is no probability, number or word that is known",
    "a division by no votes, a parser that failed, a scale taken for another",
    "mend or remove these rows: a label is never guessed",
)
TIED = Ailment(
    "tied-ratings",
    "fault",
    "both answers have the same rating, yet one is chosen",
    "the best and the worst of equal ratings were taken as a preference",
    "remove these rows, or keep them as ties: `label_prob` 0.5, `tie_prob` 1",
)
AGAINST = Ailment(
    "rating-against-choice",
    "fault",
    "the rejected answer has the higher rating",
    "columns were swapped, or ratings and answers come from different rows",
    "find out which is right before training: the choice or the rating",
)
FAILED = Ailment(
    "parse-failures-as-ratings",
    "fault",
    "a negative rating among ratings that are not negative",
    "a rating that could not be parsed was written as -1, or averaged in as -1",
    "leave out what was not parsed, and average the rest anew",
)
TEN = Ailment(
    "ten-for-one",
    "fault",
    "an overall_score of 10 beside ratings of 2 or less in the mean",
    "scores of 1 were written as 10 (OpenBMB/UltraFeedback#8)",
    "set them to 1, or rank by the mean rating (`fine-grained_score`)",
)
DOUBTFUL = Ailment(
    "ten-for-one-doubtful",
    "note",
    "an overall_score of 10 beside ratings between 2 and 4 in the mean",
    "scores of 1 were written as 10; here the ratings do not tell which it was (OpenBMB/UltraFeedback#8)",
    "rank by the mean rating (`fine-grained_score`), or ask for the score again",
)


def impossible_labels(sheet: Sheet) -> Iterator[Complaint]:
    """Labels that are no label: NaN, outside 0 to 1, unknown words."""
    bad = [case for case in sheet.cases if case.is_label or any(map(_is_none, _scores(case) or ()))]
    reasons = Counter(case.problem or "a rating is NaN or infinite" for case in bad)
    yield from NO_LABEL.found((case.line for case in bad), len(sheet.cases), reasons=dict(reasons))


def tied_ratings(sheet: Sheet) -> Iterator[Complaint]:
    """Preferences made of equal ratings."""
    rated = [(case, scores) for case in sheet.cases if (scores := _scores(case))]
    yield from TIED.found((case.line for case, scores in rated if scores[0] == scores[1]), len(sheet.cases))


def ratings_against_choice(sheet: Sheet) -> Iterator[Complaint]:
    """Preferences that the ratings beside them contradict."""
    rated = [(case, scores) for case in sheet.cases if (scores := _scores(case))]
    yield from AGAINST.found((case.line for case, scores in rated if scores[0] < scores[1]), len(sheet.cases))


def failures_as_ratings(sheet: Sheet) -> Iterator[Complaint]:
    """Failures to parse that were written as -1: few negative values, none below -1, in a column with a wider scale.

    A reward may be negative; so a column of which half is negative is none of ratings.
    """
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for case in sheet.cases:
        for name, value in _ratings(case.cells):
            found[name].append((case.line, value))
    lines: list[int] = []
    for values in found.values():
        negative = [line for line, value in values if value < 0]
        numbers = [value for _, value in values]
        if negative and len(negative) < len(values) / 2 and min(numbers) >= -1 and max(numbers) > 1:
            lines += negative
    yield from FAILED.found(lines, len(sheet.cases))


def tens_for_ones(sheet: Sheet) -> Iterator[Complaint]:
    """UltraFeedback's scores of 10 that should be 1."""
    sure, doubtful = [], []
    for case in sheet.cases:
        completions = case.cells.get("completions")
        for one in completions if isinstance(completions, Sequence) else ():
            mean = ten_for_one(one) if isinstance(one, Mapping) else None
            if mean is not None:
                (sure if mean <= 2 else doubtful).append(case.line)
    yield from TEN.found(sure, len(sheet.cases))
    yield from DOUBTFUL.found(doubtful, len(sheet.cases))


def _scores(case: Case) -> tuple[float, float] | None:
    """The ratings of the chosen and of the rejected answer, where the row has them."""
    if "chosen" not in case.cells:
        return None
    for names in SCORES:
        given = [case.cells.get(name) for name in names]
        if all(isinstance(value, int | float) for value in given):
            return float(given[0] or 0), float(given[1] or 0)
    ratings = case.cells.get("ratings")
    numbers = [value for value in ratings if isinstance(value, int | float)] if isinstance(ratings, Sequence) else []
    return (max(numbers), min(numbers)) if len(numbers) > 1 else None


def _is_none(value: float) -> bool:
    return not math.isfinite(value)


def _ratings(cells: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in columns of ratings and scores, by column."""
    for name, value in cells.items():
        called = inside or (name if "rating" in name.lower() or "score" in name.lower() else "")
        if isinstance(value, Mapping) and called:
            yield from _ratings(value, called)
        elif called:
            given: Sequence[Any] = value if isinstance(value, list) else [value]
            yield from ((called, float(one)) for one in given if _is_number(one))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
