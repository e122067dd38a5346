"""The manners of a worker process: its answers stay apart from what libraries print, and it ends with the server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import pytest

from selfmm import api
from selfmm.app.worker import TooLongError, _check_length

PROGRAM = """
import os, sys, time
from selfmm import api
from selfmm.app.worker import answer_all, _send

def answer(request, answers):
    print("a library prints this")
    os.write(1, b"and this\\n")
    assert sys.stdin.read() == ""
    errors = {
        "run": api.RunError("not a run"),
        "memory": MemoryError(),
        "torch": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        "bug": ZeroDivisionError("division by zero\\nmore"),
    }
    if request["do"] in errors:
        raise errors[request["do"]]
    if request["do"] == "sleep":
        _send(answers, {"begun": os.getpid()})
        time.sleep(60)
    _send(answers, {"value": float("nan"), "name": "caf\\udce9"})

answer_all(answer)
"""


@pytest.fixture
def worker() -> Any:
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process
        process.kill()


def ask(worker: Any, do: str) -> list[Any]:
    worker.stdin.write(json.dumps({"do": do}) + "\n")
    worker.stdin.flush()
    events: list[Any] = []
    while not events or not ("over" in events[-1] or "error" in events[-1]):
        events.append(json.loads(worker.stdout.readline()))
    return events


def test_what_libraries_print_is_no_answer_and_standard_input_is_empty(worker: Any) -> None:
    for _ in range(2):
        assert ask(worker, "answer") == [{"value": None, "name": "caf\udce9"}, {"over": True}]


@pytest.mark.parametrize(
    ("do", "kind", "words"),
    [
        ("run", "RunError", "not a run"),
        ("memory", "MemoryError", "not enough memory"),
        ("torch", "MemoryError", "not enough memory"),
        ("bug", "CrashError", "ZeroDivisionError: division by zero. The file is damaged"),
    ],
)
def test_errors_are_events_and_the_worker_goes_on(worker: Any, do: str, kind: str, words: str) -> None:
    [event] = ask(worker, do)
    assert event["kind"] == kind
    assert words in event["error"]
    assert ask(worker, "answer")[-1] == {"over": True}


def test_it_ends_in_the_middle_of_a_request_when_the_server_is_gone(worker: Any) -> None:
    worker.stdin.write('{"do": "sleep"}\n')
    worker.stdin.flush()
    assert "begun" in worker.stdout.readline()
    started = time.monotonic()
    worker.stdin.close()
    assert worker.wait(30) == 0
    assert time.monotonic() - started < 20


def test_a_recording_that_is_too_long_is_refused_and_a_short_part_of_it_is_not(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra [video] is not installed")
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0" * 2 * 8000 * 5)
    with pytest.raises(TooLongError, match=r"lasts 5 s, and this server takes 4 s at most. Cut it, or choose a part"):
        _check_length(api.Clip(tmp_path / "long.wav"), 4.0)
    _check_length(api.Clip(tmp_path / "long.wav"), 5.0)
    _check_length(api.Clip(tmp_path / "long.wav", start=2.0), 4.0)
    _check_length(api.Clip(tmp_path / "long.wav", start=1.0, end=2.0), 4.0)
    with pytest.raises(TooLongError):
        _check_length(api.Clip(tmp_path / "long.wav", start=0.5, end=100.0), 4.0)
