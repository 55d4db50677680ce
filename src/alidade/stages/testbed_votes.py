"""The stages in which simulated annotators vote on answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from alidade.pipeline import InputFolder, StageContext, stage
from alidade.preferences.groups import LEAST_PEOPLE
from alidade.records import Candidates
from alidade.stages.collection import Collection, collect_votes
from alidade.stages.kinds import ANSWERS, VOTES
from alidade.store import Artifact, read_rows, write_json
from alidade.testbed.annotators import POOL, Annotator


class VotesConfig(Collection):
    """How simulated annotators are asked, and which people's votes stand beside theirs."""

    people: list[InputFolder] = Field(
        default=[], description="folders of people's votes on the same answers, written by `alidade label export`"
    )


@stage("testbed-votes", version=3, reads={"answers": ANSWERS}, writes=VOTES, config=VotesConfig)
def testbed_votes(config: VotesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Votes of simulated annotators on answers, and of people who voted on the same ones."""
    from alidade.preferences.collected import collected_votes
    from alidade.preferences.votebook.export import lines

    answered = _answered(inputs)
    everything = [row for rows in answered.values() for row in rows]
    files = collect_votes(answered, POOL, config, context)
    of_people = [collected_votes(Path(folder), everything) for folder in config.people]
    for some in of_people:
        for name, acts in (("rows.jsonl", some.votes), ("rankings.jsonl", some.rankings)):
            files[name] = files.get(name, "") + lines(acts)
    _write(files, context)
    people = sorted({name for some in of_people for name in some.annotators})
    pool = [annotator.model_dump() for annotator in POOL]
    write_json(context.out / "annotators.json", {"simulated": not people, "pool": pool, "people": people})
    if people:
        context.note("votes of people", sum(map(len, of_people)))


class GroupVotesConfig(Collection):
    """Two groups of simulated people who look at answers with equal care, and one taste that tells them apart."""

    people: int = Field(default=6, ge=LEAST_PEOPLE, le=50, description="people in each group")
    length: float = Field(
        default=1.0, description="utility that one group feels per ten words of answer, the other none"
    )


@stage("testbed-group-votes", version=1, reads={"answers": ANSWERS}, writes=VOTES, config=GroupVotesConfig)
def testbed_group_votes(config: GroupVotesConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Votes of people who like long answers and of people who do not mind; `coin` is a question that says nothing of them."""
    pool: list[Annotator] = []
    groups: dict[str, dict[str, str]] = {}
    for number in range(2 * config.people):
        taste = "long" if number % 2 else "plain"
        name = f"{taste}-{number // 2}"
        pool.append(Annotator(name=name, attention=0.93, sharpness=3.0, length=config.length * (taste == "long")))
        groups[name] = {"taste": taste, "coin": "heads" if number // 2 % 2 else "tails"}
    _write(collect_votes(_answered(inputs), pool, config, context), context)
    write_json(context.out / "groups.json", groups)


def _answered(inputs: Mapping[str, Artifact]) -> dict[str, list[Candidates]]:
    return {name: read_rows(inputs["answers"].path / f"{name}.jsonl", Candidates) for name in ("rows", "heldout")}


def _write(files: Mapping[str, str], context: StageContext) -> None:
    for name, text in ({"rows.jsonl": ""} | dict(files)).items():
        (context.out / name).write_text(text, encoding="utf-8")
