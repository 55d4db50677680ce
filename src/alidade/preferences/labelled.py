"""A folder of what people said, as `alidade label export` writes it: acts, what measures the people, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alidade.errors import DataError
from alidade.preferences.acts import choice_of
from alidade.preferences.groups import Groups
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Choice, Demonstration, RankingVote, Vote
from alidade.store import explain_invalid, read_json, read_rows
from alidade.store.rows import each_row, valid_record


@dataclass(frozen=True)
class Labelled:
    """What people said. `repeats` (of what they had judged before) and `checks` (on gold) measure people and are no labels.

    `gold` names the better answer of pairs, the lower number being the left one; a ranking is right that puts every such pair right.
    `groups` holds what annotators said of themselves, question by question; `skipped` how often tasks were passed over, by reason.
    """

    votes: list[Vote] = field(default_factory=list)
    rankings: list[RankingVote] = field(default_factory=list)
    demonstrations: list[Demonstration] = field(default_factory=list)
    repeats: list[Vote | RankingVote] = field(default_factory=list)
    checks: list[Vote | RankingVote] = field(default_factory=list)
    gold: Mapping[Pair, Choice] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_labelled(folder: Path) -> Labelled:
    """What a folder holds; only `rows.jsonl` (votes) must be there.

    Raises:
        DataError: for a file of another shape.
    """
    return Labelled(
        votes=read_rows(folder / "rows.jsonl", Vote),
        rankings=_rows(folder / "rankings.jsonl", RankingVote),
        demonstrations=_rows(folder / "demonstrations.jsonl", Demonstration),
        repeats=_acts(folder / "repeats.jsonl"),
        checks=_acts(folder / "checks.jsonl"),
        gold=read_gold(folder / "gold.json"),
        groups=read_groups(folder / "groups.json"),
        skipped=_skipped(folder / "about.json"),
    )


def read_gold(path: Path) -> Mapping[Pair, Choice]:
    """The gold choices of a JSON list of votes without an annotator; empty where there is no such file.

    Raises:
        DataError: for a file of another shape, and for a pair that is named twice with different choices.
    """
    found: dict[Pair, Choice] = {}
    for place, row in enumerate(_json(path, list, "a list of {prompt_id, left, right, choice}") or []):
        vote = _gold_vote(row, path, place)
        pair, choice = pair_of(vote), choice_of(vote)
        if found.setdefault(pair, choice) != choice:
            raise DataError(
                f"the pair {pair} has two gold choices", where=f"{path}, row {place}", hint="keep one of them"
            )
    return found


def read_groups(path: Path) -> Groups:
    """What annotators said of themselves, {annotator: {question: group}}; empty where there is no such file.

    Raises:
        DataError: for a file of another shape.
    """
    shape = '{"ANNOTATOR": {"QUESTION": "GROUP"}}'
    found: Mapping[str, Any] = _json(path, dict, shape) or {}
    for name, answers in found.items():
        if not isinstance(answers, dict) or not all(isinstance(group, str) for group in answers.values()):
            raise DataError(f"what {name!r} said is not {{question: group}}", where=str(path), hint=f"write {shape}")
    return found


def _skipped(path: Path) -> Mapping[str, int]:
    return (_json(path, dict, "what `alidade label export` says of a queue") or {}).get("skipped", {})


def _rows(path: Path, record: type[Any]) -> list[Any]:
    return read_rows(path, record) if path.exists() else []


def _acts(path: Path) -> list[Vote | RankingVote]:
    """Votes and rankings from one file: a ranking says what was `shown`."""
    if not path.exists():
        return []
    return [
        valid_record(value, RankingVote if isinstance(value, dict) and "shown" in value else Vote, f"{path}:{line}")
        for line, value in each_row(path)
    ]


def _json(path: Path, kind: type, shape: str) -> Any:
    if not path.exists():
        return None
    found = read_json(path)
    if not isinstance(found, kind):
        raise DataError(f"not {shape}", where=str(path))
    return found


def _gold_vote(row: Any, path: Path, place: int) -> Vote:
    from pydantic import ValidationError

    try:
        return Vote.model_validate({"id": f"gold {place}", "annotator": "", **row} if isinstance(row, dict) else row)
    except ValidationError as error:
        hint = "a row has prompt_id, left, right, choice, and attribute where it is not overall"
        raise DataError(f"no gold choice: {explain_invalid(error)}", where=f"{path}, row {place}", hint=hint) from error
