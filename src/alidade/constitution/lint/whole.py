"""What is looked at in the document as a whole: its weights, its tiers, and its history."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alidade.constitution.difference import difference, version_key
from alidade.constitution.lint.finding import Finding, Linted

_DIGEST = re.compile(r"[0-9a-f]{64}")


def weights(given: Linted) -> Iterator[Finding]:
    """Whether anything can be drawn."""
    principles = given.constitution.principles
    if any(one.weight > 0 for one in principles):
        return
    yield Finding(
        "no-weight",
        "fault",
        given.document.principle(0, "weight"),
        tuple(one.id for one in principles),
        "all weights are 0, so no principle is ever drawn",
        "leave `weight` out, or give at least one principle a weight above 0",
    )


def tiers(given: Linted) -> Iterator[Finding]:
    """Tiers in which no principle stands; of one with prose that is worth a note, as it binds nothing that is asked."""
    used = {one.tier for one in given.constitution.principles}
    for place, tier in enumerate(given.constitution.tiers):
        if tier.id not in used:
            yield Finding(
                "empty-tier",
                "note" if tier.text else "fault",
                given.document.where("tiers", place),
                (),
                f"no principle stands in the tier `{tier.id}`"
                + ("; its prose is asked of no model" if tier.text else ""),
                f"give a principle `tier: {tier.id}`, or remove the tier",
            )


def history(given: Linted) -> Iterator[Finding]:
    """Whether the changelog has this version, and the version is above those before it."""
    document, constitution = given.document, given.constitution
    versions = [change.version for change in constitution.changelog]
    if constitution.version not in versions:
        yield Finding(
            "changelog",
            "fault",
            document.where("changelog") if versions else document.where("version"),
            (),
            f"the changelog says nothing of version {constitution.version}",
            f"add `- version: {constitution.version}` with a `text:` to `changelog:`",
        )
    above = [version for version in versions if version_key(version) > version_key(constitution.version)]
    if above:
        yield Finding(
            "version",
            "fault",
            document.where("version"),
            (),
            f"version {constitution.version} is below {max(above, key=version_key)} in the changelog",
            "raise `version`",
        )
    elif constitution.parent is not None and set(versions) == {constitution.version}:
        yield Finding(
            "version",
            "note",
            document.where("parent"),
            (),
            f"it has a parent, but the changelog knows no version before {constitution.version}",
            "keep the parent's entries in `changelog:`",
        )


def ancestry(given: Linted) -> Iterator[Finding]:
    """Whether `parent` names the version this one was made from, and the version was raised as far as the words changed."""
    document, constitution, parent = given.document, given.constitution, given.parent
    if constitution.parent is not None and not _DIGEST.fullmatch(constitution.parent):
        hint = "`alidade constitution show FILE --json` gives the digest of a version"
        yield Finding("parent", "fault", document.where("parent"), (), "`parent` is no digest of 64 hex digits", hint)
    if parent is None or parent.digest == constitution.digest:
        return
    if constitution.parent not in {None, parent.digest} or (
        constitution.parent is None and parent.id == constitution.id
    ):
        hint = f"set `parent: {parent.digest}`"
        what = f"`parent` is not the digest of `{parent.id}` {parent.version}"
        yield Finding("parent", "note", document.where("parent"), (), what, hint)
    found = difference(parent, constitution)
    if not found.is_raised_enough:
        yield Finding(
            "version-not-raised",
            "fault",
            document.where("version"),
            (),
            f"the words differ from those of {parent.version} by a {found.needed} change, but the version is {constitution.version}",
            f"raise `version` to at least {found.least_version}",
        )
