"""The API as its schema promises it: whatever is sent, it answers in its own words and never fails."""

import hypothesis
import pytest
import schemathesis
from fastapi.testclient import TestClient

from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.people import invite, join, new_key
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of
from alidade.records import Candidates, Completion, Conversation, Prompt
from alidade.studio.access import Limit, Limits
from alidade.studio.app import create_app

PASSWORD = "correct horse battery"


def limits():
    return Limits(*(Limit(10**6, 1) for _ in range(3)))


def filled():
    book = open_votebook()
    rows = [
        Candidates(
            prompt=Prompt(id=f"p{number}", conversation=Conversation.ask("?")),
            answers=(Completion(text="one"), Completion(text="two")),
        )
        for number in range(200)
    ]
    add_queue(book, QueueSettings(name="q"), items_of(rows, "pair"))
    return book


def token(book, name="ada", role="admin"):
    return new_key(book, join(book, invite(book, role), name, PASSWORD).id, "token", "test", 3600)


BOOK = filled()
APP = create_app(BOOK, limits())
TOKEN = token(BOOK)
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", APP)


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), derandomize=True
)
def test_no_request_makes_the_api_fail_and_answers_are_as_the_schema_says(case):
    response = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code < 500
    case.validate_response(response, checks=[schemathesis.checks.not_a_server_error])


@pytest.fixture
def book():
    return filled()


@pytest.fixture
def client(book):
    return TestClient(create_app(book, limits()))


def as_person(book, name, role="labeler"):
    return {"Authorization": f"Bearer {token(book, name, role)}"}


def test_a_program_votes_undoes_and_reads_its_own_votes_page_by_page(book, client):
    ada = as_person(book, "ada")
    for number in range(5):
        task = client.post("/api/v1/queues/q/next", headers=ada).json()
        sent = {"kind": "pick", "choice": "left", "strength": 2}
        url = f"/api/v1/tasks/{task['id']}/answer"
        first = client.post(url, json=sent, headers={**ada, "Idempotency-Key": f"k{number}"})
        again = client.post(url, json=sent, headers={**ada, "Idempotency-Key": f"k{number}"})
        assert first.status_code == 200
        assert first.json() == again.json()
    seen, after = [], 0
    while after is not None:
        part = client.get(f"/api/v1/votes?own=true&limit=2&after={after}", headers=ada).json()
        seen += part["items"]
        after = part.get("next")
    assert len(seen) == 5
    assert client.post("/api/v1/queues/q/undo", headers={**ada, "Idempotency-Key": "u"}).status_code == 200


def test_a_labeler_sees_no_vote_of_others_and_reaches_none_of_their_tasks(book, client):
    ada, bob = as_person(book, "ada"), as_person(book, "bob")
    task = client.post("/api/v1/queues/q/next", headers=ada).json()["id"]
    key = {"Idempotency-Key": "k"}
    assert (
        client.post(
            f"/api/v1/tasks/{task}/answer", json={"kind": "pick", "choice": "left"}, headers={**bob, **key}
        ).status_code
        == 404
    )
    assert client.put(f"/api/v1/tasks/{task}/draft", json={"text": "x"}, headers=bob).status_code == 404
    client.post(f"/api/v1/tasks/{task}/answer", json={"kind": "pick", "choice": "left"}, headers={**ada, **key})
    assert client.get("/api/v1/votes", headers=bob).status_code == 403
    assert client.get("/api/v1/votes?own=true", headers=bob).json()["items"] == []
    assert len(client.get("/api/v1/votes", headers=as_person(book, "lea", "lead")).json()["items"]) == 2


def test_without_a_token_nothing_is_said(client):
    for method, path in (("GET", "me"), ("GET", "queues"), ("GET", "votes"), ("POST", "queues/q/next")):
        response = client.request(method, f"/api/v1/{path}", headers={"Authorization": "Bearer wrong"})
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def entered(book, client, name="ada", role="labeler"):
    join(book, invite(book, role), name, PASSWORD)
    assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 200
    page = client.get("/account").text
    return page.partition('name="form_key" value="')[2].partition('"')[0]


def test_a_form_from_elsewhere_is_refused(book, client):
    key = entered(book, client)
    sees = {"sees": "yes"}
    assert client.post("/account/harmful", data=sees).status_code == 403
    assert client.post("/account/harmful", data={**sees, "form_key": "0" * 64}).status_code == 403
    foreign = {"Origin": "http://elsewhere.example"}
    assert client.post("/account/harmful", data={**sees, "form_key": key}, headers=foreign).status_code == 403
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/account/harmful", data={**sees, "form_key": key}, headers=crossing).status_code == 403
    assert client.post("/account/harmful", data={**sees, "form_key": key}).status_code == 200


def test_every_page_tells_the_browser_to_run_nothing_of_others(book, client):
    entered(book, client)
    for path in ("/", "/label/q", "/login", "/nowhere", "/static/label.js"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    cookie = client.post("/login", data={"name": "ada", "password": PASSWORD}, follow_redirects=False).headers[
        "set-cookie"
    ]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_passwords_cannot_be_tried_without_end(book):
    client = TestClient(create_app(book))
    told = [
        client.post("/login", data={"name": "ada", "password": f"wrong {number}"}).status_code for number in range(12)
    ]
    assert told == [403] * 10 + [429] * 2


def test_a_request_that_is_too_long_or_says_no_length_that_can_be_read_is_refused(book, client):
    entered(book, client)
    assert client.post("/guidelines", data={"text": "x" * 600_000}).status_code == 400


@pytest.mark.parametrize("path", ["/people", "/guidelines", "/export/q"])
def test_pages_of_leads_are_closed_to_labelers(book, client, path):
    entered(book, client)
    assert client.get(path).status_code == 403


def test_only_an_admin_makes_leads_and_nobody_shuts_themselves_out(book, client):
    key = entered(book, client, "lea", "lead")
    assert client.post("/people/invite", data={"role": "admin", "form_key": key}).status_code == 403
    assert client.post("/people/invite", data={"role": "king", "form_key": key}).status_code == 400
    assert client.post("/people/invite", data={"role": "labeler", "form_key": key}).status_code == 200
    other = TestClient(client.app)
    key = entered(book, other, "root", "admin")
    assert other.post("/people/2/active", data={"active": "no", "form_key": key}).status_code == 403
    assert other.post("/people/1/active", data={"active": "no", "form_key": key}).status_code == 200
    assert client.get("/", follow_redirects=False).headers["location"] == "/login"


@pytest.mark.parametrize(
    "path", ["/label/none", "/label/%00", "/export/%00", "/join/%00", "/label/q?note=%3Cscript%3E", "/join/x"]
)
def test_odd_addresses_get_a_page_and_not_a_failure(book, client, path):
    entered(book, client, "lea", "lead")
    response = client.get(path)
    assert response.status_code in (200, 404)
    assert "<script>" not in response.text


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"choice": "up"},
        {"choice": "left 9"},
        {"choice": "left x"},
        {"skip": "skip", "reason": "no"},
        {"rank": ["1", "2"]},
    ],
)
def test_a_form_that_says_nothing_is_refused_in_words(book, client, sent):
    key = entered(book, client)
    page = client.get("/label/q").text
    lease = page.partition('name="lease" value="')[2].partition('"')[0]
    response = client.post("/label/q", data={**sent, "form_key": key, "lease": lease, "key": "k"})
    assert response.status_code == 400
    assert "not an answer to a task" in response.text
