"""People's votes from a folder that `alidade label export` wrote, held against the answers they are to be used with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alidade.errors import DataError
from alidade.records import Candidates, RankingVote, Vote
from alidade.store import read_rows


@dataclass(frozen=True)
class CollectedVotes:
    """What labels are made of."""

    votes: list[Vote]
    rankings: list[RankingVote]

    @property
    def annotators(self) -> list[str]:
        """Who voted, by name."""
        return sorted({act.annotator for act in (*self.votes, *self.rankings)})

    def __len__(self) -> int:
        return len(self.votes) + len(self.rankings)


def votes_in(folder: Path) -> CollectedVotes:
    """The votes and rankings in a folder's `rows.jsonl` and, where there is one, `rankings.jsonl`.

    Raises:
        DataError: when a row is none.
    """
    ranked = folder / "rankings.jsonl"
    return CollectedVotes(
        read_rows(folder / "rows.jsonl", Vote), read_rows(ranked, RankingVote) if ranked.exists() else []
    )


def collected_votes(folder: Path, answered: Sequence[Candidates]) -> CollectedVotes:
    """The votes and rankings in an export, all of them about answers that stand in `answered` word for word.

    Raises:
        DataError: when the folder holds no export, or a vote is about another answer.
    """
    found, shown = votes_in(folder), read_rows(folder / "answers.jsonl", Candidates)
    judged = {row.prompt.id: row for row in shown}
    known = {row.prompt.id: row for row in answered}
    about = [(vote, (vote.left, vote.right)) for vote in found.votes] + [(act, act.shown) for act in found.rankings]
    for act, numbers in about:
        seen, here = judged.get(act.prompt_id), known.get(act.prompt_id)
        for number in numbers:
            text = seen and _text(seen, number)
            if here is None or text is None or text != _text(here, number):
                raise DataError(
                    f"vote {act.id} is about answer {number} to {act.prompt_id}, which is another one in this run",
                    where=str(folder),
                    hint="use votes on the answers of this recipe and seed, or keep the stage that made them as it was",
                )
    return found


def _text(row: Candidates, number: int) -> str | None:
    if not 0 <= number < len(row.answers) or row.answers[number].error:
        return None
    return row.answers[number].text
