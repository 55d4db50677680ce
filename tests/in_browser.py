"""What tests in a real browser share: coming in, pressing keys, looking at a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from alidade.preferences.votebook import Votebook
from alidade.preferences.votebook.people import Role, invite, join

PASSWORD = "correct horse battery"
HOSTILE = (
    "<script>document.title='acted'</script><img src=x onerror=\"document.title='acted'\"> [here](javascript:alert(1)) "
    "![seen](http://127.0.0.1:9/seen.png) \u202ebackwards\u202c zero\u200bwidth <b onclick=alert(1)>bold</b> ```\n<style>*{display:none}</style>"
)
PICTURES = os.environ.get("ALIDADE_PICTURES", "")  # a folder for screenshots to look at


def enter(
    browser: Browser, address: str, book: Votebook, name: str = "ada", role: Role = "labeler", **context: Any
) -> Page:
    """The page of queues, as somebody new sees it in a browser of their own."""
    join(book, invite(book, role), name, PASSWORD)
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(20_000)
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    return page


def picture(page: Page, name: str) -> None:
    """A screenshot, where somebody wants to look at it."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def press(page: Page, *keys: str) -> None:
    """Keys that send a task's page on: waits for the next one."""
    expect(page.locator("#task")).to_be_visible()
    page.wait_for_load_state()
    for key in keys[:-1]:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press(keys[-1])


def contrasts(page: Page) -> tuple[float, str]:
    """The lowest contrast of text on its background on a page, and where it is."""
    return page.evaluate(
        """() => {
          const bright = (c) => c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const read = (text) => text.match(/[\\d.]+/g).map(Number);
          const ground = (each) => { for (; each; each = each.parentElement) {
            const c = read(getComputedStyle(each).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
          const found = [];
          for (const each of document.querySelectorAll("main *, header *")) {
            const own = [...each.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            if (!own || !each.checkVisibility()) continue;
            const [a, b] = [bright(read(getComputedStyle(each).color).slice(0, 3)), bright(ground(each))];
            found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), each.tagName + " " + each.textContent.trim().slice(0, 30)]);
          }
          return found.sort((x, y) => x[0] - y[0])[0];
        }"""
    )
