"""The outline of the report: what a reader meets, in order."""

import html
import re

import pytest
from tests.synthetic_run import WAYS, branched_stages, tour_stages, write_run

from alidade.report.render import write_report

OUTLINE = """\
What alignment changed
Helpful and harmless
The same prompt, before and after
Measured on held-out prompts
On held-out wordings of what training asked about
On topics and wishes that no training stage saw
Also measured
Greedy answers
Who voted
comparisons: 3 annotators
The reward model
Held-out comparisons by kind of pair
Training
rlhf
Supervised training
Dropped, truncated, masked
Lineage
To reproduce it"""

HEADLINE = """\
Helpful 80% rlhf, 95% interval 61-91, n = 25
Proper refusal 96% rlhf, 95% interval 78-99, n = 25
Honest 96% rlhf, 95% interval 78-99, n = 25
Over-refusal 4% rlhf, 95% interval 1-21, n = 25"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    write_run(folder, tour_stages(25))
    return write_report(folder).read_text(encoding="utf-8")


def plain(markup):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).replace("\u2013", "-").split())


def test_the_outline_of_the_report(page):
    headings = re.findall(r"<h[123](?! class=\"asked\")[^>]*>(.*?)</h[123]>", page)
    assert "\n".join(plain(heading) for heading in headings) == OUTLINE


def test_the_headline_of_the_report(page):
    pattern = r'<div class="label">(.*?)</div>.*?<div class="big">(.*?)</div>\s*<div class="small muted">(.*?)</div>'
    found = re.findall(pattern, page, flags=re.DOTALL)
    assert "\n".join(" ".join(map(plain, parts)) for parts in found) == HEADLINE


BRANCHES = """\
What alignment changed
Helpful and harmless
The ways side by side
The same prompt, before and after"""

MODELS = """\
Model Trained from Helpful Proper refusal Harmless
base - 0% 0-10 n = 40 0% 0-10 n = 40 100% 90-100 n = 40
base_framed - 52% 35-69 n = 40 5% 1-18 n = 40 30% 18-45 n = 40
sft base_framed 55% 39-70 n = 40 22% 12-39 n = 40 32% 18-51 n = 40
both sft 90% 76-96 n = 40 98% 86-100 n = 40 100% 90-100 n = 40
helper base_framed 80% 63-90 n = 40 2% 0-14 n = 40 10% 4-24 n = 40
principled_sl helper 72% 55-85 n = 40 57% 42-71 n = 40 75% 60-86 n = 40
principled principles principled_sl 80% 63-90 n = 40 90% 76-96 n = 40 100% 90-100 n = 40
rlhf people sft 82% 68-91 n = 40 88% 74-95 n = 40 92% 79-98 n = 40"""

BESIDE = """\
Measure people rlhf principles principled both Beyond chance
Proper refusal 88% 74-95 n = 40 90% 76-96 n = 40 98% 86-100 n = 40
Harmless 92% 79-98 n = 40 100% 90-100 n = 40 100% 90-100 n = 40
Over-refusal 10% 4-24 n = 40 18% 9-32 n = 40 5% 1-18 n = 40
Helpful 82% 68-91 n = 40 80% 63-90 n = 40 90% 76-96 n = 40
Facts right 75% 59-86 n = 40 82% 65-92 n = 40 68% 47-83 n = 40
Honest 98% 86-100 n = 40 57% 39-74 n = 40 95% 82-99 n = 40
Sycophancy 5% 1-18 n = 40 42% 27-60 n = 40 15% 6-33 n = 40
Proper refusal 85% 71-93 n = 40 98% 86-100 n = 40 92% 79-98 n = 40"""

DIFFERENCES = """\
principles worse than people: \u221240 (\u221257 to \u221222), p < .001: worse
both better than principles: +38 (+18 to +57), p = .016: better
principles worse than people: +38 (+18 to +55), p = .006: worse"""


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branches")
    write_run(folder, branched_stages(40), report={"ways": WAYS})
    return write_report(folder).read_text(encoding="utf-8")


def test_the_beginning_of_the_report_of_a_run_with_branches(branches):
    headings = re.findall(r"<h[123](?! class=\"asked\")[^>]*>(.*?)</h[123]>", branches)
    assert "\n".join(plain(heading) for heading in headings[:4]) == BRANCHES


def test_the_models_between_helpful_and_harmless(branches):
    assert "\n".join(rows_of(section_of(branches).partition("<h3>")[0])) == MODELS


def test_the_ways_side_by_side(branches):
    beside = section_of(branches).partition("<h3>")[2]
    numbers = re.sub(
        r'<th class="what" scope="row"><b>(.*?)</b>.*?</th>|<td class="differences">.*?</td>', r"\1", beside
    )
    assert "\n".join(rows_of(numbers)) == BESIDE
    differences = re.findall(r'<span class="(better|worse|other)">(.*?)</span>', beside)
    assert "\n".join(f"{plain(said)}: {tone}" for tone, said in differences) == DIFFERENCES


def section_of(page):
    """The section with the picture, without the words that only a narrow screen shows."""
    section = page.partition('id="frontier"')[2].partition("</section>")[0]
    return re.sub(r'<span class="way">.*?</span>', "", section)


def rows_of(markup):
    """The rows of tables as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", markup.replace("<br>", " "), flags=re.DOTALL)
    return [plain(row.replace("</", " </")) for row in rows]
