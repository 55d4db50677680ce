"""The labelers' report: who voted, how far people agree, and whose values the labels are.

`labelers_report` computes, `write_labelers_page` writes one HTML page and the same numbers as `report.json` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from alidade.errors import DataError
from alidade.preferences.acts import by_annotator, first_votes, in_order, item_of, polls, with_others
from alidade.preferences.agreement import Agreement, GoldAccuracy, Repeats, agreements, gold_accuracy, repeats
from alidade.preferences.belief import Voters, believe
from alidade.preferences.contrasts import contrasts
from alidade.preferences.drift import Drift, drift
from alidade.preferences.group_tests import GroupDifferences, group_differences
from alidade.preferences.groups import GroupLabels, Groups, group_labels, questions_of
from alidade.preferences.pace import Fatigue, Speed, fatigue, speed
from alidade.preferences.sensitivity import Sensitivities, sensitivities
from alidade.preferences.tally import Pair
from alidade.preferences.taste import Taste, taste
from alidade.records import Candidates, Choice, Estimate, Record, Vote
from alidade.report.words import visible
from alidade.stats import clustered_proportion, proportion
from alidade.store import write_json
from alidade.store.store import explaining_full_disk


class Voted(Record):
    """What there is: votes, those who cast them, what about, and the share of ties clustered by annotator."""

    votes: int
    annotators: int
    prompts: int
    pairs: int
    ties: Estimate


class Labeler(Record):
    """One annotator: the annotator model's attention and side bias, and shares that chose as gold, the others, or before."""

    name: str
    votes: int
    ties: Estimate
    attention: Estimate
    side_bias: Estimate
    gold: Estimate | None
    others: Estimate | None
    itself: Estimate | None
    seconds: Estimate | None


class Shown(Record):
    """What an example shows: the prompt's last turn and the two answers, invisible characters spelt out."""

    asked: str
    left: str
    right: str


class LabelersReport(Record):
    """Everything the page shows; `examples` holds the texts of contested pairs by `prompt_id/left-right`."""

    seed: int
    voted: Voted
    agreement: tuple[Agreement, ...]
    repeats: Repeats
    gold: GoldAccuracy
    pool_side_bias: Estimate
    labelers: tuple[Labeler, ...]
    drift: Drift
    fatigue: Fatigue | None
    speed: Speed | None
    sensitivity: Sensitivities
    taste: Taste
    examples: Mapping[str, Shown]
    groups: GroupDifferences
    whose: tuple[GroupLabels, ...]


def labelers_report(
    votes: Sequence[Vote],
    candidates: Sequence[Candidates],
    *,
    gold: Mapping[Pair, Choice] | None = None,
    groups: Groups | None = None,
    seed: int = 0,
) -> LabelersReport:
    """Every statistic of the votes on these answers.

    `gold` names the better answer of pairs, the lower number being the left one; `groups` holds what annotators said of
    themselves, question by question.

    Raises:
        DataError: when there are no votes, or one names a prompt or an answer that does not exist.
    """
    if not votes:
        raise DataError("there are no votes to report on", hint="collect some: alidade label")
    gold, groups, seen = gold or {}, groups or {}, contrasts(candidates, votes)
    split, right, again, pace = taste(votes, seen, gold), gold_accuracy(votes, gold), repeats(votes), speed(votes)
    voters = believe(votes).voters
    return LabelersReport(
        seed=seed,
        voted=_voted(votes),
        agreement=agreements(votes, seed=seed),
        repeats=again,
        gold=right,
        pool_side_bias=voters.pool_side_bias,
        labelers=_labelers(votes, voters, right, again, pace),
        drift=drift(votes, gold),
        fatigue=fatigue(votes),
        speed=pace,
        sensitivity=sensitivities(votes, seen),
        taste=split,
        examples=_examples(split, candidates),
        groups=group_differences(votes, seen, groups, seed=seed),
        whose=tuple(
            one for question in questions_of(groups) for one in group_labels(votes, groups, question, seed=seed)
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


def _voted(votes: Sequence[Vote]) -> Voted:
    pairs = {item_of(vote).pair for vote in votes}
    return Voted(
        votes=len(votes),
        annotators=len({vote.annotator for vote in votes}),
        prompts=len({vote.prompt_id for vote in votes}),
        pairs=len(pairs),
        ties=clustered_proportion([vote.choice == "tie" for vote in votes], [vote.annotator for vote in votes]),
    )


def _labelers(
    votes: Sequence[Vote], voters: Voters, gold: GoldAccuracy, again: Repeats, pace: Speed | None
) -> tuple[Labeler, ...]:
    every, models = polls(votes), {one.annotator: one for one in voters.annotators}
    found = []
    for name, own in by_annotator(votes).items():
        agreed = [one for vote in first_votes(in_order(own)) if (one := with_others(vote, every)) is not None]
        found.append(
            Labeler(
                name=name,
                votes=len(own),
                ties=proportion(sum(vote.choice == "tie" for vote in own), len(own)),
                attention=models[name].attention,
                side_bias=models[name].side_bias,
                gold=gold.annotators.get(name),
                others=proportion(sum(agreed), len(agreed)) if agreed else None,
                itself=again.annotators.get(name),
                seconds=pace.annotators.get(name) if pace else None,
            )
        )
    return tuple(found)


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
