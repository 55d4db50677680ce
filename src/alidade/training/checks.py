"""Checks that a computer can make of an answer: the instruction was to keep to a length, a form, a choice of words.

A prompt brings its checks along, as JSON in `about["checks"]`: `[{"check": "at-most-words", "value": 50}, ...]`. A plugin adds a
check by registering a function under the entry point `alidade.checks`. After the idea of IFEval (Zhou et al. 2023, arXiv
2311.07911): instructions whose keeping can be decided without a judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from alidade.errors import AlidadeError, DataError
from alidade.records import Prompt
from alidade.registry import Registry

Check = Callable[[str, Any], bool]  # the answer and the check's value; TypeError for a value of another kind
CHECKS: Registry[Check] = Registry(
    "alidade.checks",
    {
        name: f"{__name__}:{'is_json' if name == 'json' else name.replace('-', '_')}"
        for name in (
            "at-least-words",
            "at-most-words",
            "at-least-sentences",
            "at-most-sentences",
            "includes",
            "excludes",
            "starts-with",
            "ends-with",
            "lower-case",
            "upper-case",
            "no-commas",
            "json",
            "bullets",
            "paragraphs",
            "placeholders",
            "in-quotes",
        )
    },
    noun="check",
)
COLUMN = "checks"
_HINT = 'checks are JSON: [{"check": "at-most-words", "value": 50}, {"check": "lower-case"}]'


def share_of_checks(prompt: Prompt, answer: str, finished: bool) -> float:
    """The share of the prompt's checks that the answer passes; an empty answer passes none.

    Raises:
        DataError: when the prompt has no checks, or one that is unknown or has a value of the wrong kind.
    """
    passed = [_passes(prompt, answer, one) for one in _checks_of(prompt)]
    return sum(passed) / len(passed) if answer.strip() else 0.0


def all_checks(prompt: Prompt, answer: str, finished: bool) -> float:
    """1 when the answer passes every one of the prompt's checks.

    Raises:
        DataError: as `share_of_checks` does.
    """
    return float(share_of_checks(prompt, answer, finished) == 1)


def _checks_of(prompt: Prompt) -> list[dict[str, Any]]:
    if not prompt.about.get(COLUMN):
        raise DataError("the prompt comes without checks", where=prompt.id, hint=f"it needs a column {COLUMN}; {_HINT}")
    try:
        checks = json.loads(prompt.about[COLUMN])
    except ValueError as error:
        raise DataError(f"the checks are not JSON: {error}", where=prompt.id, hint=_HINT) from error
    if (
        not isinstance(checks, list)
        or not checks
        or not all(isinstance(one, dict) and "check" in one for one in checks)
    ):
        raise DataError("the checks are not a list of checks", where=prompt.id, hint=_HINT)
    return checks


def _passes(prompt: Prompt, answer: str, one: dict[str, Any]) -> bool:
    if unknown := sorted(set(one) - {"check", "value"}):
        raise DataError(f"a check has the unknown field `{unknown[0]}`", where=prompt.id, hint=_HINT)
    try:
        return CHECKS.get(str(one["check"]))(answer, one.get("value"))
    except (TypeError, AlidadeError) as error:
        hint = error.hint if isinstance(error, AlidadeError) else _HINT
        what = error.what if isinstance(error, AlidadeError) else f"check `{one['check']}`: {error}"
        raise DataError(what, where=prompt.id, hint=hint) from error


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"its value must be a whole number, not {value!r}")
    return value


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one.strip() for one in texts):
        raise TypeError(f"its value must be a word or a list of words, not {value!r}")
    return texts


def _count_words(answer: str) -> int:
    return len(re.findall(r"\w+(?:['\u2019-]\w+)*", answer))


def _count_sentences(answer: str) -> int:
    return len([part for part in re.split(r"[.!?]+(?:\s|$)", answer) if re.search(r"\w", part)])


def _says(answer: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase.strip())}(?!\w)", answer, re.IGNORECASE) is not None


def at_least_words(answer: str, value: Any) -> bool:
    """No fewer words than the value."""
    return _count_words(answer) >= _whole(value)


def at_most_words(answer: str, value: Any) -> bool:
    """No more words than the value."""
    return _count_words(answer) <= _whole(value)


def at_least_sentences(answer: str, value: Any) -> bool:
    """No fewer sentences than the value."""
    return _count_sentences(answer) >= _whole(value)


def at_most_sentences(answer: str, value: Any) -> bool:
    """No more sentences than the value."""
    return _count_sentences(answer) <= _whole(value)


def includes(answer: str, value: Any) -> bool:
    """Every one of the words or phrases stands in the answer, whatever its case, and not inside a longer word."""
    return all([_says(answer, phrase) for phrase in _texts(value)])


def excludes(answer: str, value: Any) -> bool:
    """None of the words or phrases stands in the answer."""
    return not any([_says(answer, phrase) for phrase in _texts(value)])


def starts_with(answer: str, value: Any) -> bool:
    """The answer begins with the phrase, whatever its case."""
    return answer.strip().lower().startswith(_texts(value)[0].strip().lower())


def ends_with(answer: str, value: Any) -> bool:
    """The answer ends with the phrase, whatever its case."""
    return answer.strip().lower().endswith(_texts(value)[0].strip().lower())


def lower_case(answer: str, value: Any) -> bool:
    """There are letters, and no capital ones."""
    return answer == answer.lower() and answer != answer.upper()


def upper_case(answer: str, value: Any) -> bool:
    """There are letters, all of them capital ones."""
    return answer == answer.upper() and answer != answer.lower()


def no_commas(answer: str, value: Any) -> bool:
    """There is no comma."""
    return "," not in answer


def is_json(answer: str, value: Any) -> bool:
    """The answer is one JSON object or list, bare or in a fenced block."""
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", answer.strip(), re.DOTALL)
    try:
        return isinstance(json.loads(fenced.group(1) if fenced else answer), dict | list)
    except (ValueError, RecursionError):
        return False


def bullets(answer: str, value: Any) -> bool:
    """There are exactly so many lines that begin with * or - and a space."""
    return len(re.findall(r"^\s*[*-] +\S", answer, re.MULTILINE)) == _whole(value)


def paragraphs(answer: str, value: Any) -> bool:
    """There are exactly so many paragraphs, with empty lines between them."""
    return len([part for part in re.split(r"\n\s*\n", answer) if part.strip()]) == _whole(value)


def placeholders(answer: str, value: Any) -> bool:
    """There are at least so many placeholders in square brackets."""
    return len(re.findall(r"\[[^\[\]\n]+\]", answer)) >= _whole(value)


def in_quotes(answer: str, value: Any) -> bool:
    """The whole answer stands in double quotation marks."""
    text = answer.strip()
    return len(text) > 2 and text[0] == text[-1] == '"'
