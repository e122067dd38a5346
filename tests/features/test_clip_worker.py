"""What a process that extracts clips answers, and when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from features.recordings import tone, write_recording
from features.tone_clips import STAND_IN, VOICE
from selfmm.core.errors import MediaError, OutputError, SettingsError, WeightsError
from selfmm.features import clip_worker
from selfmm.features.clip_worker import answer
from selfmm.features.clips.clip import Clip
from selfmm.features.kept import load
from waiting import PATIENCE, wait_until


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    clip = Clip(write_recording(tmp_path / "a.wav", sound=tone(0.3)), id="a")
    recipe = VOICE.model_dump(mode="json")
    return {"clip": clip.to_json(), "recipe": recipe, "threads": 1, "path": str(tmp_path / "out" / "x.safetensors")}


def test_a_clip_is_kept(job: dict[str, Any]) -> None:
    signs: list[int] = []
    assert answer(job, lambda: signs.append(1)) == {}
    assert len(signs) == 2  # the models, and the one piece
    assert load(Path(job["path"])) is not None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MediaError("It is damaged."), {"reason": "It is damaged."}),
        (PermissionError(13, "Permission denied"), {"reason": "/x/a.wav cannot be read: Permission denied."}),
        (MemoryError(), {"reason": "MemoryError: no message"}),
        (RuntimeError("one\ntwo"), {"reason": "RuntimeError: one"}),
        (WeightsError("not here"), {"stop": ["WeightsError", "not here"]}),
        (OutputError("disk full"), {"stop": ["OutputError", "disk full"]}),
        (SettingsError(["a", "b"]), {"stop": ["SettingsError", ("a", "b")]}),
    ],
)
def test_what_stops_a_clip_and_what_stops_all(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception, expected: dict[str, Any]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(clip_worker, "extract_clip", fail)
    job["clip"]["path"] = "/x/a.wav"
    assert answer(job) == expected
    assert not Path(job["path"]).exists()


@pytest.mark.slow
def test_it_ends_with_its_input_even_in_the_midst_of_a_clip(job: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {**os.environ, "TEST_LOG": str(log)}
    process = subprocess.Popen(STAND_IN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines == ["\n", "\n", "{}\n"]
    job["clip"]["id"] = "slow"
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    wait_until(lambda: log.read_text().splitlines() == ["a", "slow"], poll=process.poll)
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 0  # the clip would take an hour
    assert not process.stdout.read()
    process.stdout.close()


def test_what_libraries_print_does_not_disturb(job: dict[str, Any]) -> None:
    code = (
        "import os\nfrom selfmm.features import clip_worker\n"
        "clip_worker.extract_clip = lambda *_, **__: (print('noise', flush=True), os.write(1, b'more\\n'), 1 / 0)\n"
        "clip_worker.main()"
    )
    result = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert result.stdin is not None
    assert result.stdout is not None
    result.stdin.write(json.dumps(job) + "\n")
    result.stdin.flush()
    assert json.loads(result.stdout.readline()) == {"reason": "ZeroDivisionError: division by zero"}
    out, errors = result.communicate(timeout=PATIENCE)
    assert out == ""
    assert errors.split() == ["noise", "more"]
