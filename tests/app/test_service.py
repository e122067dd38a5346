"""`selfmm serve`: what it refuses to start with, how it ends, and that the same routes are in the app."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.conftest import Served
from cli.command_line import complains, selfmm
from selfmm import api
from selfmm.app.service import run

TOKEN = "0123456789abcdef0123"
Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `selfmm serve` with arguments: ``start(run, "--workers", "2", SELFMM_TOKEN=...)``."""
    running: list[Served] = []

    def serve(*arguments: object, token: str = "", **environment: str) -> Served:
        process = subprocess.Popen(
            [sys.executable, "-m", "selfmm", "serve", *map(str, arguments), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), **environment},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+?(?=/v1/predict)", line)
        assert found is not None, (line, process.communicate(timeout=60))
        running.append(Served(f"{found[0]}/?token={token}", tmp_path, process))
        return running[-1]

    yield serve
    for served in running:
        served.end()


def text(served: Served, *texts: str, **fields: Any) -> Any:
    body = json.dumps({"text": list(texts), **fields}).encode()
    status, content, _ = served.fetch("/v1/predict", data=body, content_type="application/json")
    return status, json.loads(content)


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "box.example"])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(api.ArgumentsError, match="it needs a token"):
        run(host=host)


@pytest.mark.parametrize(
    "token", ["short", "with a space in it here", "ünïcödé-ünïcödé-ünïcödé", "x" * 20 + "\n" + "y"]
)
def test_a_bad_token_is_refused(token: str) -> None:
    with pytest.raises(api.ArgumentsError, match="openssl rand"):
        run(token=token)


def test_a_folder_that_is_no_run_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(api.RunError):
        run([tmp_path])


def test_bad_options_are_explained(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 30)
    for file, words in (("empty", "is empty"), ("binary", "is not ASCII"), ("missing", "No such file")):
        complains(selfmm("serve", "--token-file", tmp_path / file), words)
    complains(selfmm("serve", "--host", "0.0.0.0"), "--token-file")


def test_a_port_that_is_taken_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        complains(selfmm("serve", "--port", taken.getsockname()[1]), "Address already in use", "--port")


@pytest.mark.slow
def test_a_run_scores_and_the_server_ends_with_a_message(start: Start, trained: Any, tmp_path: Path) -> None:
    served = start(trained.folder.path, SELFMM_TOKEN=TOKEN, token=TOKEN)
    status, predictions = text(served, "I loved it", "It was dull")
    assert (status, [row["id"] for row in predictions]) == (200, ["text_1", "text_2"])
    direct = trained.predict(text=["I loved it", "It was dull"])["score"]
    assert [row["score"] for row in predictions] == pytest.approx(list(direct), abs=1e-5)
    assert served.fetch("/v1/health", token="")[0] == 200
    assert served.fetch("/v1/runs", token="")[0] == 401
    [described] = json.loads(served.fetch("/v1/runs")[1])["runs"]
    assert described["name"] == trained.folder.path.name
    assert described["problem"] == ""
    assert text(served, "x", run="another")[0] == 404
    assert TOKEN not in Path(f"/proc/{served.process.pid}/cmdline").read_text()
    [worker] = children(served.process.pid)
    assert TOKEN not in Path(f"/proc/{worker}/environ").read_text()
    served.process.send_signal(signal.SIGTERM)
    out, err = served.process.communicate(timeout=60)
    assert served.process.returncode == 0
    assert (out, err) == ("selfmm has ended.\n", "")
    assert not Path(f"/proc/{worker}").exists()
    assert [path.name for path in (tmp_path / "state" / "selfmm" / "serve").iterdir()] == [".start"]


@pytest.mark.slow
def test_kill_9_of_a_worker_and_of_the_server(start: Start, trained: Any, tmp_path: Path) -> None:
    served = start(trained.folder.path)
    [worker] = children(served.process.pid)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: text(served, "I loved it")[0] == 200)
    [worker] = children(served.process.pid)
    served.process.kill()
    served.process.wait(30)
    wait_for(lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes())
    again = start(trained.folder.path)
    assert text(again, "I loved it")[0] == 200
    folders = [path for path in (tmp_path / "state" / "selfmm" / "serve").iterdir() if path.is_dir()]
    assert len(folders) == 1, "that of the server that runs"


@pytest.mark.slow
def test_the_app_has_the_same_routes(served: Served) -> None:
    status, predictions = text(served, "I loved it", run="runs/first")
    assert status == 200, predictions
    assert len(predictions) == 1
    health = json.loads(served.fetch("/v1/health")[1])
    assert health["run"] == "starter"
    names = [entry["name"] for entry in json.loads(served.fetch("/v1/runs")[1])["runs"]]
    assert names[0] == "starter"
    assert "runs/first" in names
    with urllib.request.urlopen(
        urllib.request.Request(f"{served.base}/v1/openapi.json", headers={"authorization": f"Bearer {served.token}"})
    ) as response:
        assert json.load(response)["openapi"] == "3.1.0"
    assert text(served, "x", run="../../other")[0] == 404
