"""The Score screen, as people use it: drop, look, select, correct, record, type; and what the server does not serve."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="recordings are read by PyAV")

from features.portraits import clip as real_clip
from features.recordings import write_recording
from selfmm.core import weights
from selfmm.demo.clips import record
from selfmm.demo.scripts import write_scripts
from selfmm.features.clips.listing import read_clips
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.recordings.model import SentimentModel

Visit = Callable[..., Any]
RUN = "runs/clips"
AT = f"?run={RUN}"
PATIENCE = 90_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def voice() -> Floats:
    """12 s of speaking in tones."""
    scripts = write_scripts(7, 0, (1.6, 2.2))
    return np.concatenate([record(script, (1.6, 2.2), "tones") for script in scripts])[: 12 * SOUND_RATE]


@pytest.fixture(scope="module")
def talk(voice: Floats, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("talk") / "talk.wav", sound=voice)


@pytest.fixture(scope="module")
def studio(clip_run: SentimentModel, demo_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that needs no weights, and two films with their words."""
    root = tmp_path_factory.mktemp("studio")
    shutil.copytree(clip_run.folder.path, root / RUN)
    (root / "clips").mkdir()
    for clip in read_clips(demo_clips).clips[:2]:
        shutil.copy(clip.path, root / "clips")
        (root / "clips" / f"{clip.path.stem}.txt").write_text(clip.text or "")
    return root


@pytest.fixture(scope="module")
def app(serve: Callable[..., Any], studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return serve(studio, SELFMM_CACHE=str(tmp_path_factory.mktemp("no_weights")))


def ask(app: Any, path: str, content: Any = None, method: str | None = None) -> tuple[int, Any]:
    data = None if content is None else json.dumps(content).encode()
    headers = {} if content is None else {"content_type": "application/json"}
    status, body, _ = app.fetch(path, data=data, method=method, **headers)
    return status, json.loads(body)


def send(app: Any, file: Path, name: str | None = None, run: str = RUN) -> str:
    path, kind = f"/v1/scores?name={name or file.name}&run={run}", "application/octet-stream"
    status, body, _ = app.fetch(path, data=file.read_bytes(), content_type=kind)
    assert status == 201, body
    return str(json.loads(body)["id"])


def finished(app: Any, number: str, query: str = AT) -> Any:
    """Wait until an entry is scored, with its files."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        _, state = ask(app, f"/v1/scores/{number}{query}")
        if state["status"] == "failed" or (state["status"] == "finished" and state["complete"]):
            return state
        time.sleep(0.1)
    raise AssertionError(state)


@pytest.fixture(scope="module")
def film(app: Any, studio: Path) -> str:
    """The id of a film in the folder, which is scored."""
    [name, *_] = sorted(path.name for path in (studio / "clips").glob("*.mp4"))
    status, added = ask(app, "/v1/scores", {"path": f"clips/{name}", "run": RUN})
    assert status == 201
    assert finished(app, added["id"])["status"] == "finished"
    return str(added["id"])


@pytest.fixture(scope="module")
def spoken(app: Any, talk: Path) -> str:
    """The id of the talk, which is scored."""
    number = send(app, talk)
    assert finished(app, number)["status"] == "finished"
    return number


def opened(visit: Visit, app: Any, number: str, query: str = AT, **how: Any) -> Any:
    page = visit(app, f"/score/{number}{query}", **how).page
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    return page


def test_a_dropped_file_is_scored_and_shown(app: Any, visit: Visit, talk: Path) -> None:
    page = visit(app, f"/score{AT}").page
    page.set_input_files("#files", talk)
    page.wait_for_url("**/score/*", timeout=PATIENCE)
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    assert page.get_by_role("heading", level=1).inner_text() == "talk.wav"
    rows = page.locator("#scores .bar-row").all_inner_texts()
    assert [row.split("\n")[0] for row in rows] == ["All together", "Words", "Voice"]
    assert "no words" in rows[1]
    lanes = page.locator("#lanes").inner_text()
    assert all(name in lanes for name in ("Loudness", "Pitch", "the run does not read the face"))
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Table (CSV)").click()
    table = downloading.value.path().read_text()
    assert downloading.value.suggested_filename == "talk-scores.csv"
    assert table.startswith("id,start,end,score,score_text,score_audio")


def test_a_film_of_the_folder_with_its_words(app: Any, visit: Visit, film: str, studio: Path) -> None:
    page = opened(visit, app, film)
    [text, *_] = [path.read_text() for path in sorted((studio / "clips").glob("*.txt"))]
    assert page.locator("#words").inner_text().split() == text.split()
    shaded = page.locator("#words a.w[title]")
    assert shaded.count() == len(text.split())
    assert all(
        title.startswith(("adds ", "takes away ")) for title in shaded.evaluate_all("all => all.map(a => a.title)")
    )
    shades = "import('/static/score_words.js').then(m => [1, 0.5, 0.01, 0, -0.3, -2, null].map(v => m.shade(v, 1)))"
    assert page.evaluate(shades) == ["p4", "p2", "", "", "n1", "n4", ""]
    shaded.nth(1).click()
    page.wait_for_url("**t=*")
    _, result = ask(app, f"/v1/scores/{film}/result{AT}")
    start = result["timeline"]["words"][1][1]
    assert page.evaluate("document.getElementById('video').currentTime") == pytest.approx(start, abs=0.05)
    assert "now" in (page.locator("#words a").nth(1).get_attribute("class") or "")


def test_a_film_that_the_browser_does_not_play_gets_a_copy(
    app: Any, visit: Visit, voice: Floats, tmp_path: Path
) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    path = write_recording(tmp_path / "old.avi", sound=voice[: 2 * SOUND_RATE], pictures=lambda _: picture)
    number = send(app, path)
    assert finished(app, number)["status"] == "finished"
    status, body, headers = app.fetch(f"/v1/scores/{number}/media", Range="bytes=0-11")
    assert (status, headers["content-type"], body[4:8]) == (206, "video/mp4", b"ftyp")
    page = opened(visit, app, number)
    page.locator("#play").click()
    page.locator("#play", has_text="Pause").wait_for()
    assert page.evaluate("document.getElementById('video').videoWidth") > 0


def test_click_seeks_drag_selects_and_the_selection_is_scored_alone(app: Any, visit: Visit, spoken: str) -> None:
    page = opened(visit, app, spoken)
    box = page.locator("#lanes").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 2, middle)
    page.wait_for_url("**t=6*")
    assert page.locator("#now").inner_text() == "0:06.0"
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, middle, steps=3)
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
    page.mouse.up()
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    assert "from=3" in page.url
    assert page.get_by_role("heading", name="Selection 0:03.0 to 0:06.0").is_visible()
    assert page.evaluate("document.getElementById('video').currentTime") == pytest.approx(6.0, abs=0.1)
    page.get_by_role("button", name="Clear the selection").click()
    assert not page.locator("#selected").is_visible()
    assert "from=" not in page.url


def test_the_keyboard_does_all_of_it(app: Any, visit: Visit, spoken: str) -> None:
    page = opened(visit, app, spoken)
    lanes = page.locator("#lanes")
    lanes.focus()
    page.keyboard.press("End")
    assert page.locator("#now").inner_text() == "0:12.0"
    page.keyboard.press("Home")
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    assert page.get_by_role("heading", name="Selection 0:00.0 to 0:01.2").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#selected").is_visible()
    page.keyboard.press("PageDown")
    page.keyboard.press("[")
    page.locator("#clear").wait_for()
    page.keyboard.press(" ")
    page.locator("#play", has_text="Pause").wait_for()
    page.keyboard.press(" ")
    page.locator("#play", has_text="Play").wait_for()


def test_playing_stays_in_the_selection(app: Any, visit: Visit, spoken: str) -> None:
    page = opened(visit, app, spoken, f"{AT}&from=2&to=2.6&t=2.1")
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    page.locator("#play").click()
    times = []
    for _ in range(12):
        page.wait_for_timeout(150)
        times.append(page.evaluate("document.getElementById('video').currentTime"))
    assert max(times) < 2.9
    assert any(later < earlier for earlier, later in itertools.pairwise(times))


def test_a_link_leads_to_the_moment_and_the_selection(app: Any, visit: Visit, spoken: str) -> None:
    page = opened(visit, app, spoken, f"{AT}&t=4.5&from=4&to=7")
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    assert page.locator("#now").inner_text() == "0:04.5"
    assert page.get_by_role("heading", name="Selection 0:04.0 to 0:07.0").is_visible()


def test_a_corrected_transcript_is_scored_again(app: Any, visit: Visit, studio: Path) -> None:
    films = sorted(path.name for path in (studio / "clips").glob("*.mp4"))
    _, added = ask(app, "/v1/scores", {"path": f"clips/{films[1]}", "run": RUN})
    finished(app, added["id"])
    page = opened(visit, app, added["id"])
    before = page.locator("#scores .bar-row.main .bar-figure, #scores .bar-note").all_inner_texts()
    words = page.locator("#words").inner_text()
    page.get_by_role("button", name="Correct the words").click()
    field = page.get_by_label("Correct the words that were recognised wrongly")
    assert field.input_value().split() == words.split()
    field.fill("it was the most wonderful film")
    page.get_by_role("button", name="Score again").click()
    page.get_by_role("button", name="Recognise the words again").wait_for(timeout=PATIENCE)
    assert page.locator("#words").inner_text().split() == ["it", "was", "the", "most", "wonderful", "film"]
    assert page.locator("#scores .bar-row.main .bar-figure, #scores .bar-note").all_inner_texts() is not before
    page.get_by_role("button", name="Recognise the words again").click()
    page.locator("#words", has_text=words.split()[0]).wait_for(timeout=PATIENCE)
    page.locator("#revert").wait_for(state="hidden", timeout=PATIENCE)
    assert page.locator("#words").inner_text().split() == words.split()


def test_several_files_each_have_a_row_and_bad_ones_say_what_to_do(
    app: Any, visit: Visit, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Anna")
    (tmp_path / "empty.wav").touch()
    shutil.copy(talk, tmp_path / "second.wav")
    window = visit(app, f"/score{AT}")
    page = window.page
    page.set_input_files("#files", [tmp_path / name for name in ("letter.mp4", "empty.wav", "second.wav")])
    page.get_by_text("The file is empty. Choose another one.").wait_for()
    bad = page.locator("#rows tr", has_text="letter.mp4")
    bad.locator(".problem").wait_for(timeout=PATIENCE)
    sentence = bad.locator(".problem").inner_text()
    assert sentence.startswith("letter.mp4 cannot be read as a recording")
    good = page.locator("#rows tr", has_text="second.wav")
    good.locator(".score-bar").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Remove letter.mp4 from this list").click()
    bad.wait_for(state="detached")
    _, body, headers = app.fetch(f"/v1/scores.csv{AT}")
    assert "second.wav" in body.decode()
    assert headers["content-type"].startswith("text/csv")
    window.complaints.clear()  # of the empty file


def test_a_recording_of_oneself(app: Any, visit: Visit) -> None:
    page = visit(app, f"/score{AT}#record").page
    page.get_by_role("button", name="Start recording").click()
    page.get_by_text("Recording. Look at the camera and speak.").wait_for()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop and score").click()
    page.wait_for_url("**/score/*", timeout=PATIENCE)
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(500)
    assert 1.5 < page.evaluate("document.getElementById('video').duration") < 6


def test_no_camera_and_no_microphone(app: Any, visit: Visit) -> None:
    page = visit(app, f"/score{AT}").page
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('gone', 'NotFoundError'))"
    )
    page.reload()
    page.get_by_role("button", name="Record yourself").click()
    page.get_by_role("button", name="Start recording").click()
    page.get_by_text("There is no microphone on this machine. Plug one in, or drop a file.").wait_for()
    assert page.get_by_role("button", name="Start recording").is_visible()


def test_no_camera_but_a_microphone(app: Any, visit: Visit) -> None:
    page = visit(app, f"/score{AT}").page
    page.add_init_script(
        "const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = (wanted) => wanted.video"
        " ? Promise.reject(new DOMException('gone', 'NotFoundError')) : real(wanted)"
    )
    page.reload()
    page.get_by_role("button", name="Record yourself").click()
    page.get_by_role("button", name="Start recording").click()
    page.get_by_text("There is no camera, so only the sound is recorded.").wait_for()
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop and score").click()
    page.wait_for_url("**/score/*", timeout=PATIENCE)
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)


def test_a_sentence(app: Any, visit: Visit) -> None:
    page = visit(app, f"/score{AT}#text").page
    page.get_by_role("textbox", name="Sentence").fill("The plot was wonderful.")
    page.keyboard.press("Enter")
    page.locator("#sentence-result .bars").wait_for(timeout=PATIENCE)
    assert page.locator("#sentence-result .w").all_inner_texts()[:3] == ["The", "plot", "was"]


def test_missing_models_are_said_with_the_way_to_get_them(app: Any, visit: Visit, talk: Path) -> None:
    number = send(app, talk, run="starter")
    state = finished(app, number, "?run=starter")
    assert state["kind"] == "WeightsError"
    page = visit(app, f"/score/{number}").page
    page.get_by_role("link", name="Get what is missing").wait_for()
    assert "selfmm weights get" in page.locator("#problem").inner_text()
    page.get_by_label("Scored by").select_option(RUN)
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    assert RUN.replace("/", "%2F") in page.url
    page.go_back()
    page.get_by_role("button", name="Try again").wait_for()


def test_a_long_recording_has_a_curve(app: Any, visit: Visit, voice: Floats, tmp_path: Path) -> None:
    path = write_recording(tmp_path / "lecture.wav", sound=np.tile(voice, 13))
    page = visit(app, f"/score{AT}").page
    page.set_input_files("#files", path)
    page.wait_for_url("**/score/*", timeout=PATIENCE)
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    assert page.locator(".verdict").inner_text().startswith(("On average", "The scores of this run"))
    assert page.locator("#window-title").inner_text() == "0:00 to 0:10"
    page.locator("#lanes").focus()
    page.keyboard.press("End")
    page.locator("#window-title", has_text="2:26 to 2:36").wait_for()
    number = page.url.split("/score/")[1].split("?")[0]
    _, result = ask(app, f"/v1/scores/{number}/result{AT}")
    assert len(result["timeline"]["curve"]) == 31
    energy = result["timeline"]["lanes"]["lanes"]["energy"]
    assert 1000 < len(energy) <= 2000
    pieces = [ask(app, f"/v1/scores/{number}/lanes/{place}{AT}")[1] for place in range(2)]
    assert [len(piece["lanes"]["energy"]) for piece in pieces] == [2400, 720]
    assert max(energy) == max(value for piece in pieces for value in piece["lanes"]["energy"])
    with page.expect_response("**/lanes/1*"):
        page.keyboard.press("+")


def test_a_recording_without_any_voice(app: Any, visit: Visit, tmp_path: Path) -> None:
    number = send(app, write_recording(tmp_path / "silence.wav", sound=np.zeros(2 * SOUND_RATE, np.float32)))
    page = visit(app, f"/score/{number}{AT}").page
    page.get_by_text("silence.wav has nothing to extract").wait_for(timeout=PATIENCE)


def test_what_the_server_does_not_do(app: Any, studio: Path, tmp_path: Path, spoken: str) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"secret")
    (studio / "clips" / "link.wav").symlink_to(secret)
    for path in ("../secret.wav", "clips/link.wav", str(secret), "runs/clips/run.json", "clips"):
        status, answer = ask(app, "/v1/scores", {"path": path, "run": RUN})
        assert status == 404, path
        assert answer["error"]
    (studio / "clips" / "link.wav").unlink()
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>")
    number = send(app, page)
    _, _, headers = app.fetch(f"/v1/scores/{number}/media")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    for path in ("/v1/scores/0000000000000000", "/v1/scores/..", f"/v1/scores/{spoken}/scores.exe{AT}"):
        assert app.fetch(path)[0] == 404
    assert app.fetch(f"/v1/scores/{spoken}/scores.csv{AT}", token="wrong")[0] == 401
    for content in ({"start": "x"}, {"start": -1}, {"start": 2, "end": 2.01}):
        status, answer = ask(app, f"/v1/scores/{spoken}", {"run": RUN, **content})
        assert status == 400
        assert answer["error"]
    wrong: tuple[dict[str, Any], ...] = ({"text": " "}, {"text": "a", "words": [["a"]]})
    for corrected in wrong:
        assert ask(app, f"/v1/scores/{spoken}/words", {"run": RUN, **corrected})[0] == 400
    assert ask(app, "/v1/sentences", {"texts": [""]})[0] == 400
    assert app.fetch("/score?folder=runs/clips/run.json")[0] == 404


def test_names_are_text_and_not_html(app: Any, visit: Visit, talk: Path) -> None:
    name = "<img src=x onerror=alert(1)>.wav"
    number = send(app, talk, "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.wav")
    page = opened(visit, app, number)
    assert page.get_by_role("heading", level=1).inner_text() == name
    rows = visit(app, f"/score{AT}").page.locator("#rows")
    rows.get_by_text(name).first.wait_for()
    ask(app, f"/v1/scores/{number}", method="DELETE")


def test_scores_survive_the_end_of_the_server(
    serve: Callable[..., Any], app: Any, studio: Path, spoken: str, tmp_path: Path
) -> None:
    other = serve(studio, SELFMM_CACHE=str(tmp_path))
    _, state = ask(other, f"/v1/scores/{spoken}{AT}")
    assert state["status"] == "finished"
    assert {"csv", "json", "srt"} <= set(state["files"])
    number = send(other, Path(studio / "clips").glob("*.mp4").__next__(), "cut.mp4")
    other.process.kill()
    other.process.wait()
    _, state = ask(app, f"/v1/scores/{number}{AT}")
    assert state["status"] in ("none", "finished")
    ask(app, f"/v1/scores/{number}", {"run": RUN})
    assert finished(app, number)["status"] == "finished"


AWAY = "selfmm does not answer; waiting for it"


@pytest.mark.parametrize("path", ["/score/{}", "/score"], ids=["clip", "table"])
def test_a_server_that_is_started_again_scores_again(
    path: str, serve: Callable[..., Any], visit: Visit, studio: Path, voice: Floats, tmp_path: Path
) -> None:
    first = serve(studio, SELFMM_CACHE=str(tmp_path))
    number = send(first, write_recording(tmp_path / "lecture.wav", sound=np.tile(voice, 13)))
    window = visit(first, path.format(number) + AT)
    page = window.page
    page.locator("#bar, #rows progress").first.wait_for()
    first.process.kill()
    first.process.wait()
    page.get_by_text(AWAY).wait_for()
    assert page.locator("#progress, #rows progress").first.is_visible()
    serve(studio, "--port", first.base.rpartition(":")[2], SELFMM_CACHE=str(tmp_path))
    page.get_by_text(AWAY).wait_for(state="detached")
    done = "#exports a" if "{" in path else "#rows tr:has-text('lecture.wav') .score-bar"
    page.locator(done).first.wait_for(timeout=PATIENCE)
    window.complaints.clear()  # of the requests without an answer


def test_the_video_comes_back_with_the_server(
    serve: Callable[..., Any], visit: Visit, film: str, studio: Path, tmp_path: Path
) -> None:
    first = serve(studio, SELFMM_CACHE=str(tmp_path))
    window = visit(first, f"/score/{film}{AT}&t=0.5")
    page = window.page
    page.locator("#exports a").first.wait_for(timeout=PATIENCE)
    first.process.kill()
    first.process.wait()
    page.evaluate("document.getElementById('video').src += '?not-in-the-cache'")
    page.get_by_text(AWAY).wait_for()
    assert not page.locator("#unplayable").is_visible()
    serve(studio, "--port", first.base.rpartition(":")[2], SELFMM_CACHE=str(tmp_path))
    page.get_by_text(AWAY).wait_for(state="detached")
    for _ in range(60):
        if width := page.evaluate("document.getElementById('video').videoWidth"):
            break
        page.wait_for_timeout(500)
    assert width > 0
    assert not page.locator("#unplayable").is_visible()
    window.complaints.clear()  # of the requests without an answer


def test_the_end_says_what_it_waits_for_and_a_second_one_does_not_wait(
    serve: Callable[..., Any], studio: Path, voice: Floats, tmp_path: Path
) -> None:
    served = serve(studio, SELFMM_CACHE=str(tmp_path))
    send(served, write_recording(tmp_path / "lecture.wav", sound=np.tile(voice, 40)))
    served.process.send_signal(signal.SIGINT)
    line = ""
    while "Finishing" not in line:
        line = served.process.stdout.readline()
        assert line or served.process.poll() is None
    assert line == "Finishing what is being scored, for 10 s at most. Press Ctrl-C again to end at once.\n"
    served.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = served.process.communicate(timeout=30)
    assert time.monotonic() - began < 9.5  # without the second one: 10 s, and the time that processes take to end
    assert (out, err) == ("selfmm has ended.\n", "")


def test_nobody_in_a_recording_of_oneself(app: Any, visit: Visit, tmp_path: Path) -> None:
    silence = write_recording(tmp_path / "silence.wav", sound=np.zeros(2 * SOUND_RATE, np.float32))
    number = send(app, silence, "recording%202026-05-04%2009.30.00.wav")
    page = visit(app, f"/score/{number}{AT}").page
    page.get_by_text("There is no voice and no face in this recording. Record again").wait_for(timeout=PATIENCE)
    assert page.get_by_role("link", name="Record again").get_attribute("href") == "/score#record"


def test_a_selection_stays_while_words_are_corrected(app: Any, visit: Visit, studio: Path) -> None:
    films = sorted(path.name for path in (studio / "clips").glob("*.mp4"))
    _, added = ask(app, "/v1/scores", {"path": f"clips/{films[1]}", "run": RUN})
    finished(app, added["id"])
    page = opened(visit, app, added["id"], f"{AT}&from=0.2&to=1.4")
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Correct the words").click()
    page.locator("#corrected").fill("it was the worst film")
    page.get_by_role("button", name="Score again").click()
    page.get_by_role("button", name="Recognise the words again").wait_for(timeout=PATIENCE)
    page.locator("#selected .bars").wait_for(timeout=PATIENCE)
    assert page.get_by_role("heading", name="Selection 0:00.2 to 0:01.4").is_visible()
    assert "from=0.2" in page.url
    assert ask(app, f"/v1/scores/{added['id']}/words", {"run": RUN, "text": None})[0] == 200


def test_before_anything_is_read_the_models_are_loaded(app: Any, visit: Visit, film: str) -> None:
    page = visit(app, f"/score{AT}").page
    state: dict[str, Any] = {"status": "running", "server": "a", "stage": "", "early": None, "spans": []}
    state |= {"read": None, "total": None}
    page.route(f"**/v1/scores/{film}?*", lambda route: route.fulfill(json=state))
    page.goto(f"{app.base}/score/{film}{AT}")
    page.get_by_text("Loading the models …").wait_for()


def test_what_a_score_is_worth_is_said_in_words_of_people(app: Any, visit: Visit) -> None:
    page = visit(app, f"/score{AT}").page
    prediction = {"score": 1.2, "scores": {}, "intervals": {}, "verdicts": {}}
    prediction["sentence"] = "positive; four of five such scores are within ±0.92 of the label"
    facts = {"label_range": [-3, 3], "unscored": {"audio": "no score: no free ratings of voices"}, "cautions": []}
    show = "([p, f]) => import('/static/score_bars.js').then(m => document.body.prepend(...m.card(p, f)))"
    page.evaluate(show, [prediction, facts])
    text = page.locator("body").inner_text()
    assert "within ±0.92 of what people would give." in text
    assert "there are no ratings of voices that may be used freely" in text
    assert "it is not known how far off this is" in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_and_a_phone(app: Any, visit: Visit, film: str, dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks the pages")
    for path in (f"/score/{film}{AT}", f"/score{AT}&folder=clips#text"):
        page = visit(app, path, dark=dark, width=360, height=740).page
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(500)
        found = axe.Axe().run(page).response["violations"]
        serious = [(item["id"], [node["html"][:160] for node in item["nodes"]]) for item in found]
        assert [
            item for item, full in zip(serious, found, strict=True) if full["impact"] in ("serious", "critical")
        ] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_a_real_speaker_and_the_starter(serve: Callable[..., Any], visit: Visit, tmp_path: Path) -> None:
    """Somebody says: and Sucker Punch is a failure, but like a really ambitious, weird, interesting failure."""
    film = real_clip("mosi_Oz06ZWiO20M_6.mp4")
    for name in ("face", "tiny.en", "e5"):
        if weights.find(name) is None:
            pytest.skip(f"the weights of {name} are not on this machine")
    page = visit(serve(tmp_path), "/score").page
    page.set_input_files("#files", film)
    page.wait_for_url("**/score/*", timeout=PATIENCE)
    page.locator("#exports a", has_text="PNG").wait_for(timeout=2 * PATIENCE)
    assert "negative" in page.locator(".verdict").inner_text()
    failure = page.locator("#words a", has_text="failure,")
    assert "takes away" in (failure.get_attribute("title") or "")
    assert "no score" in page.locator("#scores .bar-row", has_text="Voice").inner_text()
    failure.click()
    assert page.locator("#box").is_visible()
    lanes = page.locator("#lanes").inner_text()
    assert all(name in lanes for name in ("Words", "Loudness", "Pitch", "Smile", "Lowered brows", "Face found"))
