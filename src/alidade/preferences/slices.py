"""Held-out accuracy by kind of pair: what a mean over all of them hides.

A score that reads nothing but length is right wherever the longer answer was preferred and wrong elsewhere, or the other way
round; only the slices tell. Each has its own n and interval, and the pairs of one prompt are one cluster in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import quantiles

from alidade.preferences.baselines import accuracy, decided
from alidade.records import Comparison, Estimate

CODE = re.compile(r"```|^(?: {4}|\t)\S.*[;{}()=]", re.MULTILINE)
ITEM = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+\S", re.MULTILINE)
REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|afraid|unable|not able|not going)|i (?:can(?:not|'t)|won't|will not|don't want to)"
    r"|(?:as|i am|i'm) an ai)\b"
)
OPENING = 160


def slices(
    train: Sequence[Comparison], heldout: Sequence[Comparison], leads: Sequence[float]
) -> dict[str, dict[str, Estimate]]:
    """Accuracy on held-out comparisons by length, which is longer, format, refusal, attribute and source.

    `leads` says how far each left answer is ahead. Quartiles of length (characters of the longer answer) are those of the
    training comparisons. A split that puts all comparisons into one slice says nothing and is left out.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for name, kind in _kinds(train).items():
        parts: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(heldout):
            if row.label_prob != 0.5:
                parts[kind(row)].append(place)
        if len(parts) > 1:
            found[name] = {part: _measured(heldout, leads, parts[part]) for part in sorted(parts)}
    return found


def _measured(heldout: Sequence[Comparison], leads: Sequence[float], places: Sequence[int]) -> Estimate:
    estimate = accuracy([heldout[place] for place in places], [leads[place] for place in places])
    assert estimate is not None
    return estimate


def _kinds(train: Sequence[Comparison]) -> Mapping[str, Callable[[Comparison], str]]:
    lengths = [_length(row) for row in decided(train)]
    edges = quantiles(lengths, n=4) if len(lengths) > 1 else []

    def quartile(row: Comparison) -> str:
        bound = next((f"up to {edge:,.0f}" for edge in edges if _length(row) <= edge), None)
        place = sum(_length(row) > edge for edge in edges) + 1
        return f"{place}: {bound or f'over {edges[-1]:,.0f}' if edges else 'any'} characters"

    return {
        "length quartile": quartile,
        "longer": which_is_longer,
        "format": format_of,
        "refusal": who_refuses,
        "attribute": lambda row: row.attribute,
        "source": source_of,
    }


def _length(row: Comparison) -> int:
    return max(len(row.left), len(row.right))


def which_is_longer(row: Comparison) -> str:
    """Whether the preferred answer is the longer one, in characters."""
    lead = len(row.chosen) - len(row.rejected)
    return "equal length" if lead == 0 else "preferred is longer" if lead > 0 else "preferred is shorter"


def format_of(row: Comparison) -> str:
    """Whether an answer holds code, else a list of two items or more, else neither does."""
    if any(CODE.search(text) for text in (row.left, row.right)):
        return "code"
    return "list" if any(len(ITEM.findall(text)) > 1 for text in (row.left, row.right)) else "plain"


def refuses(text: str) -> bool:
    """Whether an answer's opening words say no; a rule of thumb in English, good for slicing and for nothing else."""
    return REFUSAL.search(text[:OPENING].lower().replace("\u2019", "'")) is not None


def who_refuses(row: Comparison) -> str:
    """Which of the two answers says no."""
    sides = refuses(row.chosen), refuses(row.rejected)
    names = {
        (True, True): "both refuse",
        (True, False): "preferred refuses",
        (False, True): "other refuses",
        (False, False): "neither refuses",
    }
    return names[sides]


def source_of(row: Comparison) -> str:
    """Where a comparison is from: the file it was read from, else what kind of judge made it."""
    stem, colon, _ = row.id.rpartition("/")[2].partition(":")
    return stem if row.source == "file" and colon else row.source
