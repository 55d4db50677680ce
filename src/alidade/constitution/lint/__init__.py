"""The lint of a constitution: what can be known to be wrong with it before any model is asked.

`lint` runs the checks of `CHECKS` over a document. All of them look at words only, so what they say of meaning is a
possibility: `negative-only`, `untestable` and `contradiction` are heuristics whose error rates are in the guide.
"""

from alidade.constitution.document import Document
from alidade.constitution.lint import each, pairs, whole
from alidade.constitution.lint.finding import Check, Finding, Linted
from alidade.constitution.principles import Constitution

CHECKS: tuple[Check, ...] = (
    pairs.duplicates,
    pairs.contradictions,
    each.negative_only,
    each.untestable,
    each.missing,
    each.off_topic,
    whole.weights,
    whole.tiers,
    whole.history,
    whole.ancestry,
)

__all__ = ["CHECKS", "Finding", "lint"]


def lint(document: Document, parent: Constitution | None = None) -> list[Finding]:
    """What is wrong with a constitution, by the line; `parent` is the version it was made from, where that is at hand."""
    given = Linted(document, parent)
    found = [one for check in CHECKS for one in check(given)]
    return sorted(found, key=lambda one: _line(one.where))


def _line(where: str) -> int:
    number = where.rpartition(":")[2]
    return int(number) if number.isdigit() else 0
