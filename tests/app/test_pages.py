"""What holds for every page: it can be used by everybody, in the dark and on a phone, and it is small."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks the pages")

PAGES = (
    "/",
    "/no/such/page",
    *("/data", "/data/data", "/data/data?view=grid&run=runs/first", "/data/data?split=train&clip=video0000_00"),
)
_MOST = 500_000  # bytes of a page with everything that it loads at first

Visit = Callable[..., Any]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(served: Any, visit: Visit, path: str, dark: bool) -> None:
    window = visit(served, path, dark=dark)
    window.page.wait_for_load_state("networkidle")
    found = axe_api.Axe().run(window.page).response["violations"]
    assert [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ] == []
    window.complaints[:] = [line for line in window.complaints if "404" not in line]  # the page that does not exist


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_phone(served: Any, visit: Visit, path: str) -> None:
    window = visit(served, path, width=360, height=740)
    window.page.wait_for_load_state("networkidle")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    window.complaints[:] = [line for line in window.complaints if "404" not in line]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_small(served: Any, visit: Visit, path: str) -> None:
    window = visit(served, path)
    sizes: list[int] = []
    window.page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    window.page.reload()
    window.page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes) < _MOST
    window.complaints[:] = [line for line in window.complaints if "404" not in line]


def test_every_control_is_reached_by_the_keyboard(served: Any, visit: Visit) -> None:
    page = visit(served).page
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 30)"))
    assert {"Skip to the content", "Score", "Data", "Rate", "Runs", "Record yourself", "Type a sentence"} <= reached


def test_what_others_wrote_is_as_they_published_it() -> None:
    root = Path(__file__).parents[2]
    notice = (root / "NOTICE").read_text(encoding="utf-8")
    vendor = root / "src" / "selfmm" / "app" / "static" / "vendor"
    assert (vendor / "uPlot.LICENSE").read_text().startswith("The MIT License")
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert f"{hashlib.sha256((vendor / name).read_bytes()).hexdigest()}  {name}" in notice
