"""Trainings from the page: started, watched, stopped and resumed; and the server killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfmm.app.errors import RequestError
from selfmm.app.routes.training import command
from selfmm.app.workspace import Workspace
from waiting import wait_until

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def training(serve: Any, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The app for a folder of its own, with a data set."""
    root = tmp_path_factory.mktemp("training") / "root"
    shutil.copytree(workspace / "data", root / "data")
    return serve(root)


def post(served: Any, path: str, content: Any = None) -> tuple[int, Any]:
    status, body, _ = served.fetch(
        path, data=json.dumps(content).encode(), method="POST", content_type="application/json"
    )
    return status, json.loads(body)


FORM = {"data": "data", "model": "", "preset": "", "start": "", "seed": "7", "name": "runs/new"}


def test_the_form_stands_for_a_command(training: Any, visit: Visit) -> None:
    page = visit(training, "/runs/new?data=data").page
    assert page.get_by_label("Data set", exact=True).input_value() == "data"
    assert page.get_by_label("Model", exact=True).input_value() == ""
    assert page.get_by_label("Name of the run").input_value() == "runs/data-auto"
    page.get_by_label("Model", exact=True).select_option("lf_dnn")
    assert page.get_by_label("Name of the run").input_value() == "runs/data-lf_dnn"
    page.get_by_text("The same as a command").click()
    page.get_by_text("selfmm train data --model lf_dnn --seed 1111 --out runs/data-lf_dnn --resume").wait_for()
    assert "Cambria et al. 2017" in page.locator("#about-model").inner_text()
    page.get_by_text("More: epochs, preset, start, seed").click()
    page.get_by_label("Epochs at most").fill("12")
    page.get_by_text("--seed 1111 --set training.max_epochs=12 --out runs/data-lf_dnn --resume").wait_for()
    page.get_by_label("Name of the run").fill("../outside")
    page.get_by_text("Give the run a name in this folder").wait_for()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": ""}, "Choose a data set"),
        ({"data": "runs"}, "There is no"),
        ({"data": "../data"}, "There is no"),
        ({"model": "other"}, "no model"),
        ({"model": "/tmp/net.py:Net"}, "no model"),
        ({"preset": "/tmp/x.toml"}, "no preset"),
        ({"start": "data"}, "not a run"),
        ({"seed": "-1"}, "whole number"),
        ({"seed": "1 --set x"}, "whole number"),
        ({"seed": "9" * 5000}, "whole number"),
        ({"epochs": "0"}, "from 1 to 100,000"),
        ({"epochs": "1.5"}, "from 1 to 100,000"),
        ({"epochs": "9" * 5000}, "from 1 to 100,000"),
        ({"name": ""}, "Give the run a name"),
        ({"name": "/etc/run"}, "Give the run a name"),
        ({"name": "runs/../../x"}, "Give the run a name"),
        ({"name": "-x"}, "Give the run a name"),
        ({"name": "data"}, "already"),
        ({"name": "data/run"}, "would be inside a data set"),
    ],
)
def test_a_field_that_is_not_valid_is_refused(training: Any, changes: dict[str, str], says: str) -> None:
    status, answer = post(training, "/v1/train", {**FORM, **changes})
    assert 400 <= status < 500
    assert says in answer["error"]


def test_each_model_of_the_form_is_described() -> None:
    from selfmm.app.routes.training import ABOUT
    from selfmm.models import MODELS

    assert set(ABOUT) == set(MODELS)


def test_jobs_say_how_far_they_are_in_plain_words() -> None:
    from selfmm.app.jobs import Job
    from selfmm.app.routes.jobs import _sentence, _within

    class Log:
        def __init__(self, text: str, step: tuple[int, int, int] | None = None) -> None:
            self.jobs, self.text, self.step = self, text, step

        def log(self, job: str) -> str:
            return self.text

        def within(self, job: str) -> tuple[int, int, int] | None:
            return self.step

    def job(status: Any) -> Job:
        return Job("a", "Train", (("train", "data"),), "", "", 0.0, status, 0, "")

    waited: Any = Log("")
    assert _sentence(waited, job("stopped"), None) == "It was stopped before it started. Resume starts it."
    begun: Any = Log("$ selfmm train", (1, 1200, 1447))
    assert "is saved, and Resume continues from there" in _sentence(begun, job("stopped"), None)
    assert _sentence(begun, job("running"), None).endswith("The first epoch may take minutes.")
    assert "first epoch" not in _sentence(begun, job("running"), (1, 8))
    assert _within(begun, job("running")) == "epoch 1, step 1,200 of 1,447"
    assert _within(begun, job("finished")) == ""


def test_another_site_cannot_start_a_job(training: Any) -> None:
    body = json.dumps(FORM).encode()
    assert training.fetch("/v1/train", data=body, origin="http://evil.example")[0] == 403
    assert training.fetch("/v1/train", data=body, token="x" * 43)[0] == 401


def test_a_job_that_is_resumed_while_its_page_draws_is_followed(training: Any, visit: Visit) -> None:
    from selfmm.app.state import State

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", state_of(training))
        folder = State.of(training.root).jobs / "old"
    folder.mkdir()
    content = {"title": "Train", "commands": [["train", "data"]], "out": "runs/old", "about": "", "created": 0.0}
    (folder / "job.json").write_text(json.dumps(content))
    (folder / "state.json").write_text(json.dumps({"status": "stopped", "done": 0, "problem": "", "pid": 1}))
    page = visit(training, "/jobs").page
    stopped = json.loads(training.fetch("/v1/jobs/old")[1])
    running = stopped | {"status": "running", "over": False, "resumable": False}
    finished = stopped | {"status": "finished", "resumable": False}
    states, drawing = [stopped, running, finished], []
    page.route("**/v1/jobs/old", lambda route: route.fulfill(json=states.pop(0)))
    page.route("**/v1/jobs/old/resume", lambda route: route.fulfill(json=running))
    page.route("**/v1/run-history*", lambda route: drawing.append(route))
    page.goto(f"{training.base}/jobs/old")
    page.locator("#status.stopped").wait_for()
    while not drawing:
        page.wait_for_timeout(20)
    page.get_by_role("button", name="Resume").click()
    page.locator("#status.running").wait_for()
    page.unroute("**/v1/run-history*")
    drawing[0].fulfill(json={"epochs": []})
    page.locator("#status.finished").wait_for()
    assert training.fetch("/v1/jobs/old", method="DELETE")[0] == 200


@pytest.mark.slow
def test_a_training_outlives_the_server_and_is_stopped_and_resumed(
    training: Any, serve: Any, visit: Visit, tiny_encoder: str
) -> None:
    """kill -9 of the server in the middle of it loses nothing."""
    from selfmm.app.jobs import Jobs
    from selfmm.app.state import State

    command = ["train", "data", "--text-encoder", tiny_encoder, "--set", "training.max_epochs=400"]
    command += ["--set", "training.patience=400", "--set", "training.checkpoint_seconds=0"]
    command += ["--set", "text.max_tokens=40", "--set", "labels.rule=authors"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", state_of(training))
        jobs = Jobs(State.of(training.root).jobs, training.root)
        job = jobs.start("Train runs/long on data", [[*command, "--out", "runs/long", "--resume"]], out="runs/long")
    try:
        window = visit(training, f"/jobs/{job.id}")
        window.page.get_by_text("Validation error (MAE)").wait_for(timeout=300_000)
        assert window.page.locator("#status").inner_text() == "running"
        training.process.kill()
        training.process.wait()
        window.page.close()
        again = serve(training.root)
        done = len((training.root / "runs" / "long" / "history.jsonl").read_text().splitlines())
        page = visit(again, f"/jobs/{job.id}").page
        assert page.locator("#status").inner_text() == "running"
        wait_until(lambda: len((training.root / "runs" / "long" / "history.jsonl").read_text().splitlines()) > done)
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Resume").wait_for(timeout=300_000)
        assert page.locator("#status").inner_text() == "stopped"
        assert "continue with" in page.locator("#log").inner_text()
        page.get_by_role("button", name="Resume").click()
        page.get_by_text("resumed after epoch").wait_for(timeout=300_000)
        assert page.get_by_role("link", name="Open runs/long").is_visible()
        page.goto(f"{again.base}/runs/runs/long")
        page.get_by_text("This run is being trained").wait_for()
        page.goto(f"{again.base}/jobs")
        assert page.get_by_role("link", name="Train runs/long on data").is_visible()
    finally:
        print(jobs.log(job.id))
        jobs.stop(job.id)
        wait_until(lambda: jobs.get(job.id).over)


def state_of(served: Any) -> str:
    """Return the folder for the private files of an app, from the environment of its process."""
    import psutil

    return str(psutil.Process(served.process.pid).environ()["XDG_STATE_HOME"])


def test_a_folder_that_cannot_be_written_is_reported_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text("{}")
    site: Any = SimpleNamespace(workspace=Workspace(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RequestError, match="selfmm may not write to the folder"):
        command(site, FORM)
