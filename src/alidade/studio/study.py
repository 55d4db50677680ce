"""What one person has open: a constitution, a new version in the making, and answers being criticised and revised."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, final

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse

from alidade.constitution.document import Document, as_yaml, open_document, parse_document, write_constitution
from alidade.constitution.lint import Finding, lint
from alidade.constitution.principles import Constitution
from alidade.errors import Conflict, DataError, NotAllowed, UsageError
from alidade.studio.bench import Bench
from alidade.studio.drafting import Draft
from alidade.studio.pages import page

_NAME = re.compile(r"[\w][\w.+ -]{0,150}\.ya?ml")
_VERSION_END = re.compile(r"[-_]\d+\.\d+\.\d+$")


@final
class Study:
    """The state of one person's pages; `folder` is where new versions go, None where nowhere."""

    def __init__(self, document: Document, path: Path, folder: Path | None, bench: Bench) -> None:
        self.document, self.path, self.folder, self.bench = document, path, folder, bench
        self.form_key, self.notice = secrets.token_urlsafe(32), ""
        self.findings: Sequence[Finding] = lint(document)
        self._draft, self._lock = Draft(document.constitution), Lock()

    @property
    def constitution(self) -> Constitution:
        """What is open."""
        return self.document.constitution

    @property
    def draft(self) -> Draft:
        """The new version so far."""
        return self._draft

    def keep(self, draft: Draft, since: Draft) -> None:
        """Go on with another draft, made from the one there was.

        Raises:
            Conflict: when another page has changed it meanwhile.
        """
        with self._lock:
            if self._draft is not since:
                raise Conflict("the new version was changed in another window", hint="load the page again")
            self._draft = draft

    def new_findings(self) -> list[Finding]:
        """What the lint says of the new version, and does not say of the one that is open."""
        draft = self._draft
        version = draft.difference().least_version
        made = draft.as_constitution(version, "to be written")
        known = {(one.check, one.principles, one.what) for one in self.findings}
        found = lint(parse_document(as_yaml(made), "the new version"), self.constitution)
        return [one for one in found if (one.check, one.principles, one.what) not in known]

    def file_name(self, version: str) -> str:
        """How the file of a new version is called where nobody says otherwise."""
        return f"{_VERSION_END.sub('', self.path.stem)}-{version}.yaml"

    def save(self, version: str, sentence: str, name: str) -> Path:
        """Write the new version as a new file, and open it.

        Raises:
            UsageError: when there is no folder for it, or the name is no name of a YAML file.
            Conflict: when there is a file of that name, or the one that was opened has changed since.
            DataError: when it cannot be written.
        """
        if self.folder is None:
            raise UsageError("there is no folder for new versions", hint="start again with --out FOLDER")
        if not _NAME.fullmatch(name):
            raise UsageError("the file needs a name that ends in .yaml, without a folder")
        with self._lock:
            if open_document(self.path).constitution.digest != self.constitution.digest:
                raise Conflict("the file that was opened has been changed since", where=str(self.path))
            target = self.folder / name
            _write_new(self._draft.as_constitution(version, sentence), target)
            old, self.document, self.path = self.constitution, open_document(target), target
            self._draft, self.findings = Draft(self.constitution), lint(self.document, old)
            self.notice = f"Version {version} is saved as {target}. {old.version} is as it was."
        return target

    def said(self) -> str:
        """What is to be told once, on the next page."""
        notice, self.notice = self.notice, ""
        return notice


def _write_new(constitution: Constitution, target: Path) -> None:
    """Write a file that is not there yet: its name is taken first, so that nobody's file is ever replaced."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        raise Conflict("there is a file of that name", where=str(target), hint="choose another name") from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(target)) from error
    try:
        write_constitution(constitution, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


async def study_of(request: Request) -> Study:
    """The study that this app serves."""
    return request.app.state.study


InStudy = Annotated[Study, Depends(study_of)]


async def genuine(study: InStudy, form_key: Annotated[str, Form(max_length=64)] = "") -> Study:
    """The study, for a form that came from a page of ours.

    Raises:
        NotAllowed: when it did not.
    """
    if not hmac.compare_digest(form_key.encode(), study.form_key.encode()):
        raise NotAllowed("this form is not from a page of this server", hint="load the page again")
    return study


Sending = Annotated[Study, Depends(genuine)]


def study_page(study: Study, name: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template as a page of the study."""
    return page(name, status=status, study=study, **values)
