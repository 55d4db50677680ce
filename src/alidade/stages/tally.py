"""The stage that turns votes into comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from alidade.errors import UsageError
from alidade.pipeline import StageContext, Upstream, stage
from alidade.preferences import tally as tally_votes
from alidade.preferences.collected import CollectedVotes, votes_in
from alidade.preferences.tally import Tallied, Ties, implied_votes
from alidade.records import Candidates, Comparison, Record, Scores
from alidade.stages.kinds import ANSWERS, COMPARISONS, SCORES, VOTES
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


def check_scores(config: TallyConfig, inputs: Mapping[str, Upstream]) -> None:
    """Raise a `UsageError` where scores would go unread."""
    if "scores" in inputs and config.labels != "annotators":
        raise UsageError("scores help to fit annotators, and labels are shares", hint="set labels: annotators")


@stage(
    "tally",
    version=7,
    reads={"answers": ANSWERS, "votes": VOTES, "scores": SCORES.if_given()},
    writes=COMPARISONS,
    config=TallyConfig,
    check=check_scores,
)
def tally(config: TallyConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Comparisons from votes and rankings, whose annotators are fitted beside `scores` where a reward model has given some.

    Answers that were held out stay held out, and what they are measured by is nobody's model.
    """
    from alidade.preferences.belief import believe

    votes = votes_in(inputs["votes"].path)
    held_back = read_rows(inputs["answers"].path / "heldout.jsonl", Candidates)
    kept_apart = {row.prompt.id for row in held_back}
    answers = {"rows": read_rows(inputs["answers"].path / "rows.jsonl", Candidates), "heldout": held_back}
    counts: dict[str, object] = {}
    for name, candidates in answers.items():
        about = _about(votes, kept_apart, held_out=name == "heldout")
        asked = config.labels == "annotators" and name == "rows" and len(about)
        belief = believe(about.votes, about.rankings, scores=_scores(inputs)) if asked else None
        implied = implied_votes(about.rankings)
        tallied = tally_votes(candidates, [*about.votes, *implied], ties=config.ties, labels=belief and belief.labels)
        write_rows(context.out / f"{name}.jsonl", tallied.comparisons)
        counts[name] = _numbers(tallied, about)
        if belief is not None:
            write_json(context.out / "annotators.json", belief.voters.model_dump())
        context.note(name, len(tallied.comparisons))
    write_json(context.out / "counts.json", counts)


def _about(votes: CollectedVotes, kept_apart: set[str], *, held_out: bool) -> CollectedVotes:
    return CollectedVotes(
        [vote for vote in votes.votes if (vote.prompt_id in kept_apart) == held_out],
        [ranking for ranking in votes.rankings if (ranking.prompt_id in kept_apart) == held_out],
    )


def _scores(inputs: Mapping[str, Artifact]) -> dict[tuple[str, int], float] | None:
    if "scores" not in inputs:
        return None
    rows = read_rows(inputs["scores"].path / "rows.jsonl", Scores)
    return {(row.prompt_id, number): score for row in rows for number, score in enumerate(row.scores)}


def _numbers(tallied: Tallied, votes: CollectedVotes) -> dict[str, Any]:
    return {
        "comparisons": len(tallied.comparisons),
        "prompts": len({_prompt_of(row) for row in tallied.comparisons}),
        "votes": len(votes.votes),
        "rankings": len(votes.rankings),
        "dropped": tallied.dropped,
    }


def _prompt_of(row: Comparison) -> str:
    return row.id.rpartition("/")[0]
