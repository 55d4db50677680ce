"""Strays: answers that were drawn for other prompts, so that a reward model learns that an answer must fit its question.

Most are taken from prompts that sound like their new one without being the same question: the refusal of a harmful request
beside a harmless one that shares its words, the right answer to a neighbouring question. Such near misses are what a policy
under pressure finds first, and what its own samples seldom show. The same question in other words is passed over: its answer
fits. (In contrastive learning: hard negatives, Karpukhin et al. 2020, and false ones among them, Qu et al. 2021.)
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from alidade.records import Candidates

ALIKE = 0.7  # share of strays from prompts that sound alike; the others come from any prompt
LEAST_ALIKE, MOST_ALIKE = 0.3, 0.75  # cosine of the rare words: less is another matter, more is the same question
COMMON = 0.1  # words in more than this share of the prompts say nothing of what is asked


class Likeness:
    """Which prompts sound alike: shared words, each weighted by how rare it is."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = [sorted(set(re.findall(r"\w+", text.lower()))) for text in texts]
        counts = Counter(word for words in self._words for word in words)
        most = max(2.0, COMMON * len(texts))
        self._weights = {word: math.log(len(texts) / count) for word, count in counts.items() if 1 < count <= most}
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(self._words):
            for word in words:
                if word in self._weights:
                    self._places[word].append(place)
        self._norms = [math.hypot(*(self._weights[word] for word in self._rare(place))) for place in range(len(texts))]

    def _rare(self, place: int) -> list[str]:
        return [word for word in self._words[place] if word in self._weights]

    def to(self, place: int) -> dict[int, float]:
        """The other prompts that share a rare word with prompt `place`, and how alike they are, above 0 and at most 1."""
        shared: dict[int, float] = defaultdict(float)
        for word in self._rare(place):
            for other in self._places[word]:
                shared[other] += self._weights[word] ** 2
        shared.pop(place, None)
        return {other: total / (self._norms[place] * self._norms[other]) for other, total in shared.items()}


def with_strays(rows: Sequence[Candidates], count: int, rng: random.Random) -> list[Candidates]:
    """Each row with up to `count` answers that were drawn for other prompts; one that equals an own answer is left out."""
    if not count:
        return list(rows)
    likeness = Likeness([row.prompt.conversation.last_user_text for row in rows])
    mixed = []
    for place, row in enumerate(rows):
        strays = [rng.choice(rows[_other(likeness, place, len(rows), rng)].answers) for _ in range(count)]
        new = {one.text: one for one in strays if one.text not in {answer.text for answer in row.answers}}
        mixed.append(row.model_copy(update={"answers": (*row.answers, *new.values())}))
    return mixed


def _other(likeness: Likeness, place: int, total: int, rng: random.Random) -> int:
    near = {other: close for other, close in likeness.to(place).items() if LEAST_ALIKE <= close <= MOST_ALIKE}
    if near and rng.random() < ALIKE:
        return rng.choices(list(near), weights=[close**2 for close in near.values()])[0]
    return rng.randrange(total)
