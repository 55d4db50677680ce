"""What `alidade label export` writes for each kind of task, read by the labelers' report."""

import random
from itertools import count

import pytest

from alidade.preferences.labelled import read_labelled
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.acts import Best, Edit, Order, Pick, Picks, Skip
from alidade.preferences.votebook.casting import cast
from alidade.preferences.votebook.export import write_export
from alidade.preferences.votebook.leases import claim
from alidade.preferences.votebook.people import invite, join
from alidade.preferences.votebook.queues import SEPARATE, QueueSettings, add_queue, items_of
from alidade.records import Candidates, Completion, Conversation, Prompt
from alidade.report.labelers import labelers_report, write_labelers_page
from alidade.store import read_rows

PROMPTS, GOLD = 40, 4


def candidates(size):
    """Answers of which a lower number is better."""
    return [
        Candidates(
            prompt=Prompt(id=f"p{number}", conversation=Conversation.ask(f"Question {number}?")),
            answers=tuple(Completion(text=f"the answer {number} {'word ' * place}") for place in range(size)),
        )
        for number in range(PROMPTS)
    ]


def places(task, name, rng):
    """The place that each answer on the screen ought to have, less being better; `eve` does not look."""
    worth = [len(text.split()) for text in task.answers]
    if name == "eve":
        worth = rng.sample(worth, len(worth))
    return worth


ACTS = {
    "pair": lambda worth: Pick(choice="left" if worth[0] < worth[1] else "right"),
    "attributes": lambda worth: Picks(choices=dict.fromkeys(SEPARATE, "left" if worth[0] < worth[1] else "right")),
    "ranking": lambda worth: Order(ranks=tuple(sorted(worth).index(one) for one in worth)),
    "best": lambda worth: Best(place=worth.index(min(worth))),
    "edit": lambda worth: Edit(text="the answer that it should have been"),
}


def exported(task, out):
    """Three people through a queue of this kind, one in ten tasks skipped."""
    rows = candidates(4 if task in ("ranking", "best") else 2)
    book, keys, rng = open_votebook(), count(), random.Random(5)
    gold = {item.key: 0 for item in items_of(rows, task)[:GOLD]}
    shares = {"gold_share": 0.2, "repeat_share": 0.3, "overlap_share": 1.0, "overlap_votes": 3}
    add_queue(book, QueueSettings(name="q", task=task, **shares), items_of(rows, task, gold))
    for name in ("ada", "ben", "eve"):
        person = join(book, invite(book, "labeler"), name, "correct horse battery")
        while lease := claim(book, person, "q"):
            number = next(keys)
            skipped = number % 10 == 9
            act = Skip(reason="too long") if skipped else ACTS[task](places(lease, name, rng))
            cast(book, person, lease.id, act, str(number))
    write_export(book, "q", out)
    return out


@pytest.fixture(params=ACTS, scope="module")
def made(request, tmp_path_factory):
    folder = exported(request.param, tmp_path_factory.mktemp(request.param))
    report = labelers_report(read_labelled(folder), read_rows(folder / "answers.jsonl", Candidates))
    page = write_labelers_page(report, folder / "report" / "report.html")
    return request.param, report, page.read_text()


def test_every_kind_of_task_is_read_and_said_in_words(made):
    task, report, page = made
    assert sum(report.voted.skipped.values()) > 5
    assert "tasks skipped (too long:" in page
    wanted = {"pair": "votes", "attributes": "votes", "ranking": "rankings", "best": "rankings"}
    assert f" {wanted.get(task, 'corrected answers')}</li>" in page
    if task == "edit":
        assert report.labelers == ()
        assert 0 < report.corrections.kept.mean < 1
        assert 'id="labelers"' not in page


def test_checks_on_gold_and_repeats_measure_each_annotator(made):
    task, report, _ = made
    if task == "edit":
        return
    each = {one.name: one for one in report.labelers}
    assert set(each) == {"ada", "ben", "eve"}
    assert report.voted.checks > 0
    assert report.voted.repeats > 0
    assert each["ada"].gold.mean == each["ben"].gold.mean == 1
    assert each["ada"].itself.mean == 1
    assert each["eve"].itself.mean < 0.9
    assert report.repeats.straight.n > 0
    assert report.repeats.mirrored.n > 0
    assert each["ada"].attention.mean > each["eve"].attention.mean


def test_checks_and_repeats_are_no_labels(made):
    task, report, _ = made
    if task != "edit":
        assert report.voted.prompts <= PROMPTS - GOLD


def test_rankings_say_how_far_people_agree(made):
    task, report, page = made
    assert bool(report.rankings) == (task in ("ranking", "best"))
    if report.rankings:
        (every,) = report.rankings
        # one pair of three agrees wholly, the others by chance: a third of the way from chance to one
        assert every.annotators == 3
        assert 0.15 < every.tau.mean < 0.6
        assert 0.15 < every.alpha.mean < 0.6
        assert 0.55 < every.ordered.mean < 0.85
        assert 'id="rankings"' in page
