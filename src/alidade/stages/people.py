"""The stages that bring in what people said in the labelling pages, where there is nobody simulated beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from alidade.errors import DataError
from alidade.pipeline import InputFolder, StageContext, Upstream, stage
from alidade.preferences.collected import CollectedVotes, collected_votes
from alidade.preferences.split import held_out, prompt_key
from alidade.records import Candidates, Record
from alidade.stages.files import listed
from alidade.stages.kinds import ANSWERS, VOTES
from alidade.store import Artifact, read_rows, write_rows


class ExportsConfig(Record):
    """Which exports are read."""

    folder: Annotated[list[InputFolder], BeforeValidator(listed)] = Field(
        min_length=1, description="one folder or several, written by `alidade label export`"
    )


class AnswersFolderConfig(ExportsConfig):
    """Which exports are read, and which of their prompts measure."""

    heldout_share: float = Field(default=0.1, ge=0, lt=1, description="share of the prompts kept back from training")
    split_seed: int = Field(default=0, description="which prompts are kept back; the same in every stage of a recipe")


def check_answers(config: AnswersFolderConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the answers, keeping nothing."""
    _judged(config.folder)


def check_votes(config: ExportsConfig, inputs: Mapping[str, Upstream]) -> None:
    """Read the votes and what they are about, keeping nothing."""
    _votes(config.folder, _judged(config.folder))


@stage("answers-folder", version=1, reads={}, writes=ANSWERS, config=AnswersFolderConfig, check=check_answers)
def answers_folder(config: AnswersFolderConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The answers that people judged, or met in a talk."""
    rows = _judged(config.folder)
    kept: dict[bool, list[Candidates]] = {False: [], True: []}
    for row in rows:
        kept[held_out(prompt_key(row.prompt.conversation), config.heldout_share, config.split_seed)].append(row)
    write_rows(context.out / "rows.jsonl", kept[False])
    write_rows(context.out / "heldout.jsonl", kept[True])
    context.note("prompts", len(rows))


@stage("votes-folder", version=1, reads={"answers": ANSWERS}, writes=VOTES, config=ExportsConfig, check=check_votes)
def votes_folder(config: ExportsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """People's votes and rankings, each about an answer that is here word for word; one that two exports hold counts once."""
    places = [inputs["answers"].path / name for name in ("rows.jsonl", "heldout.jsonl")]
    found = _votes(config.folder, [row for place in places for row in read_rows(place, Candidates)])
    write_rows(context.out / "rows.jsonl", found.votes)
    if found.rankings:
        write_rows(context.out / "rankings.jsonl", found.rankings)
    context.note("votes", len(found))
    context.note("annotators", len(found.annotators))


def _judged(folders: list[Path]) -> list[Candidates]:
    """What was judged, a prompt of several exports once."""
    rows: dict[str, Candidates] = {}
    for folder in folders:
        place = Path(folder) / "answers.jsonl"
        for row in read_rows(place, Candidates):
            if rows.setdefault(row.prompt.id, row) != row:
                message = f"{row.prompt.id} has other answers here than in an export before this one"
                raise DataError(message, where=str(place), hint="give these exports to runs of their own")
    return list(rows.values())


def _votes(folders: list[Path], answered: list[Candidates]) -> CollectedVotes:
    every = [collected_votes(Path(folder), answered) for folder in folders]
    found = CollectedVotes(
        list(dict.fromkeys(vote for one in every for vote in one.votes)),
        list(dict.fromkeys(ranking for one in every for ranking in one.rankings)),
    )
    if not len(found):
        raise DataError("nobody has voted yet", where=str(folders[0]), hint="collect votes: alidade label")
    return found
