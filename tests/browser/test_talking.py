"""People who talk to two models, in a real browser."""

import pytest
from playwright.sync_api import expect
from tests.in_browser import HOSTILE, contrasts, enter, picture, press
from tests.studio_server import studio
from tests.talks import Held, partners, says

from alidade.preferences.votebook.chain import verify
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.people import everyone
from alidade.preferences.votebook.queues import QueueSettings, add_queue, publish_guideline
from alidade.preferences.votebook.talks import talk_of

YES = "Yes: **{0}** is a fine thing to ask.\n\n1. Boil water.\n2. Wait.\n3. Pour it over the leaves."
NO = "I would rather not. " * 12 + "You said: {0}"


@pytest.fixture
def queue(book):
    publish_guideline(book, "Prefer the answer that **helps**.")
    add_queue(book, QueueSettings(name="talk", task="talk"), [])


@pytest.fixture
def address(book, queue):
    with studio(book, {"talk": partners(says(YES), says(NO, "other"))}) as address:
        yield address


def send(page, text):
    """Write a message and send it by keyboard; the page on which its answers are judged."""
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type(text)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#task")).to_be_visible()


def place_of(page, beginning):
    return "1" if page.locator(".answer").first.inner_text().partition("\n")[2].strip().startswith(beginning) else "2"


def test_a_labeler_talks_three_turns_by_keyboard_and_the_chosen_answer_goes_on(browser, address, book):
    page = enter(browser, address, book)
    page.get_by_role("link", name="Start").click()
    picture(page, "talk-begin")
    for turn, (text, wanted) in enumerate([("Tea?", "Yes"), ("And coffee?", "I would"), ("And cocoa?", "Yes")]):
        send(page, text)
        picture(page, f"talk-judge-{turn}")
        press(page, place_of(page, wanted))
        expect(page.get_by_role("heading", name="What do you say next?")).to_be_visible()
        assert page.locator(".turn.assistant").last.inner_text().partition("\n")[2].strip().startswith(wanted)
        picture(page, f"talk-next-{turn}")
    assert page.locator(".turn").count() == 6
    said = [message.text for message in talk_of(book, everyone(book)[0], "talk").said]
    assert said[::2] == ["Tea?", "And coffee?", "And cocoa?"]
    assert [text.partition(" ")[0] for text in said[1::2]] == ["Yes:", "I", "Yes:"]
    votes = collect(book, "talk").votes
    assert len({vote.prompt_id for vote in votes}) == 3
    assert all(vote.guideline.startswith("1-") for vote in votes)
    assert verify(book).fault == ""


def test_a_labeler_undoes_skips_and_begins_anew_by_keyboard(browser, address, book):
    page = enter(browser, address, book)
    page.get_by_role("link", name="Start").click()
    send(page, "Tea?")
    press(page, "e")
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("u n")  # in the field they are letters
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("u")
    expect(page.get_by_role("status").filter(has_text="undone")).to_be_visible()
    press(page, "0")
    send(page, "And coffee?")
    press(page, "s", "1")
    assert page.locator(".turn").count() == 2
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Begin a talk")).to_be_visible()
    assert [vote.choice for vote in collect(book, "talk").votes] == ["tie"]


def test_a_talk_is_held_without_javascript(browser, address, book):
    page = enter(browser, address, book, java_script_enabled=False)
    page.get_by_role("link", name="Start").click()
    page.get_by_label("Your message").fill("Tea?")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="B is better").click()
    expect(page.get_by_role("heading", name="What do you say next?")).to_be_visible()
    page.get_by_role("button", name="End this talk").click()
    expect(page.get_by_role("heading", name="Begin a talk")).to_be_visible()
    assert len(collect(book, "talk").votes) == 1


def test_a_script_in_a_message_or_an_answer_does_not_act(browser, book, queue):
    with studio(book, {"talk": partners(says(HOSTILE), says("</textarea>" + HOSTILE + "{0}"))}) as address:
        page = enter(browser, address, book)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/label/talk")
        for _ in range(2):
            page.get_by_label("Your message").fill("</textarea>" + HOSTILE)
            page.keyboard.press("Control+Enter")
            expect(page.locator("#task")).to_be_visible()
            assert page.title() == "talk"
            press(page, "1")
            expect(page.get_by_label("Your message")).to_be_visible()
        picture(page, "talk-hostile")
        assert page.title() == "talk"
        assert page.locator(".text script, .text img, .text a, .text style, .text [onclick]").count() == 0
        assert "⟨U+202E⟩" in page.locator(".turn.user .text").first.inner_text()
        assert all(url.startswith(address) for url in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_talk_fit_a_phone_and_have_contrast(browser, address, book, scheme):
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": scheme}
    page = enter(browser, address, book, **phone)

    def seems_right(name):
        picture(page, f"talk-phone-{scheme}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        ratio, where = contrasts(page)
        assert ratio >= 4.5, f"{name}: {where} has {ratio:.1f}"
        assert page.locator("main h1, main h2").count()

    seems_right("queues")
    page.get_by_role("link", name="Start").tap()
    expect(page.get_by_label("Your message")).to_be_visible()
    seems_right("begin")
    for number in range(3):
        page.get_by_label("Your message").fill("How do I make tea without a kettle? " * 3)
        page.get_by_role("button", name="Send").tap()
        expect(page.locator("#task")).to_be_visible()
        seems_right(f"judge-{number}")
        assert page.locator(".turn.user").last.is_visible()
        page.get_by_role("button", name="B is better").tap()
        expect(page.get_by_label("Your message")).to_be_visible()
        seems_right(f"next-{number}")


def test_a_fault_is_told_in_words_and_the_message_stays(browser, book, queue):
    with studio(book, {"talk": partners(says("same"), says("same"))}) as address:
        page = enter(browser, address, book)
        page.goto(f"{address}/label/talk")
        page.get_by_label("Your message").fill("Tea?")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_contain_text("both answers were the same")
        expect(page.get_by_label("Your message")).to_have_value("Tea?")
        picture(page, "talk-fault")
        assert contrasts(page)[0] >= 4.5


def test_who_waits_for_answers_is_told_so_can_reload_and_gets_them_by_itself(browser, book, queue):
    left, right = Held(), Held()
    right.asked = 10  # so that their answers differ
    with studio(book, {"talk": partners(left, right)}) as address:
        page = enter(browser, address, book, color_scheme="dark")
        page.goto(f"{address}/label/talk")
        page.get_by_label("Your message").fill("Tea?")
        page.get_by_role("button", name="Send").click(no_wait_after=True)
        expect(page.get_by_role("heading", name="Two answers are being written")).to_be_visible()
        picture(page, "talk-waiting")
        assert contrasts(page)[0] >= 4.5
        page.goto(f"{address}/label/talk", wait_until="commit")
        expect(page.get_by_text("Tea?")).to_be_visible()
        left.go.set()
        right.go.set()
        expect(page.locator("#task")).to_be_visible()
        assert (left.asked, right.asked) == (1, 11)
