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
    fits = _fits(prompts, [" ".join(case.answers) for case in cases])
    lines, shifts = list[int](), Counter[int]()
    for shift, run in groupby(enumerate(_path(fits)), key=lambda item: item[1]):
        places = [place for place, _ in run]
        # Rows of one prompt say the same thing once.
        told = list({prompts[place]: place for place in places}.values())
        if shift and len(told) >= SHORTEST and _is_sure(fits, told, shift):
            lines += [cases[place].line for place in places]
            shifts[shift] += len(places)
    yield from MISJOINED.found(lines, len(sheet.cases), shifts={str(shift): n for shift, n in sorted(shifts.items())})


def _fits(prompts: Sequence[str], answers: Sequence[str]) -> list[Mapping[int, float]]:
    """For each row, how well its answers fit the prompt so many rows away: the share of the prompt's rare words they hold."""
    asked = [set(re.findall(r"\w+", text.lower())) for text in prompts]
    counts = Counter(word for words in asked for word in words)
    most = min(MOST, max(2.0, COMMON * len(prompts)))
    weights = {word: math.log(len(prompts) / count) for word, count in counts.items() if count <= most}
    whole = [sum(weights.get(word, 0.0) for word in words) for words in asked]
    places: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(asked):
        for word in words & weights.keys():
            places[word].append(place)
    found: list[Mapping[int, float]] = []
    for row, answer in enumerate(answers):
        shared: dict[int, float] = defaultdict(float)
        for word in set(re.findall(r"\w+", answer.lower())) & weights.keys():
            for place in places[word]:
                shared[place - row] += weights[word] / whole[place]
        found.append(shared)
    return found


def _path(fits: Sequence[Mapping[int, float]]) -> list[int]:
    """The likeliest shift of each row: the path that fits best, less a price for each change.

    Only shifts that lead in `SHORTEST` rows or more are tried.
    """
    leads = Counter(shift for fit in fits for shift, value in fit.items() if value > fit.get(0, 0.0))
    shifts = [0, *(shift for shift, rows in leads.items() if rows >= SHORTEST)]
    total, came = dict.fromkeys(shifts, 0.0), list[dict[int, int]]()
    for fit in fits:
        best = max(shifts, key=lambda shift: total[shift])
        came.append({shift: shift if total[shift] >= total[best] - SWITCH else best for shift in shifts})
        total = {
            shift: total[came[-1][shift]] - SWITCH * (came[-1][shift] != shift) + fit.get(shift, 0.0)
            for shift in shifts
        }
    path = [max(shifts, key=lambda shift: total[shift])]
    for step in reversed(came):
        path.append(step[path[-1]])
    return path[-2::-1]


def _is_sure(fits: Sequence[Mapping[int, float]], places: Sequence[int], shift: int) -> bool:
    own = [fits[place].get(0, 0.0) for place in places]
    other = [fits[place].get(shift, 0.0) for place in places]
    return lead(own, other) > SURE
