"""Tasks in workers: how they share a machine, and that a worker that dies is explained and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from forked import helpers_aside
from selfmm.core.errors import SettingsError
from selfmm.core.jobs.plan import Plan, machine_plan, make_plan
from selfmm.core.jobs.pool import Pool, Tasks
from selfmm.core.jobs.template import Template, can_fork
from selfmm.core.jobs.worker import Event, Message, Worker, environment, stop
from waiting import PATIENCE, wait_until


def test_how_a_machine_is_shared() -> None:
    assert make_plan(5, None, cores=2, threads=2) == Plan(jobs=2, threads=1)
    assert make_plan(5, None, cores=16, threads=16) == Plan(jobs=5, threads=3)
    assert make_plan(5, None, cores=16, threads=1) == Plan(jobs=5, threads=1)  # OMP_NUM_THREADS=1
    assert make_plan(5, 1, cores=2, threads=2) == Plan(jobs=1, threads=2, measured=False)
    assert make_plan(2, 9, cores=1, threads=1) == Plan(jobs=2, threads=1, measured=False)
    assert make_plan(5, None, 16, 16, ["0", "1"]) == Plan(jobs=2, threads=8, devices=("0", "1"))
    assert make_plan(5, None, 16, 16, ["0"]) == Plan(jobs=5, threads=3, devices=("0",))
    with pytest.raises(SettingsError, match="jobs = 0"):
        make_plan(5, 0, cores=2, threads=2)


def test_devices_go_by_the_names_that_processes_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine_plan(5, None, "auto").devices == ("0", "1")
    assert machine_plan(5, None, "cpu").devices == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-7")  # the device 0 of this process is the machine's 4
    assert machine_plan(5, None, "cuda").devices == ("4", "GPU-7")
    assert machine_plan(5, None, "cuda").jobs == 2


# A process of a seed that trains nothing: it says the memory that the job names, and lives a moment.
ACTOR = """
import json, os, sys, time
job = json.loads(sys.stdin.readline())
def send(event, **content):
    print(json.dumps({"event": event, **content}), flush=True)
print("no JSON, as a library may print")
send("started", max_epochs=2, done=0)
time.sleep(.1)
record = dict(epoch=1, loss={}, valid={"mae": 1.0}, best=True, seconds=1, clips_per_second=1)
send("epoch", record=record, memory=job["memory"])
time.sleep(.4)
if job.get("waits"):
    sys.stdin.read()  # until the parent closes it
if job.get("fail"):
    send("failed", message=f"device {os.environ['CUDA_VISIBLE_DEVICES']}, threads {os.environ['OMP_NUM_THREADS']}")
print("last words", file=sys.stderr)
sys.exit(job.get("code", 0))
"""


Places = dict[str, dict[str, int]]


class Watch(Tasks[int]):
    """Tasks for actors, and how many ran at once by the pool's own table.

    The first actor reports the first ``memory``, and so on, the last one for all that follow.
    """

    def __init__(self, seeds: Sequence[int], memory: Sequence[Places], job: Message) -> None:
        places = [*memory, *([memory[-1]] * len(seeds))]
        self.waiting = [(seed, {**job, "memory": place}) for seed, place in zip(seeds, places, strict=False)]
        self.pool: Pool[int] | None = None
        self.at_first_epoch: list[int] = []
        self.most = 0
        self.problems: dict[int, str | None] = {}

    def next(self) -> tuple[int, Message] | None:
        return self.waiting.pop(0) if self.waiting else None

    def event(self, key: int, event: Event) -> None:
        assert self.pool is not None
        if event["event"] == "started":
            self.most = max(self.most, len(self.pool.running))
        elif event["event"] == "epoch":
            self.at_first_epoch.append(len(self.pool.running))

    def ended(self, key: int, result: Event, problem: str | None) -> None:
        self.problems[key] = problem


COMMAND = (sys.executable, "-c", ACTOR)


def act(plan: Plan, seeds: Sequence[int], memory: Sequence[Places], **job: Any) -> Watch:
    """Runs actors to their end."""
    watch = Watch(seeds, memory, job)
    watch.pool = Pool(plan, COMMAND)
    watch.pool.run(watch)
    assert sorted(watch.problems) == sorted(seeds)
    assert not helpers_aside()
    return watch


def figures(free: int, peak: int, place: str = "host") -> Places:
    return {"host": {"peak": 1, "free": 1000}} | {place: {"peak": peak, "free": free}}


@pytest.mark.slow
def test_memory_decides_how_many_run_at_once() -> None:
    ample = act(Plan(jobs=3, threads=1), range(4), [figures(free=1000, peak=10)])
    assert ample.at_first_epoch[0] == 1, "nobody knew before the first epoch"
    assert ample.most == 3
    assert act(Plan(jobs=3, threads=1), range(2), [figures(free=12, peak=10)]).most == 1
    for_one_more = [figures(free=13, peak=10), figures(free=0, peak=10)]
    assert act(Plan(jobs=3, threads=1), range(3), for_one_more).most == 2


@pytest.mark.slow
def test_as_many_as_the_user_says() -> None:
    watch = act(Plan(jobs=2, threads=1, measured=False), range(3), [figures(free=0, peak=10)])
    assert watch.at_first_epoch[0] == 2


@pytest.mark.slow
def test_memory_of_one_device_counts_and_of_several_each_has_its_own() -> None:
    tight = [figures(free=5, peak=10, place="device")]
    assert act(Plan(jobs=2, threads=1, devices=("0",)), range(2), tight).most == 1
    watch = act(Plan(jobs=2, threads=4, devices=("3", "GPU-7")), range(3), tight, fail=True, code=1)
    assert watch.most == 2
    assert watch.problems[0] == "device 3, threads 4"
    assert watch.problems[1] == "device GPU-7, threads 4"


@pytest.mark.slow
def test_a_process_that_dies_without_a_word_is_explained() -> None:
    watch = act(Plan(jobs=1, threads=1), [1], [figures(1000, 1)], code=3)
    assert watch.problems[1] == "its process ended with exit code 3: last words"


@pytest.mark.slow
def test_no_process_is_left_when_the_parent_fails() -> None:
    class Fails(Watch):
        def event(self, key: int, event: Event) -> None:
            raise RuntimeError("a view that breaks")

    with pytest.raises(RuntimeError, match="a view that breaks"):
        Pool[int](Plan(2, 1, measured=False), COMMAND).run(Fails([1, 2], [{}], {"waits": True}))
    assert not helpers_aside()


# A worker that a library call keeps from seeing an interrupt, and a parent that starts it and dies.
BUSY = """
import sys, time
from selfmm.core.jobs.parent import work
def do(parent):
    print("noise")
    parent.report("busy", message=parent.receive())
    time.sleep(3600)
sys.exit(work(do))
"""
DIES = f"""
import os, sys
from selfmm.core.jobs.worker import Worker, environment
worker = Worker((sys.executable, "-c", {BUSY!r}), environment(1))
worker.send({{"a": 1}})
assert worker.receive() == {{"event": "busy", "message": {{"a": 1}}}}
print(worker._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_no_worker_outlives_a_parent_that_is_killed() -> None:
    parent = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, check=False)
    assert parent.returncode == -9, parent.stderr
    wait_until(lambda: has_ended(int(parent.stdout)))


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_what_stops_a_worker_is_reported() -> None:
    code = "from selfmm.core.jobs.parent import work\nimport sys\ndef do(parent): 1 / 0\nsys.exit(work(do))"
    worker = Worker((sys.executable, "-c", code), dict(os.environ))
    assert worker.receive(PATIENCE) == {"event": "failed", "message": "ZeroDivisionError: division by zero"}
    assert worker.receive(PATIENCE) is None
    assert worker.problem() == "its process ended with exit code 1"
    worker.send({"too": "late"})


# A worker to be forked: when it was imported, by which process, and then what it is told to do.
FORKED = """
import os, sys, time
from selfmm.core.jobs.parent import work
NEEDS = ("colorsys", "there_is_no_such_module")
IMPORTED, BY = time.time_ns(), os.getpid()
def do(parent):
    parent.report("imported", at=IMPORTED, by=BY, process=os.getpid(), needs="colorsys" in sys.modules)
    told = parent.receive()
    if told.get("waits"):
        time.sleep(3600)
    if told.get("fails"):
        raise ValueError(told["fails"])
    print("last words", file=sys.stderr, flush=True)
    if told.get("code"):
        os._exit(told["code"])
def run():
    return work(do)
"""


@pytest.fixture
def forked(tmp_path: Path) -> dict[str, str]:
    """The environment in which there is a module ``forked_worker``."""
    if not can_fork():
        pytest.skip("workers are forked on Linux only")
    (tmp_path / "forked_worker.py").write_text(FORKED, encoding="utf-8")
    variables = environment(1)
    return {**variables, "PYTHONPATH": os.pathsep.join((str(tmp_path), variables["PYTHONPATH"]))}


def test_workers_are_forked_from_one_that_has_imported_all(forked: dict[str, str]) -> None:
    template = Template("forked_worker", forked)
    try:
        workers = [Worker((), forked, template=template) for _ in range(4)]
        reports = [worker.receive(PATIENCE) for worker in workers]
        assert all(report is not None and report["needs"] for report in reports)
        facts = [report for report in reports if report is not None]
        assert len({(fact["at"], fact["by"]) for fact in facts}) == 1, "imported once"
        assert len({fact["process"] for fact in facts}) == 4
        assert psutil.Process(facts[0]["process"]).ppid() == facts[0]["by"] == template._process.pid
        tasks: list[Message] = [{}, {"fails": "nothing"}, {"code": 3}, {"waits": True}]
        for worker, task in zip(workers, tasks, strict=True):
            worker.send(task)
        psutil.Process(facts[3]["process"]).kill()
        assert workers[0].problem() is None
        assert workers[1].receive(PATIENCE) == {"event": "failed", "message": "ValueError: nothing"}
        assert workers[1].problem() == "its process ended with exit code 1"
        assert workers[2].problem() == "its process ended with exit code 3: last words"
        assert "was killed (SIGKILL)" in str(workers[3].problem())
        late = Worker((), forked, template=template)
        assert late.receive(PATIENCE) is not None
        stop([late])  # by closing its input
    finally:
        template.close()
    assert all(has_ended(fact["process"]) for fact in facts)
    assert not helpers_aside()


def test_a_template_that_ends_takes_no_worker_with_it_and_forks_no_other(forked: dict[str, str]) -> None:
    template = Template("forked_worker", forked)
    worker = Worker((), forked, template=template)
    report = worker.receive(PATIENCE)
    assert report is not None
    template._process.kill()
    template._process.wait()
    wait_until(lambda: template._ended)
    command = (sys.executable, "-c", """print('{"event": "by the command"}')""")
    other = Worker(command, forked, template=template)
    assert other.receive(PATIENCE) == {"event": "by the command"}
    assert other.problem() is None
    worker.close()
    wait_until(lambda: has_ended(report["process"]))
    assert "was killed (SIGKILL)" in str(worker.problem())
    template.close()
