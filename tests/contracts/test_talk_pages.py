"""Talks through the web app: a message is answered once, nobody reaches another's talk, and what a model fails at loses nothing."""

import time

import pytest
from fastapi.testclient import TestClient
from tests.talks import Held, partners, says, two

from alidade.models.base import Sampling
from alidade.models.scripted import ScriptedModel
from alidade.preferences.partners import Partner, Partners
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.people import everyone, invite, join, new_key
from alidade.preferences.votebook.queues import QueueSettings, add_queue, set_open
from alidade.preferences.votebook.talks import LONGEST_MESSAGE, say
from alidade.studio.access import Limit, Limits
from alidade.studio.app import create_app

PASSWORD = "correct horse battery"


@pytest.fixture
def book(tmp_path):
    book = open_votebook(tmp_path / "votes.db")
    add_queue(book, QueueSettings(name="q", task="talk"), [])
    add_queue(book, QueueSettings(name="pairs"), [])
    yield book
    book.close()


def app_with(book, both):
    return create_app(book, Limits(*(Limit(10**6, 1) for _ in range(3))), {"q": both} if both else None)


class Visitor:
    """A browser that follows what pages tell it."""

    def __init__(self, app, book, name="ada", role="labeler"):
        self.client = TestClient(app)
        join(book, invite(book, role), name, PASSWORD)
        assert self.client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 200
        self.form_key = hidden(self.client.get("/account").text, "form_key")

    def page(self):
        """The queue's page once nothing is waited for."""
        text = self.client.get("/label/q").text
        while 'http-equiv="refresh"' in text:
            time.sleep(0.02)
            text = self.client.get("/label/q").text
        return text

    def post(self, path, **sent):
        return self.client.post(path, data={"form_key": self.form_key, **sent})

    def say(self, text, key="key"):
        return self.post("/label/q/message", text=text, key=key)

    def vote(self, choice="left"):
        page = self.page()
        return self.post("/label/q", choice=choice, lease=hidden(page, "lease"), key=hidden(page, "key"))


def hidden(page, name):
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def test_a_message_is_answered_judged_and_gone_on_from(book):
    ada = Visitor(app_with(book, two()), book)
    assert "Begin a talk" in ada.page()
    ada.say("Hello")
    page = ada.page()
    assert "yes to Hello" in page
    assert "no to Hello" in page
    assert "sha left" not in page
    ada.vote("tie")
    assert "What do you say next?" in ada.page()
    assert len(collect(book, "q").votes) == 1


def test_a_message_that_is_sent_twice_is_sampled_once_while_it_is_answered_and_after(book):
    left, right = Held(), Held()
    ada = Visitor(app_with(book, partners(left, right)), book)
    right.asked = 10
    assert ada.say("Hello").status_code == 200
    assert "are being written" in ada.say("Hello").text
    assert ada.say("Something else", "another").status_code == 409
    left.go.set(), right.go.set()
    page = ada.page()
    assert ada.say("Hello").status_code == 200
    assert (left.asked, right.asked) == (1, 11)
    assert hidden(ada.page(), "lease") == hidden(page, "lease")
    assert ada.say("Something else", "another").status_code == 409  # two answers wait


def test_pages_go_on_while_models_answer(book):
    model = Held()
    app = app_with(book, partners(model, says("x")))
    ada, bob = Visitor(app, book), Visitor(app, book, "bob")
    ada.say("Hello")
    assert "are being written" in ada.client.get("/label/q").text
    assert "Begin a talk" in bob.page()
    ada.post("/label/q/anew")  # nothing, as a message is being answered
    model.go.set()
    assert "answer 1" in ada.page()


@pytest.mark.parametrize(
    ("both", "told"),
    [
        (partners(says("x"), ScriptedModel([], "secret name")), "one of the models did not answer"),
        (partners(says("same"), says("same")), "both answers were the same"),
        (
            Partners(Partner(None, "secret name", "", Sampling()), Partner(None, "", "", Sampling())),
            "something went wrong",
        ),
    ],
)
def test_what_fails_is_told_in_words_and_the_message_is_there_to_be_sent_again(book, both, told):
    ada = Visitor(app_with(book, both), book)
    ada.say("A long thought")
    page = ada.page()
    assert told in page
    assert "secret name" not in page
    assert ">A long thought</textarea>" in page
    assert ada.page().count('role="alert"') == 1
    again = Visitor.__new__(Visitor)
    again.client, again.form_key = TestClient(app_with(book, two())), ada.form_key
    again.client.cookies = ada.client.cookies
    again.say("A long thought", "new key")
    assert "yes to A long thought" in again.page()


def test_a_message_that_a_killed_server_left_unanswered_is_there_to_be_sent_again(book):
    app = app_with(book, two())
    ada = Visitor(app, book)
    say(book, everyone(book)[0], "q", "Hello", "key")  # and then the server was killed
    assert "This message has no answers yet" in ada.page()
    ada.say("Hello")  # the same form, sent again by the browser
    assert "yes to Hello" in ada.page()


def test_nobody_reaches_the_talk_of_another(book):
    app = app_with(book, two())
    ada, bob = Visitor(app, book), Visitor(app, book, "bob")
    ada.say("My secret")
    lease = hidden(ada.page(), "lease")
    assert "My secret" not in bob.page()
    assert bob.post("/label/q", choice="left", lease=lease, key="k").status_code == 404
    assert bob.post(f"/draft/{lease}", text="x").status_code == 404
    assert bob.client.get(f"/differences/q/{lease}").status_code == 404
    bob.post("/label/q/anew")
    bob.post("/label/q/undo", key="u")
    ada.vote()
    assert "My secret" in ada.page()
    assert "My secret" not in bob.page()


def test_a_program_judges_its_own_turn_and_gets_no_other(book):
    app = app_with(book, two())
    ada, bob = Visitor(app, book), Visitor(app, book, "bob")
    ada.say("Hello")
    ada.page()
    tokens = [
        {"Authorization": f"Bearer {new_key(book, number, 'token', 'test', 3600)}", "Idempotency-Key": "k"}
        for number in (1, 2)
    ]
    assert bob.client.post("/api/v1/queues/q/next", headers=tokens[1]).status_code == 204
    task = ada.client.post("/api/v1/queues/q/next", headers=tokens[0]).json()
    assert task["kind"] == "pair"
    sent = {"kind": "pick", "choice": "left"}
    url = f"/api/v1/tasks/{task['id']}/answer"
    assert bob.client.post(url, json=sent, headers=tokens[1]).status_code == 404
    assert ada.client.post(url, json=sent, headers=tokens[0]).status_code == 200
    own = ada.client.get("/api/v1/votes?own=true", headers=tokens[0]).text
    assert "sha left" not in own


@pytest.mark.parametrize("path", ["/label/q/message", "/label/q/anew"])
def test_a_form_from_elsewhere_is_refused(book, path):
    ada = Visitor(app_with(book, two()), book)
    sent = {"text": "Hello", "key": "k", "form_key": ada.form_key}
    foreign = {"Origin": "http://elsewhere.example"}
    assert ada.client.post(path, data={**sent, "form_key": "0" * 64}).status_code == 403
    assert ada.client.post(path, data=sent, headers=foreign).status_code == 403
    assert TestClient(ada.client.app).post(path, data=sent, follow_redirects=False).headers["location"] == "/login"
    assert "Begin a talk" in ada.page()


@pytest.mark.parametrize("text", ["", " ", "x" * (LONGEST_MESSAGE + 1), "x" * 100_000])
def test_a_message_that_cannot_be_used_is_refused_in_words(book, text):
    ada = Visitor(app_with(book, two()), book)
    response = ada.say(text)
    assert response.status_code == 400
    assert "That did not work" in response.text


def test_a_message_does_not_become_markup_of_the_page(book):
    ada = Visitor(app_with(book, partners(says("<img src=x>"), says("</textarea><b>{0}"))), book)
    ada.say("</textarea><script>alert(1)</script>")
    for page in (ada.page(), (ada.vote(), ada.page())[1]):
        assert "<script>alert" not in page
        assert "<img src=x>" not in page
        assert "<b>" not in page


def test_who_may_not_vote_may_not_talk_and_other_queues_hold_no_talks(book):
    app = app_with(book, two())
    ada, vic = Visitor(app, book), Visitor(app, book, "vic", "viewer")
    assert vic.say("Hello").status_code == 403
    assert ada.post("/label/pairs/message", text="Hello", key="k").status_code == 404
    assert ada.post("/label/none/anew").status_code == 404
    set_open(book, "q", False)
    assert ada.say("Hello").status_code == 404


def test_where_no_models_are_served_the_talk_can_be_read_and_nothing_said(book):
    served = Visitor(app_with(book, two()), book)
    served.say("Hello")
    served.vote()
    served.client.app.state.desk = create_app(book).state.desk
    page = served.page()
    assert "not being served" in page
    assert "Hello" in page
    assert served.say("More", "more").status_code == 400
