"""People's votes from a folder that `alidade label export` wrote, held against the answers they are to be used with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alidade.errors import DataError
from alidade.records import Candidates, Vote
from alidade.store import read_rows


def collected_votes(folder: Path, answered: Sequence[Candidates]) -> list[Vote]:
    """The votes in `folder`, all of them about answers that stand in `answered` word for word.

    Raises:
        DataError: when the folder holds no export, or a vote is about another answer.
    """
    votes, shown = read_rows(folder / "rows.jsonl", Vote), read_rows(folder / "answers.jsonl", Candidates)
    judged = {row.prompt.id: row for row in shown}
    known = {row.prompt.id: row for row in answered}
    for vote in votes:
        seen, here = judged.get(vote.prompt_id), known.get(vote.prompt_id)
        for number in (vote.left, vote.right):
            if (
                here is None
                or seen is None
                or _text(seen, number) is None
                or _text(seen, number) != _text(here, number)
            ):
                raise DataError(
                    f"vote {vote.id} is about answer {number} to {vote.prompt_id}, which is another one in this run",
                    where=str(folder / "rows.jsonl"),
                    hint="use votes on the answers of this recipe and seed, or keep the stage that made them as it was",
                )
    return votes


def _text(row: Candidates, number: int) -> str | None:
    if not 0 <= number < len(row.answers) or row.answers[number].error:
        return None
    return row.answers[number].text
