"""What the checks see of a text: its words without endings, its clauses, and whether a clause says do or do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+", re.UNICODE)
# Where one demand ends and the next begins: at stops, before a contrast or a condition, and before `, and` with a verb after it,
# which is taken to be what stands before an article, an adverb or `to`.
_CLAUSE = re.compile(
    r"""[.!?;:\n]+
    | ,?\s+(?:but|instead\sof|rather\sthan|though|while|except|when|if|because|since|unless)\b
    | ,\s+and\s+(?=(?:to|then|instead)\b | \w+ly\b | \w+\s(?:the|an?|any|each|what|how|it|them|their|something|with)\b)
    | \s+(?=(?:more|less|least|fewer|without)\b)
    | \s+(?:that|which|who)\s+(?=(?:nobody|no|never|cannot|is\snot|are\snot)\b)""",
    re.VERBOSE | re.IGNORECASE,
)
# Clauses that only say where to look ask for nothing, and instances are not the subject.
_LOOKS = re.compile(
    r"\W*(?:please\s+)?(?:compare|consider|identify|discuss|explain|think|read|look|critique|examine)\b", re.IGNORECASE
)
_INSTANCES = re.compile(r",?\s+such as [^.;!?]*", re.IGNORECASE)
_ENDINGS = (
    "fulness",
    "ingly",
    "iness",
    "ation",
    "ment",
    "ness",
    "ings",
    "edly",
    "ied",
    "ies",
    "ing",
    "ely",
    "ed",
    "es",
    "ly",
    "s",
    "e",
)

# Words that only hold a sentence about answers together; a principle is never about them.
FILLER = frozenset(
    """a about above after all also although always an and another any anyone anything are as at away be because been before being
    best better between both by can cannot choose chose chosen compare consider could critique degree describe did discuss do does doing done
    each either else especially even every everything everyone explain following for from furthermore get give given gives giving good
    had has have he her his how however i identify if in include including into is it its itself just keep kept least leave less let like list
    look made make makes making may maybe might more most much must my near need needs neither never no none nor not note of off on
    one only or other others our out over paying people person please point possible possibly preceding provide read really response responses
    revise revision rewrite said same say saying says seem sentence several shall she should so some somebody someone something sound
    sounds such take than that the their them then there these they thing things think this those through to too towards two under
    until up us use user users using very was way ways we well were what when where whether which while who whoever whom whose why will
    with within without words would write yet you your assistant assistant's answer answers human human's ai model last option options version part strongest argument
    specific specifically carefully""".split()
)
# Praise and blame without an object: two people who agree on each of these words may still judge an answer differently.
VAGUE = frozenset(
    """acceptable appropriate awesome bad beneficial desirable ethical excellent fair fine good great harmful harmfulness harmless
    helpful helpfulness high honest honesty ideal inappropriate kind lower moral nice objectionable okay perfect pleasant poor positive proper
    quality reasonable respectable responsible right safe sensible suitable superior terrible thoughtful unacceptable unethical
    useful virtuous wise wonderful wrong based behave behavior behaviour act manner criteria exhibit exhibits show shows demonstrate demonstrates strive try tries ensure""".split()
)
_NEGATION = frozenset(
    """not no never none nor neither without avoid avoids avoiding refrain refrains refuse refuses remove removes stop prevent less
    least fewer cannot don't doesn't didn't won't mustn't shouldn't isn't aren't can't nothing nobody decline declines prohibit
    forbid forbidden withhold withholds""".split()
)
# A negation of the wrong thing: "do not hesitate to refuse" is a request.
_CANCELS = re.compile(
    r"\bnot (?:only|just|merely|hesitate|afraid|necessarily)\b|\bno matter\b|\bwhether or not\b|\bnothing but\b|\bnot least\b"
)


@dataclass(frozen=True)
class Clause:
    """A part of a sentence: its stems without filler, and whether it forbids."""

    stems: frozenset[str]
    forbids: bool


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.replace("’", "'") for word in _WORD.findall(text.replace("’", "'").lower())]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without its ending, by a short list of English endings; three letters stay."""
    word = word.removesuffix("'s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def content(text: str) -> list[str]:
    """The stems of a text in order, without filler."""
    return [stem(word) for word in words(text) if word not in FILLER]


def concrete(text: str) -> set[str]:
    """The words of a text that name something an answer can be checked for."""
    return {word for word in words(text) if word not in FILLER | VAGUE | _NEGATION}


def clauses(text: str) -> Iterator[Clause]:
    """The clauses that say something, in order."""
    for part in _CLAUSE.split(_INSTANCES.sub("", text)):
        if _LOOKS.match(part):
            continue
        found = frozenset(content(part)) - {stem(word) for word in _NEGATION}
        if found:
            yield Clause(found, is_negated(part))


def is_negated(text: str) -> bool:
    """Whether a clause says what not to do: an odd number of negations, where `not only` is none."""
    kept = _CANCELS.sub(" ", text.lower().replace("’", "'"))
    return sum(word in _NEGATION for word in words(kept)) % 2 == 1


def shingles(text: str, length: int = 2) -> frozenset[tuple[str, ...]]:
    """The runs of `length` words."""
    found = words(text)
    return frozenset(tuple(found[place : place + length]) for place in range(max(1, len(found) - length + 1)))


def jaccard(
    left: frozenset[object] | frozenset[tuple[str, ...]], right: frozenset[object] | frozenset[tuple[str, ...]]
) -> float:
    """What two sets share of what either has, from 0 to 1."""
    return len(left & right) / len(left | right) if left or right else 0.0
