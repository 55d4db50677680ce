"""What two principles are to each other: the same, nearly the same, or possibly against each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from alidade.constitution.lint.finding import Finding, Linted
from alidade.constitution.lint.words import VAGUE, Clause, clauses, content, jaccard, shingles, stem, words
from alidade.constitution.principles import Principle

# Two texts count as nearly the same from this share of common word pairs, or of common stems without filler. Of the 496 pairs
# of the 32 published principles, which were written as variations of a theme, 2 are above it, and none of the shipped ones;
# a text with one word in eight exchanged keeps about .6 of its word pairs.
NEAR_PAIRS = 0.5
NEAR_STEMS = 0.75
# A possible contradiction: of the smaller clause's stems at least this share, and this many, stand in the other with the opposite sign.
SHARED_STEMS = 2
SHARED_SHARE = 0.6
# What a principle demands stands at its beginning; of two long texts, some later clause always opposes some other.
LEADING_CLAUSES = 4
_VAGUE = frozenset(stem(word) for word in VAGUE)
_OPPOSITES = tuple(
    (frozenset(stem(word) for word in left.split()), frozenset(stem(word) for word in right.split()))
    for left, right in (
        ("short brief concise terse", "long detailed lengthy thorough exhaustive"),
        ("formal", "casual informal slang"),
        ("reveal disclose share publish", "hide conceal withhold secret"),
        ("agree", "disagree contradict"),
        ("refuse decline", "comply obey fulfil"),
        ("permit allow", "forbid prohibit"),
        ("certain confident firm", "tentative uncertain hedged"),
        ("serious solemn", "humorous funny playful"),
        ("neutral impartial", "opinionated partisan"),
    )
)


def duplicates(given: Linted) -> Iterator[Finding]:
    """Principles whose text is the same, or nearly."""
    for (_, left), (place, right) in combinations(enumerate(given.constitution.principles), 2):
        likeness = alike(left.text, right.text)
        if likeness is None:
            continue
        if likeness == 1:
            check, said, severity = "duplicate", "says the same as", "fault"
        else:
            check, said, severity = "near-duplicate", f"says nearly the same ({likeness:.2f}) as", "note"
        yield Finding(
            check,
            severity,
            given.document.principle(place, "text"),
            (left.id, right.id),
            f"`{right.id}` {said} `{left.id}`",
            "remove one of them, or say what sets them apart; two that are equal are drawn twice as often",
        )


def contradictions(given: Linted) -> Iterator[Finding]:
    """Principles that possibly ask for opposite things of the same subject."""
    for (_, left), (place, right) in combinations(enumerate(given.constitution.principles), 2):
        if shared := against(left, right):
            yield Finding(
                "contradiction",
                "note",
                given.document.principle(place, "text"),
                (left.id, right.id),
                f"`{right.id}` possibly contradicts `{left.id}`: both speak of {', '.join(sorted(shared))}",
                "say when each holds, or put them in different tiers; if they agree, word them alike",
            )


def alike(left: str, right: str) -> float | None:
    """How alike two texts are from the threshold up, 1 for the same words; None below it."""
    if words(left) == words(right):
        return 1.0
    pairs = jaccard(shingles(left), shingles(right))
    stems = jaccard(frozenset(content(left)), frozenset(content(right)))
    if pairs >= NEAR_PAIRS or stems >= NEAR_STEMS:
        return min(0.99, max(pairs, stems))
    return None


def against(left: Principle, right: Principle) -> frozenset[str]:
    """The stems of the subject on which two principles possibly contradict each other; none where they do not."""
    for one in signed(left)[:LEADING_CLAUSES]:
        for other in signed(right)[:LEADING_CLAUSES]:
            if found := _opposed(one, other):
                return found
    return frozenset()


def signed(principle: Principle) -> list[Clause]:
    """The clauses of a principle; of one to avoid whose words deny nothing, all forbid."""
    found = list(clauses(principle.text))
    if principle.polarity == "avoid" and not any(clause.forbids for clause in found):
        return [Clause(clause.stems, True) for clause in found]
    return found


def _opposed(left: Clause, right: Clause) -> frozenset[str]:
    shared = (left.stems & right.stems) - _VAGUE
    if left.forbids != right.forbids:
        least = max(SHARED_STEMS, SHARED_SHARE * min(len(left.stems - _VAGUE), len(right.stems - _VAGUE)))
        return shared if len(shared) >= least else frozenset()
    for one, other in _OPPOSITES:
        across = ((left.stems & one) and (right.stems & other)) or ((left.stems & other) and (right.stems & one))
        is_one_sided = not ((left.stems & one) and (left.stems & other)) and not (
            (right.stems & one) and (right.stems & other)
        )
        if across and is_one_sided and shared - one - other:
            return shared
    return frozenset()
