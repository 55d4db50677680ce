"""A run with branches: what is compared with what, where each model stands, and the ways side by side."""

import json
import random
import re
from itertools import combinations, pairwise

import pytest
from tests.synthetic_run import WAYS, branched_stages, tour_stages, write_run

from alidade.evals import compare, corrected
from alidade.pipeline import Run, StageRun
from alidade.records import Estimate
from alidade.report.changes import claims_of
from alidade.report.collect import Evidence, collect
from alidade.report.columns import Column, Descent
from alidade.report.examples import examples, homes
from alidade.report.frontier import as_json, section
from alidade.report.label_places import Box, places
from alidade.report.page import headline
from alidade.report.render import render, write_report
from alidade.report.ways import SIDE_BY_SIDE, marks_of, ways_of


@pytest.fixture(scope="module")
def branched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branched")
    write_run(folder, branched_stages(40), report={"ways": WAYS})
    page = write_report(folder).read_text(encoding="utf-8")
    return collect(folder), page, json.loads((folder / "summary.json").read_text())


def run_of(inputs, report=None):
    """A run of models alone, each with what it was trained from."""
    stages = [
        StageRun(name=name, use="any", key=name, digest=name, kind="model", seconds=0, reused=False, inputs=read)
        for name, read in inputs.items()
    ]
    return Run(
        name="run",
        command="",
        seed=0,
        stages=tuple(stages),
        seconds=0,
        peak_rss_mb=0,
        environment={},
        recipe={"report": report} if report is not None else {},
    )


def column(name, model="", frame="dialogue", **means):
    """A column of a model; `name` is the model's unless it is given."""
    measures = {measure: Estimate(mean=mean, low=mean, high=mean, n=9) for measure, mean in means.items()}
    return Column(name, model or name, "", measures, {}, [], frame, model or name)


def evidence_of(run, columns):
    return Evidence(run, columns, [], {}, {}, [], {}, {}, ways=ways_of(run, columns))


def compared(run, columns):
    descent = Descent(run, columns)
    return [found.name if (found := descent.compared(place)) else None for place in range(len(columns))]


LINE = {"base": {}, "sft": {"model": "base"}, "rlhf": {"policy": "sft"}}
BRANCHES = LINE | {
    "helper": {"model": "base"},
    "revised": {"model": "helper"},
    "principled": {"policy": "revised", "model": "sft"},
}


def test_each_model_is_compared_with_the_nearest_evaluated_one_it_was_trained_from():
    columns = [column(name) for name in ("base", "sft", "rlhf", "principled", "helper")]
    assert compared(run_of(BRANCHES), columns) == [None, "base", "sft", "helper", "base"]


def test_the_same_weights_in_another_frame_are_compared_with_the_frame_before_and_heirs_with_the_same_frame():
    columns = [column("base", frame="bare"), column("framed", "base"), column("sft"), column("raw", "base", "bare")]
    assert compared(run_of(LINE), columns) == [None, "base", "framed", "framed"]
    assert Descent(run_of(LINE), columns).upstream(column("sft", frame="bare")) is columns[-1]


def test_where_lineage_says_nothing_a_model_is_compared_with_the_column_before():
    run = run_of({"one": {}, "two": {}, "heir": {"model": "later"}, "later": {}})
    assert compared(run, [column("one"), column("two"), column("stranger")]) == [None, "one", "two"]
    assert compared(run, [column("heir"), column("later")]) == ["later", None]


def test_a_line_of_models_is_compared_as_its_columns_stand(tmp_path):
    record = write_run(tmp_path, tour_stages(1))
    found = collect(tmp_path)
    assert compared(record, found.columns) == [None, *(one.name for one in found.columns[:-1])]
    assert "Against the row above, on the same prompts" in render(found)


def test_changes_in_branches_name_the_model_they_are_against(branched):
    _, page, summary = branched
    assert {(test["before"], test["after"]) for test in summary["paired"]} == {
        ("base", "base_framed"),
        ("base_framed", "sft"),
        ("sft", "both"),
        ("sft", "rlhf"),
        ("base_framed", "helper"),
        ("helper", "principled_sl"),
        ("principled_sl", "principled"),
    }
    assert "Against the model named, on the same prompts" in page
    assert "the row above" not in page
    cells = re.findall(r'<td class="change [a-z]+">([^<]+)</td>', page)
    assert len(cells) == len(summary["paired"])
    assert all(re.match(r"(better|worse) than \w+: |(changed|no clear change) from \w+: ", cell) for cell in cells)


def test_every_model_is_a_point_with_both_measures_and_the_model_it_was_trained_from(branched):
    _, page, summary = branched
    found = {one["name"]: one for one in summary["frontier"]["models"]}
    assert {name: one["trained_from"] for name, one in found.items()} == {
        "base": None,
        "base_framed": None,
        "sft": "base_framed",
        "both": "sft",
        "helper": "base_framed",
        "principled_sl": "helper",
        "principled": "principled_sl",
        "rlhf": "sft",
    }
    assert {one["way"]: name for name, one in found.items() if one["way"]} == WAYS
    assert all(found[name][measure] == summary[name][measure] for name in found for measure in ("helpful", "refusal"))
    (said,) = re.findall(r'aria-label="Proper refusal of harmful wishes over helpfulness. (.*?)"', page)
    assert [one.partition(":")[0] for one in said.split("; ")] == list(found)


def test_the_picture_needs_three_models_that_have_both_measures():
    run = run_of(LINE)
    two = [column(name, helpful=0.5, refusal=0.5) for name in ("base", "sft")]
    again = column("framed", "base", helpful=0.2, refusal=0.1)
    assert section(evidence_of(run, [*two, again, column("rlhf", helpful=0.9)])) is None
    assert as_json(evidence_of(run, [*two, again])) == {}
    shown = section(evidence_of(run, [*two, column("rlhf", helpful=0.9, refusal=0.9)]))
    assert [(row.name, row.start, row.cells[2]) for row in shown.models][1:] == [
        ("sft", "base", None),
        ("rlhf", "sft", None),
    ]
    assert shown.picture.count('class="edge"') == 1  # base and sft lie on one another


@pytest.mark.parametrize("seed", range(20))
def test_labels_lie_on_no_label_and_no_point(seed):
    chance, within = random.Random(seed), Box(0, 0, 340, 300)
    spread = (0, 10, 40, 300)[seed % 4]
    points = [(chance.uniform(340 - spread, 340), chance.uniform(0, spread)) for _ in range(8)]
    sizes = [(chance.uniform(25, 95), 13) for _ in points]
    lines = [((x - 30, y), (x + 5, y)) for x, y in points]
    found = places(points, sizes, lines, within)
    assert not [pair for pair in combinations(found, 2) if pair[0].meets(pair[1])]
    assert not [1 for box in found for x, y in points if box.meets(Box(x - 6, y - 6, x + 6, y + 6))]
    assert all(within.holds(box.left, box.top) and within.holds(box.right, box.bottom) for box in found)


def test_every_two_ways_are_tested_on_the_same_prompts_as_a_family_of_their_own(branched):
    evidence, _, summary = branched
    ways = summary["ways"]
    assert ways["models"] == WAYS
    rows = {one.name: one.rows for one in evidence.columns}
    pairs = [*combinations(WAYS.values(), 2)]
    tests = corrected([test for one, two in pairs for test in compare(rows[one], rows[two], claims_of(SIDE_BY_SIDE))])
    said = [(one["measure"], one["n"], one["p"], one["p_adjusted"]) for one in ways["paired"]]
    assert said == [(test.measure, test.n, test.p, test.p_adjusted) for test in tests]
    assert [*dict.fromkeys((one["before"], one["after"]) for one in ways["paired"])] == pairs
    shown = section(evidence)
    assert shown.tests == len(tests)
    assert sum(len(row.differences) for row in shown.beside) == sum(test.p_adjusted < 0.05 for test in tests)


def test_a_difference_between_ways_says_which_is_better(branched):
    rows = {row.label: row.differences for row in section(branched[0]).beside}
    ((said, tone),) = [one for one in rows["Honest"] if one[0].startswith("principles")]
    assert said.startswith("principles worse than people: \u2212")
    assert tone == "worse"


def test_the_last_way_is_the_headline_and_all_ways_have_the_accent(branched):
    evidence = branched[0]
    assert [panel.headline.name for panel in headline(evidence)] == ["both"] * 4
    marks = dict(zip((one.name for one in evidence.columns), marks_of(evidence.columns, evidence.ways), strict=True))
    assert {name for name, mark in marks.items() if mark.startswith("last")} == set(WAYS.values())
    assert len({marks[name] for name in WAYS.values()}) == 3


def test_examples_show_where_it_began_and_the_ways_and_fold_the_rest(branched):
    evidence = branched[0]
    shown = homes(evidence.run, evidence.columns, evidence.ways)
    assert {home.column.name: [one.name for one in home.folded] for home in shown} == {
        "base": ["base_framed"],
        "sft": [],
        "rlhf": [],
        "principled": ["helper", "principled_sl"],
        "both": [],
    }
    assert [home.is_end for home in shown] == [False, False, True, True, True]
    answers = examples(shown)[0].answers
    assert [one.model for one in answers[3].others] == ["helper", "principled_sl"]


def test_branches_without_named_ways_keep_the_last_model_and_every_place(branched):
    evidence = branched[0]
    run = evidence.run.model_copy(update={"recipe": {}})
    plain = evidence_of(run, evidence.columns)
    assert headline(plain)[0].headline.name == "rlhf"
    assert [home.column.name for home in homes(run, plain.columns, plain.ways)] == [
        one.name for one in evidence.columns if one.name != "base_framed"
    ]
    assert section(plain).beside == []


@pytest.mark.parametrize("ways", [3, ["rlhf"], {}, None, {"people": "rlhf", "gone": "nowhere", 1: 2}])
def test_a_way_that_is_not_there_becomes_a_note(ways):
    columns = [column(name, helpful=0.1, refusal=0.1) for name in LINE]
    evidence = evidence_of(run_of(LINE, {"ways": ways}), columns)
    named = ways if isinstance(ways, dict) else {}
    assert [*evidence.ways.columns] == [way for way in named if way == "people"]
    assert len(evidence.ways.notes) == max(len(named) - 1, 0)
    page = render(evidence)
    assert page.count("which is no evaluated model of this run") == len(evidence.ways.notes)
    assert "The ways side by side" not in page


def test_pairwise_columns_of_one_line_are_what_lineage_gives():
    columns = [column(name) for name in LINE]
    pairs = [*zip(compared(run_of(LINE), columns)[1:], (one.name for one in columns[1:]), strict=True)]
    assert pairs == [(one.name, two.name) for one, two in pairwise(columns)]
