"""The study in a real browser: begin, answer by mouse and keys, reload, double click, two people, missing pictures."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchor_hub.study.results import results
from tests.study.makers import study_of


class Served:
    """A study served by a thread of this process; it can be stopped and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.start()

    def start(self) -> None:
        import uvicorn

        from anchor_hub.study.serving import _listen
        from anchor_hub.study.web import create_app

        listener = _listen("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(create_app(self.folder), log_level="warning", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason=f"{name} is not installed (the extra [test] has it)")
    found = Served(study_of(tmp_path).folder)
    yield found
    found.stop()


def begin(page: Any, served: Served, code: str) -> None:
    page.goto(served.address)
    page.locator("#given").fill(code)
    page.get_by_role("button", name="Begin").click()
    page.locator("#task").wait_for(state="visible")


def at(page: Any, number: int, total: int = 8) -> None:
    """The page asks question ``number`` now."""
    from playwright.sync_api import expect

    expect(page.locator("#place")).to_have_text(f"{number} of {total}", timeout=60_000)


def finished(page: Any) -> None:
    page.get_by_role("heading", name="Thank you!").wait_for(state="visible")


def votes(served: Served) -> list[int]:
    return [question["votes"] for question in results(served.folder)["questions"]]


def test_from_begin_to_end(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    assert page.title() == "Which picture is best?"
    for number in range(1, 9):
        at(page, number)
        assert page.locator(".choice").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        answer = page.locator("#vote")
        assert answer.is_disabled()
        if number % 2:
            page.locator(".choice").nth(1).click()
            assert answer.inner_text() == "Answer B"
            answer.click()
        else:
            page.keyboard.press("3")
            assert page.locator(".choice").nth(2).get_attribute("aria-checked") == "true"
            page.keyboard.press("Enter")
    finished(page)
    assert votes(served) == [4, 4] and results(served.folder)["finished"] == 1
    page.reload()
    finished(page)


def test_all_pictures_are_shown(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    at(page, 1)
    page.wait_for_load_state("networkidle")
    widths = page.evaluate("[...document.querySelectorAll('#task img')].map((x) => x.naturalWidth)")
    assert widths == [16, 16, 16, 16]
    assert page.locator("#pass").is_hidden()


def test_a_reload_and_a_new_server_go_on(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    for number in (1, 2, 3):
        at(page, number)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    at(page, 4)
    first = page.locator(".choice img").first.get_attribute("src")
    page.reload()
    at(page, 4)
    assert page.locator(".choice img").first.get_attribute("src") == first
    # Nothing is chosen after a reload.
    assert page.locator("#vote").is_disabled()
    served.stop()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.get_by_text("does not answer").wait_for(state="visible")
    served.start()
    page.complaints.clear()  # the browser reports the refused connection
    page.get_by_role("button", name="Try again").click()
    at(page, 5)
    assert page.locator("#trouble").is_hidden() and votes(served) == [2, 2]


def test_a_double_click_counts_once(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    at(page, 1)
    page.locator(".choice").first.click()
    page.locator("#vote").dblclick()
    at(page, 2)
    page.keyboard.press("1")
    for _ in range(5):
        page.keyboard.press("Enter")
    at(page, 3)
    assert sum(votes(served)) == 2


def test_two_tabs_of_one_participant_agree(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    other = page.context.new_page()
    other.goto(served.address)
    at(other, 1)
    for tab in (page, other):  # both answer the first question
        tab.bring_to_front()
        tab.locator(".choice").first.click()
        tab.locator("#vote").click()
        at(tab, 2)
    assert sum(votes(served)) == 1


def test_two_participants_see_their_own_orders(page: Any, chromium: Any, served: Served) -> None:
    begin(page, served, "anna")
    context = chromium.new_context()
    other = context.new_page()
    begin(other, served, "berta")
    for tab in (page, other):
        at(tab, 1)
        tab.keyboard.press("1")
        tab.keyboard.press("Enter")
        at(tab, 2)
    assert other.locator("#code").inner_text() == "berta" and page.locator("#code").inner_text() == "anna"
    assert votes(served)[0] == 2 and results(served.folder)["participants"] == 2
    context.close()


def test_somebody_else_at_the_same_machine(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    at(page, 1)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    at(page, 2)
    page.get_by_role("button", name="somebody else?").click()
    page.locator("#welcome").wait_for(state="visible")
    assert page.locator("#given").input_value() == ""
    page.get_by_role("button", name="Begin").click()  # a code is made up
    at(page, 1)
    assert len(page.locator("#code").inner_text()) == 6
    page.get_by_role("button", name="somebody else?").click()
    page.locator("#given").fill("Anna")
    page.keyboard.press("Enter")
    at(page, 2)


def test_a_code_is_text_only(page: Any, served: Served) -> None:
    begin(page, served, "<img src=x onerror=alert(1)>")
    at(page, 1)
    assert page.locator("#code").inner_text() == "<img src=x onerror=alert(1)>"
    assert page.locator("#code img").count() == 0


def test_missing_pictures_are_passed_over(page: Any, served: Served) -> None:
    begin(page, served, "anna")
    at(page, 1)
    for path in sorted((served.folder / "pictures").glob("*/1.png"))[:3]:
        path.unlink()
    page.reload()
    for number in (1, 2):
        at(page, number, 2)
        page.keyboard.press("2")
        page.keyboard.press("Enter")
    finished(page)
    assert votes(served) == [1, 1]


def test_a_broken_picture_can_be_passed_over(page: Any, served: Served) -> None:
    for path in (served.folder / "pictures").glob("*/0.png"):
        path.write_bytes(b"broken")
    begin(page, served, "anna")
    for number in range(1, 9):
        at(page, number)
        button = page.get_by_role("button", name="A picture cannot be shown: pass over")
        button.wait_for(state="visible")
        button.click()
    finished(page)
    assert votes(served) == [0, 0] and results(served.folder)["passed_over"] == 8
