"""The Data screen in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest

from app.studio import HOSTILE, TALK
from selfmm.data.planted import PlantedSettings, write_planted

Visit = Callable[..., Any]

TALKS = "/data/talks"


@pytest.fixture(scope="module")
def shown(serve: Callable[..., Any], studio: Path) -> Any:
    return serve(studio)


def ids(served: Any, query: str = "", data: str = "talks") -> list[str]:
    return [row["id"] for row in json.loads(served.fetch(f"/v1/datasets/{data}/clips?{query}")[1])["rows"]]


def listed(page: Any) -> list[str]:
    """The ids of the clips in the table, from the top."""
    lines: list[str] = page.locator(".clip-table .sub").all_inner_texts()
    return [line.split(" · ")[0] for line in lines]


def wait_for_count(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('count')?.innerText === text", arg=text)


def test_all_data_sets_with_what_they_hold(shown: Any, visit: Visit) -> None:
    window = visit(shown, "/data")
    page = window.page
    assert page.get_by_role("heading", name="Data sets").is_visible()
    card = page.get_by_role("link", name=re.compile("^talks"))
    card.get_by_text("60 clips · text, audio, vision · labels from −3 to 3").wait_for()
    assert card.locator("rect").count() == 31
    page.get_by_role("link", name=re.compile("^broken")).get_by_text("cannot read").wait_for()
    window.complaints[:] = [line for line in window.complaints if "422" not in line]  # the browser notes the damage
    card.click()
    assert page.get_by_role("heading", name="talks").is_visible()


def test_filters_are_in_the_link_and_the_back_button_undoes_them(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS).page
    wait_for_count(page, "60 clips")
    page.get_by_label("Split", exact=True).select_option("valid")
    valid = ids(shown, "split=valid")
    wait_for_count(page, f"{len(valid)} of 60 clips")
    assert listed(page) == valid
    page.get_by_label("Modalities", exact=True).select_option("no")
    agree = ids(shown, "split=valid&disagree=no")
    wait_for_count(page, f"{len(agree)} of 60 clips")
    assert "split=valid&disagree=no" in page.url
    page.reload()
    assert page.get_by_label("Split", exact=True).input_value() == "valid"
    assert listed(page) == agree
    page.go_back()
    wait_for_count(page, f"{len(valid)} of 60 clips")
    assert page.get_by_label("Modalities", exact=True).input_value() == ""
    page.get_by_role("button", name="Clear filters").click()
    wait_for_count(page, "60 clips")
    assert "split" not in page.url


def test_search_finds_words_and_ids_while_typing(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS).page
    page.keyboard.press("/")
    clip = ids(shown)[7]
    page.keyboard.type(clip)
    wait_for_count(page, "1 of 60 clips")
    assert listed(page) == [clip]
    page.get_by_label("Search in words and ids").fill("no such words anywhere")
    page.get_by_text("No clip passes these filters").wait_for()
    page.get_by_role("button", name="Clear them").click()
    wait_for_count(page, "60 clips")


def test_the_histogram_is_brushed_by_keyboard_and_by_mouse(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS).page
    lowest = page.get_by_label("Lowest label")
    lowest.focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    assert lowest.get_attribute("aria-valuetext") == "−0.1"
    positive = ids(shown, "from=-0.1")
    wait_for_count(page, f"{len(positive)} of 60 clips")
    assert "from=-0.1" in page.url
    box = page.locator("#bars").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 10 / 31 - 1, box["y"] + 20, steps=5)
    page.mouse.up()
    negative = ids(shown, "to=-1.1")
    wait_for_count(page, f"{len(negative)} of 60 clips")
    assert listed(page)[:5] == negative[:5]
    page.get_by_role("button", name="All labels").click()
    wait_for_count(page, "60 clips")


def test_sorting_by_heading_and_by_choice(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS).page
    page.get_by_role("button", name="Label", exact=True).click()
    page.wait_for_url("**sort=-label*")
    page.wait_for_function(
        "id => document.querySelector('.clip-table .sub').innerText.startsWith(id)", arg=ids(shown, "sort=-label")[0]
    )
    page.get_by_role("button", name="Label", exact=True).click()
    page.wait_for_url("**sort=label*")
    page.get_by_label("Sort").select_option("-spread")
    page.wait_for_function(
        "id => document.querySelector('.clip-table .sub').innerText.startsWith(id)", arg=ids(shown, "sort=-spread")[0]
    )


def test_pictures_come_in_the_table_and_the_grid(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS).page
    page.wait_for_function("() => document.querySelector('img.picture')?.naturalWidth > 0")
    page.get_by_role("button", name="Grid").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.clip-grid img')].filter(image => image.naturalWidth).length > 5"
    )
    assert "view=grid" in page.url
    page.locator(".clip-grid a").nth(1).click()
    assert page.get_by_role("heading", name=ids(shown)[1]).is_visible()
    page.get_by_role("link", name="talks").click()
    page.locator(".clip-grid li:not(.space)").first.wait_for()


def test_the_keyboard_goes_through_the_list_and_through_the_clips(shown: Any, visit: Visit) -> None:
    page = visit(shown, f"{TALKS}?split=train").page
    train = ids(shown, "split=train")
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=train[1]).wait_for()
    assert f"2 of {len(train)} in the filter" in page.inner_text(".pager")
    page.get_by_text("No run in this folder").wait_for()  # the script of the page is there
    page.keyboard.press("j")
    page.get_by_role("heading", name=train[2]).wait_for()
    page.get_by_text("No run in this folder").wait_for()
    page.keyboard.press("k")
    page.get_by_role("heading", name=train[1]).wait_for()
    page.go_back()
    page.go_back()
    page.go_back()
    wait_for_count(page, f"{len(train)} of 60 clips")


def test_a_clip_with_labels_raters_words_and_a_player(shown: Any, visit: Visit) -> None:
    clip = ids(shown)[0]
    page = visit(shown, f"{TALKS}?clip={clip}").page
    labels = page.locator(".labels").inner_text()
    assert re.search(r"audio\s+\+1\.50", labels)
    ratings = page.get_by_role("row", name=re.compile("ada audio"))
    assert "+1.00" in ratings.inner_text()
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 1")
    assert page.locator("video").get_attribute("src") == "/media/films/talk.mp4#t=0,0.5"
    page.get_by_role("button", name="good", exact=True).click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= .2")
    page.wait_for_function("() => document.querySelector('video').paused")  # at the end of the clip
    assert page.evaluate("document.querySelector('video').currentTime") < 1.2
    page.get_by_text("No run in this folder was trained on this data set yet").wait_for()
    assert page.locator(".siblings a").count() > 1


def test_a_recording_that_browsers_do_not_play_is_copied(shown: Any, visit: Visit) -> None:
    page = visit(shown, f"{TALKS}?clip={ids(shown)[TALK + 2]}").page
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 1")
    assert 0.4 < page.evaluate("document.querySelector('video').duration") < 0.8


@pytest.mark.parametrize(
    ("row", "sentence"),
    [(57, "is not where the data set says"), (58, "is outside the folder"), (59, "features without recordings")],
)
def test_why_a_clip_cannot_be_played(shown: Any, visit: Visit, row: int, sentence: str) -> None:
    page = visit(shown, f"{TALKS}?clip={ids(shown)[row]}").page
    page.locator("#player").get_by_text(sentence).wait_for()


def test_words_without_times_do_not_stop_the_player(shown: Any, serve: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "talks"
    shutil.copytree(shown.root / "talks", data)
    clip = ids(shown)[3]
    pd.DataFrame({"id": [clip], "word": ["yes"], "start": [float("nan")], "end": [1.0]}).to_parquet(
        data / "words.parquet"
    )
    page = serve(tmp_path).fetch(f"/data/talks?clip={quote(clip)}")[1]
    assert b'data-words="[]"' in page  # NaN is not JSON


def test_scores_in_the_list_have_their_band(served: Any, visit: Visit) -> None:
    page = visit(served, "/data/data?run=runs/first").page
    page.wait_for_selector(".cell-score")
    assert re.search(r"[+−]\d\.\d\d\s+±\d", page.locator(".cell-score").first.inner_text())
    assert "lie within the ± around their score" in page.inner_text("#worth")
    page.get_by_role("button", name="Grid").click()
    page.wait_for_selector(".clip-grid .top")
    assert re.search(r"score [+−]\d\.\d\d\s+±\d", page.locator(".clip-grid .top").first.inner_text())


def test_scores_and_generated_labels_of_a_run(served: Any, visit: Visit) -> None:
    page = visit(served, "/data/data?run=runs%2Ffirst&sort=-error").page
    assert page.get_by_role("columnheader", name="Score").is_visible()
    page.locator(".clip-table a").first.click()
    card = page.locator(".run-cards .card")
    card.wait_for()
    assert "all together" in card.inner_text()
    assert re.search(r"[+−]\d\.\d\d ±\d", card.inner_text())  # every score has its band
    assert "lie within the ± around their score" in card.inner_text()
    split = page.locator(".head p").inner_text().split(" ")[0]
    if split != "train":
        page.goto(served.base + "/data/data?split=train&clip=" + ids(served, "split=train", "data")[0])
        card.wait_for()
    picture = card.get_by_role("img", name=re.compile("Generated labels over 4 epochs"))
    assert picture.locator("polyline").count() == 3


def test_hostile_names_are_only_text(shown: Any, visit: Visit) -> None:
    window = visit(shown, f"/data/hostile/{quote(HOSTILE)}")
    page = window.page
    dialogs: list[str] = []

    def note(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    assert page.get_by_role("heading", name=HOSTILE).is_visible()
    assert HOSTILE in page.locator(".clip-table .words").first.inner_text()
    page.locator(".clip-table a").first.click()
    assert page.get_by_role("heading", name=f"{HOSTILE}/a?b#c&d%20e").is_visible()
    page.get_by_text("No run in this folder").wait_for()
    page.get_by_role("link", name=f"hostile/{HOSTILE}").click()
    wait_for_count(page, "30 clips")
    page.go_back()
    assert dialogs == []
    assert page.locator("main img[onerror]").count() == 0


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/data/gone", 404, "There is no 'gone' in this folder. It may have been moved or deleted."),
        ("/data/films", 404, "'films' is not a data set"),
        ("/data/broken", 422, "Make the data set again"),
        (f"{TALKS}?clip=nobody", 404, "There is no clip 'nobody' in this data set"),
        (f"{TALKS}?sort=beauty", 400, "must be one of"),
    ],
)
def test_what_is_not_there_is_told(shown: Any, path: str, status: int, sentence: str) -> None:
    found, body, _ = shown.fetch(path)
    assert found == status
    assert sentence.replace("'", "&#39;") in body.decode()


def test_no_media_and_no_labels_are_told(shown: Any, visit: Visit) -> None:
    page = visit(shown, "/data/unlabelled").page
    assert "no clip has a label yet" in page.locator(".head").inner_text()
    assert "No clip has a label yet" in page.locator("#histogram").inner_text()
    page.get_by_role("button", name="Grid").click()
    page.locator(".clip-grid li:not(.space)").first.wait_for()
    assert page.get_by_label("Modalities", exact=True).is_disabled()
    page.locator(".clip-grid a").first.click()
    assert "not labelled yet" in page.locator(".labels").inner_text()
    page.get_by_text("features without recordings").wait_for()


def test_a_data_set_that_is_deleted_while_it_is_shown(
    serve: Callable[..., Any], studio: Path, visit: Visit, tmp_path: Path
) -> None:
    shutil.copytree(studio / "plain", tmp_path / "root" / "plain")
    window = visit(serve(tmp_path / "root"), "/data/plain")
    page = window.page
    wait_for_count(page, "30 clips")
    page.wait_for_load_state("networkidle")
    shutil.rmtree(tmp_path / "root" / "plain")
    page.get_by_label("Split", exact=True).select_option("test")
    page.get_by_text("There is no 'plain' in this folder. It may have been moved or deleted.").wait_for()
    window.complaints.clear()  # the browser notes the 404


def test_the_folder_itself_can_be_a_data_set(serve: Callable[..., Any], studio: Path, visit: Visit) -> None:
    page = visit(serve(studio / "plain"), "/data").page
    page.get_by_role("link", name=re.compile("This folder")).click()
    wait_for_count(page, "30 clips")
    page.get_by_label("Split", exact=True).select_option("train")
    page.wait_for_url("**split=train*")
    page.get_by_text(re.compile(r"^\d+ of 30 clips$")).wait_for()  # a row that is being replaced takes no click
    page.locator(".clip-table a").first.click()
    page.get_by_text("No run in this folder").wait_for()
    page.get_by_text("Nothing to fix").wait_for(state="detached")


def test_a_folder_without_data_sets_says_how_to_make_one(
    serve: Callable[..., Any], visit: Visit, tmp_path: Path
) -> None:
    text = visit(serve(tmp_path), "/data").page.inner_text("main")
    assert "There is no data set in this folder yet" in text
    assert "selfmm extract" in text


def test_filters_on_a_phone(shown: Any, visit: Visit) -> None:
    page = visit(shown, TALKS, width=390, height=844).page
    filters = page.get_by_role("search")
    assert not filters.is_visible()
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Split", exact=True).select_option("test")
    count = len(ids(shown, "split=test"))
    page.get_by_role("button", name=f"Show {count} clips").click()
    assert not filters.is_visible()
    assert page.get_by_role("button", name="Filters (1)").is_visible()


_SCROLL = """async () => {
  const gaps = [], rows = [];
  let last = performance.now(), running = true;
  const tick = (now) => {
    gaps.push(now - last);
    last = now;
    rows.push(document.querySelectorAll("tr.clip").length);
    if (running) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  for (let step = 0; step < 90; step++) {
    scrollBy(0, 1200);
    await new Promise((done) => requestAnimationFrame(done));
  }
  running = false;
  return { gaps: gaps.slice(2).sort((a, b) => a - b), most: Math.max(...rows), at: scrollY };
}"""


def test_ten_thousand_clips_are_painted_within_a_second_and_scroll(
    serve: Callable[..., Any], visit: Visit, tmp_path: Path
) -> None:
    write_planted(tmp_path / "root" / "large", PlantedSettings(clips=10_000, missing=0.05))
    served = serve(tmp_path / "root")
    window = visit(served, "/data")
    page = window.page
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    paint_of = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    page.wait_for_load_state("networkidle")
    usual = page.evaluate(paint_of)  # of a page that reads nothing, on a machine that others may keep busy
    paints = []
    for time in range(3):
        os.utime(tmp_path / "root" / "large" / "samples.parquet", (time, time))  # the server reads it again
        window.go("/data/large")
        wait_for_count(page, "10,000 clips")
        paints.append(page.evaluate(paint_of))
    paint = min(paints)
    assert paint < max(1000, 5 * usual)  # ms
    found = page.evaluate(_SCROLL)
    gaps = found["gaps"]
    assert found["at"] > 100_000
    assert found["most"] < 60  # only what is in view is in the page
    assert gaps[len(gaps) // 2] < max(50, usual / 10)  # ms from picture to picture
    page.wait_for_function("() => document.querySelectorAll('tr.clip .wait').length === 0")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    last = json.loads(served.fetch("/v1/datasets/large/clips?offset=9999")[1])["rows"][0]["id"]
    page.get_by_text(last).wait_for()
    assert max(sizes) < 500_000
    page.evaluate("scrollTo(0, 30000)")
    page.wait_for_function("() => document.querySelectorAll('tr.clip .wait').length === 0")
    page.locator("tr.clip").nth(12).click()
    page.locator(".pager").wait_for()
    page.go_back()
    page.wait_for_function("() => Math.abs(scrollY - 30000) < 5")  # the list is found again where it was left
    middle, slow = gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.95)]
    print(f"first paint {paint:.0f} ms (usual {usual:.0f}), from picture to picture {middle:.0f} ms (95%: {slow:.0f})")
    print(f"largest answer {max(sizes) / 1000:.0f} kB")
