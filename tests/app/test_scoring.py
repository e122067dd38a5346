"""The queue of tasks and its workers, with workers that only pretend."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.loopback import pretending
from selfmm.app import scoring as scoring_
from selfmm.app.errors import BusyError, ScoringError, StoppingError
from selfmm.app.scoring import Scoring, Task

WORKER = Path(__file__).with_name("pretend_worker.py")


@pytest.fixture(autouse=True)
def _pretend() -> Iterator[None]:
    with pretending([sys.executable, str(WORKER)]):
        yield


@pytest.fixture
def make() -> Iterator[Any]:
    made: list[Scoring] = []

    def scoring(**options: Any) -> Scoring:
        made.append(Scoring(**options))
        return made[-1]

    yield scoring
    for each in made:
        each.close(0.0)


def task(*texts: str, **more: Any) -> tuple[Task, list[Any]]:
    events: list[Any] = []
    return Task({"run": "good", "text": list(texts), "options": {}, **more}, events.append), events


def score(scoring: Scoring, *texts: str, **more: Any) -> tuple[Task, list[Any]]:
    submitted, events = task(*texts, **more)
    scoring.submit(submitted)
    return submitted, events


def recording(text: str, folder: Path) -> dict[str, Any]:
    file = folder / f"{time.monotonic_ns()}.mp4"
    file.write_text(text)
    return {"run": "good", "clips": [{"path": str(file)}], "options": {}}


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid(events: list[Any]) -> int:
    return int(events[-1]["prediction"]["about"]["pid"])


def test_events_arrive_in_order_and_the_worker_stays(make: Any) -> None:
    scoring = make()
    first, events = score(scoring, "a", "bb", "ccc")
    assert first.wait(20)
    assert first.status == "finished"
    assert [event["prediction"]["score"] for event in events] == [1, 2, 3]
    second, more = score(scoring, "d")
    assert second.wait(20)
    assert pid(more) == pid(events)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crash", "ended unexpectedly (code 3)"),
        ("killed", "perhaps because memory ran out"),
        ("print", "JSONDecodeError"),
    ],
)
def test_a_worker_that_breaks_is_replaced_and_only_its_task_fails(make: Any, text: str, words: str) -> None:
    scoring = make()
    broken, _ = score(scoring, text)
    assert broken.wait(20)
    assert broken.status == "failed"
    assert words in broken.error
    with pytest.raises(ScoringError):
        broken.raise_error()
    after, events = score(scoring, "fine")
    assert after.wait(20)
    assert after.status == "finished"
    assert events


def test_a_worker_that_dies_while_it_is_idle_costs_no_task(make: Any) -> None:
    scoring = make()
    first, events = score(scoring, "a")
    assert first.wait(20)
    os.kill(pid(events), 9)
    wait_for(lambda: _ended(pid(events)))
    second, _ = score(scoring, "b")
    assert second.wait(20)
    assert second.status == "finished"


def _ended(process: int) -> bool:
    """Return whether a process is over; its parent may not have asked for its code yet."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


def test_a_task_that_takes_too_long_fails_and_its_worker_is_replaced(make: Any) -> None:
    scoring = make(timeout=1.0)
    slow, _ = score(scoring, "hang")
    assert slow.wait(20)
    assert (slow.status, slow.error_kind) == ("failed", "TimeoutError")
    assert "longer than 1 s" in slow.error
    after, _ = score(scoring, "fine")
    assert after.wait(20)
    assert after.status == "finished"


def test_a_worker_that_cannot_be_started_fails_the_task_and_not_the_queue(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = make()
    with monkeypatch.context() as patch:
        patch.setattr(scoring_, "_COMMAND", ("/no/such/program",))
        failed, _ = score(scoring, "a")
        assert failed.wait(20)
        assert failed.status == "failed"
    after, _ = score(scoring, "a")
    assert after.wait(20)
    assert after.status == "finished"


def test_cancelling_a_running_task_kills_its_worker_and_nobody_elses(make: Any) -> None:
    scoring = make(workers=2)
    hanging, _ = score(scoring, "hang")
    wait_for(lambda: hanging.status == "running")
    other, events = score(scoring, "wait 1")
    wait_for(lambda: other.status == "running")
    hanging.cancel()
    assert hanging.wait(1)
    assert hanging.status == "cancelled"
    assert other.wait(20)
    assert other.status == "finished"
    assert events
    wait_for(lambda: scoring.running == 0)


def test_cancelling_never_hits_the_next_task(make: Any) -> None:
    """The first task may be over at any moment around its cancellation."""
    scoring = make()
    for round_ in range(20):
        first, _ = score(scoring, "wait 0.01", explain=round_)
        second, _ = score(scoring, "b", explain=-round_ - 1)  # not together with the first
        time.sleep(0.008 + 0.001 * (round_ % 8))
        first.cancel()
        assert second.wait(20)
        assert second.status == "finished", second.error


def test_cancelling_a_waiting_task_ends_it_at_once_and_frees_its_place(make: Any) -> None:
    scoring = make(waiting=1)
    running, _ = score(scoring, "hang")
    wait_for(lambda: running.status == "running")
    waiting, _ = score(scoring, "a")
    with pytest.raises(BusyError, match="Try again"):
        score(scoring, "b")
    waiting.cancel()
    assert waiting.over
    assert scoring.waiting == 0
    score(scoring, "b")
    running.cancel()


def test_without_a_queue_a_free_worker_still_takes_a_task(make: Any) -> None:
    scoring = make(waiting=0)
    first, _ = score(scoring, "wait 0.5")
    with pytest.raises(BusyError):
        score(scoring, "a")
    assert first.wait(20)
    wait_for(lambda: scoring.running == 0)
    score(scoring, "a")


def test_sentences_do_not_wait_behind_a_recording(make: Any, tmp_path: Path) -> None:
    scoring = make(workers=2)
    long = scoring.submit(Task(recording("hang", tmp_path)))
    wait_for(lambda: long.status == "running")
    quick, _ = score(scoring, "a")
    assert quick.wait(20)
    assert not long.over
    long.cancel()


def test_sentences_go_before_recordings_that_wait(make: Any, tmp_path: Path) -> None:
    scoring, order = make(), []
    first, _ = score(scoring, "wait 0.5")
    wait_for(lambda: first.status == "running")
    video = Task(recording("x", tmp_path), on_over=lambda: order.append("video"))
    text = Task({"run": "good", "text": ["a"], "options": {}}, on_over=lambda: order.append("text"))
    scoring.submit(video)
    scoring.submit(text)
    assert video.wait(20)
    assert order == ["text", "video"]


def test_sentences_that_wait_are_scored_together_and_each_gets_its_own(make: Any) -> None:
    scoring = make()
    first, _ = score(scoring, "wait 0.5")
    wait_for(lambda: first.status == "running")
    several = [score(scoring, *texts) for texts in (("a",), ("bb", "ccc"), ("dddd",))]
    alone, own = score(scoring, "eeeee", options={"explain": True})
    for each, _ in several:
        assert each.wait(20)
    about = [[event["prediction"] for event in events] for _, events in several]
    assert [[row["score"] for row in rows] for rows in about] == [[1], [2, 3], [4]]
    assert [[row["id"] for row in rows] for rows in about] == [["text_1"], ["text_1", "text_2"], ["text_1"]]
    assert {row["about"]["texts"] for rows in about for row in rows} == {4}
    assert alone.wait(20)
    assert own[0]["prediction"]["about"]["texts"] == 1


def test_a_bad_sentence_fails_alone_although_it_was_scored_with_others(make: Any) -> None:
    scoring = make()
    first, _ = score(scoring, "wait 0.5")
    wait_for(lambda: first.status == "running")
    good, events = score(scoring, "a")
    bad, _ = score(scoring, "fail SourceError this one")
    last, _ = score(scoring, "b")
    for each in (good, bad, last):
        assert each.wait(20)
    assert (good.status, bad.status, last.status) == ("finished", "failed", "finished")
    assert bad.error == "this one"
    assert len(events) == 1


def test_cancelling_one_of_several_that_are_scored_together_keeps_the_others(make: Any) -> None:
    scoring = make()
    first, _ = score(scoring, "wait 0.3")
    wait_for(lambda: first.status == "running")
    left, events = score(scoring, "wait 0.5")
    stays, more = score(scoring, "a")
    wait_for(lambda: left.status == "running")
    left.cancel()
    assert stays.wait(20)
    assert stays.status == "finished"
    assert (len(events), len(more)) == (0, 1)


def test_a_callback_that_fails_ends_its_task_and_not_the_queue(make: Any) -> None:
    scoring = make()

    def fail(_: object) -> None:
        raise ValueError("in the callback")

    broken = scoring.submit(Task({"run": "good", "text": ["a"], "options": {}}, fail))
    assert broken.wait(20)
    assert "in the callback" in broken.error
    after, _ = score(scoring, "a")
    assert after.wait(20)
    assert after.status == "finished"


def test_stopping_takes_nothing_new_and_finishes_the_rest(make: Any) -> None:
    scoring = make()
    running, _ = score(scoring, "wait 0.5")
    waiting, _ = score(scoring, "a", options={"explain": True})
    scoring.stop()
    with pytest.raises(StoppingError):
        score(scoring, "b")
    assert waiting.wait(20)
    assert (running.status, waiting.status) == ("finished", "finished")


def test_closing_ends_workers_also_a_hanging_one(make: Any) -> None:
    scoring = make()
    done, events = score(scoring, "a")
    assert done.wait(20)
    hanging, _ = score(scoring, "hang")
    waiting, _ = score(scoring, "a", options={"explain": True})
    wait_for(lambda: hanging.status == "running")
    scoring.close(0.1)
    assert (hanging.status, waiting.status) == ("cancelled", "cancelled")
    assert _ended(pid(events))
    assert not any(thread.is_alive() for thread in scoring._threads)


def test_workers_are_warmed_and_a_run_that_cannot_be_loaded_is_reported(make: Any) -> None:
    scoring = make(workers=2, first={"run": "good"})
    scoring.wait_until_ready()
    pids = set()
    waits = [score(scoring, "wait 0.3", options={"explain": True}) for _ in range(2)]
    for each, events in waits:
        assert each.wait(20)
        pids.add(pid(events))
    assert len(pids) == 2
    with pytest.raises(ScoringError, match="no"):
        make(first={"run": "bad"}).wait_until_ready()


def test_a_worker_that_cannot_be_replaced_does_not_take_the_tasks_of_the_others(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = make(workers=2, first={"run": "good"})
    scoring.wait_until_ready()
    monkeypatch.setattr(scoring_, "_COMMAND", ("/no/such/program",))
    broken, _ = score(scoring, "crash")
    assert broken.wait(20)
    for _ in range(20):
        fine, _ = score(scoring, "a")
        assert fine.wait(20)
        assert fine.status == "finished"


def test_a_worker_does_not_get_the_token_and_asks_no_hub(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMM_TOKEN", "secret")
    scoring = make()
    for name, value in (("SELFMM_TOKEN", "not there"), ("HF_HUB_OFFLINE", "1")):
        asked, _ = score(scoring, f"environment {name}")
        assert asked.wait(20)
        assert asked.error == value


def test_many_threads_lose_nothing(make: Any) -> None:
    scoring = make(workers=2, waiting=200)
    done: list[list[float]] = []

    def ask(number: int) -> None:
        each, events = score(scoring, "x" * (number % 7 + 1), options={"explain": number % 2 == 0})
        assert each.wait(60)
        done.append([event["prediction"]["score"] for event in events])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted([number % 7 + 1] for number in range(60))


def test_a_second_process_starts_only_if_the_first_is_busy(make: Any) -> None:
    scoring = make(workers=2)
    pids = []
    for _ in range(3):
        quick, events = score(scoring, "quick")
        assert quick.wait(20)
        pids.append(events[0]["prediction"]["about"]["pid"])
    assert len(set(pids)) == 1
    slow, _ = score(scoring, "wait 1")
    wait_for(lambda: slow.status == "running")
    other, events = score(scoring, "quick")
    assert other.wait(20)
    assert events[0]["prediction"]["about"]["pid"] not in pids
    assert slow.wait(20)
