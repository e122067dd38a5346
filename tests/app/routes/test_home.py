"""The first page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Visit = Callable[..., Any]


def test_shows_what_is_in_the_folder(served: Any, visit: Visit) -> None:
    page = visit(served).page
    assert page.get_by_role("heading", name="Drop a video here").is_visible()
    assert page.get_by_role("link", name="data", exact=True).get_attribute("href") == "/data/data"
    assert page.get_by_role("link", name="runs/first").get_attribute("href") == "/runs/runs/first"
    page.get_by_text("processor threads").wait_for()


def test_offers_to_get_the_models_that_scoring_needs(
    serve: Callable[..., Any], visit: Visit, workspace: Path, tmp_path: Path
) -> None:
    served = serve(workspace, SELFMM_CACHE=str(tmp_path))
    page = visit(served).page
    page.get_by_role("button", name="Get them").wait_for()
    assert "tiny.en" in page.get_by_role("note").inner_text()
    status, body, _ = served.fetch("/v1/weights", data=json.dumps({"names": ["../../etc"]}).encode())
    assert status == 400
    assert "Name the weights to get" in json.loads(body)["error"]


def test_a_folder_with_nothing_says_what_to_do(serve: Callable[..., Any], visit: Visit, tmp_path: Path) -> None:
    text = visit(serve(tmp_path)).page.inner_text("main")
    for sentence in ("There is no data set in this folder yet", "There is no run", "There are no recordings"):
        assert sentence in text


def test_a_file_that_is_refused_is_still_named_on_the_next_page(served: Any, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    window = visit(served)
    window.page.set_input_files("#files", [tmp_path / "empty.wav", tmp_path / "noise.wav"])
    window.page.wait_for_url("**/score/*")
    window.page.get_by_text("empty.wav: The file is empty. Choose another one.").wait_for()
    window.page.reload()
    assert window.page.get_by_text("empty.wav").count() == 0
    window.complaints.clear()  # of the empty file


def test_a_folder_that_cannot_be_written_is_said(served: Any, visit: Visit) -> None:
    page = visit(served).page
    machine = json.loads(served.fetch("/v1/machine")[1])
    assert machine["unwritable"] == ""
    said = "The folder 'x' cannot be written."
    page.route("**/v1/machine", lambda route: route.fulfill(json={**machine, "missing": [], "unwritable": said}))
    page.reload()
    page.locator("#machine").get_by_text(said).wait_for()
    assert "Everything" not in page.inner_text("#machine")
