"""The report in a real browser: it opens from a file, shows its pictures, runs nothing foreign, fits a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchor_hub.evaluation.report import write_report
from anchor_hub.evaluation.result import Metric
from tests.evaluation.report_makers import HOSTILE, pair, report_folder


def fits(page: Any) -> bool:
    """Nothing sticks out to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_it_opens_from_a_file(tmp_path: Path, page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    address = write_report(report_folder(tmp_path)).as_uri()
    page.goto(address)
    assert page.title() == "mask to photo – Anchor Hub report"
    assert [url for url in requests if not url.startswith("data:")] == [address]
    pictures = page.locator(".tile img")
    assert pictures.count() >= 36
    assert page.evaluate(
        "[...document.querySelectorAll('.tile img')].every((x) => x.complete && x.naturalWidth === 16)"
    )
    assert page.locator(".metrics tbody tr").count() == 3 and page.locator(".chart svg").count() == 3
    assert fits(page)
    # Every section can be unfolded and still fits.
    page.evaluate("document.querySelectorAll('details').forEach((x) => { x.open = true; })")
    assert fits(page) and page.get_by_text("by class").is_visible()


def test_colours_follow_the_system(tmp_path: Path, page: Any) -> None:
    page.goto(write_report(report_folder(tmp_path, count=2)).as_uri())
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(17, 20, 24)" if dark else "rgb(246, 247, 249)")


def test_a_picture_is_enlarged_by_click_and_by_key(tmp_path: Path, page: Any) -> None:
    page.goto(write_report(report_folder(tmp_path, count=2)).as_uri())
    dialog = page.locator("#zoom")
    picture = page.locator(".tile img").nth(1)
    picture.click()
    assert dialog.is_visible() and "output of 000000 (16 × 16)" in dialog.inner_text()
    width = dialog.locator("img").bounding_box()["width"]
    assert width > 250 and fits(page)
    dialog.click()
    assert not dialog.is_visible()
    picture.focus()
    page.keyboard.press("Enter")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_hostile_names_do_nothing(tmp_path: Path, page: Any) -> None:
    metric = Metric(name="psnr", value=1.0, higher_is_better=True, label=HOSTILE, unit=HOSTILE, note=HOSTILE)
    name = HOSTILE.replace("{", "").replace("}", "") + "{}"
    found = pair(source=HOSTILE, metrics=[metric], settings={HOSTILE: HOSTILE})
    page.goto(write_report(report_folder(tmp_path, name=name, title=HOSTILE, pairs=[found])).as_uri())
    assert page.title().startswith("x\"'><script>") and "owned" != page.title()
    assert page.locator("script").count() == 1 and page.locator("img[onerror]").count() == 0
    assert "<script>" in page.locator("h1").inner_text() and fits(page)


def test_its_policy_stops_what_would_get_in(tmp_path: Path, page: Any) -> None:
    """Even a page into which somebody wrote a script does not run it."""
    path = write_report(report_folder(tmp_path, count=2))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</main>", "<script>document.title = 'owned'</script></main>"), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.title() == "mask to photo – Anchor Hub report"
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    page.complaints.clear()
