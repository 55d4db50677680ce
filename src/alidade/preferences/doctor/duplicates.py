"""Texts that are nearly the same, within a file and across two, by MinHash.

Source: Broder 1997, On the resemblance and containment of documents; candidates by bands: Leskovec, Rajaraman, Ullman, Mining of
Massive Datasets, chapter 3.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Sheet

WORDS = 3  # words of a shingle
BANDS, ROWS = 16, 4  # two texts with a Jaccard similarity of .7 share a band with probability .99, of .3 with .12
ALIKE = 0.7  # Jaccard similarity of the shingles
MOST = 50  # texts of a band that are compared: files written from a template would have every row compared with every other
PRIME = (1 << 61) - 1

SHARED = Ailment(
    "shared-prompts",
    "fault",
    "the prompt is in the other file, case and punctuation apart",
    "a test split was mixed into the training pool, or the split was drawn by row and not by prompt",
    "remove these rows from one of the two; split by prompt",
)
NEARLY = Ailment(
    "nearly-shared-prompts",
    "note",
    "nearly the same prompt is in the other file",
    "prompts were edited, or written from one template",
    "look at the lines: another question from one template may stay, an edited copy may not",
)
REPEATED = Ailment(
    "repeated-rows",
    "note",
    "prompt and answers are nearly the same as in an earlier row",
    "several annotators judged one pair, or rows were written twice",
    "if they are no second opinions, keep one of each",
)


def shared_prompts(sheet: Sheet) -> Iterator[Complaint]:
    """Prompts that the file shares, or nearly shares, with the one it is held against."""
    others = [case.asked for case in sheet.against if case.asked]
    if not others:
        return
    exact, near = {_plain(text) for text in others}, Near(others)
    same = {case.line for case in sheet.cases if case.asked and _plain(case.asked) in exact}
    yield from SHARED.found(same, len(sheet.cases))
    rest = [case for case in sheet.cases if case.asked and case.line not in same]
    yield from NEARLY.found((case.line for case in rest if near.like(case.asked)), len(sheet.cases))


def repeated_rows(sheet: Sheet) -> Iterator[Complaint]:
    """Rows that nearly repeat one before them."""
    cases = [case for case in sheet.cases if case.asked and case.answers]
    near = Near(["\n".join((case.asked, *sorted(case.answers))) for case in cases])
    yield from REPEATED.found((cases[place].line for place in near.repeats()), len(sheet.cases))


class Near:
    """Texts in which nearly equal ones can be looked up."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._shingles = [_shingles(text) for text in texts]
        self._bands: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        self._keys = [_band_keys(shingles) for shingles in self._shingles]
        for place, keys in enumerate(self._keys):
            for key in keys:
                self._bands[key].append(place)

    def like(self, text: str) -> bool:
        """Whether one of the texts is nearly this one."""
        shingles = _shingles(text)
        return self._has_like(shingles, _band_keys(shingles), len(self._shingles))

    def repeats(self) -> Iterator[int]:
        """The places of texts that are nearly an earlier one."""
        for place, (shingles, keys) in enumerate(zip(self._shingles, self._keys, strict=True)):
            if self._has_like(shingles, keys, place):
                yield place

    def _has_like(self, shingles: np.ndarray, keys: Sequence[tuple[int, bytes]], before: int) -> bool:
        tried: set[int] = set()
        for key in keys:
            for place in self._bands.get(key, ())[:MOST]:
                if place >= before:
                    break
                if place not in tried and _jaccard(shingles, self._shingles[place]) >= ALIKE:
                    return True
                tried.add(place)
        return False


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _shingles(text: str) -> np.ndarray:
    """The hashes of a text's shingles, each once, in order."""
    words = _plain(text).split()
    starts = range(max(1, len(words) - WORDS + 1))
    return np.unique(np.array([zlib.crc32(" ".join(words[at : at + WORDS]).encode()) for at in starts], np.uint32))


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / (len(first) + len(second) - both)


@cache
def _hashes() -> tuple[np.ndarray, np.ndarray]:
    """Factors and shifts of the hash functions; the products stay below 2^63."""
    draw = np.random.default_rng(0)
    return draw.integers(1, 1 << 28, BANDS * ROWS, np.uint64), draw.integers(0, PRIME, BANDS * ROWS, np.uint64)


def _band_keys(shingles: np.ndarray) -> list[tuple[int, bytes]]:
    factors, shifts = _hashes()
    values = shingles.astype(np.uint64)
    least = ((values[:, None] * factors + shifts) % np.uint64(PRIME)).min(axis=0).reshape(BANDS, ROWS)
    return [(band, least[band].tobytes()) for band in range(BANDS)]
