"""Files of prompts: what is asked, with the right answer or checks where the file knows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from alidade.preferences.comparisons import chosen_rejected
from alidade.preferences.layout import Cells, Format, PromptOf, before_last_answer, first_turn, joined, one
from alidade.records import Conversation


@dataclass(frozen=True)
class Asked:
    """A prompt, the right answer where the file knows it, and the checks (JSON) where it has some."""

    prompt: Conversation
    answer: str = ""
    checks: str = ""


def asking(prompt: PromptOf, known: str = "") -> Callable[[Cells], Iterator[Asked]]:
    """Rows of which the prompt counts, the column `known` if it holds the right answer, and the column `checks`."""
    return lambda cells: iter((Asked(prompt(cells), _stated(cells.get(known)), _listed(cells.get("checks"))),))


def _stated(value: Any) -> str:
    """A known answer as text; what is neither text nor number is no answer."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _listed(value: Any) -> str:
    """Checks as JSON text, whether the file has them as text or as a list."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else _stated(value)


def of_pair(cells: Cells) -> Iterator[Asked]:
    """The prompt of a row with chosen and rejected."""
    return (Asked(pair.prompt) for pair in chosen_rejected(cells))


PROMPTS: tuple[Format[Asked], ...] = (
    Format("prompt", ("prompt",), asking(one("prompt"), "answer"), may=("answer", "checks")),
    Format("preference", ("chosen", "rejected"), of_pair, may=("prompt",)),
    Format("instruction", ("instruction",), asking(joined("instruction", "input")), may=("input",)),
    Format("question", ("question",), asking(one("question"), "answer"), may=("answer", "checks")),
    Format("messages", ("messages",), asking(before_last_answer)),
    Format("sharegpt", ("conversations",), asking(before_last_answer)),
    Format("turns", ("turns",), asking(first_turn("turns"))),
    Format("history", ("history",), asking(one("history"))),
    Format("behavior", ("behavior",), asking(one("behavior"))),
)
