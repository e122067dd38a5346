"""Clips are rated in a browser: by keys, blind, by two people at once; and nothing is lost when something dies."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pandas as pd
import pytest

from features.recordings import grey, tone, write_recording
from selfmm import api
from selfmm.api import Act
from selfmm.data.planted import PlantedSettings, write_planted

Visit = Callable[..., Any]
Serve = Callable[..., Any]
CLIPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings that are not a data set yet: five videos, and words for the first two."""
    root = tmp_path_factory.mktemp("rating")
    (root / "talks").mkdir()
    for number in range(CLIPS):
        write_recording(
            root / "talks" / f"clip{number}.webm", seconds=1.0, sound=tone(1.0, hertz=200 + 40 * number), pictures=grey
        )
    (root / "talks" / "clip0.txt").write_text("what a wonderful day")
    (root / "talks" / "clip1.txt").write_text("this was awful")
    return root


@pytest.fixture(scope="module")
def rating(serve: Serve, folder: Path) -> Any:
    """The app for ``folder``."""
    return serve(folder)


@pytest.fixture(autouse=True)
def unrated(request: pytest.FixtureRequest) -> None:
    if "folder" in request.fixturenames:
        request.getfixturevalue("folder").joinpath("talks-ratings.jsonl").unlink(missing_ok=True)


def acts(folder: Path, source: str = "talks") -> list[Act]:
    return api.open_ratings(folder / source).acts()


def labels(folder: Path, rater: str = "Ann") -> dict[str, float | None]:
    return {act.id: act.label for act in acts(folder) if act.rater == rater}


def begin(visit: Visit, served: Any, query: str = "", *, rater: str = "Ann", source: str = "talks", **how: Any) -> Any:
    """Open the setup, give a name, and start; or with a query go to its session at once."""
    return start(visit(served, f"/rate/{source}", **how), query, rater, source)


def start(window: Any, query: str = "", rater: str = "Ann", source: str = "talks") -> Any:
    page = window.page
    if query:
        page.evaluate(f"localStorage.setItem('selfmm.rater', {json.dumps(rater)})")
        window.go(f"/rate/{source}?view=rate&{query}")
    else:
        page.fill("#name", rater)
        page.click("text=Start rating")
    page.wait_for_selector("#stage > *")
    return page


def clip(page: Any) -> str:
    return str(parse_qs(urlsplit(page.url).query)["clip"][0])


def saved(page: Any) -> None:
    page.wait_for_selector("#saved:text-is('saved')")


def refused(window: Any) -> None:
    """Take the complaints of the browser about a server that is not there off the list."""
    window.complaints[:] = [line for line in window.complaints if "net::ERR_" not in line]


def press(page: Any, key: str) -> None:
    """Press a key, once the clip of the link is shown."""
    page.wait_for_selector("#stage > *")
    page.keyboard.press(key)
    page.wait_for_timeout(100)


def test_the_keys(rating: Any, folder: Path, visit: Visit) -> None:
    page = begin(visit, rating)
    assert clip(page) == "clip0"
    press(page, "7")
    assert clip(page) == "clip1"
    press(page, "1")
    press(page, "s")
    press(page, "5")
    saved(page)
    assert labels(folder) == {"clip0": 3, "clip1": -3, "clip2": None, "clip3": 1}
    press(page, "u")
    assert clip(page) == "clip3"
    press(page, "u")
    assert clip(page) == "clip2"
    press(page, "k")
    assert clip(page) == "clip1"
    assert page.locator(".label[aria-pressed=true]").inner_text().split() == ["−3", "1"]
    press(page, "6")
    saved(page)
    assert labels(folder) == {"clip0": 3, "clip1": 2}
    press(page, "u")
    saved(page)
    page.wait_for_timeout(300)
    assert labels(folder) == {"clip0": 3, "clip1": -3}
    press(page, "j")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("3")  # not while the help is open
    page.keyboard.press("Escape")
    assert labels(folder) == {"clip0": 3, "clip1": -3}


def test_space_plays_and_the_slider_gives_any_value(rating: Any, folder: Path, visit: Visit) -> None:
    page = begin(visit, rating)
    page.wait_for_selector(".play:not(.playing)")  # it played by itself, to its end
    page.keyboard.press(" ")
    page.wait_for_selector(".play.playing")
    page.keyboard.press(" ")
    page.wait_for_selector(".play:not(.playing)")
    page.focus("#slider")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#give") == "Give +0.7"
    page.keyboard.press("Enter")
    saved(page)
    assert labels(folder) == {"clip0": 0.7}
    assert acts(folder)[0].seconds is not None


def test_everything_works_without_a_mouse_and_the_back_button_leads_back(rating: Any, visit: Visit) -> None:
    page = visit(rating, "/rate").page
    page.get_by_role("link", name="talks").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#targets input")
    page.fill("#name", "Ann")
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage > *")
    page.go_back()
    page.wait_for_selector("#setup:visible")
    page.go_forward()
    page.wait_for_selector("#session:visible")


@pytest.mark.parametrize(
    ("target", "mode", "shown", "hidden"),
    [
        ("text", "words", ".words", "video, audio, canvas"),
        ("audio", "sound", "audio", "video, .words"),
        ("audio", "filtered sound", "audio", "video, .words"),
        ("vision", "pictures", "video", "audio, .words"),
        ("clip", "sound", "audio", "video, .words"),
        ("clip", "all", "video", "audio"),
    ],
)
def test_a_blind_rater_sees_only_what_is_rated(
    rating: Any, folder: Path, visit: Visit, target: str, mode: str, shown: str, hidden: str
) -> None:
    page = begin(visit, rating, f"target={target}&mode={quote(mode)}")
    assert page.locator(f"#stage {shown}").count() == 1
    assert page.locator(f"#stage :is({hidden})").count() == 0
    if mode == "pictures":
        page.evaluate("const video = document.querySelector('video'); video.muted = false; video.volume = 1")
        page.wait_for_timeout(100)
        assert page.evaluate("document.querySelector('video').muted")
    if mode != "all":
        assert page.inner_text("#clip-id") == ""
    answer = rating.fetch(f"/v1/ratings/clips?source=talks&clip=clip0&target={target}&mode={quote(mode)}")[1]
    assert (b"wonderful" in answer) == (mode in ("all", "words"))
    assert (b"what=video" in answer) == (mode in ("all", "pictures"))
    press(page, "6")
    saved(page)
    assert [(act.target, act.mode, act.label) for act in acts(folder)] == [(target, mode, 2.0)]


def test_the_filtered_sound_is_another_one(rating: Any) -> None:
    sounds = [
        rating.fetch(f"/v1/ratings/media?source=talks&clip=clip0&what={what}")[1] for what in ("sound", "filtered")
    ]
    assert all(sound.startswith(b"RIFF") for sound in sounds)
    assert sounds[0] != sounds[1]


def test_each_part_in_turn(rating: Any, folder: Path, visit: Visit) -> None:
    page = begin(visit, rating, "target=parts&mode=blind")
    assert page.inner_text("#count") == "0 of 12 done"  # two clips have words
    for _ in range(3):
        press(page, "4")
    saved(page)
    assert [(act.id, act.target, act.mode) for act in acts(folder)] == [
        ("clip0", "text", "words"),
        ("clip1", "text", "words"),
        ("clip0", "audio", "sound"),
    ]


def test_two_raters_at_once(rating: Any, folder: Path, visit: Visit) -> None:
    ann, bo = begin(visit, rating), begin(visit, rating, rater="Bo")
    for key_ann, key_bo in ("17", "44", "55", "61", "77"):
        press(ann, key_ann)
        press(bo, key_bo)
    for page in (ann, bo):
        page.wait_for_selector("#finished:visible")
    ann.wait_for_timeout(500)
    assert list(labels(folder).values()) == [-3, 0, 1, 2, 3]
    assert list(labels(folder, "Bo").values()) == [3, 0, 1, -3, 3]
    ann.click("text=See the agreement")
    ann.wait_for_selector(".disagreements li")
    rows = ann.locator(".disagreements li")
    assert rows.count() == 2
    assert rows.first.locator("a").inner_text() == "clip0"
    assert "too few to tell" in ann.inner_text("#agreement-cards")
    rows.first.locator("a").click()
    ann.wait_for_selector("#stage > *")
    assert ann.locator(".label[aria-pressed=true]").inner_text().split()[0] == "−3"
    press(ann, "7")
    saved(ann)
    assert labels(folder)["clip0"] == 3


def test_the_files(rating: Any, folder: Path, visit: Visit) -> None:
    status, content, _ = rating.fetch("/v1/ratings/file?source=talks&format=csv")
    assert status == 422
    assert "nobody has rated a clip yet" in json.loads(content)["error"]
    api.open_ratings(folder / "talks").add(
        Act("clip0", "clip", "=Ann", label=1.0), Act("clip1", "text", "Bo", label=2.0)
    )
    page = visit(rating, "/rate/talks?view=agreement").page
    page.wait_for_selector("#exports:visible")
    with page.expect_download() as download:
        page.click("#exports >> text=CSV")
    table = pd.read_csv(download.value.path())
    assert download.value.suggested_filename == "talks-ratings.csv"
    assert table["rater"].tolist() == ["'=Ann", "Bo"]
    for suffix in ("xlsx", "json", "parquet", "jsonl"):
        status, content, headers = rating.fetch(f"/v1/ratings/file?source=talks&format={suffix}")
        assert status == 200
        assert len(content) > 50
        assert "attachment" in headers["content-disposition"]


def test_nothing_is_lost_when_the_server_is_killed(serve: Serve, folder: Path, visit: Visit) -> None:
    served = serve(folder)
    window = visit(served, "/rate/talks")
    page = start(window)
    press(page, "6")
    saved(page)
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()
    press(page, "5")
    press(page, "4")
    page.wait_for_selector("#waiting:visible")
    assert "2 ratings wait in this browser and will be sent when selfmm answers again" in page.inner_text("#waiting")
    assert labels(folder) == {"clip0": 2}
    port = urlsplit(served.link).port
    serve(folder, "--port", str(port))
    page.wait_for_selector("#waiting", state="hidden")
    assert labels(folder) == {"clip0": 2, "clip1": 1, "clip2": 0}
    press(page, "u")
    saved(page)
    page.wait_for_timeout(300)
    assert labels(folder) == {"clip0": 2, "clip1": 1}
    refused(window)


def test_nothing_is_lost_when_the_browser_is_closed_too(serve: Serve, folder: Path, visit: Visit) -> None:
    served = serve(folder)
    window = visit(served, "/rate/talks")
    page = start(window)
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()
    press(page, "7")
    page.wait_for_selector("#waiting:visible")
    context = page.context
    page.close(run_before_unload=False)
    again = serve(folder, "--port", str(urlsplit(served.link).port))
    page = context.new_page()
    page.goto(again.link.replace("/?", "/rate/talks?"))
    page.wait_for_timeout(1000)
    assert labels(folder) == {"clip0": 3}
    refused(window)


def test_a_wrong_act_is_refused_with_a_reason(rating: Any, folder: Path) -> None:
    def post(content: object) -> tuple[int, str]:
        status, answer, _ = rating.fetch("/v1/ratings", data=json.dumps(content).encode(), method="POST")
        return status, json.loads(answer).get("error", "")

    good = {"id": "clip0", "target": "clip", "rater": "Ann", "label": 1.0}
    assert post({"source": "talks", "acts": [{**good, "label": 9}]})[0] == 400
    assert post({"source": "talks", "acts": [{**good, "id": "nobody"}]}) == (404, "There is no clip 'nobody' in talks.")
    assert post({"source": "talks", "acts": [{"id": "clip0"}]})[0] == 400
    assert post({"source": "talks", "acts": [3]})[0] == 400
    assert post({"source": "talks", "acts": []})[0] == 400
    assert post({"source": "elsewhere", "acts": [good]})[0] == 404
    assert post({"source": "../..", "acts": [good]})[0] == 404
    assert post([])[0] == 400
    assert rating.fetch("/v1/ratings", data=b"{", method="POST")[0] == 400
    assert post({"source": "talks", "acts": [{**good, "label": 10**400}]})[0] == 400  # more than a float holds
    assert post({"source": "talks", "acts": ["clip0"]})[1] == (
        "This is not an act: an act is an object with id, target and rater."
    )
    assert acts(folder) == []
    assert post({"source": "talks", "acts": [{**good, "time": "1999", "seconds": 10**400}]}) == (200, "")
    assert acts(folder)[0].time > "2020"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/tasks?source=talks&order=random&seed=" + "9" * 5000, None, 200),
        ("/tasks?source=talks&order=random&seed=-1", None, 200),
        ("", b'{"a":' * 100_000, 400),
        ("/scale", b'{"source": "talks", "range": [0, 1' + b"0" * 400 + b"]}", 400),
        ("/scale", b'{"source": "talks", "range": [-1e308, 1e308]}', 400),
        ("/scale", b'{"source": "talks", "range": [0, 1e-320]}', 400),
        ("/scale", b'{"source": "talks", "range": [false, true]}', 400),
        ("/proposals", b'{"source": "talks", "run": "talks"}', 404),  # a folder, but not a run
        ("/proposals", b'{"source": "talks", "run": ""}', 404),
        ("/proposals", b'{"source": "talks", "run": "labels:starter"}', 404),
    ],
)
def test_odd_requests_have_an_answer(rating: Any, path: str, body: bytes | None, status: int) -> None:
    code, content, _ = rating.fetch(f"/v1/ratings{path}", data=body)
    assert code == status, content


def test_names_that_are_not_utf_8(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    write_recording(folder / "a.wav", seconds=0.5, sound=tone(0.5))
    (tmp_path / "talks").mkdir()
    write_recording(tmp_path / "talks" / os.fsdecode(b"\xe9.wav"), seconds=0.5, sound=tone(0.5))
    write_planted(tmp_path / "data", PlantedSettings(clips=6))
    (tmp_path / "data").rename(tmp_path / os.fsdecode(b"d\xe9"))
    served = serve(tmp_path)
    for path, status, sentence in (
        ("/", 200, b"/score?folder=caf%E9"),
        ("/rate", 200, b"is not UTF-8"),
        ("/rate/caf%E9", 400, b"Rename the folder"),
        ("/rate/talks", 422, b"Rename the files"),
        ("/data/d%E9", 400, b"Rename the folder"),
    ):
        code, content, _ = served.fetch(path)
        assert (path, code, sentence in content) == (path, status, True)


def test_a_proposal_shows_its_band(served: Any, visit: Visit) -> None:
    page = begin(visit, served, "target=clip&mode=words&by=runs/first&propose=1", source="data")
    page.wait_for_selector("#accept:visible")
    assert re.search(r"Accept [+−]?\d\S*\s+4 of 5 within [+−]?\d.* to [+−]?\d", page.inner_text("#accept"))


def test_a_click_that_follows_the_name_is_not_lost(rating: Any, visit: Visit) -> None:
    window = visit(rating, "/rate/talks")
    page = window.page
    page.wait_for_selector("#modes input")
    page.focus("#name")
    page.keyboard.type("Ann")
    page.hover("#modes >> text=Pictures only")
    page.mouse.down()  # the name loses the focus, and the page asks the server for the work of Ann
    page.wait_for_timeout(700)
    page.mouse.up()
    assert page.is_checked("#modes input[value=pictures]")
    window.go("/rate/talks?mode=pictures")
    page.wait_for_selector("#modes input[value=pictures]:checked")
    page.click("#modes >> text=Words only")
    page.fill("#name", "Bo")
    page.focus("#order")
    page.wait_for_timeout(700)
    assert page.is_checked("#modes input[value=words]")


def test_a_part_is_rated_blind_unless_chosen_otherwise(rating: Any, visit: Visit) -> None:
    page = visit(rating, "/rate/talks").page
    page.wait_for_selector("#modes input[value=all]:checked")
    for part, mode in (("Voice alone", "sound"), ("Words alone", "words"), ("All three parts", "blind")):
        page.click(f"#targets >> text={part}")
        assert page.is_checked(f"#modes input[value={mode}]")
    page.click("#targets >> text=Whole clip")
    assert page.is_checked("#modes input[value=all]")
    passes = json.loads(rating.fetch("/v1/ratings/tasks?source=talks&target=audio")[1])["passes"]
    assert [entry["mode"] for entry in passes] == ["sound"]


def test_rating_waits_for_the_scores_it_needs(rating: Any, visit: Visit) -> None:
    window = visit(rating, "/rate/talks")
    page = window.page
    page.fill("#name", "Ann")
    page.wait_for_selector("#by option[value=starter]", state="attached")
    page.select_option("#order", "disagreement")
    for run, sentence in (("", "This order needs scores."), ("starter", "has not scored these clips yet")):
        page.select_option("#by", run)
        page.wait_for_selector(f"#scores:has-text('{sentence}')")
        page.click("text=Start rating")
        page.wait_for_selector("#scores.problem")
        assert page.is_visible("#setup")
    window.go("/rate/talks?view=rate&order=disagreement&by=starter")
    page.wait_for_selector(".notice:has-text('Score them first')")
    page.wait_for_selector("#setup:visible")


def test_the_first_clips_of_an_order_are_the_same_for_everybody(rating: Any, visit: Visit) -> None:
    def ids(query: str) -> list[str]:
        return list(json.loads(rating.fetch(f"/v1/ratings/tasks?source=talks&{query}")[1])["ids"])

    everything = ids("order=random&seed=3")
    assert ids("order=random&seed=3&most=2&rater=Ann") == ids("order=random&seed=3&most=2&rater=Bo") == everything[:2]
    assert ids("most=2&target=text") == ["clip0", "clip1"]
    assert ids("most=0") == ids("most=x") == ids("most=99") == [f"clip{number}" for number in range(CLIPS)]
    seen = []
    for rater in ("Ann", "Bo"):
        page = visit(rating, "/rate/talks").page
        page.fill("#name", rater)
        page.select_option("#order", "random")
        page.fill("#most", "2")
        page.click("text=Start rating")
        page.wait_for_selector("#stage > *")
        assert page.inner_text("#count") == "0 of 2 done"
        seen.append((clip(page), parse_qs(urlsplit(page.url).query)["most"]))
    assert seen[0] == seen[1]


def test_the_labels_of_a_run_can_be_rated(served: Any, visit: Visit) -> None:
    page = visit(served, "/runs/runs/first?view=labels").page
    page.click("text=Rate these labels")
    page.wait_for_selector("#targets input")
    assert page.is_checked("#targets input[value=text]")  # this data set can show its words only
    assert page.is_checked("#modes input[value=words]")
    assert page.input_value("#by") == "labels:runs/first"
    assert page.is_checked("#propose")
    page.fill("#name", "Ann")
    page.click("text=Start rating")
    page.wait_for_selector("#accept:visible")
    assert "A label that runs/first generated" in page.get_attribute("#accept", "title")


def test_only_people_who_saw_the_same_are_compared(rating: Any, folder: Path, visit: Visit) -> None:
    api.open_ratings(folder / "talks").add(
        *(Act(f"clip{n}", "clip", "Ann", label=float(n), mode="pictures") for n in range(3)),
        *(Act(f"clip{n}", "clip", "Bo", label=-1.0) for n in range(3)),
    )
    page = visit(rating, "/rate/talks?view=agreement").page
    page.wait_for_selector(".disagreements li")
    cards = page.locator(".alpha").all_inner_texts()
    assert [text.splitlines()[0].lower() for text in cards] == ["whole clip: pictures only", "whole clip: everything"]
    assert all("No clip has been rated by two people who saw and heard the same" in text for text in cards)
    assert "Ann pictures only, Bo everything" in page.locator(".disagreements li").first.inner_text()
    with page.expect_download() as download:
        page.click("#exports >> text=CSV")
    assert pd.read_csv(download.value.path())["mode"].tolist() == ["pictures"] * 3 + ["all"] * 3


def test_a_folder_that_cannot_be_written_is_not_a_server_that_is_away(rating: Any, visit: Visit) -> None:
    window = visit(rating, "/rate/talks")
    page = start(window)
    sentence = "cannot write talks-ratings.jsonl: the file system is read-only"
    page.route("**/v1/ratings", lambda route: route.fulfill(status=507, json={"error": sentence}))
    press(page, "6")
    page.wait_for_selector("#waiting:visible")
    assert "will be sent when they can be written" in page.inner_text("#waiting")
    assert sentence in page.inner_text("#waiting")
    assert "selfmm answers again" not in page.inner_text("#waiting")
    page.unroute("**/v1/ratings")
    page.wait_for_selector("#waiting", state="hidden")
    page.route(
        "**/v1/ratings?*", lambda route: route.fulfill(json={**route.fetch().json(), "problem": "It is locked."})
    )
    window.go("/rate/talks")
    page.wait_for_selector("#problem:visible")
    assert page.inner_text("#problem") == "Ratings cannot be saved here. It is locked."
    assert page.is_disabled("#begin")
    window.complaints[:] = [line for line in window.complaints if "507" not in line]


@pytest.mark.parametrize("steps", [1, 4], ids=["fetched before", "not fetched"])
def test_the_clip_plays_when_the_server_is_back(serve: Serve, folder: Path, visit: Visit, steps: int) -> None:
    served = serve(folder)
    window = visit(served, "/rate/talks")
    page = start(window)
    page.wait_for_timeout(1500)  # what to show of the next clips is there
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()
    for _ in range(steps):
        press(page, "j")
    page.wait_for_selector("#stage .problem:has-text('selfmm does not answer')")
    serve(folder, "--port", str(urlsplit(served.link).port))
    page.wait_for_selector("#stage .problem", state="detached")
    page.wait_for_selector(".time:text-matches('/ 0:0[1-9]')")  # its length is known
    refused(window)


def test_the_labels_of_a_table_count_only_if_chosen(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    (tmp_path / "talks").mkdir()
    for number in range(12):
        write_recording(tmp_path / "talks" / f"{number}.wav", seconds=0.2, sound=tone(0.2))
    rows = [{"path": f"{n}.wav", "text": "so it goes", "label": 1.0, "label_text": 2.0} for n in range(12)]
    pd.DataFrame(rows).to_csv(tmp_path / "talks" / "clips.csv", index=False)
    served = serve(tmp_path)
    window = visit(served, "/rate/talks")
    page = window.page
    page.wait_for_selector("#listed:visible")
    assert "The table clips.csv in this folder gives the words of 12 clips" in page.inner_text("#listed")
    api.open_ratings(tmp_path / "talks").add(Act("0", "clip", "Ann", label=-1.0))
    window.go("/rate/talks?view=train")
    page.wait_for_selector("#train-listed:visible")
    assert "labels in the table clips.csv: of 12 whole clips, the words of 12 clips" in page.inner_text("#train-listed")
    assert not page.is_checked("#listed-labels")
    assert page.is_disabled("#train-start")
    assert "Rate 9 more whole clips" in page.inner_text("#train-problem")
    page.check("#listed-labels")
    page.wait_for_selector("#train-start:enabled")


def test_what_cannot_be_shown_is_not_offered(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    write_planted(tmp_path / "data", PlantedSettings(clips=6))  # words and features, no recordings
    served = serve(tmp_path)
    page = visit(served, "/rate/data").page
    page.wait_for_selector("#targets input")
    assert page.locator("#targets b").all_inner_texts() == ["Whole clip", "Words alone"]
    assert page.locator("#modes b").all_inner_texts() == ["Words only"]
    status, content, _ = served.fetch("/v1/ratings/tasks?source=data&target=audio")
    assert (status, "cannot be rated here" in json.loads(content)["error"]) == (400, True)


def test_the_scale_is_chosen_once(rating: Any, folder: Path, visit: Visit) -> None:
    window = visit(rating, "/rate/talks")
    page = window.page
    page.fill("#name", "Ann")
    page.select_option("#scale", "1,5")
    page.click("text=Start rating")
    pytest.importorskip("playwright.sync_api").expect(page.locator(".label")).to_have_count(5)
    press(page, "5")
    saved(page)
    assert labels(folder) == {"clip0": 5}
    window.go("/rate/talks")
    page.wait_for_selector("#targets input")
    assert not page.is_visible("#scale")


def test_a_data_set_with_the_proposals_of_a_run(served: Any, workspace: Path, visit: Visit) -> None:
    scores = pd.read_parquet(workspace / "runs" / "first" / "predictions.parquet").set_index("id")
    window = visit(served, "/rate/data")
    page = window.page
    page.fill("#name", "Ann")
    page.wait_for_selector("#by option[value='runs/first']", state="attached")
    page.select_option("#by", "runs/first")
    page.select_option("#order", "disagreement")
    page.check("#propose")
    page.click("text=Start rating")
    page.wait_for_selector("#accept:visible")
    columns = scores[["score_text", "score_audio", "score_vision"]]
    assert clip(page) == (columns.max(axis=1) - columns.min(axis=1)).idxmax()
    proposed = round(float(scores["score"].clip(-3, 3)[clip(page)]), 2)
    first = clip(page)
    press(page, "a")
    saved(page)
    act = next(act for act in acts(workspace, "data") if act.rater == "Ann")
    assert (act.id, act.label, act.proposal, act.accepted) == (first, proposed, proposed, True)
    window.go("/rate/data?view=rate&target=text&mode=all&by=labels%3Aruns/first&propose=1")
    page.wait_for_selector("#accept:visible")
    generated = api.labels(workspace / "runs" / "first").set_index("id")["label_text"]
    assert f"{abs(round(generated[clip(page)], 2)):.2f}".rstrip("0").rstrip(".") in page.inner_text("#accept")
    (workspace / "data-ratings.jsonl").unlink()


def test_only_recordings_of_the_folder_are_served(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "shown"
    root.mkdir()
    write_recording(tmp_path / "secret.wav", seconds=0.5, sound=tone(0.5))
    pd.DataFrame({"id": ["a"], "path": ["../secret.wav"], "text": ["said"]}).to_csv(root / "clips.csv", index=False)
    write_recording(root / "b.wav", seconds=0.5, sound=tone(0.5))
    served = serve(root)
    status, content, _ = served.fetch("/v1/ratings/clips?source=.&clip=a&mode=all")
    assert (status, "is outside the folder" in json.loads(content)["clips"][0]["problem"]) == (200, True)
    for what in ("sound", "video"):
        assert served.fetch(f"/v1/ratings/media?source=.&clip=a&what={what}")[0] == 404


def test_the_folder_itself_can_be_rated(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    write_recording(tmp_path / "a.wav", seconds=0.5, sound=tone(0.5))
    served = serve(tmp_path)
    page = visit(served, "/rate").page
    page.click(".sources a")
    page.wait_for_selector("#targets input")
    page.fill("#name", "Ann")
    page.click("text=Start rating")
    page.wait_for_selector("#stage audio", state="attached")
    press(page, "1")
    page.wait_for_selector("#finished:visible")
    page.wait_for_timeout(300)
    assert [act.label for act in api.open_ratings(tmp_path, root=tmp_path).acts()] == [-3]
    assert (tmp_path / f"{tmp_path.name}-ratings.jsonl").is_file()


def test_a_training_is_a_job_whose_run_has_a_link(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    data = write_planted(tmp_path / "data", PlantedSettings(clips=30))
    served = serve(tmp_path)
    page = visit(served, "/rate/data?view=train").page
    page.wait_for_selector("#train-problem:visible")
    assert page.inner_text("#train-problem") == "Nobody has rated a clip yet."
    assert page.is_disabled("#train-start")
    ids = data.samples["id"].tolist()
    ratings = api.open_ratings(tmp_path / "data")
    ratings.add(*(Act(clip, "clip", "Ann", label=1.0) for clip in ids[:12]), Act(ids[0], "audio", "Ann", label=2.0))
    page.reload()
    page.wait_for_selector("#train-steps li")
    assert "12 whole clips of 30 rated by one person; ratings of single parts: 1 of the voice" in page.inner_text(
        "#train-counts"
    )
    assert "moves its scores towards your ratings" in page.inner_text("#train-expect")
    page.click("#train-start")
    page.wait_for_selector("#train-job a")
    jobs = served.fetch("/v1/jobs/" + page.get_attribute("#train-job a:has-text('it')", "href").split("/")[-1])
    assert [command.split()[1] for command in json.loads(jobs[1])["commands"]] == ["labels", "train"]
    assert served.fetch("/v1/ratings/train", data=b'{"source": "data"}')[0] == 429  # it would write to the same folders
    page.reload()
    page.wait_for_selector("#train-job .state")  # the page still shows the training
    deadline = time.monotonic() + 120
    while not (tmp_path / "data-rated" / "corrections.parquet").is_file() and time.monotonic() < deadline:
        time.sleep(0.2)
    copy = api.open_dataset(tmp_path / "data-rated")
    assert copy[ids[3]].label == 1.0
    assert data[ids[3]].label != 1.0
    assert copy.corrections["id"].tolist() == [ids[0]]


def test_too_few_recordings_to_train_on(rating: Any, folder: Path, visit: Visit) -> None:
    api.open_ratings(folder / "talks").add(*(Act(f"clip{n}", "clip", "Ann", label=1.0) for n in range(CLIPS)))
    page = visit(rating, "/rate/talks?view=train").page
    page.wait_for_selector("#train-problem:visible")
    assert "5 clips with a label for the whole clip are too few to learn from. Rate 5 more" in page.inner_text("#train")
    body = json.dumps({"source": "talks"}).encode()
    assert rating.fetch("/v1/ratings/train", data=body, method="POST")[0] == 400


def test_what_cannot_be_rated_is_said_in_a_sentence(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    served = serve(tmp_path)
    assert "There is nothing to rate yet" in visit(served, "/rate").page.inner_text("main")
    (tmp_path / "empty").mkdir()
    for path, status, sentence in (
        ("/rate/empty", 422, b"holds no recording"),
        ("/rate/gone", 404, b"It may have been moved or deleted."),
        ("/rate/..%2F..%2Fetc", 404, b"That did not work"),
    ):
        code, content, _ = served.fetch(path)
        assert (code, sentence in content, b"Traceback" in content) == (status, True, False)


def test_hostile_names_are_shown_as_they_are(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    name = '<img src=x onerror=alert(1)> "&'
    (tmp_path / name).mkdir()
    for number in range(2):
        write_recording(tmp_path / name / f"<b>{number}&.webm", seconds=0.5, sound=tone(0.5), pictures=grey)
    served = serve(tmp_path)
    page = visit(served, "/rate").page
    page.click(f"text={name}")
    page.wait_for_selector("#targets input")
    page.fill("#name", "<i>Ann</i>")
    page.click("text=Start rating")
    page.wait_for_selector("#stage video")
    press(page, "7")
    saved(page)
    assert acts(tmp_path, name)[0].rater == "<i>Ann</i>"
    page.click("text=Agreement")
    page.wait_for_selector("#agreement-cards li")
    assert "<i>Ann</i>" in page.inner_text("#agreement-cards")
    assert page.locator("main img, main i").count() == 0


def test_ten_thousand_clips(serve: Serve, tmp_path: Path, visit: Visit) -> None:
    write_planted(tmp_path / "data", PlantedSettings(clips=10_000))
    served = serve(tmp_path)
    served.fetch("/v1/ratings?source=data")
    page = visit(served, "/").page
    page.evaluate("localStorage.setItem('selfmm.rater', 'Ann')")
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    page.goto(f"{served.base}/rate/data?view=rate&target=text&mode=words")
    page.wait_for_selector("#stage > *")
    assert sum(sizes) < 500_000
    page.reload()
    page.wait_for_selector("#stage > *")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted < 1000, f"{painted:.0f} ms on a busy machine"
    began = time.monotonic()
    for _ in range(10):
        press(page, "5")
    assert time.monotonic() - began < 10
    saved(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/rate",
        "/rate/talks",
        "/rate/talks?view=rate&target=clip&mode=all",
        "/rate/talks?view=agreement",
        "/rate/talks?view=train",
    ],
)
def test_everybody_can_use_it(rating: Any, folder: Path, visit: Visit, path: str, dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks the pages")
    api.open_ratings(folder / "talks").add(
        *(Act(f"clip{n}", "clip", who, label=float(n - 2)) for n in range(4) for who in ("Ann", "Bo")),
        Act("clip0", "clip", "Bo", label=3.0),
    )
    window = visit(rating, "/rate", width=360, height=740, dark=dark)
    window.page.evaluate("localStorage.setItem('selfmm.rater', 'Ann')")
    window.go(path)
    window.page.wait_for_load_state("networkidle")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    found = axe.Axe().run(window.page).response["violations"]
    assert [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ] == []
