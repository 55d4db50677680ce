"""Whose values: reward models that each learn from one group's votes alone, held against one another and against chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from alidade.digest import digest_of
from alidade.errors import DataError
from alidade.pipeline import InputFile, StageContext, stage
from alidade.preferences import tally
from alidade.preferences.collected import votes_in
from alidade.preferences.groups import Groups
from alidade.preferences.labelled import read_groups
from alidade.preferences.tally import implied_votes
from alidade.preferences.values import EVERYONE, Electorate, Electorates, Leads, Pair, electorates, pairs_of, values
from alidade.records import Candidates, Conversation
from alidade.stages.kinds import ANSWERS, EVALUATION, MODEL, VOTES
from alidade.stages.training import Trained, check_method, opened, trainable
from alidade.store import Artifact, read_json, read_rows, write_json
from alidade.training.settings import Batching, RewardConfig


class ValuesStage(Trained):
    """Which groups, how the reward model of each is trained, and how often the groups are dealt out again."""

    question: str = Field(
        min_length=1, description="what annotators were asked about themselves: a question of `groups`"
    )
    groups: InputFile | None = Field(
        default=None,
        description="what annotators said of themselves, as in an export's groups.json; not needed where the votes bring it",
    )
    deals: int = Field(
        default=5, ge=2, le=50, description="times the groups are dealt out again at random, to see what chance makes"
    )
    training: RewardConfig = RewardConfig(batching=Batching(epochs=2, rows=16))


@stage(
    "values",
    version=1,
    reads={"model": MODEL, "answers": ANSWERS, "votes": VOTES},
    writes=EVALUATION,
    config=ValuesStage,
    check=check_method,
)
def group_values(config: ValuesStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """How often reward models part that learned from each group's votes alone, on held-out answers; no model is kept."""
    asked = read_rows(inputs["answers"].path / "rows.jsonl", Candidates)
    heldout = read_rows(inputs["answers"].path / "heldout.jsonl", Candidates)
    pairs = pairs_of(heldout)
    if not pairs:
        raise DataError("no held-out answers to compare", hint="keep some prompts back: `heldout` of the prompts")
    known = {row.prompt.id for row in asked}
    cast = votes_in(inputs["votes"].path)
    votes = [one for one in (*cast.votes, *implied_votes(cast.rankings)) if one.prompt_id in known]
    groups = _groups(config, inputs["votes"])
    found = electorates(votes, groups, config.question, deals=config.deals, seed=context.seed)
    bench = _Bench(config, inputs["model"], asked, _texts(heldout, pairs), context)
    report = values(config.question, found, pairs, bench.leads(found))
    write_json(context.out / "summary.json", {"values": report.model_dump(mode="json")})
    context.note("votes for each", report.votes)
    for parting in report.partings:
        context.note(f"{parting.one} and {parting.other} agree", round(parting.agree.mean, 3))
        context.note(f"{parting.one} and {parting.other}, by chance", round(parting.by_chance.mean, 3))


def _groups(config: ValuesStage, votes: Artifact) -> Groups:
    found = read_groups(config.groups or votes.path / "groups.json")
    if not found:
        raise DataError("nothing is known of the annotators", hint="name a file: `groups: votes/groups.json`")
    return found


def _texts(rows: Sequence[Candidates], pairs: Sequence[Pair]) -> list[tuple[Conversation, str]]:
    """Both answers of each pair behind their prompt, to be scored."""
    prompts = {row.prompt.id: row.prompt.conversation for row in rows}
    return [(prompts[pair.prompt_id], text) for pair in pairs for text in (pair.left, pair.right)]


@dataclass(frozen=True)
class _Bench:
    """Trains one reward model after another under equal settings; what is finished survives a kill."""

    config: ValuesStage
    model: Artifact
    asked: Sequence[Candidates]
    texts: Sequence[tuple[Conversation, str]]
    context: StageContext

    def leads(self, found: Electorates) -> Leads:
        """How far each pair's left answer is ahead, by everybody's model in turn."""
        return Leads(
            groups={group: self._lead(f"group {group}", one) for group, one in found.groups.items()},
            everyone=self._lead(EVERYONE, found.everyone),
            deals=[
                {group: self._lead(f"deal {number} {group}", one) for group, one in deal.items()}
                for number, deal in enumerate(found.deals)
            ],
        )

    def _lead(self, name: str, electorate: Electorate) -> list[float]:
        folder = self.context.scratch / digest_of(name)[:16]
        done = folder / "leads.json"
        if done.exists():
            return read_json(done)
        folder.mkdir(parents=True, exist_ok=True)
        leads = self._trained(electorate, folder)
        write_json(done, leads)
        return leads

    def _trained(self, electorate: Electorate, folder: Path) -> list[float]:
        """The same weights to start from, the same seed, the same settings: only the votes differ."""
        from alidade.training.fit import TrainingRun
        from alidade.training.heads import heads_for
        from alidade.training.objectives.reward import train_reward
        from alidade.training.reward_model import new_reward_model, score_answers

        config, seed = self.config, self.context.seed
        rows = tally(self.asked, electorate.votes).comparisons
        heads = heads_for(rows, config.training.heads)
        fresh = new_reward_model(opened(self.model, config), seed, heads, shared=True)
        run = TrainingRun(seed=seed, scratch=folder, progress=self.context.progress)
        reward, _ = train_reward(trainable(fresh, config, seed), rows, [], config.training, run)
        scores = score_answers(reward, self.texts)
        return [left - right for left, right in zip(scores[::2], scores[1::2], strict=True)]
