import json
import threading
import time
from itertools import count

import pytest
import sqlalchemy as sa
from tests.talks import partners, says, two

from alidade.errors import Conflict, NotAllowed, NotFound, UsageError
from alidade.models.base import Sampling
from alidade.models.scripted import QueuedModel, ScriptedModel
from alidade.preferences.partners import Partner, Partners, Unanswered
from alidade.preferences.votebook.acts import Pick, Skip
from alidade.preferences.votebook.casting import cast, undo
from alidade.preferences.votebook.chain import read_events, verify
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.database import open_votebook
from alidade.preferences.votebook.export import export_files
from alidade.preferences.votebook.leases import claim
from alidade.preferences.votebook.people import invite, join
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.preferences.votebook.schema import items, leases
from alidade.preferences.votebook.talks import (
    LONGEST_MESSAGE,
    begin_anew,
    keep_answers,
    next_turn,
    say,
    talk_of,
)
from alidade.records import Completion, Conversation

KEYS = count()
CHAT = Conversation.ask("Hello")


class Clock:
    def __init__(self):
        self.at = 1_800_000_000.0

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(votebook_url, clock):
    book = open_votebook(votebook_url, clock)
    add_queue(book, QueueSettings(name="q", task="talk", lease_minutes=10), [])
    yield book
    book.close()


def person(book, name="ada", role="labeler"):
    return join(book, invite(book, role), name, "correct horse battery")


def ask(book, who, text, models=None):
    """Say something and have it answered; the task that comes of it."""
    asked = say(book, who, "q", text, f"say {next(KEYS)}")
    keep_answers(book, who, asked, (models or two()).answers(asked.chat, asked.seed))
    return next_turn(book, who, "q")


def choose(book, who, task, wanted):
    """Vote for the answer that begins with `wanted`."""
    choice = "left" if task.answers[0].startswith(wanted) else "right"
    return cast(book, who, task.id, Pick(choice=choice), f"vote {next(KEYS)}")


def texts(talk):
    return [message.text for message in talk.said]


def test_the_chosen_answer_goes_on_and_the_whole_talk_is_the_next_prompt(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "no")
    assert texts(talk_of(book, ada, "q")) == ["one", "no to one"]
    task = ask(book, ada, "two")
    assert [message.text for message in task.prompt.messages] == ["one", "no to one", "two"]
    choose(book, ada, task, "yes")
    assert texts(talk_of(book, ada, "q")) == ["one", "no to one", "two", "yes to two"]


def test_of_two_equal_answers_one_that_is_drawn_goes_on_and_always_the_same(book):
    ada, went_on = person(book), []
    for number in range(30):
        task = ask(book, ada, f"word {number}")
        cast(book, ada, task.id, Pick(choice="tie"), f"tie {number}")
        last = texts(talk_of(book, ada, "q"))[-1]
        assert last == texts(talk_of(book, ada, "q"))[-1]
        went_on.append(last.partition(" ")[0])
    assert 4 <= went_on.count("yes") <= 26  # a binomial of 30, four of its deviations either way


def test_a_turn_is_asked_of_who_said_it_and_of_nobody_else(book, clock):
    ada, bob = person(book), person(book, "bob")
    task = ask(book, ada, "mine")
    assert next_turn(book, bob, "q") is None
    assert talk_of(book, bob, "q").said == ()
    with pytest.raises(NotFound):
        cast(book, bob, task.id, Pick(choice="left"), "stolen")
    clock.at += 3600  # ran out, put back by bob's asking, and still not his
    assert next_turn(book, bob, "q") is None
    assert claim(book, bob, "q") is None
    assert next_turn(book, ada, "q").answers == task.answers


def test_a_skipped_turn_takes_the_message_back_and_goes_to_nobody(book):
    ada, bob = person(book), person(book, "bob")
    choose(book, ada, ask(book, ada, "one"), "yes")
    task = ask(book, ada, "two")
    cast(book, ada, task.id, Skip(reason="broken"), "skip")
    assert texts(talk_of(book, ada, "q")) == ["one", "yes to one"]
    assert next_turn(book, ada, "q") is None
    assert next_turn(book, bob, "q") is None


def test_undoing_a_vote_takes_the_talk_back_to_it_and_another_choice_goes_another_way(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "yes")
    ask(book, ada, "two")
    undo(book, ada, "q", "undo")
    task = next_turn(book, ada, "q")
    assert [message.text for message in task.prompt.messages] == ["one"]
    choose(book, ada, task, "no")
    assert next_turn(book, ada, "q") is None  # the answers to `two` were about the other way
    assert texts(talk_of(book, ada, "q")) == ["one", "no to one"]
    choose(book, ada, ask(book, ada, "two"), "yes")
    assert len({vote.prompt_id for vote in collect(book, "q").votes}) == 2
    assert verify(book).fault == ""


def test_undoing_a_vote_and_voting_the_same_finds_the_next_turn_as_it_was(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "yes")
    second = ask(book, ada, "two")
    undo(book, ada, "q", "undo")
    choose(book, ada, next_turn(book, ada, "q"), "yes")
    assert next_turn(book, ada, "q").id == second.id


def test_a_new_talk_begins_with_nothing_and_undo_leads_back_into_the_old_one(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "yes")
    begin_anew(book, ada, "q")
    assert talk_of(book, ada, "q").said == ()
    task = ask(book, ada, "other")
    assert len(task.prompt.messages) == 1
    undo(book, ada, "q", "undo")
    choose(book, ada, next_turn(book, ada, "q"), "no")
    assert texts(talk_of(book, ada, "q")) == ["one", "no to one"]


def test_a_message_sent_twice_is_answered_once(book):
    ada = person(book)
    asked = say(book, ada, "q", "one", "key")
    again = say(book, ada, "q", "one", "key")  # before its answers came, as after a crash
    assert again.chat == asked.chat
    keep_answers(book, ada, again, two().answers(again.chat, again.seed))
    assert say(book, ada, "q", "one", "key") is None
    keep_answers(
        book, ada, asked, two().answers(asked.chat, asked.seed)
    )  # the first one comes late, and changes nothing
    with book.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(items)) == 1
    with pytest.raises(Conflict, match="something else"):
        say(book, ada, "q", "two", "key")


def test_a_message_is_kept_until_it_is_answered(book):
    ada = person(book)
    asked = say(book, ada, "q", "one", "key")
    assert talk_of(book, ada, "q").message == "one"
    keep_answers(book, ada, asked, two().answers(asked.chat, asked.seed))
    assert talk_of(book, ada, "q").message == ""


def test_nothing_is_said_while_two_answers_wait_and_none_come_to_a_talk_that_moved_on(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "yes")
    late = say(book, ada, "q", "two", "late")
    undo(book, ada, "q", "undo")
    with pytest.raises(Conflict, match="two answers wait"):
        say(book, ada, "q", "three", "early")
    with pytest.raises(Conflict, match="moved on"):
        keep_answers(book, ada, late, two().answers(late.chat, late.seed))
    choose(book, ada, next_turn(book, ada, "q"), "no")
    with pytest.raises(Conflict, match="moved on"):
        keep_answers(book, ada, late, two().answers(late.chat, late.seed))
    assert talk_of(book, ada, "q").message == "two"


def test_a_late_vote_on_ones_own_turn_still_counts(book, clock):
    ada = person(book)
    task = ask(book, ada, "one")
    clock.at += 3600
    choose(book, ada, task, "yes")
    assert texts(talk_of(book, ada, "q")) == ["one", "yes to one"]


@pytest.mark.parametrize("text", ["", "  \n ", "\x00", "x" * (LONGEST_MESSAGE + 1)])
def test_a_message_without_words_or_with_too_many_is_refused(book, text):
    ada = person(book)
    with pytest.raises(UsageError, match="the message is"):
        say(book, ada, "q", text, "key")
    assert talk_of(book, ada, "q").message == ""


def test_a_message_may_hold_anything_else(book):
    ada = person(book)
    text = "\u202e<script>\U0001f600\n\n'; DROP TABLE items; -- %s {0}"
    task = ask(book, ada, text)
    assert task.prompt.messages[0].text == text
    choose(book, ada, task, "yes")


def test_who_may_not_vote_may_not_talk(book):
    with pytest.raises(NotAllowed):
        say(book, person(book, "vic", "viewer"), "q", "one", "key")
    with pytest.raises(NotFound):
        say(book, person(book), "nowhere", "one", "key")


def test_an_export_has_the_votes_the_whole_prompts_and_what_made_each_answer(book):
    ada = person(book)
    for word in ("one", "two", "three"):
        choose(book, ada, ask(book, ada, word), "yes")
    files = export_files(book, "q")
    votes, rows = ([json.loads(line) for line in files[name].splitlines()] for name in ("rows.jsonl", "answers.jsonl"))
    assert [len(row["prompt"]["conversation"]["messages"]) for row in rows] == [1, 3, 5]
    talk = {row["prompt"]["id"].partition(".")[0] for row in rows}
    assert len(talk) == 1
    for vote, row in zip(votes, rows, strict=True):
        assert vote["prompt_id"] == row["prompt"]["id"]
        chosen = vote[vote["choice"]]
        about = row["prompt"]["about"]
        assert row["answers"][chosen]["text"].startswith("yes")
        assert (about[f"model {chosen}"], about[f"model {1 - chosen}"]) == ("sha left", "sha right")
        assert (about[f"name {chosen}"], about[f"name {1 - chosen}"]) == ("one", "other")
        assert json.loads(about[f"sampling {chosen}"])["temperature"] == 0.5


def test_neither_place_on_the_screen_nor_number_tells_the_model(book):
    ada = person(book)
    for number in range(40):
        task = ask(book, ada, f"word {number}")
        choose(book, ada, task, "yes")
        begin_anew(book, ada, "q")
    votes = collect(book, "q").votes
    on_the_left = sum(vote.choice == "left" for vote in votes)
    number_0 = sum((vote.left if vote.choice == "left" else vote.right) == 0 for vote in votes)
    assert 8 <= on_the_left <= 32  # drawn: a binomial of 40, four of its deviations either way
    assert 8 <= number_0 <= 32


def test_the_chain_covers_what_was_said_and_answered(book):
    ada = person(book)
    choose(book, ada, ask(book, ada, "one"), "yes")
    said, voted = [event for event in read_events(book) if event.kind in ("message", "pick")]
    assert said.body["item"] == voted.body["item"]
    assert len(said.body["digest"]) == 64
    assert "model" not in json.dumps(said.body)
    assert verify(book).fault == ""


def test_two_who_talk_at_once_keep_to_their_own_talks(book):
    people = [person(book, f"p{number}") for number in range(6)]

    def talk(who):
        for word in ("one", "two", "three"):
            choose(book, who, ask(book, who, f"{who.name} {word}"), "yes")

    threads = [threading.Thread(target=talk, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for who in people:
        said = texts(talk_of(book, who, "q"))
        assert said == [
            text for word in ("one", "two", "three") for text in (f"{who.name} {word}", f"yes to {who.name} {word}")
        ]
    assert len(collect(book, "q").votes) == 18
    with book.reading() as connection:
        assert set(connection.scalars(sa.select(leases.c.state))) == {"done"}
    assert verify(book).fault == ""


def test_items_of_a_talk_are_not_made_from_answers():
    with pytest.raises(UsageError, match="needs models"):
        items_of([], "talk")


class Counting:
    """A model that notes how it was asked, and whether two asked it at once."""

    def __init__(self, texts):
        self.name, self.seen, self.busy, self.overlapped = "counting", [], 0, False
        self._texts = iter(texts)

    def reply(self, chats, how):
        self.busy += 1
        self.overlapped |= self.busy > 1
        time.sleep(0.002)
        self.seen.append(how)
        self.busy -= 1
        return [Completion(text=next(self._texts)) for _ in chats]


def test_one_model_answers_twice_with_two_seeds_each_at_its_own_temperature():
    model = Counting(["a", "b"])
    left, right = partners(model, model).answers(CHAT, 7)
    assert [how.temperature for how in model.seen] == [0.5, 1.5]
    assert len({how.seed for how in model.seen}) == 2
    assert [each.made.sampling for each in (left, right)] == model.seen


def test_a_model_is_never_asked_two_things_at_once():
    model = Counting(str(number) for number in range(1000))
    both = partners(model, model)
    threads = [threading.Thread(target=both.answers, args=(CHAT, seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(model.seen) == 16
    assert not model.overlapped


def test_equal_answers_are_drawn_again_once():
    left, right = partners(Counting(["same", "a"]), Counting(["same ", "b"])).answers(CHAT, 7)
    assert (left.text, right.text) == ("a", "b")


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        (says("same"), says("same"), "both answers were the same, twice"),
        (QueuedModel(["", " "]), says("x"), "had nothing to say, twice"),
        (says("x"), ScriptedModel([], "secret name"), "one of the models did not answer"),
    ],
)
def test_what_a_model_fails_at_is_told_without_saying_which_one(left, right, told):
    with pytest.raises(Unanswered, match=told) as caught:
        partners(left, right).answers(CHAT, 0)
    assert "secret name" not in caught.value.what


def test_an_answer_that_was_cut_off_says_so_in_the_export(book):
    ada, short = person(book), Sampling(max_new_tokens=2)
    both = Partners(Partner(says("one two three"), "l", "d", short), Partner(says("x"), "r", "e", short))
    ask(book, ada, "go", both)
    row = json.loads(export_files(book, "q")["answers.jsonl"])
    assert sorted((each["text"], each["finished"]) for each in row["answers"]) == [("one two", False), ("x", True)]
