"""The stage in which a reward model scores answers, for those who vote on them to be fitted beside it."""

from __future__ import annotations

from collections.abc import Mapping

from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Record, Scores
from alidade.stages.kinds import ANSWERS, REWARD_MODEL, SCORES
from alidade.store import Artifact, read_rows, write_rows


class ScoreConfig(Record):
    """Nothing to choose."""


@stage("score", version=1, reads={"reward": REWARD_MODEL, "answers": ANSWERS}, writes=SCORES, config=ScoreConfig)
def score(config: ScoreConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The normalised score of every answer, held-out ones too.

    As a help to `tally` it should come from a model that learned from other prompts, or their votes count twice.
    """
    from alidade.training.reward_model import load_reward_model, score_answers

    rows = [
        row for name in ("rows", "heldout") for row in read_rows(inputs["answers"].path / f"{name}.jsonl", Candidates)
    ]
    asked = [(row.prompt.conversation, answer.text) for row in rows for answer in row.answers]
    scores = iter(score_answers(load_reward_model(inputs["reward"].path), asked))
    scored = [Scores(prompt_id=row.prompt.id, scores=tuple(next(scores) for _ in row.answers)) for row in rows]
    write_rows(context.out / "rows.jsonl", scored)
    context.note("answers", len(asked))
