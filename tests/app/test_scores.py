"""The recordings of the Score screen: what is kept, when it is scored again, and what is removed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="it is part of the app")

from selfmm.app.errors import BusyError, NotHereError
from selfmm.app.scores import Entry, Scores, Wish
from selfmm.app.scoring import Task
from selfmm.app.workspace import Workspace

WHOLE = Wish("runs/a")
RESULT: dict[str, Any] = {
    "prediction": {
        "score": 0.5,
        "scores": {"text": 0.5},
        "intervals": {"fusion": [0, 1]},
        "informs": {"fusion": True},
        "sentence": "slightly positive",
        "transcript": {"text": "so good"},
    },
    "facts": {"label_range": [-3, 3], "unscored": {}, "cautions": [], "verdicts": {"fusion": ""}},
    "timeline": {
        "words": [["so", 1.0, 1.4, 1.0, 0.1], ["good", 5.0, 5.5, 1.0, 0.2]],
        "curve": [{"start": 0.0, "end": 7.0, "scores": {"fusion": 0.5, "text": 0.5}}],
        "warnings": [["quiet sound", 1]],
        "lanes": None,
    },
}


class Pool:
    """Stands for the processes that score: a task does what the test says."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.full = False

    def submit(self, task: Task) -> Task:
        if self.full:
            raise BusyError("full")
        self.tasks.append(task)
        return task

    def finish(self, result: Any = None, error: str = "") -> None:
        task = self.tasks[-1]
        assert task._begin(None)
        if result is not None:
            task.on_event({"result": result})
        task._end("failed" if error else "finished", error, "MediaError" if error else "")


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def scores(tmp_path: Path, pool: Pool) -> Scores:
    root = tmp_path / "root"
    for run in ("a", "b"):
        (root / "runs" / run).mkdir(parents=True)
        (root / "runs" / run / "run.json").write_text("{}")
    (root / "film.mp4").write_bytes(b"film")
    (tmp_path / "uploads").mkdir()
    return Scores(tmp_path / "uploads", Workspace(root), pool, kept=100, days=30.0)  # type: ignore[arg-type]


def upload(scores: Scores, name: str = "talk.wav", content: bytes = b"sound") -> Entry:
    number, path = scores.begin(name)
    path.write_bytes(content)
    return scores.arrived(number, path, name)


def settled(scores: Scores, entry: Entry, wish: Wish = WHOLE) -> dict[str, Any]:
    """The state when the end of the task was noted."""
    for _ in range(200):
        state = scores.state(entry, wish)
        if state["status"] == "failed" or state.get("complete") or state["status"] == "none":
            return state
        time.sleep(0.01)
    raise AssertionError(state)


def test_an_upload_keeps_its_name_but_not_as_a_path(scores: Scores, tmp_path: Path) -> None:
    entry = upload(scores, "../../C:\\films\\Anna <b>.MP4")
    assert entry.name == "Anna <b>.MP4"
    assert entry.path == tmp_path / "uploads" / entry.id / "recording.mp4"
    assert upload(scores, "x.p/h?p").path.name == "recording"
    assert entry.path.parent.stat().st_mode & 0o077 == 0


def test_progress_and_result(scores: Scores, pool: Pool) -> None:
    entry = upload(scores)
    assert scores.state(entry, WHOLE)["status"] == "none"
    scores.start(entry, WHOLE)
    scores.start(entry, WHOLE)
    assert len(pool.tasks) == 1, "it is scored once"
    assert scores.state(entry, WHOLE)["status"] == "waiting"
    task = pool.tasks[0]
    assert task.request["watch"]["clip"] == {"path": str(entry.path), "id": "talk"}
    task._begin(None)
    for event in ({"stage": "loading"}, {"read": 2.0, "total": 7.0}, {"early": {"score": 1}}, {"span": 1}, {"span": 2}):
        task.on_event(event)
    state = scores.state(entry, WHOLE, seen=1)
    assert state == {"status": "running", "stage": "", "read": 2.0, "total": 7.0, "early": {"score": 1}, "spans": [2]}
    task.on_event({"result": RESULT})
    assert scores.state(entry, WHOLE)["complete"] is False
    task.on_event({"no_file": "scores.png", "why": "matplotlib is missing"})
    task._end("finished")
    state = settled(scores, entry)
    assert state["summary"]["text"] == "so good"
    assert state["summary"]["warnings"] == ["quiet sound"]
    assert json.loads(scores.file(entry, WHOLE, "result.json").read_text()) == RESULT
    with pytest.raises(NotHereError, match="matplotlib is missing"):
        scores.file(entry, WHOLE, "scores.png")
    scores.start(entry, WHOLE)
    assert len(pool.tasks) == 1


def test_a_failure_is_kept_until_it_is_tried_again(scores: Scores, pool: Pool) -> None:
    entry = upload(scores)
    scores.start(entry, WHOLE)
    pool.finish(error=f"{entry.path} cannot be read.")
    assert settled(scores, entry) == {"status": "failed", "error": "talk.wav cannot be read.", "kind": "MediaError"}
    scores.start(entry, WHOLE)
    assert len(pool.tasks) == 1
    scores.start(entry, WHOLE, again=True)
    pool.finish(RESULT)
    assert settled(scores, entry)["status"] == "finished"


def test_another_run_another_span_and_a_changed_run_are_scored_again(
    scores: Scores, pool: Pool, tmp_path: Path
) -> None:
    entry = upload(scores)
    scores.start(entry, WHOLE)
    pool.finish(RESULT)
    settled(scores, entry)
    assert scores.state(entry, Wish("runs/b"))["status"] == "none"
    assert scores.state(entry, Wish("runs/a", 1.0, 2.0))["status"] == "none"
    run = tmp_path / "root" / "runs" / "a" / "run.json"
    os.utime(run, ns=(0, run.stat().st_mtime_ns + 1_000_000))
    assert scores.state(entry, WHOLE)["status"] == "none"
    with pytest.raises(NotHereError):
        scores.state(entry, Wish("runs/none"))


def test_a_part_has_the_words_of_the_whole(scores: Scores, pool: Pool) -> None:
    entry = upload(scores)
    scores.start(entry, WHOLE)
    pool.finish(RESULT)
    settled(scores, entry)
    scores.start(entry, Wish("runs/a", 4.0, 6.0))
    clip = pool.tasks[-1].request["watch"]["clip"]
    assert (clip["start"], clip["end"]) == (4.0, 6.0)
    assert clip["words"] == [("good", 1.0, 1.5)]


def test_a_corrected_transcript_and_back(scores: Scores, pool: Pool) -> None:
    entry = upload(scores)
    words = (("so", 1.0, 1.4), ("god", 5.0, 5.5))
    entry = scores.correct(entry, "so good", words)
    scores.start(entry, WHOLE)
    clip = pool.tasks[-1].request["watch"]["clip"]
    assert (clip["text"], clip["words"]) == ("so good", list(words))
    entry = scores.correct(entry, "so very good", (("other", 0.0, 9.0),))
    assert entry.words == words, "the times are those of what was recognised"
    entry = scores.correct(entry, None, ())
    assert (entry.text, entry.words) == (None, ())


def test_recordings_of_the_folder(scores: Scores, tmp_path: Path) -> None:
    entry = scores.of_folder("film.mp4")
    assert scores.of_folder("./film.mp4") == entry
    assert entry.path == tmp_path / "root" / "film.mp4"
    for name in ("none.mp4", "runs/a/run.json", "runs", "../uploads"):
        with pytest.raises(NotHereError):
            scores.of_folder(name)
    scores.remove(entry.id)
    assert (tmp_path / "root" / "film.mp4").is_file()
    assert scores.all() == []


def test_a_full_queue_leaves_nothing_behind(scores: Scores, pool: Pool) -> None:
    entry = upload(scores)
    pool.full = True
    with pytest.raises(BusyError):
        scores.start(entry, WHOLE)
    assert scores.state(entry, WHOLE)["status"] == "none"


def test_removing_an_entry_stops_its_scoring(scores: Scores, pool: Pool, tmp_path: Path) -> None:
    entry = upload(scores)
    scores.start(entry, WHOLE)
    scores.remove(entry.id)
    assert pool.tasks[0].status == "cancelled"
    with pytest.raises(NotHereError, match="Drop it again"):
        scores.get(entry.id)
    for number in ("", "..", "a" * 16 + "/", "A" * 16):
        with pytest.raises(NotHereError):
            scores.get(number)


def test_old_uploads_and_those_that_do_not_fit_are_removed(scores: Scores, tmp_path: Path) -> None:
    first, second = upload(scores, content=b"x" * 60), upload(scores, content=b"x" * 60)
    old = upload(scores, content=b"x")
    file = tmp_path / "uploads" / old.id / "entry.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "created": time.time() - 31 * 24 * 3600}))
    scores.begin("new.wav")
    assert {entry.id for entry in scores.all()} == {second.id}
    assert not (tmp_path / "uploads" / first.id).exists()


def test_an_upload_that_broke_off_is_removed_after_a_day(scores: Scores) -> None:
    _, recording = scores.begin("half.wav")
    recording.write_bytes(b"x")
    scores.begin("other.wav")
    assert recording.exists()
    os.utime(recording.parent, (time.time() - 2 * 24 * 3600,) * 2)
    scores.warm()
    assert not recording.parent.exists()


def test_a_damaged_entry_is_not_listed(scores: Scores, tmp_path: Path) -> None:
    entry = upload(scores)
    (tmp_path / "uploads" / entry.id / "entry.json").write_text("{")
    scores.begin("half.wav")
    assert scores.all() == []
