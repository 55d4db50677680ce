import json
import sys

import pytest
import sqlalchemy as sa

from alidade.cli import main as cli
from alidade.cli.partners import open_partners
from alidade.digest import digest_file, digest_folder
from alidade.errors import DataError
from alidade.models import identity
from alidade.models.base import Sampling
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
        (("label", "talk", "nowhere", "--left", "{script}", "--temperature", "1"), "no votebook here"),
        (("label", "talk", "{where}", "--left", "{script}", "--temperature", "0"), "always says the same"),
        (("label", "talk", "{where}", "--left", "{script}", *("--temperature", "1") * 3), "there are two answers"),
        (("label", "talk", "{where}", "--left", "{script}", "--temperature", "-1"), "0 or more"),
        (("label", "talk", "{where}", "--left", "{script}", "--set", "name=q"), "the queue q is no talk"),
        (("label", "talk", "{where}", "--left", "no/such:stage"), "no run in"),
    ],
)
def test_a_mistake_is_told_in_words(where, tmp_path, capsys, words, message):
    (tmp_path / "script.jsonl").write_text('{"ask": ".", "reply": "yes"}')
    names = {"where": where, "script": f"script:{tmp_path / 'script.jsonl'}"}
    assert run(*(word.format(**names) for word in words)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_an_invitation_is_the_end_of_a_link(where, capsys):
    assert run("label", "invite", where, "--role", "lead") == 0
    assert capsys.readouterr().out.startswith("/join/")


def test_two_partners_are_opened_by_address_and_known_by_digest(tmp_path):
    for name in ("yes", "no"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"ask": ".", "reply": "{name}"}}')
    names = tuple(f"script:{tmp_path / name}.jsonl" for name in ("yes", "no"))
    cold, warm = Sampling(temperature=0.2), Sampling(temperature=1.2)
    left, right = open_partners(names, (cold, warm), None).answers(Conversation.ask("?"), 0)
    assert (left.text, right.text) == ("yes", "no")
    assert (left.made.model, right.made.model) == tuple(
        digest_file(tmp_path / f"{name}.jsonl") for name in ("yes", "no")
    )
    assert (left.made.sampling.temperature, right.made.sampling.temperature) == (0.2, 1.2)


def test_a_model_in_a_folder_has_the_folders_digest(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert identity.model_digest(str(tmp_path)) == digest_folder(tmp_path)


def test_nothing_secret_of_an_endpoint_is_kept():
    secret = "https://user:password@models.example:8443/v1/?key=sesame#big"
    assert identity.model_digest(secret) == identity.model_digest("https://models.example:8443/v1#big")
    assert identity.model_digest(secret) != identity.model_digest("https://models.example:8443/v1#small")
    both = open_partners((secret, secret), (Sampling(), Sampling()), None)
    assert [each.name for each in both.partners] == ["big@models.example"] * 2
