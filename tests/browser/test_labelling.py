"""People at work, in a real browser: every page is used as they use it."""

import zipfile

import pytest
from playwright.sync_api import expect
from tests.in_browser import HOSTILE, PASSWORD, contrasts, enter, picture, press

from alidade.preferences.votebook.chain import verify
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.people import set_person
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of, publish_guideline
from alidade.records import Candidates, Completion, Conversation, Prompt

PLAIN = {"overlap_share": 0.0, "gold_share": 0.0, "repeat_share": 0.0}


def candidates(
    prompts=30, answers=2, texts=("First **bold** answer", "Second answer, which is longer", "Third", "Fourth")
):
    return [
        Candidates(
            prompt=Prompt(id=f"p{number}", conversation=Conversation.ask(f"How do I kill Python process {number}?")),
            answers=tuple(Completion(text=f"{texts[place]} {number}") for place in range(answers)),
        )
        for number in range(prompts)
    ]


def queue(book, task="pair", rows=None, name="q", **settings):
    rows = rows or candidates(answers=3 if task in ("ranking", "best") else 2)
    add_queue(book, QueueSettings(name=name, task=task, **{**PLAIN, **settings}), items_of(rows, task))


def test_a_labeler_votes_twenty_pairs_by_keyboard_undoes_and_skips(browser, address, book):
    publish_guideline(book, "Prefer the answer that **helps**.")
    queue(book)
    page = enter(browser, address, book)
    page.get_by_role("link", name="Start").click()
    picture(page, "pair")
    for number in range(20):
        press(page, "120=qwerty"[number % 4] if number < 18 else "p")
    assert len(collect(book, "q").votes) == 20
    assert {vote.strength for vote in collect(book, "q").votes} == {None, 3}
    press(page, "u")
    expect(page.get_by_role("status").filter(has_text="undone")).to_be_visible()
    assert len(collect(book, "q").votes) == 19
    press(page, "1")
    press(page, "s", "3")
    press(page, "f", "5")
    collected = collect(book, "q")
    assert len(collected.votes) == 20
    assert collected.skipped == {"too long": 1, "broken": 1}
    assert [row["reason"] for row in collected.flagged] == ["broken"]
    assert all(vote.guideline.startswith("1-") for vote in collected.votes)
    assert verify(book).fault == ""


def test_a_labeler_ranks_five_lists_by_keyboard_and_a_draft_outlives_the_page(browser, address, book):
    queue(book, "ranking")
    page = enter(browser, address, book)
    page.get_by_role("link", name="Start").click()
    picture(page, "ranking")
    for _ in range(4):
        press(page, "2", "1", "2", "Enter")
    for key in "31":
        page.keyboard.press(key)
    expect(page.locator("#saved")).to_have_text("· draft saved")
    page.reload()
    press(page, "3", "Enter")
    assert [vote.ranks for vote in collect(book, "q").rankings] == [(1, 0, 1)] * 4 + [(1, 0, 1)]


def test_dragging_the_cards_gives_them_places_in_the_order_they_were_shown(browser, address, book):
    queue(book, "ranking")
    page = enter(browser, address, book)
    page.get_by_role("link", name="Start").click()
    page.locator(".answer[data-place='2'] h2").drag_to(page.locator(".answer[data-place='0'] h2"))
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    assert collect(book, "q").rankings[0].ranks == (1, 2, 0)


def test_attributes_best_and_edit_are_answered_by_keyboard(browser, address, book):
    for task in ("attributes", "best", "edit"):
        queue(book, task, name=task)
    page = enter(browser, address, book)
    page.goto(f"{address}/label/attributes")
    picture(page, "attributes")
    press(page, "1", "0", "2", "Enter")
    said = {vote.attribute: vote.choice for vote in collect(book, "attributes").votes}
    assert said == {"helpful": "left", "honest": "tie", "harmless": "right"}
    page.goto(f"{address}/label/best")
    press(page, "2")
    assert collect(book, "best").rankings[0].ranks == (1, 0, 1)
    page.goto(f"{address}/label/edit")
    page.get_by_label("What it should have been").fill("As it should be.\nIn two lines.")
    press(page, "Control+Enter")
    assert [row.answer for row in collect(book, "edit").demonstrations] == ["As it should be.\nIn two lines."]


def test_votes_are_cast_without_javascript(browser, address, book):
    queue(book)
    queue(book, "ranking", name="lists")
    page = enter(browser, address, book, java_script_enabled=False)
    page.get_by_role("link", name="Start").first.click()
    page.goto(f"{address}/label/q")
    page.get_by_role("button", name="B is better").click()
    page.get_by_role("button", name="A, clearly").click()
    page.get_by_role("button", name="Undo").click()
    assert [vote.choice for vote in collect(book, "q").votes] == ["right"]
    page.goto(f"{address}/label/lists")
    for place, select in zip("131", page.get_by_label("Place").all(), strict=True):
        select.select_option(place)
    page.get_by_role("button", name="Save").click()
    assert collect(book, "lists").rankings[0].ranks == (0, 1, 0)


def test_an_answer_with_a_script_does_not_act_and_shows_what_is_hidden(browser, address, book):
    queue(book, rows=candidates(1, texts=(HOSTILE, "plain")))
    page = enter(browser, address, book)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/label/q")
    page.keyboard.press("d")
    expect(page.locator("#differences del").first).to_be_visible()
    picture(page, "hostile")
    assert page.title() == "q"
    assert page.locator(".text script, .text img, .text a, .text style, .text [onclick]").count() == 0
    assert "⟨U+202E⟩" in page.locator("#differences").inner_text()
    assert all(url.startswith(address) for url in asked)


def test_a_harmful_queue_is_seen_only_by_choice(browser, address, book):
    queue(book, harmful=True)
    page = enter(browser, address, book)
    page.get_by_role("link", name="Read the warning").click()
    expect(page.get_by_role("heading", name="This queue shows harmful text")).to_be_visible()
    page.get_by_role("link", name="Rather not").click()
    page.goto(f"{address}/label/q")
    page.get_by_role("button", name="I choose to see it").click()
    page.get_by_role("link", name="Start").click()
    press(page, "1")
    assert len(collect(book, "q").votes) == 1


def test_an_admin_invites_watches_progress_publishes_and_exports(browser, address, book, tmp_path):
    queue(book)
    page = enter(browser, address, book, "root", "admin")
    page.get_by_role("link", name="Guidelines").click()
    page.get_by_label("Text").fill("Be kind.")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="Guidelines, version 1")).to_be_visible()
    page.get_by_role("link", name="People").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#invitation").inner_text()
    guest = browser.new_context().new_page()
    guest.goto(address + link)
    guest.get_by_label("Your name here").fill("Bo")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Join").click()
    guest.get_by_role("link", name="Start").click()
    press(guest, "1")
    press(guest, "2")
    page.get_by_role("link", name="Progress").click()
    picture(page, "progress")
    expect(page.get_by_text("2 of 30 votes")).to_be_visible()
    expect(page.get_by_role("row", name="Bo 2 0 1")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export the votes").click()
    download.value.save_as(tmp_path / "votes.zip")
    with zipfile.ZipFile(tmp_path / "votes.zip") as archive:
        assert {"rows.jsonl", "answers.jsonl", "chain.json"} <= set(archive.namelist())
        assert len(archive.read("rows.jsonl").splitlines()) == 2
    assert guest.goto(f"{address}/people").status == 403
    assert guest.goto(f"{address}/export/q").status == 403


def test_the_page_of_a_task_fits_a_phone_and_the_dark(browser, address, book):
    queue(book)
    queue(book, "ranking", name="lists")
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": "dark"}
    page = enter(browser, address, book, **phone)
    for name in ("", "label/q", "label/lists", "account", "progress"):
        page.goto(f"{address}/{name}")
        picture(page, f"phone-{name.replace('/', '-') or 'queues'}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    page.goto(f"{address}/label/q")
    with page.expect_navigation():
        page.get_by_role("button", name="A is better").tap()
    assert len(collect(book, "q").votes) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_text_has_contrast_fields_have_names_headings_begin_at_one(browser, address, book, scheme):
    publish_guideline(book, "Be kind.")
    for task in ("pair", "attributes", "ranking", "edit"):
        queue(book, task, name=task)
    page = enter(browser, address, book, "root", "admin", color_scheme=scheme)
    for name in (
        "",
        "label/pair",
        "label/attributes",
        "label/ranking",
        "label/edit",
        "people",
        "progress",
        "account",
        "guidelines",
    ):
        page.goto(f"{address}/{name}")
        picture(page, f"{scheme}-{name.replace('/', '-') or 'queues'}")
        ratio, where = contrasts(page)
        assert ratio >= 4.5, f"{name}: {where} has {ratio:.1f}"
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")]
              .filter((each) => !each.labels.length && !each.ariaLabel).map((each) => each.outerHTML)"""
        )
        assert unnamed == [], name
        assert page.locator("html[lang]").count() == 1
        assert page.locator("main").count() == 1


def test_who_sees_harmful_text_can_stop_it(browser, address, book):
    queue(book, harmful=True)
    page = enter(browser, address, book)
    set_person(book, 1, sees_harmful=True)
    page.goto(f"{address}/account")
    page.get_by_role("button", name="Stop showing me such queues").click()
    expect(page.get_by_role("link", name="Read the warning")).to_be_visible()
