"""The labelers' report: who voted, how far people agree, and whose values the labels are.

`labelers_report` computes, `write_labelers_page` writes one HTML page and the same numbers as `report.json` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from alidade.errors import DataError
from alidade.preferences.acts import (
    Item,
    Poll,
    as_votes,
    by_annotator,
    first_votes,
    in_order,
    item_of,
    polls,
    with_others,
)
from alidade.preferences.agreement import (
    Agreement,
    GoldAccuracy,
    Repeats,
    agreements,
    by_prompt,
    gold_accuracy,
    repeats,
)
from alidade.preferences.belief import Voters, believe
from alidade.preferences.contrasts import contrasts
from alidade.preferences.corrections import Corrections, corrections
from alidade.preferences.drift import Drift, drift
from alidade.preferences.group_tests import GroupDifferences, group_differences
from alidade.preferences.groups import GroupLabels, group_labels, questions_of
from alidade.preferences.labelled import Labelled
from alidade.preferences.pace import Fatigue, Speed, fatigue, speed
from alidade.preferences.ranking_agreement import RankingAgreement, ranking_agreements
from alidade.preferences.sensitivity import Sensitivities, sensitivities
from alidade.preferences.tally import implied_votes
from alidade.preferences.taste import Taste, reliable, taste
from alidade.records import Candidates, Estimate, RankingVote, Record, Vote
from alidade.report.words import visible
from alidade.stats import clustered_proportion, proportion
from alidade.store import write_json
from alidade.store.store import explaining_full_disk

MODELLED = ("attention", "skill", "side_bias")


class Voted(Record):
    """What there is: acts of each kind, who gave them, what about, and the pool's share of ties (clustered by annotator) and side bias.

    `checks` and `repeats` count acts that only measure people; `pairs` those that votes are about or rankings put in order.
    """

    votes: int
    rankings: int
    checks: int
    repeats: int
    annotators: int
    prompts: int
    pairs: int
    ties: Estimate | None
    side_bias: Estimate | None
    skipped: Mapping[str, int]


class Labeler(Record):
    """One annotator: the annotator model's attention, skill and side bias, and shares that chose as gold, the others, or before.

    Of `others` and `itself` a ranking is as many trials as it puts pairs in order.
    """

    name: str
    votes: int
    rankings: int
    ties: Estimate | None
    others: Estimate | None
    attention: Estimate | None = None
    skill: Estimate | None = None
    side_bias: Estimate | None = None
    gold: Estimate | None = None
    itself: Estimate | None = None
    seconds: Estimate | None = None


class Shown(Record):
    """What an example shows: the prompt's last turn and the two answers, invisible characters spelt out."""

    asked: str
    left: str
    right: str


class Pace(Record):
    """How votes go with the place in the session and with the time they took, where that is known."""

    fatigue: Fatigue | None
    speed: Speed | None


class LabelersReport(Record):
    """Everything the page shows; `examples` holds the texts of contested pairs by `prompt_id/left-right`."""

    seed: int
    voted: Voted
    agreement: tuple[Agreement, ...]
    rankings: tuple[RankingAgreement, ...]
    repeats: Repeats
    gold: GoldAccuracy
    corrections: Corrections | None
    labelers: tuple[Labeler, ...]
    drift: Drift
    pace: Pace
    sensitivity: Sensitivities
    taste: Taste
    examples: Mapping[str, Shown]
    groups: GroupDifferences
    whose: tuple[GroupLabels, ...]


def labelers_report(labelled: Labelled, candidates: Sequence[Candidates], *, seed: int = 0) -> LabelersReport:
    """Every statistic of what people said of these answers.

    Where people are counted on pairs (the others' choice, leans, taste, groups), a ranking is the pairs that it puts in order.

    Raises:
        DataError: when there is nothing, or an act names a prompt or an answer that does not exist.
    """
    if not (labelled.votes or labelled.rankings or labelled.demonstrations):
        raise DataError("there are no votes to report on", hint="collect some: alidade label")
    votes, gold, groups = labelled.votes, labelled.gold, labelled.groups
    checked, pairs = as_votes(labelled.checks), [*votes, *implied_votes(labelled.rankings)]
    again = [*pairs, *as_votes(labelled.repeats)]
    seen = contrasts(candidates, [*again, *checked])
    trusted = reliable([*again, *checked], gold)
    split, pace = taste(pairs, seen, trusted), Pace(fatigue=fatigue(votes), speed=speed(votes))
    right = gold_accuracy([*votes, *labelled.rankings, *labelled.checks], gold)
    self_agreement, voters = repeats(again), _voters(labelled)
    return LabelersReport(
        seed=seed,
        voted=_voted(labelled, pairs, voters),
        agreement=agreements(votes, seed=seed),
        rankings=ranking_agreements(labelled.rankings, seed=seed),
        repeats=self_agreement,
        gold=right,
        corrections=corrections(labelled.demonstrations, candidates),
        labelers=_labelers(labelled, voters, right, self_agreement, pace.speed),
        drift=drift([*votes, *(act for act in labelled.checks if isinstance(act, Vote))], gold),
        pace=pace,
        sensitivity=sensitivities(pairs, seen),
        taste=split,
        examples=_examples(split, candidates),
        groups=group_differences(pairs, seen, groups, seed=seed),
        whose=tuple(
            one for question in questions_of(groups) for one in group_labels(pairs, groups, question, seed=seed)
        ),
    )


def write_labelers_page(report: LabelersReport, path: Path) -> Path:
    """Write the page at `path` and `report.json` beside it, each at once or not at all; returns `path`.

    Raises:
        StoreError: when the disk is full.
    """
    from alidade.report.labelers_page import shown
    from alidade.report.render import filled, write_page

    path = Path(path)
    text = filled("labelers.html", shown(report))
    with explaining_full_disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path.parent / "report.json", report)
        return write_page(path, text)


def _voters(labelled: Labelled) -> Voters | None:
    """Who voted; None where nobody put anything in order."""
    told = [ranking for ranking in labelled.rankings if len(set(ranking.ranks)) > 1]
    return believe(labelled.votes, told).voters if labelled.votes or told else None


def _voted(labelled: Labelled, pairs: Sequence[Vote], voters: Voters | None) -> Voted:
    acts = [*labelled.votes, *labelled.rankings]
    ties = [vote.choice == "tie" for vote in labelled.votes]
    return Voted(
        votes=len(labelled.votes),
        rankings=len(labelled.rankings),
        checks=len(labelled.checks),
        repeats=len(labelled.repeats),
        annotators=len({act.annotator for act in acts}),
        prompts=len({act.prompt_id for act in acts}),
        pairs=len({item_of(vote).pair for vote in pairs}),
        ties=clustered_proportion(ties, [vote.annotator for vote in labelled.votes]) if ties else None,
        side_bias=voters.pool_side_bias if voters else None,
        skipped=labelled.skipped,
    )


def _labelers(
    labelled: Labelled, voters: Voters | None, gold: GoldAccuracy, again: Repeats, pace: Speed | None
) -> tuple[Labeler, ...]:
    models = {one.annotator: one for one in voters.annotators} if voters else {}
    votes, rankings = by_annotator(labelled.votes), by_annotator(labelled.rankings)
    every = polls(as_votes([*labelled.votes, *labelled.rankings]))
    return tuple(
        _labeler(name, votes.get(name, []), rankings.get(name, []), every).model_copy(
            update={
                "gold": gold.annotators.get(name),
                "itself": again.annotators.get(name),
                "seconds": pace.annotators.get(name) if pace else None,
                **({trait: getattr(models[name], trait) for trait in MODELLED} if name in models else {}),
            }
        )
        for name in sorted({*votes, *rankings})
    )


def _labeler(name: str, votes: Sequence[Vote], rankings: Sequence[RankingVote], every: Mapping[Item, Poll]) -> Labeler:
    """What an annotator's own acts say, beside those of the others."""
    own = first_votes([*in_order(votes), *implied_votes(rankings)])
    agreed = [(vote.prompt_id, one) for vote in own if (one := with_others(vote, every)) is not None]
    return Labeler(
        name=name,
        votes=len(votes),
        rankings=len(rankings),
        ties=proportion(sum(vote.choice == "tie" for vote in votes), len(votes)) if votes else None,
        others=by_prompt(agreed) if agreed else None,
    )


def example_key(prompt_id: str, left: int, right: int) -> str:
    """What an example is kept under."""
    return f"{prompt_id}/{left}-{right}"


def _examples(found: Taste, candidates: Sequence[Candidates]) -> dict[str, Shown]:
    asked = {row.prompt.id: row for row in candidates}
    splits = [split for dimension in found.dimensions for split in dimension.examples]
    return {
        example_key(split.prompt_id, split.left, split.right): Shown(
            asked=visible(asked[split.prompt_id].prompt.conversation.last_user_text),
            left=visible(asked[split.prompt_id].answers[split.left].text),
            right=visible(asked[split.prompt_id].answers[split.right].text),
        )
        for split in splits
    }
