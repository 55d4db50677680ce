"""What a check of a constitution says: how grave, where, of which principles, what, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from alidade.constitution.document import Document
from alidade.constitution.principles import Constitution

Severity = Literal["fault", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to mend (a fault) or to know (a note)."""

    check: str
    severity: Severity
    where: str
    principles: tuple[str, ...]
    what: str
    hint: str

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {**vars(self), "principles": list(self.principles)}


@dataclass(frozen=True)
class Linted:
    """What is examined: a document, and the version it was made from where that is at hand."""

    document: Document
    parent: Constitution | None = None

    @property
    def constitution(self) -> Constitution:
        """The words that are examined."""
        return self.document.constitution


Check = Callable[[Linted], Iterable[Finding]]
