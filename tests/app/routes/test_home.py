"""The first page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Visit = Callable[..., Any]


def test_shows_what_is_in_the_folder(served: Any, visit: Visit) -> None:
    page = visit(served).page
    assert page.get_by_role("heading", name="Drop a video here").is_visible()
    assert page.get_by_role("link", name="data", exact=True).get_attribute("href") == "/data/data"
    assert page.get_by_role("link", name="runs/first").get_attribute("href") == "/runs/runs/first"
    page.get_by_text("processor threads").wait_for()
