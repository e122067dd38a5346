"""Draw the pictures of README and docs/app.md again: ``make screenshots``. Takes two minutes; needs Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_WAIT = 300_000  # milliseconds


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("error: there is no Chromium on this machine. Install Debian's package chromium.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "talks"
        folder.mkdir()
        for command in (
            ("demo", "clips", "--count", "40", "--seed", "5"),
            ("extract", "clips/clips.csv", "data"),
            ("train", "data", "--out", "runs/talks"),
        ):
            subprocess.run([sys.executable, "-m", "selfmm", *command], cwd=folder, check=True)
        app = subprocess.Popen(
            [sys.executable, "-m", "selfmm", "app", str(folder), "--no-browser", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": name},
        )
        try:
            assert app.stdout is not None
            link = app.stdout.readline().split()[-1]
            with sync_playwright() as playwright:
                window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
                page = window.new_context(viewport={"width": 1200, "height": 1000}).new_page()
                page.set_default_timeout(_WAIT)
                page.goto(link)
                _draw(page, link.partition("/?")[0], folder)
                window.close()
        finally:
            app.terminate()
            app.wait()


def _draw(page: Page, base: str, folder: Path) -> None:
    page.set_input_files("#files", folder / "clips" / "eve_01.mp4")
    page.wait_for_url("**/score/*")
    page.get_by_text("Over time").wait_for()
    _keep(page, "app_score")
    page.goto(f"{base}/data/data")
    _keep(page, "app_data")
    page.goto(f"{base}/runs/runs/talks")
    _keep(page, "app_run")


def _keep(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3000)  # thumbnails and the first picture of a video
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
