"""Answers that belong to other prompts: rows that were joined side by side after some of them had been lost on one side.

From a lost row on, every answer stands beside the prompt of a neighbour, one place further off with each row lost. So over a run of
rows the prompts some places away share more of the answers' rare words than the rows' own prompts do.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

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
        self._weights = {word: math.log(len(prompts) / count) for word, count in counts.items() if count <= most}
        self._whole = [sum(self._weights.get(word, 0.0) for word in words) for words in asked]
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(asked):
            for word in words & self._weights.keys():
                self._places[word].append(place)
        self._answers = answers

    def __len__(self) -> int:
        return len(self._answers)

    def of(self, row: int) -> Mapping[int, float]:
        """How well the answers of a row fit the prompt so many rows away; where nothing is shared, nothing is said."""
        shared: dict[int, float] = defaultdict(float)
        for word in _words(self._answers[row]) & self._weights.keys():
            weight = self._weights[word]
            for place in self._places[word]:
                shared[place - row] += weight / self._whole[place]
        return shared


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class _Stretch(NamedTuple):
    """Rows from `start` on at one shift, and the stretch that came before."""

    start: int
    shift: int
    before: _Stretch | None


def _path(fits: _Fits) -> list[int]:
    """The likeliest shift of each row: the path that fits best, less a price for each change.

    Only shifts that lead in `SHORTEST` rows or more are tried. A path that is worse than the best one less the price is never looked at
    again, but replaced by a change from the best one where its shift next fits; so a row costs no more than it has fits.
    """
    tried = _leading(fits)
    best, end = 0.0, _Stretch(0, 0, None)
    ends = {0: (best, end)}
    for row in range(len(fits)):
        floor, came = best - SWITCH, end
        for shift, value in fits.of(row).items():
            if shift in tried:
                total, stretch = ends.get(shift) or (0.0, _Stretch(0, shift, None))
                if total < floor:
                    total, stretch = floor, _Stretch(row, shift, came)
                ends[shift] = total + value, stretch
                if total + value > best:
                    best, end = ends[shift]
    return _unrolled(end, len(fits))


def _leading(fits: _Fits) -> set[int]:
    """No shift, and those that fit better than it in `SHORTEST` rows or more."""
    leads: Counter[int] = Counter()
    for row in range(len(fits)):
        found = fits.of(row)
        own = found.get(0, 0.0)
        leads.update(shift for shift, value in found.items() if value > own)
    return {0, *(shift for shift, rows in leads.items() if rows >= SHORTEST)}


def _unrolled(end: _Stretch, rows: int) -> list[int]:
    path: list[int] = []
    at: _Stretch | None = end
    while at is not None:
        path += [at.shift] * (rows - len(path) - at.start)
        at = at.before
    return path[::-1]


def _is_sure(fits: _Fits, places: Sequence[int], shift: int) -> bool:
    found = [fits.of(place) for place in places]
    return lead([one.get(0, 0.0) for one in found], [one.get(shift, 0.0) for one in found]) > SURE
