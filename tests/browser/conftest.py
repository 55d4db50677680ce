"""A browser, a votebook, and a studio over it."""

import shutil

import pytest
from playwright.sync_api import sync_playwright
from tests.conftest import missing
from tests.studio_server import studio

from alidade.preferences.votebook import open_votebook

OFFLINE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture
def book(tmp_path):
    book = open_votebook(tmp_path / "votes.db")
    yield book
    book.close()


@pytest.fixture
def address(book):
    with studio(book) as address:
        yield address
