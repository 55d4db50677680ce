"""WCAG 2.2 AA on every page, as far as a program can check it."""

import pytest
from playwright.sync_api import expect
from tests import accessibility as wcag
from tests.browser.test_labelling import candidates, queue
from tests.in_browser import PASSWORD, enter

from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.people import invite
from alidade.preferences.votebook.queues import publish_guideline

TASKS = ("pair", "attributes", "ranking", "best", "edit")
PAGES = ("", *(f"label/{task}" for task in TASKS), "people", "progress", "account", "guidelines", "label/none")
LONG = ("A long answer. " * 120, "Another one, as long. " * 90, "A third. " * 50, "A fourth")


@pytest.fixture
def admin(browser, address, book):
    """Opens pages as somebody who may see all of them."""
    publish_guideline(book, "Prefer the answer that **helps**. " * 20)
    for task in TASKS:
        rows = candidates(3, 3 if task in ("ranking", "best") else 2, LONG)
        queue(book, task, rows, name=task)
    queue(book, name="harmful", harmful=True)

    def opened(**context):
        return enter(browser, address, book, "root", "admin", **context)

    return opened


def each_page(page, address, names=PAGES):
    for name in names:
        page.goto(f"{address}/{name}")
        yield name or "queues"


def test_pages_have_landmarks_headings_names_and_targets_that_can_be_hit(admin, address):
    page = admin()
    for name in each_page(page, address, (*PAGES, "label/harmful")):
        for check in (wcag.structure, wcag.names, wcag.small_targets, wcag.unreachable_scrollers):
            assert check(page) == [], f"{name}, {check.__name__}"


def test_the_keyboard_reaches_everything_sees_where_it_is_and_is_never_trapped(admin, address):
    page = admin(viewport={"width": 1280, "height": 720})
    for name in each_page(page, address):
        assert wcag.walk(page) == [], name


def test_the_first_tab_leads_past_the_menu(admin, address):
    page = admin()
    page.goto(f"{address}/label/pair")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_pages_can_be_zoomed_and_text_be_spaced_and_nothing_is_lost(admin, address):
    page = admin(
        bypass_csp=True, viewport={"width": 320, "height": 640}
    )  # 1280 pixels at 400 %; at 200 % there is twice that
    for width in (320, 640):
        page.set_viewport_size({"width": width, "height": 640})
        for name in each_page(page, address):
            assert wcag.cut_off(page) == [], f"{name} at {width}"
            page.add_style_tag(content=wcag.SPACED)
            assert wcag.cut_off(page) == [], f"{name} at {width}, spaced"


def test_nothing_moves_for_who_asked_for_that(admin, address):
    page = admin(reduced_motion="reduce")
    for name in each_page(page, address):
        assert wcag.moving(page) == [], name


def test_an_error_is_announced_and_tied_to_its_fields(browser, address, book):
    page = browser.new_context().new_page()
    for path, button in (("login", "Log in"), (f"join/{invite(book, 'labeler')}", "Join")):
        page.goto(f"{address}/{path}")
        assert page.locator("[aria-invalid]").count() == 0
        page.locator("[name=name]").fill("no\u202eone")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert")).to_be_visible()
        said = page.get_by_role("alert").inner_text()
        for field in page.locator("main input:not([type=hidden])").all():
            expect(field).to_have_attribute("aria-invalid", "true")
            expect(field).to_have_accessible_description(said)
        assert wcag.structure(page) == []
        assert wcag.names(page) == []
        assert wcag.small_targets(page) == []


def test_single_keys_can_be_turned_off_and_stay_off(admin, address, book):
    page = admin()
    page.goto(f"{address}/label/pair")
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("1")
    page.reload()
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert collect(book, "pair").votes == []
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys").check()
    page.get_by_role("button", name="Close").click()
    with page.expect_navigation():
        page.keyboard.press("1")
    assert len(collect(book, "pair").votes) == 1


def test_where_a_ranking_stands_is_told_to_who_does_not_see_it(admin, address):
    page = admin()
    page.goto(f"{address}/label/ranking")
    expect(page.locator("[aria-current]")).to_have_attribute("data-place", "0")
    page.keyboard.press("2")
    expect(page.locator("[aria-current]")).to_have_attribute("data-place", "1")
