"""Strays: answers that were drawn for other prompts, so that a reward model learns that an answer must fit its question.

Most are taken from prompts that share rare words with their new one: the refusal of a harmful request beside a harmless
one that sounds like it, the right answer to a neighbouring question. Such near misses are what a policy under pressure
finds first, and what its own samples seldom show. (In contrastive learning: hard negatives; Karpukhin et al. 2020.)
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from alidade.records import Candidates

ALIKE = 0.7  # share of strays from prompts that share words; the others come from any prompt
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

    def to(self, place: int) -> dict[int, float]:
        """The other prompts that share a rare word with prompt `place`, and how alike they are (above 0)."""
        scores: dict[int, float] = defaultdict(float)
        for word in self._words[place]:
            for other in self._places.get(word, ()):
                scores[other] += self._weights[word]
        scores.pop(place, None)
        return dict(scores)


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
    alike = likeness.to(place)
    if alike and rng.random() < ALIKE:
        return rng.choices(list(alike), weights=list(alike.values()))[0]
    return rng.randrange(total)
