"""The stage that turns votes into comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.preferences import tally as tally_votes
from alidade.preferences.tally import Tallied, Ties
from alidade.records import Candidates, Comparison, Record, Vote
from alidade.stages.kinds import ANSWERS, COMPARISONS, VOTES
from alidade.store import Artifact, read_rows, write_json, write_rows


class TallyConfig(Record):
    """What becomes of ties, and what a label is."""

    ties: Ties = Field(
        default="drop", description="`keep` pairs on which every vote was a tie (label 0.5), or `drop` them"
    )
    labels: Literal["shares", "annotators"] = Field(
        default="shares",
        description="a label is the share of votes, or what a model of the annotators makes of them; held-out labels are shares",
    )


@stage("tally", version=2, reads={"answers": ANSWERS, "votes": VOTES}, writes=COMPARISONS, config=TallyConfig)
def tally(config: TallyConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Comparisons from votes; answers that were held out stay held out, and what they are measured by is nobody's model."""
    from alidade.preferences.belief import believe

    votes = read_rows(inputs["votes"].path / "rows.jsonl", Vote)
    held_back = read_rows(inputs["answers"].path / "heldout.jsonl", Candidates)
    kept_apart = {row.prompt.id for row in held_back}
    answers = {"rows": read_rows(inputs["answers"].path / "rows.jsonl", Candidates), "heldout": held_back}
    counts: dict[str, object] = {}
    for name, candidates in answers.items():
        about = [vote for vote in votes if (vote.prompt_id in kept_apart) == (name == "heldout")]
        belief = believe(about) if config.labels == "annotators" and name == "rows" and about else None
        tallied = tally_votes(candidates, about, ties=config.ties, labels=belief and belief.labels)
        write_rows(context.out / f"{name}.jsonl", tallied.comparisons)
        counts[name] = _numbers(tallied)
        if belief is not None:
            write_json(context.out / "annotators.json", belief.voters.model_dump())
        context.note(name, len(tallied.comparisons))
    write_json(context.out / "counts.json", counts)


def _numbers(tallied: Tallied) -> dict[str, object]:
    prompts = {_prompt_of(row) for row in tallied.comparisons}
    return {
        "comparisons": len(tallied.comparisons),
        "prompts": len(prompts),
        "votes": tallied.votes,
        "dropped": tallied.dropped,
    }


def _prompt_of(row: Comparison) -> str:
    return row.id.rpartition("/")[0]
