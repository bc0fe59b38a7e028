"""A server of the console's own, and one browser for all its tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.console.browsing import Sheet, launched, opened
from tests.server import Server, running


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the console's tests: instant, so that only what is held takes time."""
    data_dir = tmp_path_factory.mktemp("console") / "data"
    with running(data_dir, "--profile", "instant", "--key-store-quota", "1000") as server:
        yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start Chromium once; of a package and not a session, since its loop would be in other tests' way."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def sheet(browser: Browser, town: Server) -> Iterator[Sheet]:
    """Open a page of the console that must not complain."""
    with opened(browser, town.endpoint) as sheet:
        yield sheet
