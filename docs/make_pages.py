"""Make the pictures of docs/report.md and docs/study.md: pages of rendered faces in a headless Chromium.

    anchor evaluate --from seg --to face --data heldout --metrics psnr,ssim,l1 --report report
    anchor study new --runs a/,b/,c/ --questions quality,structure --inputs heldout/seg --from seg -o study
    python docs/make_pages.py --report report --study study     # needs playwright and the extra [web]
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES = Path(__file__).resolve().parent / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def save(shot: bytes, name: str) -> None:
    """A screenshot as a PNG of 256 colours."""
    image = Image.open(io.BytesIO(shot)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    path = IMAGES / f"{name}.png"
    image.save(path, optimize=True)
    print(f"{path} ({path.stat().st_size / 1000:.0f} KB)")


def shoot_report(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 1060}, color_scheme="light")
    page.goto((report / "report.html").resolve().as_uri())
    save(page.screenshot(), "report")
    page.close()


def shoot_study(browser: Any, study: Path) -> None:
    program = "from anchor_cli.main import main; main()"
    command = [sys.executable, "-c", program, "study", "serve", str(study), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            page = browser.new_page(viewport={"width": 1100, "height": 510}, color_scheme="light")
            page.goto(server.stdout.readline().strip())
            page.locator("#given").fill("somebody")
            page.keyboard.press("Enter")
            page.locator("#task").wait_for(state="visible")
            page.keyboard.press("2")
            page.wait_for_load_state("networkidle")
            save(page.screenshot(), "study")
            page.close()
        finally:
            server.terminate()


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="folder of an evaluation")
    parser.add_argument("--study", type=Path, help="folder of a study")
    given = parser.parse_args()
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        if given.report:
            shoot_report(browser, given.report)
        if given.study:
            shoot_study(browser, given.study)
        browser.close()


if __name__ == "__main__":
    main()
