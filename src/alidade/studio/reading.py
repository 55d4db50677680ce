"""The page on which a constitution is read: tiers in order, principles found by words and by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from alidade.constitution.lint import Finding
from alidade.constitution.principles import Constitution, Principle, Tier
from alidade.studio.study import InStudy, study_page

reading = APIRouter(include_in_schema=False)
Word = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class Wanted:
    """What principles are looked for; what is empty is not asked for."""

    q: str = ""
    tier: str = ""
    polarity: str = ""
    kind: str = ""
    only: str = ""

    @property
    def is_set(self) -> bool:
        """Whether anything is asked for."""
        return any(vars(self).values())

    def fits(self, one: Principle, found: Sequence[Finding]) -> bool:
        """Whether a principle is as asked for, by all words and all fields."""
        fields = ((self.tier, one.tier), (self.polarity, one.polarity), (self.kind, one.kind))
        if any(wanted and wanted != had for wanted, had in fields):
            return False
        if (self.only == "hard" and not one.hard) or (self.only == "found" and not found):
            return False
        text = _words(one)
        return all(word in text for word in self.q.casefold().split())


def wanted_of(q: Word = "", tier: Word = "", polarity: Word = "", kind: Word = "", only: Word = "") -> Wanted:
    """What the address asks for."""
    return Wanted(q, tier, polarity, kind, only)


@reading.get("/")
def read(study: InStudy, wanted: Annotated[Wanted, Depends(wanted_of)]) -> Response:
    """The constitution, or what of it is asked for."""
    document, findings = study.constitution, findings_by(study.findings, study.constitution)
    fitting = [one for one in document.principles if wanted.fits(one, findings[one.id])]
    told = {"notice": study.said(), "findings": findings, "count": len(fitting)}
    return study_page(study, "constitution", document=document, query=wanted, ranks=ranks(document, fitting), **told)


def ranks(document: Constitution, principles: Sequence[Principle]) -> list[tuple[Tier | None, list[Principle]]]:
    """Principles by tier, the highest first; tiers without any are left out unless they have prose and all is shown."""
    is_all = len(principles) == len(document.principles)
    found = [(tier, [one for one in principles if one.tier == tier.id]) for tier in document.tiers]
    kept: list[tuple[Tier | None, list[Principle]]] = [(tier, held) for tier, held in found if held or is_all]
    free = [one for one in principles if one.tier is None]
    return [*kept, (None, free)] if free else kept


def findings_by(findings: Sequence[Finding], document: Constitution) -> dict[str, list[Finding]]:
    """Findings by the principle they concern; those of the whole, or of all principles, under the empty name."""
    found: dict[str, list[Finding]] = {"": [], **{one.id: [] for one in document.principles}}
    for one in findings:
        is_of_some = one.principles and (
            len(one.principles) < len(document.principles) or len(document.principles) == 1
        )
        for name in one.principles if is_of_some else ("",):
            found[name].append(one)
    return found


def _words(one: Principle) -> str:
    examples = [
        text for each in (*one.examples.kept, *one.examples.broken) for text in (each.prompt, each.answer, each.why)
    ]
    scope = (*one.scope.hazards, *one.scope.languages, one.scope.audience)
    requests = (one.requests.critique, one.requests.revision, one.requests.comparison)
    texts = (
        one.id,
        one.title,
        one.text,
        one.rationale,
        one.origin.source,
        one.origin.licence,
        *scope,
        *requests,
        *examples,
    )
    return "\n".join(texts).casefold()
