"""A real headless Chromium; tests that need one are skipped, with the reason, where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Names that Chromium goes by; $CHROMIUM is taken first.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def launch(playwright: Any) -> Any:
    """Playwright's own Chromium, or the system's. Without a sandbox: the pages are ours, and containers forbid it."""
    wanted = [os.environ.get("CHROMIUM", ""), playwright.chromium.executable_path, *map(shutil.which, NAMES)]
    for path in wanted:
        if path and Path(path).is_file():
            return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    pytest.skip("no Chromium on this machine: install one, or set $CHROMIUM to its path")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 900, "light"), (390, 844, "dark")], ids=["desktop-light", "phone-dark"])
def page(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    """A page on a desktop in light colours and on a phone in dark ones; anything it complains of fails the test."""
    width, height, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    found = context.new_page()
    found.set_default_timeout(60_000)
    complaints: list[str] = []
    found.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.complaints = complaints
    yield found
    context.close()
    assert not complaints
