"""Words that give a text away: refusing, evading, finding no fault. English, and small on purpose: another list can be given.

What these cannot see: a refusal in other words or another language, a refusal quoted in an answer that helps, and evasion that
sounds like an answer. They compare steps of one run; they are no measure of harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from alidade.records import Record

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_QUOTED = re.compile(
    r"[\"\u201c\u201d\u00ab\u00bb\u201e]([^\"\u201c\u201d\u00ab\u00bb\u201e]{2,})[\"\u201c\u201d\u00ab\u00bb]"
)
_LEAST_LETTERS = 3


class Markers(Record):
    """Phrases, in small letters, that are looked for as whole words."""

    refusing: tuple[str, ...] = Field(
        default=(
            "i can't", "i cannot", "i can not", "i won't", "i will not", "i'm not able to", "i am not able to", "i'm unable to",
            "i am unable to", "i'm sorry, but", "i am sorry, but", "sorry, but i", "i must decline", "i have to decline",
            "i'd rather not", "i would rather not", "i refuse to", "not something i can help", "i do not want to help",
        )
    )  # fmt: skip
    evading: tuple[str, ...] = Field(
        default=(
            "as an ai", "as a language model", "it depends", "i'm not sure", "i am not sure", "i'm not qualified",
            "i am not qualified", "consult a professional", "consult a qualified", "seek professional", "i don't have an opinion",
            "i do not have an opinion", "i don't have personal", "it is important to note", "it's important to note",
            "everyone is different", "there is no right answer",
        )
    )  # fmt: skip
    faultless: tuple[str, ...] = Field(
        default=(
            "answer is good", "response is good", "nothing wrong", "nothing harmful", "no fault", "no issues", "no problem",
            "not harmful", "no harmful", "no revision needed", "no revisions needed", "no need to revise", "no changes needed",
            "is appropriate", "is fine as it is",
        ),
        description="what a critique says that finds no fault",
    )  # fmt: skip


ENGLISH = Markers()
# Words that hold a sentence together, and words of critiques about answers as such: to find them in an answer is no finding.
_HOLDING_WORDS = """
a about above after again all also although an and answer answers any are as assistant assistant's at be because been being
but by can cannot could critique did do does don't for from had harmful has have he her him his how i if in into is it it's
its just may me might more most my no not of on one only or other our response she should so some such than that the their
them then there these they this those to too up us user user's was we were what when where which while who why will with
would you your
"""
_HOLDING = frozenset(_HOLDING_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text in small letters; scripts without spaces give one word where there are many."""
    return [one.replace("\u2019", "'") for one in _WORD.findall(text.lower())]


def says(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether any of the phrases is in the text, as whole words, whatever its case and apostrophes."""
    plain = f" {' '.join(words(text))} "
    return any(f" {' '.join(words(phrase))} " in plain for phrase in phrases)


def content_words(text: str) -> set[str]:
    """The words that say something: three letters or more, or a number, and no word that only holds a sentence together."""
    return {one for one in words(text) if one not in _HOLDING and (len(one) >= _LEAST_LETTERS or one.isdigit())}


def quoted(text: str) -> Iterator[str]:
    """What a text puts between double quotes or guillemets."""
    return (found.group(1) for found in _QUOTED.finditer(text))
