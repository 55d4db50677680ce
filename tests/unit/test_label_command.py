import json
import sys

import pytest
import sqlalchemy as sa

from alidade.cli import main as cli
from alidade.errors import DataError
from alidade.preferences.collected import collected_votes
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.acts import Pick
from alidade.preferences.votebook.casting import cast
from alidade.preferences.votebook.leases import claim
from alidade.preferences.votebook.people import invite, join
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.preferences.votebook.schema import events
from alidade.records import Candidates, Completion, Conversation, Prompt


def run(*words):
    """The exit code of `alidade WORDS`."""
    before, sys.argv = sys.argv, ["alidade", *map(str, words)]
    try:
        cli.main()
    except SystemExit as leaving:
        return leaving.code or 0
    finally:
        sys.argv = before
    return 0


ROWS = [
    Candidates(
        prompt=Prompt(id=f"p{number}", conversation=Conversation.ask("?")),
        answers=tuple(Completion(text=f"answer {number}.{place}") for place in (0, 1)),
    )
    for number in range(6)
]


@pytest.fixture
def where(tmp_path):
    """A votebook with six votes by one person, one of them on gold."""
    path = tmp_path / "votes.db"
    book = open_votebook(path)
    settings = QueueSettings(name="q", gold_share=0.5, repeat_share=0, overlap_share=0)
    add_queue(book, settings, items_of(ROWS, "pair", {"p0/0-1": 1}))
    ada = join(book, invite(book, "labeler"), "ada", "correct horse battery")
    for number in range(100):
        if (task := claim(book, ada, "q")) is None:
            break
        cast(book, ada, task.id, Pick(choice="left"), f"k{number}")
    book.close()
    return path


def test_an_export_is_read_by_the_report_and_by_a_run_that_has_the_same_answers(where, tmp_path, capsys):
    assert run("label", "export", where, tmp_path / "out", "--json") == 0
    assert "rows.jsonl" in json.loads(capsys.readouterr().out)["files"]
    votes = collected_votes(tmp_path / "out", ROWS)
    assert sorted(vote.prompt_id for vote in votes.votes) == ["p1", "p2", "p3", "p4", "p5"]
    assert json.loads((tmp_path / "out" / "gold.json").read_text()) == [
        {"prompt_id": "p0", "left": 0, "right": 1, "choice": "right"}
    ]
    assert run("votes", "report", tmp_path / "out") == 0
    assert (tmp_path / "out" / "report" / "report.html").exists()


def test_votes_on_other_answers_are_refused_by_name(where, tmp_path):
    run("label", "export", where, tmp_path / "out")
    others = [row.model_copy(update={"answers": row.answers[::-1]}) for row in ROWS]
    with pytest.raises(DataError, match="another one in this run"):
        collected_votes(tmp_path / "out", others)


def test_an_export_does_not_write_into_a_folder_of_something_else(where, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert run("label", "export", where, tmp_path / "mine") == 2
    assert "something else" in capsys.readouterr().err


def test_verify_says_what_it_found_and_fails_on_a_broken_chain(where, capsys):
    assert run("label", "verify", where, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert run("label", "verify", where, "--known", found["head"]) == 0
    assert run("label", "verify", where, "--known", "0" * 64) == 3
    book = open_votebook(where)
    with book.writing() as connection:
        connection.execute(sa.update(events).where(events.c.seq == 2).values(person="eve"))
    book.close()
    capsys.readouterr()
    assert run("label", "verify", where) == 3
    assert "event 2 is not what was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("label", "verify", "nowhere.db"), "no votebook here"),
        (("label", "nowhere"), "no votebook here"),
        (("label", "verify", "mysql://x/y"), "votes are not kept in mysql"),
        (("label", "export", "nowhere.db", "out"), "no votebook here"),
        (("label", "invite", "{where}", "--role", "king"), "no role 'king'"),
        (("label", "{where}", "--set", "votes_per_item=0"), "no such queue can be made"),
        (("label", "{where}", "--set", "colour=red"), "no such queue can be made"),
        (("label", "{where}", "--guidelines", "nowhere.md"), "cannot be read"),
    ],
)
def test_a_mistake_is_told_in_words(where, capsys, words, message):
    assert run(*(word.format(where=where) for word in words)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_an_invitation_is_the_end_of_a_link(where, capsys):
    assert run("label", "invite", where, "--role", "lead") == 0
    assert capsys.readouterr().out.startswith("/join/")
