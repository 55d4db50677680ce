"""Pages on which a new version is made: one form for each principle, what it changes word by word, and saving it as a new file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.datastructures import FormData

from alidade.constitution.difference import Difference, Edit
from alidade.constitution.principles import Principle
from alidade.errors import Conflict
from alidade.studio.drafting import (
    FORM,
    LISTS,
    PARTS,
    SIDES,
    Draft,
    Fault,
    examples_of,
    faults_of_version,
    principle_of,
    sent_of,
)
from alidade.studio.labelling import Sent
from alidade.studio.pages import go
from alidade.studio.study import InStudy, Sending, Study, study_page

proposing = APIRouter(include_in_schema=False)
Id = Annotated[str, Form(max_length=80)]
SAVED = {"version": "Version", "sentence": "What it changes", "name": "File"}


@dataclass(frozen=True)
class Touched:
    """A principle that differs in the new version."""

    one: Principle
    what: str
    tone: str
    edits: Sequence[Edit]


@proposing.get("/draft")
def draft_page(study: InStudy) -> Response:
    """What the new version changes."""
    return _draft_page(study, {"version": study.draft.difference().least_version, "sentence": "", "name": ""}, [])


@proposing.get("/draft/principle/{name}")
def change_page(study: InStudy, name: str) -> Response:
    """The form of a principle; of one that was removed, the page that can put it back."""
    if name in study.draft.removed:
        return go("/draft")
    was = study.draft.named(name)
    return _form_page(study, was, sent_of(was), [])


@proposing.post("/draft/principle/{name}")
def change(study: Sending, sent: Sent, name: str) -> Response:
    """Take a principle as the form says it."""
    draft = study.draft
    was, said = draft.named(name), _texts(sent)
    if said.get("since") != was.digest:
        raise Conflict("this principle was changed in another window", hint="load the page again")
    made, faults = principle_of(said, was)
    faults += _faults_of_tier(study, said)
    if made is None or faults:
        return _form_page(study, was, said, faults)
    study.keep(draft.with_changed(made), draft)
    return go("/draft")


@proposing.get("/draft/add")
def add_page(study: InStudy) -> Response:
    """The form of a new principle."""
    return _form_page(study, None, sent_of(None), [])


@proposing.post("/draft/add")
def add(study: Sending, sent: Sent) -> Response:
    """Take a new principle."""
    draft, said = study.draft, _texts(sent)
    made, faults = principle_of(said, None)
    faults += _faults_of_tier(study, said)
    if made is not None and not faults:
        try:
            study.keep(draft.with_added(made), draft)
        except Conflict as error:
            faults.append(Fault("id", error.what))
    return _form_page(study, None, said, faults) if faults else go("/draft")


@proposing.post("/draft/remove")
def remove(study: Sending, id: Id) -> Response:
    """Leave a principle out of the new version."""
    draft = study.draft
    study.keep(draft.without(id), draft)
    return go("/draft")


@proposing.post("/draft/restore")
def restore(study: Sending, id: Id) -> Response:
    """Put a principle back as it was."""
    draft = study.draft
    study.keep(draft.restored(id), draft)
    return go("/draft")


@proposing.post("/draft/save")
def save(study: Sending, sent: Sent) -> Response:
    """Write the new version as a new file, and read it."""
    said = {name: text.strip() for name, text in _texts(sent).items()}
    found = study.draft.difference()
    version, sentence = said.get("version", ""), said.get("sentence", "")
    faults = faults_of_version(found.least_version, version, sentence)
    if not study.draft.count:
        raise Conflict("nothing is changed, so there is nothing to save")
    if not faults:
        try:
            study.save(version, sentence, said.get("name") or study.file_name(version))
            return go("/")
        except Conflict as error:
            faults = [Fault("name", f"{error.what} ({error.where})" if error.where else error.what)]
    return _draft_page(study, {"version": version, "sentence": sentence, "name": said.get("name", "")}, faults)


def _draft_page(study: Study, sent: Mapping[str, str], problem: Sequence[Fault]) -> Response:
    draft = study.draft
    found = draft.difference()
    return study_page(
        study,
        "draft",
        status=400 if problem else 200,
        draft=draft,
        found=found,
        touched=touched(draft, found),
        findings=study.new_findings() if draft.count else [],
        sent=sent,
        problem=problem,
        names=SAVED,
    )


def touched(draft: Draft, found: Difference) -> list[Touched]:
    """What differs, principle by principle in the order of the new version, what is removed at the end."""
    given: list[Touched] = []
    for one in draft.principles:
        edits = [edit for edit in found.edits if edit.of == one.id]
        if any(one.id == new.id for new in draft.added):
            new = Edit(of=one.id, field="text", old="", new=one.text, step="minor")
            given.append(Touched(one, "added", "", [new, *edits]))
        elif edits:
            given.append(Touched(one, "changed", "", edits))
    gone = [one for one in draft.base.principles if one.id in draft.removed]
    return given + [
        Touched(one, "removed", "warn", [Edit(of=one.id, field="text", old=one.text, new="", step="major")])
        for one in gone
    ]


def _form_page(study: Study, was: Principle | None, sent: Mapping[str, str], faults: Sequence[Fault]) -> Response:
    numbers = {side: len(examples_of(sent, side)) for side in SIDES}
    shown = _with_slots(sent)
    words = {"kept": "An answer that keeps it", "broken": "An answer that breaks it"}
    slots = [(side, number, f"{words[side]}, {number + 1}") for side in SIDES for number in range(numbers[side] + 1)]
    example_fields = [f"{side}-{number}-{part}" for side, number, _ in slots for part in PARTS]
    tiers = [("", "none: below all tiers"), *((tier.id, tier.title) for tier in study.constitution.tiers)]
    return study_page(
        study,
        "draft_principle",
        status=400 if faults else 200,
        was=was,
        sent=shown,
        since=was.digest if was else "",
        faults={one.field: one.what for one in faults},
        tiers=tiers,
        slots=slots,
        example_fields=example_fields,
    )


def _with_slots(sent: Mapping[str, str]) -> dict[str, str]:
    """The fields of the form, all of them there, examples numbered anew without those that were emptied."""
    shown = dict.fromkeys(("id", "hard", *FORM, *LISTS), "")
    shown |= {name: text for name, text in sent.items() if name in shown}
    for side in SIDES:
        for number, example in enumerate([*examples_of(sent, side), dict.fromkeys(PARTS, "")]):
            shown |= {f"{side}-{number}-{part}": example[part] for part in PARTS}
    return shown


def _faults_of_tier(study: Study, said: Mapping[str, str]) -> list[Fault]:
    known = {"", *(tier.id for tier in study.constitution.tiers)}
    return [] if said.get("tier", "") in known else [Fault("tier", "there is no such tier")]


def _texts(form: FormData) -> dict[str, str]:
    """A form's fields that are text, without what no form of ours has."""
    return {name: str(value) for name, value in form.items() if re.fullmatch(r"[a-z_]+(-\d{1,4}-[a-z]+)?", name)}
