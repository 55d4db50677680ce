"""The way back from a training row to the principle, critique and revision, or the questions, that made it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from alidade.constitution.prefer import Preferred
from alidade.constitution.revise import Revised

_REVISION = re.compile(r"/revision(\d+)$")


def told(kind: str, row: Mapping[str, Any], asked: str) -> list[str]:
    """What a row of the ledger says of the training row `asked`, in lines; nothing where the row is no part of the ledger.

    `kind` is that of the artifact the row lies in. Of revisions, all steps up to the one that was asked for are told: each
    criticised the answer of the one before.
    """
    if kind == "revisions":
        return list(_revisions(Revised.model_validate(row), asked))
    if "judgements" in row and "comparison" in row:
        return list(_judgements(Preferred.model_validate(row)))
    return []


def _revisions(row: Revised, asked: str) -> Iterator[str]:
    found = _REVISION.search(asked)
    yield f"answer: {row.initial}"
    for number, step in enumerate(row.steps[: int(found.group(1)) if found else None], 1):
        yield f"step {number}: by `{step.principle}` ({step.principle_digest[:12]}), examples {list(step.shots)}"
        if step.critique:
            yield f"  critique: {step.critique}"
        yield f"  no revision ({step.fault})" if step.fault else f"  revision: {step.revision}"


def _judgements(row: Preferred) -> Iterator[str]:
    yield f"left: {row.comparison.left}"
    yield f"right: {row.comparison.right}"
    for one in row.judgements:
        yield (
            f"by `{one.principle}` ({one.principle_digest[:12]}), {one.shown}: left is better with {one.left_prob:.3f} "
            f"(log-probabilities {one.log_probs[0]:.3f} and {one.log_probs[1]:.3f})"
        )
        if one.thought:
            yield f"  thought: {one.thought}"
        if one.ballot is not None:
            first, second = one.ballot.votes
            yield f"  votes: {first} for the first, {second} for the second, {one.ballot.strays} for neither"
    sampled = "" if row.standard_error is None else f" (standard error {row.standard_error:.3f}, {row.votes} votes)"
    yield f"label: left is better with {row.comparison.label_prob:.3f}{sampled}"
