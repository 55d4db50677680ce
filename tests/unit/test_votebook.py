import random
import threading
import time
from itertools import count, permutations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.conftest import fresh_database

from alidade.errors import Conflict, LeaseLost, NotAllowed, NotFound, UsageError
from alidade.preferences.votebook.acts import Best, Edit, Order, Pick, Picks, Skip, read_submission
from alidade.preferences.votebook.casting import cast, undo
from alidade.preferences.votebook.chain import read_events, verify
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.database import open_votebook
from alidade.preferences.votebook.leases import claim, save_draft
from alidade.preferences.votebook.people import (
    everyone,
    invite,
    invited_role,
    join,
    log_in,
    log_out,
    owner_of,
    set_person,
)
from alidade.preferences.votebook.progress import queues_progress, shares, sitting
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of, publish_guideline
from alidade.preferences.votebook.schema import events, invitations, items, leases, metadata
from alidade.records import Candidates, Completion, Conversation, Prompt

PLAIN = {"overlap_share": 0.0, "gold_share": 0.0, "repeat_share": 0.0}
PASSWORD = "correct horse battery"
KEYS = count()


class Clock:
    def __init__(self):
        self.at = 1_800_000_000.0

    def __call__(self):
        return self.at


def candidates(prompts=10, answers=2):
    return [
        Candidates(
            prompt=Prompt(id=f"p{number}", conversation=Conversation.ask(f"Question {number}?")),
            answers=tuple(Completion(text=f"answer {number}.{place}") for place in range(answers)),
        )
        for number in range(prompts)
    ]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(votebook_url, clock):
    book = open_votebook(votebook_url, clock)
    yield book
    book.close()


def person(book, name="ada", role="labeler"):
    return join(book, invite(book, role), name, PASSWORD)


def queue(book, rows=None, task="pair", gold=None, **settings):
    asked = items_of(rows or candidates(), task, gold)
    add_queue(book, QueueSettings(name="q", task=task, **{**PLAIN, **settings}), asked)


def answer_all(book, who, choose=lambda task: Pick(choice="left"), most=1000):
    given = []
    while len(given) < most and (task := claim(book, who, "q")):
        act = choose(task)
        given.append((task, act, cast(book, who, task.id, act, f"key {next(KEYS)}")))
    return given


def test_the_migrations_make_the_tables_that_the_code_knows(book):
    with book.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_each_item_goes_to_as_many_people_as_it_wants_and_none_sees_one_twice(book):
    queue(book, votes_per_item=2)
    people = [person(book, name) for name in ("ada", "bob", "cy")]
    given = [given for who in people for given in answer_all(book, who)]
    collected = collect(book, "q")
    assert len(given) == len(collected.votes) == 20
    votes_of = {}
    for vote in collected.votes:
        votes_of.setdefault(vote.prompt_id, []).append(vote.annotator)
    assert all(len(names) == len(set(names)) == 2 for names in votes_of.values())
    assert queues_progress(book)[0].done == queues_progress(book)[0].wanted == 20


def test_a_vote_names_the_answers_as_they_were_shown(book):
    queue(book, candidates(60))
    given = answer_all(book, person(book))
    for (task, _, _), vote in zip(given, collect(book, "q").votes, strict=True):
        number = vote.prompt_id[1:]
        assert task.answers == (f"answer {number}.{vote.left}", f"answer {number}.{vote.right}")
    left_first = sum(vote.left == 0 for vote in collect(book, "q").votes)
    assert 18 <= left_first <= 42  # drawn: a binomial of 60, four of its deviations either way


def test_a_person_has_one_open_task_and_gets_it_again(book, clock):
    queue(book)
    ada = person(book)
    first = claim(book, ada, "q")
    clock.at += 600
    again = claim(book, ada, "q")
    assert (again.id, again.answers, again.shown_at) == (first.id, first.answers, first.shown_at)
    assert again.expires_at == first.expires_at + 600


def test_an_expired_task_goes_to_somebody_else_and_a_late_answer_is_refused_only_if_taken(book, clock):
    queue(book, candidates(1), lease_minutes=1)
    ada, bob = person(book), person(book, "bob")
    task = claim(book, ada, "q")
    assert claim(book, bob, "q") is None
    clock.at += 61
    others = claim(book, bob, "q")
    assert others is not None
    with pytest.raises(LeaseLost, match="others have answered"):
        cast(book, ada, task.id, Pick(choice="left"), "late")
    clock.at += 61
    assert claim(book, ada, "q").id == task.id  # back to her, as bob's time is over too
    cast(book, ada, task.id, Pick(choice="left"), "in time")
    with pytest.raises(LeaseLost):
        cast(book, bob, others.id, Pick(choice="right"), "too late")
    assert [vote.annotator for vote in collect(book, "q").votes] == ["ada"]


def test_a_late_answer_counts_where_the_item_is_still_free(book, clock):
    queue(book, candidates(2), lease_minutes=1)
    ada, bob = person(book), person(book, "bob")
    task = claim(book, ada, "q")
    clock.at += 61
    claim(book, bob, "q")  # puts ada's back and takes one of the two
    first_free = cast_or_none(book, ada, task.id)
    assert first_free is None or len(collect(book, "q").votes) == 1
    assert verify(book).fault == ""


def cast_or_none(book, who, lease):
    try:
        return cast(book, who, lease, Pick(choice="left"), "k")
    except LeaseLost:
        return None


def test_the_same_submission_twice_is_one_vote(book):
    queue(book)
    ada = person(book)
    task = claim(book, ada, "q")
    first = cast(book, ada, task.id, Pick(choice="left", strength=2), "key")
    assert cast(book, ada, task.id, Pick(choice="left", strength=2), "key") == first
    assert len(collect(book, "q").votes) == 1
    with pytest.raises(Conflict, match="something else"):
        cast(book, ada, task.id, Pick(choice="right"), "key")
    with pytest.raises(Conflict, match="answered already"):
        cast(book, ada, task.id, Pick(choice="right"), "another")


def test_an_undone_vote_is_no_vote_but_stays_in_the_chain(book):
    queue(book)
    ada = person(book)
    task = claim(book, ada, "q")
    cast(book, ada, task.id, Pick(choice="left"), "1")
    following = claim(book, ada, "q")
    undo(book, ada, "q", "2")
    assert claim(book, ada, "q").id == task.id
    assert collect(book, "q").votes == []
    cast(book, ada, task.id, Pick(choice="right"), "3")
    assert [vote.choice for vote in collect(book, "q").votes] == ["right"]
    assert [event.kind for event in read_events(book)] == ["queue", "pick", "undo", "pick"]
    assert claim(book, ada, "q").id == following.id
    assert verify(book).fault == ""


def test_undoing_again_and_again_goes_back_step_by_step(book):
    queue(book)
    ada = person(book)
    given = answer_all(book, ada, most=3)
    for step, (task, _, _) in enumerate(reversed(given)):
        undo(book, ada, "q", f"undo {step}")
        assert claim(book, ada, "q").id == task.id
    with pytest.raises(NotFound, match="nothing to take back"):
        undo(book, ada, "q", "one more")
    assert len(answer_all(book, ada)) == 10


def test_a_skipped_item_is_offered_to_others_and_its_reason_is_kept(book):
    queue(book, candidates(1))
    ada, bob = person(book), person(book, "bob")
    task = claim(book, ada, "q")
    cast(book, ada, task.id, Skip(reason="upsetting", flagged=True, note="see line 2"), "1")
    assert claim(book, ada, "q") is None
    answer_all(book, bob)
    collected = collect(book, "q")
    assert [vote.annotator for vote in collected.votes] == ["bob"]
    assert collected.skipped == {"upsetting": 1}
    assert collected.flagged == [{"item": "p0/0-1", "by": "ada", "reason": "upsetting", "note": "see line 2"}]
    with pytest.raises(Conflict, match="others have answered"):
        undo(book, ada, "q", "2")


def test_gold_and_repeats_measure_people_and_are_no_labels(book):
    gold = {f"p{number}/0-1": 1 for number in range(5)}
    queue(book, candidates(80), gold=gold, gold_share=0.2, repeat_share=0.2)
    ada = person(book)
    answer_all(book, ada)
    collected = collect(book, "q")
    assert len(collected.votes) == 75
    assert {vote.prompt_id for vote in collected.checks} <= {"p0", "p1", "p2", "p3", "p4"}
    assert collected.gold == gold
    assert len(collected.checks) == 5
    assert 8 <= len(collected.repeats) <= 32
    first = {vote.prompt_id: (vote.left, vote.right) for vote in collected.votes}
    turned = [(vote.left, vote.right) != first[vote.prompt_id] for vote in collected.repeats]
    assert any(turned)
    assert not all(turned)
    place = {vote.id: number for number, vote in enumerate(collected.votes)}
    assert len({vote.prompt_id for vote in collected.repeats}) == len(collected.repeats)
    assert len(place) == 75


def test_a_correction_that_was_asked_for_again_is_no_second_demonstration():
    book = open_votebook()
    queue(book, candidates(40), task="edit", repeat_share=0.3)
    given = answer_all(book, person(book), lambda _: Edit(text="better"))
    assert len(given) > 40
    assert len(collect(book, "q").demonstrations) == 40


def test_other_tasks_become_rankings_votes_in_attributes_and_demonstrations():
    for task, act, size in (
        ("ranking", Order(ranks=(1, 0, 1)), 3),
        ("best", Best(place=2), 3),
        ("attributes", Picks(choices={"helpful": "left", "honest": "tie", "harmless": "right"}), 2),
        ("edit", Edit(text="better"), 1),
    ):
        book = open_votebook()
        queue(book, candidates(2, max(size, 2)), task=task)
        ada = person(book)
        given = answer_all(book, ada, lambda _, act=act: act)
        collected = collect(book, "q")
        assert len(given) == 2
        if task == "attributes":
            said = {(vote.attribute, vote.choice) for vote in collected.votes}
            assert said == {("helpful", "left"), ("honest", "tie"), ("harmless", "right")}
            assert len(collected.votes) == 6
        elif task == "edit":
            assert [row.answer for row in collected.demonstrations] == ["better", "better"]
        else:
            ranks = (1, 0, 1) if task == "ranking" else (1, 1, 0)
            assert [vote.ranks for vote in collected.rankings] == [ranks] * 2
            assert {vote.shown for vote in collected.rankings} <= set(permutations(range(3)))


@pytest.mark.parametrize(
    ("task", "act", "message"),
    [
        ("pair", Best(place=0), "not answered by `best`"),
        ("ranking", Order(ranks=(0, 1)), "3 answers need as many places"),
        ("best", Best(place=3), "there are 3 answers"),
        ("attributes", Picks(choices={"helpful": "left"}), "choose in each of"),
    ],
)
def test_an_answer_that_does_not_fit_its_task_is_refused_and_the_task_stays_open(book, task, act, message):
    queue(book, candidates(2, 3), task=task)
    ada = person(book)
    open_task = claim(book, ada, "q")
    with pytest.raises(UsageError, match=message):
        cast(book, ada, open_task.id, act, "1")
    assert claim(book, ada, "q").id == open_task.id


@pytest.mark.parametrize(
    "sent", [None, {}, {"kind": "pick"}, {"kind": "pick", "choice": "up"}, {"kind": "order", "ranks": [-1, 0]}, "pick"]
)
def test_what_is_no_submission_is_refused_in_words(sent):
    with pytest.raises(UsageError, match="not an answer to a task"):
        read_submission(sent)


def test_nobody_can_answer_or_draft_somebody_elses_task(book):
    queue(book)
    ada, bob = person(book), person(book, "bob")
    task = claim(book, ada, "q")
    with pytest.raises(NotFound, match="no such task"):
        cast(book, bob, task.id, Pick(choice="left"), "1")
    with pytest.raises(NotFound):
        save_draft(book, bob, task.id, {"text": "x"})
    with pytest.raises(NotFound):
        cast(book, bob, "0" * 32, Pick(choice="left"), "1")


def test_a_draft_comes_back_with_its_task_even_after_the_lease_ran_out(book, clock):
    queue(book, candidates(1), task="edit")
    ada = person(book)
    task = claim(book, ada, "q")
    save_draft(book, ada, task.id, {"text": "half a sent"})
    clock.at += 86_400
    assert claim(book, ada, "q").draft == {"text": "half a sent"}


def test_only_who_chose_to_sees_a_harmful_queue_and_viewers_vote_nowhere(book):
    queue(book, harmful=True)
    ada, eve = person(book), person(book, "eve", "viewer")
    with pytest.raises(NotAllowed, match="harmful"):
        claim(book, ada, "q")
    set_person(book, ada.id, sees_harmful=True)
    ada = next(each for each in everyone(book) if each.name == "ada")
    assert claim(book, ada, "q") is not None
    with pytest.raises(NotAllowed, match="viewers"):
        claim(book, eve, "q")


def test_a_vote_is_bound_to_the_guideline_its_voter_saw(book):
    publish_guideline(book, "Be kind.")
    queue(book)
    ada = person(book)
    task = claim(book, ada, "q")
    assert publish_guideline(book, "Be kind and exact.") == 2
    cast(book, ada, task.id, Pick(choice="left"), "1")
    answer_all(book, ada, most=1)
    versions = [vote.guideline.partition("-")[0] for vote in collect(book, "q").votes]
    assert versions == ["1", "2"]


def test_the_chain_shows_what_was_changed_taken_out_or_cut_off(book):
    queue(book)
    answer_all(book, person(book))
    whole = verify(book)
    assert (whole.events, whole.fault) == (11, "")
    assert verify(book, whole.head[:12]).fault == ""
    assert "no event has the hash" in verify(book, "f" * 12).fault
    with book.writing() as connection:
        changed = sa.func.replace(events.c.body, "left", "right")
        connection.execute(events.update().where(events.c.seq == 5).values(body=changed))
    assert verify(book).fault == "event 5 is not what was written"


def test_the_chain_shows_that_its_end_is_gone(book):
    queue(book)
    answer_all(book, person(book))
    with book.writing() as connection:
        connection.execute(leases.update().where(leases.c.event == 11).values(event=None))
        connection.execute(sa.text("DELETE FROM receipts WHERE event = 11"))
        connection.execute(events.delete().where(events.c.seq == 11))
    assert verify(book).fault == "11 events were written, 10 are there"


def test_the_database_itself_refuses_one_assignment_too_many(book):
    queue(book)
    with pytest.raises(sa.exc.IntegrityError, match="never_over_assigned"), book.writing() as connection:
        connection.execute(items.update().values(taken=2))


def test_many_people_at_once_lose_no_vote_and_get_no_item_too_often(book):
    queue(book, candidates(60), votes_per_item=2, overlap_share=0.3)
    people = [person(book, f"person {number}") for number in range(6)]
    errors, given = [], []

    def work(who):
        try:
            given.extend(answer_all(book, who, lambda _: Pick(choice=random.choice(("left", "right", "tie")))))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    progress = queues_progress(book)[0]
    assert len(given) == len(collect(book, "q").votes) == progress.done == progress.wanted
    assert verify(book) == verify(book, given[0][2].hash)


def test_a_task_that_runs_out_while_it_is_answered_is_not_lent_to_somebody_else(postgres_server, clock):
    """Two servers on one database: while ada's answer is being written, bob asks for a task, and hers has just run out."""
    address = fresh_database(postgres_server)
    other = open_votebook(address, clock)
    queue(other, candidates(1), lease_minutes=1)
    ada, bob = person(other), person(other, "bob")
    offered = []

    def interrupting():
        if clock.at > task.expires_at and not offered:
            offered.append(claim(other, bob, "q"))
        return clock.at

    task = claim(other, ada, "q")
    book = open_votebook(address, interrupting)
    clock.at += 61
    cast(book, ada, task.id, Pick(choice="left"), "1")
    assert offered == [None]
    assert claim(other, bob, "q") is None
    book.close()
    other.close()


def test_an_invitation_works_once_and_for_a_week(book, clock):
    secret = invite(book, "lead")
    assert invited_role(book, secret) == "lead"
    assert join(book, secret, " Grace ", PASSWORD).name == "Grace"
    with pytest.raises(NotFound, match="used, too old or unknown"):
        join(book, secret, "Hopper", PASSWORD)
    late = invite(book, "labeler")
    clock.at += 8 * 86_400
    with pytest.raises(NotFound):
        join(book, late, "Late", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"), [("", PASSWORD), ("a\x00b", PASSWORD), ("x" * 81, PASSWORD), ("ok", "short")]
)
def test_unusable_names_and_passwords_leave_the_invitation_unused(book, name, password):
    secret = invite(book, "labeler")
    with pytest.raises(UsageError):
        join(book, secret, name, password)
    assert invited_role(book, secret) == "labeler"


def test_a_session_ends_by_time_by_leaving_and_by_being_made_inactive(book, clock):
    ada = person(book)
    for ending in ("time", "leaving", "inactive"):
        secret = log_in(book, "ada", PASSWORD)
        assert owner_of(book, secret, "session").name == "ada"
        assert owner_of(book, secret, "token") is None
        if ending == "time":
            clock.at += 13 * 3600
        elif ending == "leaving":
            log_out(book, secret)
        else:
            set_person(book, ada.id, active=False)
        assert owner_of(book, secret, "session") is None
    with pytest.raises(NotAllowed):
        log_in(book, "ada", PASSWORD)


def test_wrong_names_and_wrong_passwords_are_refused_in_the_same_words(book):
    person(book)
    told = set()
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD)):
        with pytest.raises(NotAllowed) as error:
            log_in(book, name, password)
        told.add(str(error.value))
    assert len(told) == 1


def test_no_secret_stands_in_the_database(book):
    secret = invite(book, "labeler")
    join(book, secret, "ada", PASSWORD)
    session = log_in(book, "ada", PASSWORD)
    with book.reading() as connection:
        rows = [str(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    assert not any(hidden in row for row in rows for hidden in (secret, session, PASSWORD))


def test_pace_and_sitting_are_of_the_persons_own_answers(book, clock):
    queue(book)
    ada = person(book)
    for seconds in (0, 3000, 60, 60):
        clock.at += seconds
        answer_all(book, ada, most=1)
    mine = sitting(book, ada, "q")
    assert (mine.done, mine.last_hour, mine.seconds) == (4, 4, 120)
    assert shares(book, "q")[0].done == 4


def test_a_votebook_is_read_again_as_it_was_written(tmp_path):
    where = tmp_path / "votes" / "book.db"
    book = open_votebook(where)
    queue(book)
    answer_all(book, person(book))
    before = (verify(book), collect(book, "q"))
    book.close()
    assert (verify(open_votebook(where)), collect(open_votebook(where), "q")) == before


def test_who_shares_a_commit_is_undone_alone_by_an_error_of_their_own(tmp_path):
    book = open_votebook(tmp_path / "votes.db")
    inside, told = threading.Barrier(2), []

    def write(number):
        try:
            with book.writing() as connection:
                if number == 0:
                    inside.wait()  # until the second one waits for its turn
                    time.sleep(0.05)
                row = {"secret": str(number), "role": "viewer", "expires_at": 0.0}
                connection.execute(invitations.insert(), row)
                if number == 1:
                    raise ValueError("mine alone")
        except ValueError as error:
            told.append(str(error))

    first = threading.Thread(target=write, args=(0,))
    first.start()
    inside.wait()
    second = threading.Thread(target=write, args=(1,))
    second.start()
    first.join()
    second.join()
    assert told == ["mine alone"]
    with book.reading() as connection:
        assert list(connection.scalars(sa.select(invitations.c.secret))) == ["0"]
    book.close()
