"""What is looked at in each principle by itself."""

from __future__ import annotations

from collections.abc import Iterator

from alidade.constitution.lint.finding import Finding, Linted
from alidade.constitution.lint.pairs import signed
from alidade.constitution.lint.words import VAGUE, concrete, content, stem, words
from alidade.constitution.principles import Principle

_REQUESTS = ("critique", "revision", "comparison")


def untestable(given: Linted) -> Iterator[Finding]:
    """Principles of praise alone: no object that an answer could be checked for."""
    for place, one in enumerate(given.constitution.principles):
        if not concrete(one.text):
            vague = sorted({word for word in words(one.text) if word in VAGUE})
            yield Finding(
                "untestable",
                "fault",
                given.document.principle(place, "text"),
                (one.id,),
                f"`{one.id}` names nothing an answer can be checked for"
                + (f", only {', '.join(vague)}" if vague else ""),
                "say what is seen in an answer that keeps it, and what in one that breaks it",
            )


def negative_only(given: Linted) -> Iterator[Finding]:
    """Principles that say only what an answer must not do."""
    principles = given.constitution.principles
    negative = [(place, one) for place, one in enumerate(principles) if is_negative_only(one)]
    for place, one in negative:
        yield Finding(
            "negative-only",
            "note",
            given.document.principle(place, "text"),
            (one.id,),
            f"`{one.id}` says only what not to do",
            "add what a good answer does instead; silence keeps a principle of prohibitions best",
        )
    if len(negative) == len(principles):
        yield Finding(
            "negative-only-constitution",
            "fault",
            given.document.where("principles"),
            tuple(one.id for one in principles),
            "no principle says what to do: an empty answer keeps them all",
            "add principles for being helpful and honest, and one against over-caution",
        )


def is_negative_only(one: Principle) -> bool:
    """Whether every clause of a principle forbids."""
    found = signed(one)
    return bool(found) and all(clause.forbids for clause in found)


def missing(given: Linted) -> Iterator[Finding]:
    """Fields that are empty: without requests a principle is never asked, without the others it is hard to judge by."""
    for place, one in enumerate(given.constitution.principles):
        if not one.requests.critique and not one.requests.comparison:
            yield Finding(
                "never-asked",
                "fault",
                given.document.principle(place),
                (one.id,),
                f"`{one.id}` has neither a `critique` nor a `comparison` request, so it is never drawn",
                "add `requests:` with `critique` and `revision`, with `comparison`, or with all three",
            )
        elif gaps := _gaps(one):
            yield Finding(
                "missing-field",
                "note",
                given.document.principle(place),
                (one.id,),
                f"`{one.id}` lacks {', '.join(gaps)}",
                "a rationale and examples make judges agree; source and licence say whether it may be used",
            )


def off_topic(given: Linted) -> Iterator[Finding]:
    """Requests that mention nothing of their principle."""
    for place, one in enumerate(given.constitution.principles):
        subject = set(content(f"{one.title} {one.text}")) or {stem(word) for word in words(one.text)}
        for name in _REQUESTS:
            request: str = getattr(one.requests, name)
            if request and not subject & set(content(request)):
                yield Finding(
                    "off-topic-request",
                    "note",
                    given.document.principle(place, "requests", name),
                    (one.id,),
                    f"the {name} request of `{one.id}` mentions nothing that its title or text speaks of",
                    "ask in the words of the principle; the model is shown the request and not the text",
                )


def _gaps(one: Principle) -> list[str]:
    filled = {
        "`requests.comparison`": one.requests.comparison,
        "`requests.critique`": one.requests.critique,
        "`rationale`": one.rationale,
        "`examples.kept`": one.examples.kept,
        "`examples.broken`": one.examples.broken,
        "`origin.source`": one.origin.source,
        "`origin.licence`": one.origin.licence,
    }
    return [name for name, value in filled.items() if not value]
