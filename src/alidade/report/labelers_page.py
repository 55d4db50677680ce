"""What the labelers' page shows, as plain values in reading order: the template only lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alidade import __version__
from alidade.preferences.drift import ODDS_RATIO, RUN_LENGTH, START, THRESHOLD, Chart
from alidade.preferences.group_tests import GroupTest
from alidade.preferences.groups import LEAST_PEOPLE
from alidade.preferences.pace import QUICK_SECONDS, Position
from alidade.preferences.sensitivity import LEAST_CLUSTERS, LEAST_VOTES, Sensitivity
from alidade.preferences.taste import LEAST_A_SIDE, LEAST_TRIALS, Dimension
from alidade.records import Estimate
from alidade.report import figures
from alidade.report.labelers import Labeler, LabelersReport, example_key
from alidade.report.page import Panel, Plot, estimates_panel
from alidade.report.words import MeasureWords, interval, number, p_value, quantity, shortened

TRAIT_WORDS = {
    "side": ("The answer shown left", "chance of picking it over an equal one"),
    "length": ("The longer answer", "chance of picking the one twice as long"),
    "format": ("The formatted answer", "chance of picking the one with markdown"),
    "refusal": ("The refusal", "chance of picking the answer that refuses"),
}
DIMENSION_WORDS = {
    "length": "who likes long answers",
    "format": "who likes markdown",
    "refusal": "who likes refusals",
    "attribute": "what they were asked to judge",
}
TEST_WORDS = {
    "agreement": "more agreement within groups",
    "length": "lean to the longer answer",
    "format": "lean to markdown",
    "refusal": "lean to refusals",
}
LONGEST_EXAMPLE = 400
Found = Sequence[tuple[str, Estimate | None]]


@dataclass(frozen=True)
class Card:
    """A number that a person asks for first."""

    label: str
    counts: str
    value: str
    interval: str
    n: int


def shown(report: LabelersReport) -> dict[str, Any]:
    """Everything the template names."""
    return {
        "report": report,
        "version": __version__,
        "cards": _cards(report),
        "facts": _facts(report),
        "agreement": _agreement(report),
        "rankings": _rankings(report),
        "corrections": _corrections(report),
        "labelers": [
            _labeler(one) for one in sorted(report.labelers, key=lambda one: (-one.votes - one.rankings, one.name))
        ],
        "charts": [(_chart(one), _said(one)) for one in report.drift.charts if one.alarm],
        "cusum": {"odds": ODDS_RATIO, "run_length": RUN_LENGTH, "start": START, "threshold": THRESHOLD},
        "pace": _pace(report),
        "trend": _odds(fatigue.trend) if (fatigue := report.pace.fatigue) and fatigue.trend else "",
        "leans": _leans(report.sensitivity.every),
        "own_leans": _leans(report.sensitivity.annotators),
        "least": {
            "votes": LEAST_VOTES,
            "clusters": LEAST_CLUSTERS,
            "people": LEAST_PEOPLE,
            "side": LEAST_A_SIDE,
            "trials": LEAST_TRIALS,
        },
        "dimensions": _dimensions(report),
        "examples": [_examples(report, one) for one in report.taste.dimensions],
        "best": DIMENSION_WORDS.get(report.taste.best or "", ""),
        "tests": [_test(one) for one in report.groups.tests],
        "group_agreement": _group_agreement(report),
        "group_leans": _group_leans(report),
        "whose": _whose(report),
    }


def _panel(label: str, counts: str, found: Found, *, share: bool = True) -> Panel | None:
    lanes = [(name, "last", one) for name, one in found if one is not None]
    return estimates_panel(MeasureWords(label, counts, "", share), lanes) if lanes else None


def _present(*panels: Panel | None) -> list[Panel]:
    return [panel for panel in panels if panel is not None]


def _cards(report: LabelersReport) -> list[Card]:
    every = report.agreement[0]
    orders = report.rankings[0] if report.rankings else None
    fixed = report.corrections
    found: list[tuple[str, str, Estimate | None, bool]] = [
        ("Agreement", "pairs of annotators who chose the same", every.pairwise, True),
        ("Krippendorff\u2019s alpha", "1 all agree, 0 as by chance", every.alpha, False),
        ("Kendall\u2019s tau-b of rankings", "1 same order, 0 unrelated", orders and orders.tau, False),
        ("Same best answer", "pairs of annotators on the same answers", orders and orders.best, True),
        ("Right on gold", "where the right answer is known", report.gold.every, True),
        ("Agreement with oneself", "repeats on swapped sides", report.repeats.mirrored, True),
        ("Ties", "share of all votes", report.voted.ties, True),
        ("Left as they were", "share of answers to correct", fixed and fixed.unchanged, True),
        ("Words kept", "in answers to correct", fixed and fixed.kept, True),
    ]
    cards = [
        Card(label, counts, quantity(one.mean, share=share), interval(one, share=share), one.n)
        for label, counts, one, share in found
        if one is not None
    ]
    return cards[:4]


def _agreement(report: LabelersReport) -> list[Panel]:
    slices = report.agreement
    return _present(
        _panel("Chose the same", "pairs of annotators on an item", [(one.name, one.pairwise) for one in slices]),
        _panel("\u2026 where neither called a tie", "", [(one.name, one.decided) for one in slices]),
        _panel("Krippendorff\u2019s alpha", "n counts items", [(one.name, one.alpha) for one in slices], share=False),
        _panel(
            "Chose as before",
            "votes on a pair seen before",
            [("same sides", report.repeats.straight), ("sides swapped", report.repeats.mirrored)],
        ),
        _panel("Right on gold", "", [("all", report.gold.every)]),
        _panel("Side bias of the pool", "0: none", [("all", report.voted.side_bias)], share=False),
    )


def _facts(report: LabelersReport) -> list[str]:
    """How much there is of what, leaving out what there is none of."""
    voted, fixed = report.voted, report.corrections
    skipped = sum(voted.skipped.values())
    counts = [
        (voted.votes, "votes"),
        (voted.rankings, "rankings"),
        (fixed.answers if fixed else 0, "corrected answers"),
        (voted.checks, "answers to check people by gold"),
        (voted.repeats, "hidden repeats"),
        (voted.annotators, "annotators"),
        (voted.prompts or (fixed.prompts if fixed else 0), "prompts"),
        (voted.pairs, "pairs of answers"),
        (skipped, f"tasks skipped ({_by_reason(voted.skipped)})"),
    ]
    return [f"{count:,} {what}" for count, what in counts if count]


def _by_reason(skipped: Mapping[str, int]) -> str:
    return ", ".join(
        f"{reason}: {count:,}" for reason, count in sorted(skipped.items(), key=lambda one: (-one[1], one))
    )


def _rankings(report: LabelersReport) -> list[Panel]:
    slices = report.rankings
    return _present(
        _panel(
            "Kendall\u2019s tau-b",
            "mean over pairs of annotators",
            [(one.name, one.tau) for one in slices],
            share=False,
        ),
        _panel("Same order", "pairs of answers both put in order", [(one.name, one.ordered) for one in slices]),
        _panel("Same best answer", "pairs of annotators on an item", [(one.name, one.best) for one in slices]),
        _panel(
            "Krippendorff\u2019s alpha, ordinal",
            "n counts items",
            [(one.name, one.alpha) for one in slices],
            share=False,
        ),
    )


def _corrections(report: LabelersReport) -> list[Panel]:
    fixed = report.corrections
    if fixed is None:
        return []
    return _present(
        _panel("Left as they were", "share of corrected answers", [("all", fixed.unchanged)]),
        _panel("Words kept", "mean share in common, in order", [("all", fixed.kept)]),
    )


def _labeler(one: Labeler) -> dict[str, Any]:
    shares = {
        "attention": one.attention,
        "skill": one.skill,
        "gold": one.gold,
        "others": one.others,
        "itself": one.itself,
        "ties": one.ties,
    }
    cells = {name: _cell(found, share=True) for name, found in shares.items()}
    numbers = {"side_bias": _cell(one.side_bias, share=False), "seconds": _cell(one.seconds, share=False)}
    return {"name": one.name, "votes": one.votes, "rankings": one.rankings, **cells, **numbers}


def _cell(one: Estimate | None, *, share: bool) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"value": quantity(one.mean, share=share), "interval": interval(one, share=share), "n": one.n}


def _chart(one: Chart) -> Plot:
    against = "gold" if one.against == "gold" else "the others"
    said = f"CUSUM of {one.annotator} against {against}: over the threshold at trial {one.alarm} of {one.n}"
    picture = figures.control_chart(one.path, THRESHOLD, one.alarm, said)
    return Plot(one.annotator, f"against {against}, {one.n:,} trials", picture)


def _said(one: Chart) -> str:
    parts = []
    for word, part in (("before", one.before), ("since", one.after)):
        if part is not None:
            share, span = quantity(part.mean, share=True), interval(part, share=True)
            parts.append(f"{share} ({span}, n = {part.n:,}) {word}")
    start = f"began at trial {one.since:,}, seen at {one.alarm:,}; "
    return f"{start}missed {', '.join(parts)}; {quantity(one.reference, share=True)} expected at most"


def _pace(report: LabelersReport) -> list[Panel]:
    fatigue, speed = report.pace.fatigue, report.pace.speed
    places = [(_place(one), one.agreement) for one in fatigue.positions] if fatigue else []
    panels = [_panel("Agreed with the others", "by place in the session", places)]
    if speed is not None:
        under = f"under {number(QUICK_SECONDS)} s"
        panels += [
            _panel("Votes given quickly", f"share {under}", [("all", speed.quick)]),
            _panel(
                "Agreed with the others",
                "by time on screen",
                [(under, speed.quick_agreement), ("longer", speed.other_agreement)],
            ),
            _panel("Seconds a vote", "the median annotator\u2019s median", [("all", speed.median)], share=False),
        ]
    return _present(*panels)


def _place(one: Position) -> str:
    return f"{one.first} to {one.last}" if one.last else f"{one.first} and later"


def _odds(one: Estimate) -> str:
    return f"{number(one.mean)} ({interval(one, share=False)}, n = {one.n:,})"


def _leans(found: Sequence[Sensitivity]) -> list[Panel]:
    return _present(*(_lean_panel(trait, [(one.name, one) for one in found]) for trait in TRAIT_WORDS))


def _lean_panel(trait: str, found: Sequence[tuple[str, Sensitivity | None]]) -> Panel | None:
    label, counts = TRAIT_WORDS[trait]
    lanes = [(name, lean.chance) for name, one in found if one for lean in one.leans if lean.trait == trait]
    return _panel(label, counts, lanes)


def _dimensions(report: LabelersReport) -> Panel | None:
    found = [(DIMENSION_WORDS[one.name], one.predicts) for one in report.taste.dimensions]
    return _panel("Sides told right", "votes on contested pairs; a coin tells half", found)


def _examples(report: LabelersReport, one: Dimension) -> dict[str, Any]:
    rows = []
    for split in one.examples:
        texts = report.examples[example_key(split.prompt_id, split.left, split.right)]
        answers = [(split.left_votes, texts.left), (split.right_votes, texts.right)]
        rows.append(
            {
                "asked": shortened(texts.asked, LONGEST_EXAMPLE),
                "answers": [(votes, shortened(said, LONGEST_EXAMPLE)) for votes, said in answers],
                "told": f"{split.predicted} of {split.told} sides told right",
            }
        )
    return {"name": DIMENSION_WORDS[one.name], "rows": rows}


def _test(one: GroupTest) -> dict[str, Any]:
    effect = "5 points" if one.what == "agreement" else f"{number(one.effect)} log-odds"
    return {
        "question": one.question,
        "what": TEST_WORDS[one.what],
        "groups": one.groups,
        "people": one.people,
        "smallest": one.smallest,
        "p": p_value(one.p),
        "adjusted": p_value(one.p_adjusted),
        "found": one.p_adjusted < 0.05,
        "power": f"{quantity(one.power, share=True)} at {effect}",
    }


def _group_agreement(report: LabelersReport) -> list[Panel]:
    return _present(
        *(
            _panel(
                f"By {one.question}",
                "pairs of annotators who chose the same",
                [("within", one.within), ("between", one.between)],
            )
            for one in report.groups.agreement
        )
    )


def _group_leans(report: LabelersReport) -> Mapping[str, list[Panel]]:
    questions = dict.fromkeys(one.question for one in report.groups.leans)
    return {
        question: _present(
            *(
                _lean_panel(
                    trait,
                    [
                        (f"{one.group} ({one.people})", one.sensitivity)
                        for one in report.groups.leans
                        if one.question == question
                    ],
                )
                for trait in TRAIT_WORDS
                if trait != "side"
            )
        )
        for question in questions
    }


def _whose(report: LabelersReport) -> Mapping[str, list[Panel]]:
    questions = dict.fromkeys(one.question for one in report.whose)
    found: dict[str, list[Panel]] = {}
    for question in questions:
        rows = [one for one in report.whose if one.question == question]
        flips = [
            lane
            for one in rows
            for lane in ((f"{one.group} ({one.people})", one.flips), ("as many at random", one.by_chance))
        ]
        found[question] = _present(
            _panel("Better answer becomes the other", "share of pairs that the group voted on", flips),
            _panel("Label moves by", "in the mean", [(f"{one.group} ({one.people})", one.shift) for one in rows]),
        )
    return found
