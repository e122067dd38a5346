"""The table of runs, the page of a run, and two runs clip by clip."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from app.run_builders import HOSTILE, make, make_mean
from selfmm.recordings.model import SentimentModel

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def shown(serve: Any, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The app for a folder with runs of every kind."""
    return serve(make(workspace, tmp_path_factory.mktemp("runs") / "root"))


def names(page: Any) -> list[str]:
    """Return the runs in the table, in order."""
    return [link.inner_text() for link in page.locator("#choose tbody th.name > a").all()]


def test_the_table_names_every_run_and_says_what_is_wrong_with_some(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs").page
    assert set(names(page)) == {
        f"runs/{name}" for name in ("first", "second", "seeds", "gone", "unfinished", "damaged", HOSTILE)
    }
    row = {
        name: page.locator("#choose tr", has=page.get_by_role("link", name=f"runs/{name}", exact=True))
        for name in ("seeds", "gone", "unfinished", "damaged", "second")
    }
    assert "mean of 2 seeds" in row["seeds"].inner_text()
    assert "was moved or deleted" in row["gone"].inner_text()
    assert "Not finished: it ended after 4 epochs. It can be continued." in row["unfinished"].inner_text()
    assert "cannot be read" in row["damaged"].inner_text()
    assert "<img" in row["damaged"].inner_text() or page.locator("img[src=x]").count() == 0
    head = page.locator("#choose thead").inner_text()
    assert "training.batch_size" in head  # the only setting that differs
    assert "training.max_epochs" not in head
    assert "8" in row["second"].inner_text()
    assert "Validation: choose by this" in head
    assert "Test: for the end, not sorted" in head


def test_a_name_is_text_and_never_markup(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs").page
    page.get_by_role("link", name=f"runs/{HOSTILE}").click()
    assert page.locator("h1").inner_text() == f"runs/{HOSTILE}"
    page.get_by_text("Validation error (MAE)").wait_for()
    page.goto(f"{shown.base}/runs")
    page.get_by_label(f"Choose runs/{HOSTILE} for a comparison").check()
    page.get_by_label("Choose runs/first for a comparison").check()
    page.get_by_role("button", name="Compare two runs clip by clip").click()
    page.get_by_text("mean error of A | of B").wait_for()
    assert page.locator("img[src=x]").count() == 0


def test_filters_and_order_are_in_the_link(shown: Any, visit: Visit) -> None:
    window = visit(shown, "/runs")
    page = window.page
    page.get_by_label("Find").fill("second")
    page.get_by_label("Find").press("Enter")
    page.wait_for_url("**/runs?q=second")
    assert names(page) == ["runs/second"]
    page.get_by_role("link", name="Show all").click()
    page.wait_for_load_state("networkidle")  # the script of the page listens
    page.get_by_label("State").select_option("unfinished")
    page.wait_for_url("**state=unfinished*")
    assert names(page) == ["runs/unfinished"]
    page.go_back()
    page.get_by_role("link", name="Run", exact=True).click()
    page.wait_for_url("**sort=name*")
    assert names(page) == sorted(names(page))
    page.get_by_role("link", name="Run", exact=True).click()
    page.wait_for_url("**sort=-name*")
    assert names(page) == sorted(names(page), reverse=True)
    page.get_by_label("each seed").check()
    page.wait_for_url("**seeds=each*")
    assert "runs/seeds/seed-1" in names(page)


def test_comparisons_are_tables_with_a_verdict(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs").page
    text = page.get_by_role("region", name="Comparison comparisons/two").inner_text()
    assert "−0.100 (−0.150 to −0.050)" in text
    assert "better than lf_dnn" in text
    assert "needs no training" in text
    assert page.get_by_text("It cannot be read").count() >= 1
    page.goto(f"{shown.base}/runs/comparisons/two")
    assert urlsplit(page.url).path == "/runs"


def test_the_page_of_a_run_says_what_it_is_worth_and_shows_its_curves(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs/runs/first").page
    assert page.get_by_role("heading", name="runs/first").is_visible()
    assert page.get_by_role("region", name="Table: what each score is worth").is_visible()
    page.get_by_text("Validation error (MAE)").wait_for()
    assert page.locator("#curves canvas").count() == 3
    page.get_by_text("As numbers: 4 epochs").click()
    assert page.get_by_role("region", name="The epochs as numbers").locator("tbody tr").count() == 4
    assert "selfmm train data --preset runs/first/settings.toml" in page.locator("#command").inner_text()
    assert page.get_by_role("link", name="Score with this run").get_attribute("href") == "/score?run=runs/first"
    clip = page.locator(".clips a").first.get_attribute("href")
    assert clip is not None
    assert clip.startswith("/data/data?clip=")


def test_a_run_with_figures_of_its_start_says_first_what_its_own_clips_show(shown: Any, visit: Visit) -> None:
    file = shown.root / "runs" / "second" / "metrics.json"
    before, times = file.read_text(), file.stat()
    content = json.loads(before)
    fused = content["worth"]["scores"]["fusion"]
    own = {**fused, "split": "left-out", "band_split": "left-out", "clips": 24, "groups": 12, "mae": 2.18}
    own |= {"constant": 1.9, "skill": -0.15, "skill_low": -0.4, "skill_high": 0.1}
    fused |= {"split": "start", "band_split": "start", "clips": 23703, "groups": 15603}
    fused |= {"skill": 0.34, "skill_low": 0.33, "skill_high": 0.35, "band": 1.1, "band_clips": 23703}
    content["worth"]["own"] = {"fusion": own}
    file.write_text(json.dumps(content))
    try:
        page = visit(shown, "/runs/runs/second", width=390).page
        first = page.locator(".warnings li").first.inner_text()
        assert first.startswith("On the 24 rated clips of 12 recordings of this run, each scored by a fit without")
        assert "is not better than always saying the same number" in first
        headline = page.locator(".headline").inner_text()
        assert headline.startswith(
            "The run that it started from was measured on other clips. On 23,703 clips of 15,603"
        )
        assert headline.endswith("Whether this also holds for the clips of this run is not known.")
        box = page.locator("p", has_text="What each score of the run that it started from is worth").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        page.goto(f"{shown.base}/runs")
        row = page.locator("#choose tr", has=page.get_by_role("link", name="runs/second", exact=True))
        assert "no information on 24 clips" in row.inner_text()
        assert "34%" not in row.inner_text()
    finally:
        file.write_text(before)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # the table is in the order of the last changes


def test_points_are_reached_by_keys_and_open_their_clips(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs/runs/first").page
    canvas = page.locator("#answers canvas")
    canvas.focus()
    page.keyboard.press("Home")
    assert "label" in page.locator("#answers .tip").inner_text()
    first = page.locator("#answers .tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#answers .tip").inner_text() != first
    page.keyboard.press("Enter")
    page.wait_for_url("**/data/data?clip=*")


def test_two_runs_are_ticked_and_compared_clip_by_clip(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs").page
    assert page.locator("#compare").is_disabled()
    page.get_by_label("Choose runs/first for a comparison").check()
    page.get_by_label("Choose runs/second for a comparison").check()
    page.get_by_role("button", name="Compare two runs clip by clip").click()
    page.wait_for_url("**/runs/compare?a=runs/first&b=runs/second")
    page.get_by_text("mean error of A | of B").wait_for()
    assert "(below 0, B is better; above 0, A is better)" in page.locator(".headline").inner_text()
    assert page.locator("#compared table tbody tr").count() > 3
    assert "Validation clips also chose the epoch" in page.locator("#compared").inner_text()
    page.locator("#pair select[name=split]").select_option("test")
    page.wait_for_url("**split=test*")
    page.get_by_text("Use the test split only at the end").wait_for()
    page.get_by_role("button", name="Only A has the right sign").click()
    page.wait_for_url("**only=a*")
    page.get_by_role("button", name="Error of B", exact=True).click()
    page.wait_for_url("**sort=-eb*")
    errors = [float(cell.inner_text()) for cell in page.locator("#compared tbody tr td:nth-child(7)").all()]
    assert errors == sorted(errors, reverse=True)
    link = page.locator("#compared tbody th a").first.get_attribute("href")
    assert link is not None
    assert link.startswith("/data/data?clip=")


def test_a_short_link_leads_to_the_comparison(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs?compare=runs/first,runs/second").page
    assert page.url == f"{shown.base}/runs/compare?a=runs/first&b=runs/second"


def test_the_comparison_counts_only_clips_that_both_have_scored(shown: Any) -> None:
    import pandas as pd

    file = shown.root / "runs" / "seeds" / "seed-2" / "predictions.parquet"
    table = pd.read_parquet(file)
    file_content = file.read_bytes()
    try:
        table[table["split"] != "valid"].to_parquet(file)
        status, body, _ = shown.fetch("/v1/run-compare?a=runs/first&b=runs/seeds/seed-2")
        assert (status, json.loads(body)["id"]) == (200, [])
        valid = table.index[table["split"] == "valid"]
        table.drop(valid[:2]).to_parquet(file)
        content = json.loads(shown.fetch("/v1/run-compare?a=runs/first&b=runs/seeds/seed-2")[1])
        assert len(content["id"]) == len(valid) - 2
        assert "2 of A and 0 of B are left out" in content["notes"][0]
        assert content["summary"]["clips"] == len(valid) - 2
    finally:
        file.write_bytes(file_content)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/runs/runs/damaged", "cannot be read"),
        ("/runs/runs/unfinished", "not finished"),
        ("/runs/runs/gone", "moved or deleted"),
        ("/runs/runs/nothing", "There is no"),
        ("/runs/runs/first?view=other", "no part"),
        ("/runs/runs/unfinished?view=explain&clip=x", "not finished"),
        ("/runs/compare?a=runs/first&b=runs/first", "the same run"),
        ("/runs/compare?a=runs/first&b=runs/none", "no finished run"),
        ("/runs/compare?a=runs/first&b=runs/second&split=other", "must be one of"),
        ("/runs/runs/seeds?view=labels", "several seeds"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(shown: Any, path: str, says: str) -> None:
    status, body, _ = shown.fetch(path)
    text = body.decode()
    assert status < 500
    assert says in text
    assert "Traceback" not in text


@pytest.mark.parametrize("path", ["/v1/run-history", "/v1/run-clips?run=../x", "/v1/run-picture?run=runs/first&name=x"])
def test_json_errors_are_sentences(shown: Any, path: str) -> None:
    status, body, _ = shown.fetch(path)
    assert 400 <= status < 500
    assert json.loads(body)["error"]


def test_a_data_set_outside_the_folder_is_neither_read_nor_named(
    shown: Any, serve: Any, workspace: Path, tmp_path: Path
) -> None:
    root = tmp_path / "shown"
    shutil.copytree(workspace / "runs" / "first", root / "first")
    shutil.copytree(workspace / "data", tmp_path / "secret" / "data")
    info = json.loads((root / "first" / "run.json").read_text())
    (root / "first" / "run.json").write_text(json.dumps({**info, "dataset_path": str(tmp_path / "secret" / "data")}))
    words = pd.read_parquet(workspace / "data" / "samples.parquet")["text"].iloc[0]
    served = serve(root)
    for path in ("/runs/first", "/runs", "/v1/run-clips?run=first&split=train", "/v1/run-compare?a=first&b=first"):
        status, body, _ = served.fetch(path)
        assert status == 200
        assert words not in body.decode()
        assert "secret" not in body.decode()
    assert "is not in this folder" in served.fetch("/runs/first")[1].decode()
    for path in (
        "/v1/run-report?run=first",
        "/v1/run-labels-table?run=first",
        "/v1/explain?run=first&clip=x",
        "/v1/explain?run=starter&clip=x",
    ):
        status, body, _ = served.fetch(path)
        assert status == 400
        assert "is not in this folder" in json.loads(body)["error"]


def test_an_empty_folder_says_what_to_do(serve: Any, visit: Visit, tmp_path: Path) -> None:
    empty = serve(tmp_path)
    page = visit(empty, "/runs").page
    assert page.get_by_text("There is no run in this folder yet").is_visible()
    page.goto(f"{empty.base}/runs/new")
    assert page.get_by_text("Training needs a data set").is_visible()
    page.goto(f"{empty.base}/jobs")
    assert page.get_by_text("There are no jobs.").is_visible()
    page.goto(f"{empty.base}/runs/compare")
    assert page.get_by_text("A comparison needs two finished runs").is_visible()


@pytest.mark.parametrize("path", ["/runs", "/runs/runs/first", "/runs/compare?a=runs/first&b=runs/second", "/runs/new"])
def test_nothing_is_wider_than_a_phone(shown: Any, visit: Visit, path: str) -> None:
    page = visit(shown, path, width=360, height=740, dark=True).page
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_server_imports_no_heavy_package(shown: Any) -> None:
    maps = Path(f"/proc/{shown.process.pid}/maps")
    if not maps.is_file():
        pytest.skip("no /proc on this machine")
    paths = ["/runs", "/runs/compare?a=runs/first&b=runs/second", "/v1/run-compare?a=runs/first&b=runs/second"]
    paths += [f"/runs/runs/{name}" for name in ("first", "seeds", "gone", "first?view=labels", "first?view=explain")]
    paths += ["/runs/new", "/jobs", "/v1/run-labels-clip?run=runs/first&clip=x", "/v1/run-clips?run=runs/seeds"]
    for path in paths:
        assert shown.fetch(path)[0] == 200, path
    loaded = maps.read_text()
    assert "torch" not in loaded
    assert "matplotlib" not in loaded


@pytest.mark.slow
def test_the_pictures_of_the_report(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/runs/runs/first").page
    page.get_by_role("button", name="Show the pictures").click()
    page.locator("#report-pictures img").first.wait_for(timeout=300_000)
    assert page.locator("#report-pictures img").count() > 5
    assert (
        page.locator("#report-pictures img").first.evaluate("image => image.decode().then(() => image.naturalWidth)")
        > 0
    )
    status, body, headers = shown.fetch("/v1/run-report?run=runs/first")
    assert status == 200
    assert b"selfmm report" in body
    assert "attachment" in headers["content-disposition"]


def test_the_page_of_a_mean_of_runs(serve: Any, workspace: Path, averaged: SentimentModel, tmp_path: Path) -> None:
    shown = serve(make_mean(workspace, averaged.folder.path, tmp_path / "root"))
    status, body, _ = shown.fetch("/runs/runs/mean")
    text = body.decode()
    assert status == 200
    assert "Its scores are the means of those of 2 runs." in text
    assert "This run was not trained: its scores are the means of those of a, b." in text
    assert "selfmm ensemble a b --out runs/mean-again" in text
    assert "curves" not in text.partition('id="training"')[2].partition("</section>")[0]
    assert json.loads(shown.fetch("/v1/run-history?run=runs/mean")[1])["best"] is None
