import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from tests.synthetic_run import answer_rows, evaluation, losses, mirrored_bins, tour_stages, write_run

from alidade.errors import UsageError
from alidade.evals import Claim, compare, corrected
from alidade.records import Estimate
from alidade.report.collect import Column, Curve
from alidade.report.examples import DOZEN, examples, homes
from alidade.report.graph import GAP, WIDE, depths, lay_out
from alidade.report.page import _reinforcement, lost_rows
from alidade.report.render import write_report
from alidade.report.summary import calibration
from alidade.report.ways import Ways
from alidade.report.words import badges, number, p_value, shortened, signed, visible
from alidade.stats import proportion
from alidade.training.rollouts import Answers, signs

HOSTILE = (
    '</p><script>alert(1)</script><img src=x onerror="alert(2)">\u202egnihton\u2066 a\u200bb \x07\x1b[31m \ud83d\ude00'
)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects elements, attributes and text, and refuses elements that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def read_page(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    record = write_run(folder, tour_stages(25), warnings=("the value loss grew",))
    page = write_report(folder)
    return record, page, json.loads((folder / "summary.json").read_text())


def test_the_summary_has_every_measure_of_every_model_and_what_it_took(tour):
    record, _, summary = tour
    for model in ("base", "base_framed", "sft", "rlhf"):
        for measures in (summary[model], summary[model]["greedy"]):
            assert set(measures["helpful"]) == {"mean", "low", "high", "n"}
            assert measures["new_refusal"]["n"] == 25
    assert summary["seconds"] == record.seconds
    assert summary["peak_rss_mb"] == record.peak_rss_mb
    assert summary["seed"] == record.seed
    assert summary["pilot"] == record.stages[0].digest
    assert [stage["name"] for stage in summary["stages"]] == [stage.name for stage in record.stages]


def test_the_summary_holds_the_reward_model_beside_the_length_only_baseline(tour):
    reward = tour[2]["reward_model"]
    assert reward["annotated"]["above_length_only"] == pytest.approx((318 - 239) / 420, abs=1e-5)
    assert reward["gold"]["accuracy"]["mean"] == pytest.approx(270 / 310)
    assert reward["expected_calibration_error"] > 0
    assert reward["temperature"] == 1.18


def test_every_model_is_tested_against_the_one_before_it_on_the_same_prompts(tour):
    paired = {(test["measure"], test["after"]): test for test in tour[2]["paired"]}
    test = paired["refusal", "rlhf"]
    assert test["before"] == "sft"
    assert test["n"] == 25
    assert test["difference"]["mean"] == pytest.approx((test["gained"] - test["lost"]) / 25)
    assert test["p"] <= test["p_adjusted"] <= 1
    assert test["difference"]["mean"] == pytest.approx(
        tour[2]["rlhf"]["refusal"]["mean"] - tour[2]["sft"]["refusal"]["mean"]
    )


def test_the_page_loads_nothing_and_runs_nothing(tour):
    reader = read_page(tour[1])
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(reader.elements)
    assert not [value for _, name, value in reader.attributes if name in ("src", "href") or name.startswith("on")]
    page = tour[1].read_text(encoding="utf-8")
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_the_page_shows_each_part_of_the_evidence(tour):
    text = " ".join(" ".join(read_page(tour[1]).text).split())
    for part in (
        "What alignment changed",
        "The same prompt, before and after",
        "Over-refusal",
        "On topics and wishes that no training stage saw",
        "Greedy answers",
        "by length alone",
        "Expected calibration error",
        "Held-out comparisons by kind of pair",
        "Gold judge's utility",
        "KL from the reference",
        "each point is the mean over 128 answers",
        "17 (answer longer than max_new_tokens)",
        "85,010 tokens",
        "the value loss grew",
        "alidade align tour --out runs/tour",
        "torch 2.13.0",
    ):
        assert part in text, part


def test_the_page_shows_who_voted_and_how_sure_that_is(tour):
    section = tour[1].read_text().partition('id="voters"')[2].partition("</section>")[0]
    assert "comparisons: 3 annotators" in section
    assert re.search(r"hasty-left.*?71%.*?67.*?75", section, re.DOTALL)
    assert section.count("hasty-left") == 3


def test_the_page_names_every_stage_with_its_digest(tour):
    record, page, _ = tour
    text = page.read_text(encoding="utf-8")
    for stage in record.stages:
        assert stage.digest[:16] in text


def test_a_dozen_prompts_are_shown_each_with_the_base_and_its_successors(tour):
    reader = read_page(tour[1])
    answers = [value for tag, name, value in reader.attributes if name == "class" and value.startswith("answer ")]
    assert reader.elements.count("article") == DOZEN
    assert len(answers) == DOZEN  # the last model's
    assert reader.elements.count("details") == DOZEN + 2  # the framed base, the greedy table, the recipe


def test_writing_the_report_again_changes_nothing(tour):
    page = tour[1]
    before = page.read_bytes(), (page.parent / "summary.json").read_bytes()
    write_report(page.parent)
    assert (page.read_bytes(), (page.parent / "summary.json").read_bytes()) == before
    assert not list(page.parent.glob(".*"))


def hostile_stages():
    files = evaluation(3, 3)
    for row in files["answers.jsonl"]:
        row |= {
            "answer": HOSTILE.encode("utf-16", "surrogatepass").decode("utf-16"),
            "prompt": HOSTILE[:30],
            "item": HOSTILE[:10],
        }
    return (
        ("<b>base</b>", "pilot", "model", {}, {"counts.json": {"rows": 1, "dropped": {"<i>x</i>\u202e": 2}}}),
        ("evaluate_<u>x</u>", "testbed-evaluate", "evaluation", {"model": "<b>base</b>"}, files),
    )


def test_hostile_text_is_escaped_and_its_invisible_characters_are_spelt_out(tmp_path):
    write_run(tmp_path, hostile_stages(), name="<script>run</script>", command="alidade align '<script>'")
    page = write_report(tmp_path)
    reader = read_page(page)
    assert not {"script", "img", "b-", "i", "u"} & set(reader.elements)
    text = page.read_text(encoding="utf-8")
    assert not [letter for letter in text if letter in "\u202e\u2066\u200b\x07\x1b"]
    said = " ".join(reader.text)
    assert "\u27e8U+202E\u27e9gnihton" in said
    assert "<script>alert(1)</script>" in said
    assert "\U0001f600" in said


def test_a_run_without_a_gold_judge_shows_what_there_is(tmp_path):
    measured = {
        "nll_per_token": Estimate(mean=3.9, low=3.8, high=4.0, n=400).model_dump(),
        "finished": proportion(150, 200).model_dump(),
        "reward": Estimate(mean=-0.2, low=-0.3, high=-0.1, n=200).model_dump(),
    }
    summary = {
        "models": {"base": measured, "policy": measured},
        "against": {"policy over base": {"win_rate_by_reward": proportion(120, 200).model_dump()}},
        "reward_model": {
            "accuracy": proportion(60, 100).model_dump(),
            "length_only": proportion(55, 100).model_dump(),
            "majority": proportion(50, 100).model_dump(),
            "comparisons": 100,
            "calibration": [{"low": 0.4, "high": 0.5, "predicted": 0.46, "observed": 0.3, "n": 100}],
        },
    }
    rows = [
        {"model": model, "prompt_id": f"p{place}", "prompt": "Hello?", "answer": "Hi.", "finished": True, "reward": 0.5}
        for model in ("base", "policy")
        for place in range(20)
    ]
    stages = (
        ("base", "model-folder", "model", {}, {}),
        ("aligned", "ppo", "model", {"policy": "base"}, {"metrics.jsonl": losses(5, 1, 0.5)}),
        (
            "evaluation",
            "evaluate-held-out",
            "evaluation",
            {"base": "base", "policy": "aligned"},
            {"summary.json": summary, "answers.jsonl": rows},
        ),
    )
    record = write_run(tmp_path, stages, name="rlhf")
    page = write_report(tmp_path)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["aligned"]["nll_per_token"]["mean"] == 3.9
    assert found["wins"]["policy over base"]["win_rate_by_reward"]["n"] == 200
    assert found["reward_model"]["held_out"]["above_length_only"] == pytest.approx(0.05)
    assert found["reward_model"]["expected_calibration_error"] == pytest.approx(0.16)
    assert found["pilot"] == record.stages[0].digest
    reader = read_page(page)
    text = " ".join(reader.text)
    assert reader.elements.count("article") == DOZEN
    assert "score 0.5" in text
    assert "Weighed by the reward model" in text
    assert "majority" in text
    assert "lower is better" in text


def test_a_run_of_one_stage_still_has_a_page(tmp_path):
    write_run(tmp_path, (("base", "pilot", "model", {}, {}),))
    text = " ".join(read_page(write_report(tmp_path)).text)
    assert "Lineage" in text
    assert "The same prompt" not in text
    assert json.loads((tmp_path / "summary.json").read_text())["reward_model"] == {}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no finished run here"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def row(prompt, holds, **more):
    return {"prompt_id": prompt, "mode": "sampled", "verdict": {"good": holds}, **more}


def test_prompts_are_paired_by_id_within_one_mode():
    before = [row("a", False), row("b", True), row("c", True), row("only before", True), row("a", True, mode="greedy")]
    after = [row("c", True), row("b", False), row("a", True), row("only after", True)]
    (test,) = compare(before, after, [Claim("good", "good")])
    assert (test.n, test.lost, test.gained) == (3, 1, 1)
    assert test.difference.mean == 0
    assert test.p == 1


def test_a_claim_speaks_only_of_its_own_group():
    before = [row("a", False, measure_group="wish", new=True), row("b", False, measure_group="topic", new=False)]
    after = [row("a", True, measure_group="wish", new=True), row("b", False, measure_group="topic", new=False)]
    (test,) = compare(before, after, [Claim("m", "good", "wish", True)])
    assert (test.n, test.gained) == (1, 1)
    assert compare(before, after, [Claim("m", "good", "wish", False), Claim("m", "absent")]) == []


def test_the_family_of_tests_is_corrected_together():
    before = [row(str(place), False) for place in range(10)]
    after = [row(str(place), place < 8) for place in range(10)]
    tests = compare(before, after, [Claim("one", "good"), Claim("two", "good")])
    assert [test.p for test in tests] == [2 / 256] * 2
    assert [test.p_adjusted for test in corrected(tests)] == [4 / 256] * 2


def column(name, model, rows):
    return Column(name, model, "", {}, {}, rows)


def test_examples_are_the_first_of_each_kind_and_no_item_comes_twice(tour):
    rows = answer_rows(3, 30, "sampled")
    found = examples(homes(tour[0], [column("rlhf", "d1", rows)], Ways()))
    assert len(found) == DOZEN
    assert [one.kind for one in found].count("harmful wish") == 2
    assert [one.kind for one in found].count("how-to, never trained on") == 1


def test_the_same_weights_asked_in_two_ways_share_a_place(tour):
    bare, framed, tuned = (answer_rows(place, 5, "sampled") for place in (0, 1, 3))
    columns = [column("base", "d1", bare), column("framed", "d1", framed), column("tuned", "d2", tuned)]
    found = examples(homes(tour[0], columns, Ways()))
    assert [answer.model for answer in found[0].answers] == ["base", "tuned"]
    assert [other.model for other in found[0].answers[0].others] == ["framed"]


@pytest.mark.parametrize(
    ("group", "verdict", "finished", "said"),
    [
        ("wish", {"refusal": True, "harmless": True, "says_no": True}, True, ["proper refusal"]),
        ("wish", {"refusal": False, "harmless": False, "says_no": True}, True, ["harmful"]),
        ("wish", {"refusal": False, "harmless": True, "says_no": False}, False, ["no harm, no refusal", "cut off"]),
        ("twin", {"helpful": False, "over_refusal": True}, True, ["over-refusal"]),
        ("fact", {"facts": False}, True, ["not right"]),
        ("claim", {"claim_right": False, "sycophancy": True}, True, ["agrees with it"]),
        ("own suite", {"polite": True, "brief": False}, True, ["polite"]),
    ],
)
def test_a_verdict_is_said_in_a_word(group, verdict, finished, said):
    found = badges({"measure_group": group, "verdict": verdict, "finished": finished})
    assert [badge.text for badge in found] == said


def test_bins_that_count_every_pair_twice_are_halved():
    assert sum(one.n for one in calibration(mirrored_bins())) == sum(one["n"] for one in mirrored_bins()) / 2
    once = [{"low": 0.4, "high": 0.5, "predicted": 0.45, "observed": 0.4, "n": 5}]
    once += [{"low": 0.5, "high": 0.6, "predicted": 0.52, "observed": 0.6, "n": 5}]
    assert len(calibration(once)) == 2


def test_lost_rows_are_listed_by_part_and_reason():
    counts = {"files": {"rows": 10, "dropped": {"empty": 2, "tie": 0}, "files": {"a.jsonl": {"rows": 3}}}}
    counts["ppo"] = {"prompts": 5, "truncated": 0, "mixed": {"rows": 7, "truncated": 1}}
    assert lost_rows(counts) == [
        {
            "stage": "files",
            "part": "",
            "seen": "10 rows",
            "dropped": "2 (empty)",
            "truncated": "\u2013",
            "masked": "\u2013",
        },
        {"stage": "ppo", "part": "", "seen": "5 prompts", "dropped": "\u2013", "truncated": "0", "masked": "\u2013"},
        {"stage": "ppo", "part": "mixed", "seen": "7 rows", "dropped": "\u2013", "truncated": "1", "masked": "\u2013"},
    ]


def test_every_stage_stands_below_what_it_reads_and_none_overlap():
    inputs = {"a": [], "b": ["a"], "late": [], "c": ["b", "a"], "d": ["c", "late"], "e": ["a"]}
    depth = depths(inputs)
    assert all(depth[origin] < depth[name] for name, origins in inputs.items() for origin in origins)
    assert depth["late"] == depth["d"] - 1
    plan = lay_out(inputs)
    for layer in plan.layers:
        nodes = sorted(plan.left[name] for name in layer if "\0" not in name)
        assert all(right - left >= WIDE + GAP - 1e-6 for left, right in pairwise(nodes))
    assert min(plan.left.values()) == 0


def test_numbers_are_written_for_people():
    assert [number(value) for value in (0.12345, -2.0, 1234.5, 0.0)] == ["0.123", "\u22122", "1234", "0"]
    assert [signed(value, share=True) for value in (0.161, -0.02, 0.001)] == ["+16", "\u22122", "\u00b10"]
    said = [p_value(p).replace("\u00a0", " ") for p in (0.0001, 0.0312, 0.5, 1.0)]
    assert said == ["p < .001", "p = .031", "p = .50", "p = 1.00"]
    assert shortened("abcdef", 4) == "abcd \u2026 [2 more characters]"
    assert visible("plain") == "plain"
    assert re.fullmatch(r"a\u27e8U\+202E\u27e9b\n", visible("a\u202eb\n"))


def test_rewards_and_multipliers_with_names_of_their_own_are_drawn(tour):
    answers = Answers([[1]], [0], [[5, 0]], [True], [[0.0, 0.0]])
    named = {"score": 0.2, "score_cost": 0.5, "multiplier_cost": 1.0} | signs(answers, [1.0])
    rows = [{"iteration": step, "kl": 0.1, **named} for step in range(3)]
    plots = _reinforcement(Curve(tour[0].stages[0], rows)).plots
    assert [plot.label for plot in plots] == ["KL from the reference", "Score by `cost`", "Multiplier of `cost`"]
