"""Answers that belong to other prompts: rows that were joined side by side after some of them had been lost on one side.

From a lost row on, every answer stands beside the prompt of a neighbour, one place further off with each row lost. So over a run of
rows the prompts some places away share more of the answers' rare words than the rows' own prompts do.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Sheet
from alidade.stats import lead

COMMON, MOST = (
    0.05,
    50,
)  # words in more than this share of the prompts, or in more than so many, tell no prompt from another
SHORTEST = 8  # rows of a run: fewer may be chance
SURE = 4.0  # standard errors by which the other prompts must lead over a run
SWITCH = 1.0  # in units of a perfect match: what leaving one's own prompt, or changing the shift, must bring

Array = np.ndarray
_NOWHERE, _NOTHING = np.zeros(0, dtype=int), np.zeros(0)

MISJOINED = Ailment(
    "misjoined-rows",
    "fault",
    "the answers fit the prompt of another row, the same number of rows away over a run of rows",
    "rows were dropped from one table and not from the other before the two were put side by side",
    "join prompts and answers by an id, not by position",
)


def misjoined_rows(sheet: Sheet) -> Iterator[Complaint]:
    """Runs of rows whose answers fit the prompts of other rows."""
    cases = [case for case in sheet.cases if case.prompt is not None and case.answers]
    if len(cases) < SHORTEST:
        return
    prompts = [case.prompt.last_user_text for case in cases if case.prompt]
    fits = _Fits(prompts, [" ".join(case.answers) for case in cases])
    lines, shifts = list[int](), Counter[int]()
    for shift, run in groupby(enumerate(_path(fits)), key=lambda item: item[1]):
        places = [place for place, _ in run]
        # Rows of one prompt say the same thing once.
        told = list({prompts[place]: place for place in places}.values())
        if shift and len(told) >= SHORTEST and _is_sure(fits, told, shift):
            lines += [cases[place].line for place in places]
            shifts[shift] += len(places)
    yield from MISJOINED.found(lines, len(sheet.cases), shifts={str(shift): n for shift, n in sorted(shifts.items())})


class _Fits:
    """How well each row's answers fit the prompts of others: the share of a prompt's rare words they hold.

    A row's fits are reckoned when asked for: all of them together would fill the memory.
    """

    def __init__(self, prompts: Sequence[str], answers: Sequence[str]) -> None:
        asked = [_words(text) for text in prompts]
        counts = Counter(word for words in asked for word in words)
        most = min(MOST, max(2.0, COMMON * len(prompts)))
        weights = {word: math.log(len(prompts) / count) for word, count in counts.items() if count <= most}
        whole = [sum(weights.get(word, 0.0) for word in words) for words in asked]
        places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(asked):
            for word in words & weights.keys():
                places[word].append(place)
        self._answers = answers
        self._found = {
            word: (np.array(rows), np.array([weights[word] / whole[row] if whole[row] else 0.0 for row in rows]))
            for word, rows in places.items()
        }

    def __len__(self) -> int:
        return len(self._answers)

    def of(self, row: int) -> tuple[Array, Array]:
        """How far away the prompts are that share anything with the answers of a row, in order, and how well each fits."""
        found = [self._found[word] for word in _words(self._answers[row]) & self._found.keys()]
        if not found:
            return _NOWHERE, _NOTHING
        shifts, inverse = np.unique(np.concatenate([rows for rows, _ in found]) - row, return_inverse=True)
        return shifts, np.bincount(inverse, weights=np.concatenate([shares for _, shares in found]))

    def at(self, row: int, shift: int) -> float:
        """How well the answers of a row fit one prompt."""
        shifts, values = self.of(row)
        return float(values[shifts == shift].sum())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class _Stretch(NamedTuple):
    """Rows from `start` on at one shift, and the place in a list of the stretch that came before, -1 for none."""

    start: int
    shift: int
    before: int


def _path(fits: _Fits) -> list[int]:
    """The likeliest shift of each row: the path that fits best, less a price for each change.

    Only shifts that lead in `SHORTEST` rows or more are tried. A path that is worse than the best one less the price is never looked at
    again, but replaced by a change from the best one where its shift next fits; so a row costs no more than it has fits.
    """
    rows = len(fits)
    tried = _leading(fits)
    total, start, before = np.zeros(2 * rows), np.zeros(2 * rows, dtype=int), np.full(2 * rows, -1)
    best, stretches = 0.0, [_Stretch(0, 0, -1)]
    for row in range(rows):
        shifts, values = fits.of(row)
        at, values = shifts[tried[shifts]], values[tried[shifts]]
        if not len(at):
            continue
        late = at[total[at] < best - SWITCH]
        start[late], before[late] = row, len(stretches) - 1
        total[at] = np.maximum(total[at], best - SWITCH) + values
        first = at[np.argmax(total[at])]
        if total[first] > best:
            best = float(total[first])
            leading = _Stretch(int(start[first]), int(first), int(before[first]))
            if leading != stretches[-1]:
                stretches.append(leading)
    return _unrolled(stretches, rows)


def _leading(fits: _Fits) -> Array:
    """Of each shift, the negative ones at the end, whether it fits better than none in `SHORTEST` rows or more; none is tried too."""
    leads = np.zeros(2 * len(fits), dtype=int)
    for row in range(len(fits)):
        shifts, values = fits.of(row)
        leads[shifts[values > values[shifts == 0].sum()]] += 1
    tried = leads >= SHORTEST
    tried[0] = True
    return tried


def _unrolled(stretches: Sequence[_Stretch], rows: int) -> list[int]:
    path: list[int] = []
    at = len(stretches) - 1
    while at >= 0:
        start, shift, at = stretches[at]
        path += [shift] * (rows - len(path) - start)
    return path[::-1]


def _is_sure(fits: _Fits, places: Sequence[int], shift: int) -> bool:
    return lead([fits.at(place, 0) for place in places], [fits.at(place, shift) for place in places]) > SURE
