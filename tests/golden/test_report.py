"""The outline of the report: what a reader meets, in order."""

import re

import pytest
from tests.synthetic_run import tour_stages, write_run

from alidade.report.render import write_report

OUTLINE = """\
What alignment changed
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


def plain(html):
    return " ".join(re.sub(r"<[^>]+>", "", html).replace("\u2013", "-").split())


def test_the_outline_of_the_report(page):
    headings = re.findall(r"<h[123](?! class=\"asked\")[^>]*>(.*?)</h[123]>", page)
    assert "\n".join(plain(heading) for heading in headings) == OUTLINE


def test_the_headline_of_the_report(page):
    pattern = r'<div class="label">(.*?)</div>.*?<div class="big">(.*?)</div>\s*<div class="small muted">(.*?)</div>'
    found = re.findall(pattern, page, flags=re.DOTALL)
    assert "\n".join(" ".join(map(plain, parts)) for parts in found) == HEADLINE
