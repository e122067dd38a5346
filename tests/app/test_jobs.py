"""Jobs outlive the server and their own process, and none runs twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from selfmm.app.errors import NotHereError
from selfmm.app.jobs import Job, Jobs
from waiting import wait_until

LASTS = ("app", ".", "--no-browser", "--port", "0")  # a command that starts quickly and lasts until it is stopped
PLANTS = ("planted", "planted", "--clips", "20")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "root").mkdir()
    jobs = Jobs(tmp_path / "jobs", tmp_path / "root")
    yield jobs
    for process in processes(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def processes(folder: Path) -> list[psutil.Process]:
    """Return the processes of jobs and their commands."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        info = process.info
        if info["status"] != psutil.STATUS_ZOMBIE and info["cwd"] == str(folder / "root") and info["cmdline"]:
            found.append(process)
    return found


def commands(folder: Path) -> list[psutil.Process]:
    found = []
    for process in processes(folder):
        with suppress(psutil.NoSuchProcess):  # it has ended since
            found += [process] if "selfmm.app.runner" not in process.cmdline() else []
    return found


def reach(jobs: Jobs, job: Job, *states: str) -> Job:
    wait_until(lambda: jobs.get(job.id).over)
    job = jobs.get(job.id)
    assert job.status in states, jobs.log(job.id)
    return job


def running(jobs: Jobs, job: Job) -> int:
    """Wait until the command of a job works, and return the number of the job's process."""
    wait_until(lambda: "Press Ctrl-C" in jobs.log(job.id) or jobs.get(job.id).over)
    return int(json.loads((jobs._path(job.id) / "state.json").read_text())["pid"])


def test_commands_run_one_after_the_other(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start("Plant", [PLANTS, ("inspect", "planted")], out="planted")
    assert job.status in ("waiting", "running")
    job = reach(jobs, job, "finished")
    assert (job.done, job.problem, job.over, job.resumable) == (2, "", True, False)
    assert (tmp_path / "root" / "planted" / "samples.parquet").is_file()
    assert "$ selfmm planted planted --clips 20\n" in jobs.log(job.id)
    jobs.remove(job.id)
    assert jobs.all() == []
    with pytest.raises(NotHereError, match="may have been removed"):
        jobs.get(job.id)


def test_a_failure_is_a_sentence_and_the_job_continues_where_it_was(jobs: Jobs, tmp_path: Path) -> None:
    job = reach(jobs, jobs.start("Look", [PLANTS, ("inspect", "other")]), "failed")
    assert job.done == 1
    assert "other" in job.problem
    (tmp_path / "root" / "planted").rename(tmp_path / "root" / "other")
    job = reach(jobs, jobs.resume(job.id), "finished")  # the first command is not run again
    assert (job.done, job.problem) == (2, "")


def test_stop_lets_the_command_end_by_itself(jobs: Jobs) -> None:
    job = jobs.start("Last", [LASTS, PLANTS])
    running(jobs, job)
    jobs.stop(job.id)
    job = reach(jobs, job, "stopped")
    assert "selfmm has ended." in jobs.log(job.id)
    assert job.resumable
    assert reach(jobs, jobs.resume(job.id), "finished").done == 2


def test_one_job_at_a_time(jobs: Jobs) -> None:
    first, second = jobs.start("First", [LASTS]), jobs.start("Second", [PLANTS])
    running(jobs, first)
    assert jobs.get(second.id).status == "waiting"
    jobs.remove(second.id)  # not before it is over
    assert [job.title for job in jobs.all()] == ["Second", "First"]
    jobs.stop(first.id)
    reach(jobs, second, "finished")


def test_a_job_that_waits_can_be_stopped(jobs: Jobs) -> None:
    first, second = jobs.start("First", [LASTS]), jobs.start("Second", [PLANTS])
    running(jobs, first)
    jobs.stop(second.id)
    assert reach(jobs, second, "stopped").done == 0


def test_the_command_of_a_killed_job_is_not_started_twice(jobs: Jobs, tmp_path: Path) -> None:
    """As long as it lives, the job counts as running, and no other job takes its turn."""
    job = jobs.start("Last", [LASTS])
    other = jobs.start("Wait", [PLANTS])
    os.kill(running(jobs, job), signal.SIGKILL)
    wait_until(lambda: len(commands(tmp_path)) == len(processes(tmp_path)) - 1)
    assert jobs.get(job.id).status == "running"
    assert jobs.resume(job.id).status == "running"
    assert len(commands(tmp_path)) == 1
    assert jobs.get(other.id).status == "waiting"
    jobs.stop(job.id)  # the command itself is told
    reach(jobs, job, "interrupted")
    reach(jobs, other, "finished")
    job = jobs.resume(job.id)
    wait_until(lambda: jobs.log(job.id).count("Press Ctrl-C") == 2)
    jobs.stop(job.id)
    reach(jobs, job, "finished", "stopped")


def test_a_job_outlives_the_process_that_started_it(jobs: Jobs, tmp_path: Path) -> None:
    """That is what happens to it when the server is killed."""
    code = (
        "import os, signal, sys; from pathlib import Path; from selfmm.app.jobs import Jobs\n"
        f"job = Jobs(Path({str(tmp_path / 'jobs')!r}), Path({str(tmp_path / 'root')!r})).start('Last', [{LASTS!r}])\n"
        "print(job.id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert started.returncode == -signal.SIGKILL
    job = jobs.get(started.stdout.strip())
    running(jobs, job)
    assert jobs.get(job.id).status == "running"
    assert jobs.stop(job.id)
    reach(jobs, job, "finished")


def test_a_file_in_the_folder_is_not_run(jobs: Jobs, tmp_path: Path) -> None:
    for name in ("selfmm.py", "json.py", "typer.py"):
        (tmp_path / "root" / name).write_text("raise SystemExit('code of the folder was run')")
    job = reach(jobs, jobs.start("Plant", [PLANTS]), "finished", "failed", "interrupted")
    assert job.status == "finished", jobs.log(job.id)


def test_names_of_jobs_lead_nowhere_else(jobs: Jobs) -> None:
    for name in ("", "..", "../root", ".turn", "a/b", "nothing"):
        with pytest.raises(NotHereError):
            jobs.get(name)


def test_progress_is_that_of_the_last_command(jobs: Jobs, tmp_path: Path) -> None:
    job = reach(jobs, jobs.start("Plant", [PLANTS]), "finished")
    log = tmp_path / "jobs" / job.id / "log.txt"
    for lines, expected in (
        ("$ selfmm train data\nat most 8 epochs\nepoch 2 of 8: loss 1\n", (2, 8)),
        ("$ selfmm train data\nat most 8 epochs\nepoch 2 of 8: loss 1\nepoch 3, step 40 of 81\n", (2, 8)),
        ("$ selfmm train data\nat most 8 epochs\nepoch 1, step 40 of 81\n", None),
        ("$ selfmm extract a b\nclip 20 of 45; 1 left out\n", (20, 45)),
        ("$ selfmm train data\nepoch 2 of 8: loss 1\n$ selfmm inspect data\n", None),
    ):
        log.write_text(lines)
        assert jobs.progress(job.id) == expected
    for lines, within in (
        ("$ selfmm train data\nepoch 1, step 40 of 81\nepoch 1, step 60 of 81\n", (1, 60, 81)),
        ("$ selfmm train data\nepoch 1, step 40 of 81\nepoch 1 of 8: loss 1\n", None),
        ("$ selfmm train data\nat most 8 epochs\n", None),
    ):
        log.write_text(lines)
        assert jobs.within(job.id) == within


def test_a_stop_that_one_asked_for_is_not_shown_as_an_error(jobs: Jobs, tmp_path: Path) -> None:
    job = reach(jobs, jobs.start("Plant", [PLANTS]), "finished")
    log = tmp_path / "jobs" / job.id / "log.txt"
    log.write_text("$ selfmm train data\nerror: ended by SIGTERM; continue with: selfmm train data --resume\n")
    assert jobs.log(job.id).splitlines()[1] == "stopped; continue with: selfmm train data --resume"


def test_a_process_that_scores_runs_no_file_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from selfmm.app.scoring import Scoring, Task

    for name in ("selfmm.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('code of the folder was run')")
    monkeypatch.chdir(tmp_path)
    scoring = Scoring()
    try:
        task = scoring.submit(Task({"run": str(tmp_path / "nothing"), "text": ["a"]}))
        assert task.wait(300)
        assert "is not a run folder" in task.error
    finally:
        scoring.close()
