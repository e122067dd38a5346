"""Several seeds: the same numbers as one by one, and what one seed's death costs the others."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

import selfmm
from conftest import QUICK
from forked import helpers_aside
from selfmm.core.errors import OutputError, RunError, SettingsError, TrainingError
from selfmm.data.store import Dataset
from selfmm.training.seed_pool import Plan, Pool, Unheard, make_plan
from selfmm.training.seeds import SeedRuns, machine_plan, parse_seeds
from selfmm.training.trainer import EpochRecord

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]
"""Two epochs without words: under a second."""


@pytest.fixture(scope="module")
def two(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    """Two seeds at once; not to be changed."""
    out = tmp_path_factory.mktemp("two") / "seeds"
    return selfmm.train_seeds(planted, seeds="5,7-7", overrides=STREAMS, out=out, jobs=2)


def test_lists() -> None:
    assert parse_seeds("1111-1115") == (1111, 1112, 1113, 1114, 1115)
    assert parse_seeds(" 9 , 3-4,0") == (9, 3, 4, 0)
    assert parse_seeds("7-7,4294967295") == (7, 2**32 - 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no seed"),
        ("1,,2", "'' is no seed"),
        ("a-b", "'a-b' is no seed"),
        ("-5", "'-5' is no seed"),
        ("1-2-3", "'1-2-3' is no seed"),
        ("1.5", "'1.5' is no seed"),
        ("9" * 5000, "is no seed"),
        ("1115-1111", "1115-1111 runs backwards; write 1111-1115"),
        ("1-3,2", "2 given more than once"),
        ("4294967296", "4294967296 is no whole number from 0 to 4294967295"),
        ("0-4294967295", "more than 1000 of them"),
    ],
)
def test_bad_lists(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [[], [-1], [2**32], [1, 1], [1.0], list(range(1001))])
def test_bad_numbers(planted: Dataset, tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(SettingsError, match="seeds: "):
        selfmm.train_seeds(planted, seeds=seeds, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


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


def same(one: Path, other: Path) -> None:
    """Two run folders hold the same numbers, bit for bit."""
    first, second = selfmm.load(one), selfmm.load(other)
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)
    pd.testing.assert_frame_equal(first.labels, second.labels, check_exact=True)
    assert first.metrics == second.metrics
    weights, expected = load_file(first.folder.weights), load_file(second.folder.weights)
    assert weights.keys() == expected.keys()
    assert all((weights[key] == expected[key]).all() for key in expected)


def test_each_seed_is_that_of_a_training_of_its_own(two: SeedRuns, planted: Dataset, tmp_path: Path) -> None:
    assert list(two.runs) == [5, 7]
    assert two.failed == {}
    for seed in (5, 7):
        alone = selfmm.train(planted, seed=seed, overrides=STREAMS, out=tmp_path / str(seed))
        same(two.runs[seed].path, alone.folder.path)
        assert two.runs[seed].settings() == alone.folder.settings()
    scores = [two.runs[seed].predictions()["score"] for seed in (5, 7)]
    assert (scores[0] != scores[1]).any()


def test_summary(two: SeedRuns) -> None:
    files = [two.folder / f"seed-{seed}" for seed in (5, 7)]
    metrics = [json.loads((path / "metrics.json").read_text()) for path in files]
    mae = [entry["splits"]["test"]["fusion"]["values"]["mae"] for entry in metrics]
    row = two.summary.loc["test_mae"]
    assert row["mean"] == pytest.approx(sum(mae) / 2, rel=1e-12)
    assert row["std"] == pytest.approx(np.sqrt(sum((m - sum(mae) / 2) ** 2 for m in mae)), rel=1e-9)
    assert two.figures.T["test_mae"].tolist() == mae
    audio = [entry["splits"]["valid"]["audio"]["values"]["corr"] for entry in metrics]
    assert two.figures.T["valid_audio_corr"].tolist() == audio
    assert two.figures.T["best_epoch"].tolist() == [entry["best_epoch"] for entry in metrics]
    assert two.figures.T["epochs"].tolist() == [2, 2]
    assert (two.figures.loc["peak_memory"] > 50e6).all()
    table = pd.read_csv(two.folder / "summary.csv", index_col="metric")
    assert table.columns.tolist() == ["mean", "std", "runs", "seed_5", "seed_7"]
    assert table["seed_7"].to_dict() == pytest.approx(two.figures[7].to_dict(), nan_ok=True)
    content = json.loads((two.folder / "summary.json").read_text())
    assert content["figures"]["test_mae"]["mean"] == row["mean"]
    assert content["figures"]["device_peak_memory"]["mean"] is None
    assert (content["seeds"], content["failed"]) == ([5, 7], {})
    assert not list(two.folder.rglob("*.partial"))


class KillSecond(Unheard[int]):
    """Kills the process of seed 2, alone at the time, after its first epoch; sees who was started."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def started(self, seed: int, max_epochs: int, done: int) -> None:
        self.seen.append(seed)

    def epoch(self, seed: int, record: EpochRecord) -> None:
        if seed == 2:
            children = [p for p in psutil.Process().children() if "selfmm.training.seed_process" in p.cmdline()]
            assert len(children) == 1
            children[0].kill()


def test_a_killed_seed_costs_no_other_and_resuming_does_what_is_missing(planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Long enough that the kill comes before its end.
    overrides = [*STREAMS, "training.max_epochs=8", "training.patience=8", "training.batch_size=8"]
    result = selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out, jobs=1, listener=KillSecond())
    assert list(result.runs) == [1]
    assert "was killed (SIGKILL)" in result.failed[2]
    assert result.summary.loc["test_mae", "runs"] == 1
    assert "SIGKILL" in json.loads((out / "summary.json").read_text())["failed"]["2"]
    stamp = (out / "seed-1" / "metrics.json").stat().st_mtime_ns
    with pytest.raises(OutputError, match="Pass `resume=True`"):
        selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out)
    with pytest.raises(RunError, match="begun with other settings"):
        selfmm.train_seeds(planted, seeds="2,1", overrides=STREAMS, out=out, resume=True)
    again = KillSecond()
    again.epoch = lambda seed, record: None  # type: ignore[method-assign]
    result = selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out, resume=True, listener=again)
    assert again.seen == [2]
    assert result.failed == {}
    assert (out / "seed-1" / "metrics.json").stat().st_mtime_ns == stamp
    alone = selfmm.train(planted, seed=2, overrides=overrides, out=tmp_path / "alone")
    same(out / "seed-2", alone.folder.path)


def test_reasons_that_all_seeds_share_are_said_once(planted: Dataset, tmp_path: Path) -> None:
    overrides = [*QUICK, "text.encoder=/nowhere"]
    with pytest.raises(TrainingError, match="seeds 1, 2: ") as caught:
        selfmm.train_seeds(planted, seeds=[1, 2], overrides=overrides, out=tmp_path / "out", jobs=2)
    assert str(caught.value).count("/nowhere") <= 2
    assert not (tmp_path / "out" / "summary.json").exists()


def test_places_that_are_refused(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.tex", planted.path):
        with pytest.raises(OutputError, match="is no folder of seeds"):
            selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=place, resume=True)
    with pytest.raises(OutputError, match="cannot write"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=tmp_path / "thesis.tex" / "x")
    with pytest.raises(SettingsError, match="seed: give it or seeds, not both"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=["seed=3"], out=tmp_path / "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="without accelerate launch"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


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
if job.get("fail"):
    send("failed", message=f"device {os.environ['CUDA_VISIBLE_DEVICES']}, threads {os.environ['OMP_NUM_THREADS']}")
print("last words", file=sys.stderr)
sys.exit(job.get("code", 0))
"""


class Watch(Unheard[int]):
    """How many ran at once, from the pool's own table."""

    def __init__(self) -> None:
        self.pool: Pool[int] | None = None
        self.at_first_epoch: list[int] = []
        self.most = 0
        self.problems: dict[int, str | None] = {}

    def started(self, seed: int, max_epochs: int, done: int) -> None:
        assert self.pool is not None
        self.most = max(self.most, len(self.pool.running))

    def epoch(self, seed: int, record: EpochRecord) -> None:
        assert self.pool is not None
        self.at_first_epoch.append(len(self.pool.running))

    def ended(self, seed: int, problem: str | None) -> None:
        self.problems[seed] = problem


Places = dict[str, dict[str, int]]


def act(plan: Plan, seeds: Sequence[int], memory: Sequence[Places], **job: Any) -> Watch:
    """Runs actors; the first reports the first ``memory``, and so on, the last one for all that follow."""
    told = iter([*memory, *([memory[-1]] * len(seeds))])
    watch = Watch()
    command = [sys.executable, "-c", ACTOR]
    watch.pool = Pool(plan, lambda seed: {**job, "memory": next(told)}, watch, command=command)
    failed = watch.pool.run(seeds)
    assert failed == {seed: problem for seed, problem in watch.problems.items() if problem is not None}
    assert sorted(watch.problems) == sorted(seeds)
    assert not helpers_aside()
    return watch


def figures(free: int, peak: int, place: str = "host") -> Places:
    return {"host": {"peak": 1, "free": 1000}} | {place: {"peak": peak, "free": free}}


def test_memory_decides_how_many_run_at_once() -> None:
    ample = act(Plan(jobs=3, threads=1), range(4), [figures(free=1000, peak=10)])
    assert ample.at_first_epoch[0] == 1, "nobody knew before the first epoch"
    assert ample.most == 3
    assert act(Plan(jobs=3, threads=1), range(2), [figures(free=12, peak=10)]).most == 1
    for_one_more = [figures(free=13, peak=10), figures(free=0, peak=10)]
    assert act(Plan(jobs=3, threads=1), range(3), for_one_more).most == 2


def test_as_many_as_the_user_says() -> None:
    watch = act(Plan(jobs=2, threads=1, measured=False), range(3), [figures(free=0, peak=10)])
    assert watch.at_first_epoch[0] == 2


def test_memory_of_one_device_counts_and_of_several_each_has_its_own() -> None:
    tight = [figures(free=5, peak=10, place="device")]
    assert act(Plan(jobs=2, threads=1, devices=("0",)), range(2), tight).most == 1
    watch = act(Plan(jobs=2, threads=4, devices=("3", "GPU-7")), range(3), tight, fail=True, code=1)
    assert watch.most == 2
    said = list(watch.problems.values())
    assert said[0] == "device 3, threads 4"
    assert set(said[:2]) == {"device 3, threads 4", "device GPU-7, threads 4"}


def test_a_process_that_dies_without_a_word_is_explained() -> None:
    watch = act(Plan(jobs=1, threads=1), [1], [figures(1000, 1)], code=3)
    assert watch.problems[1] == "its process ended with exit code 3: last words"


def test_no_process_is_left_when_the_listener_fails() -> None:
    class Fails(Unheard[int]):
        def started(self, seed: int, max_epochs: int, done: int) -> None:
            raise RuntimeError("a view that breaks")

    command = [sys.executable, "-c", ACTOR]
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="a view that breaks"):
        Pool(Plan(2, 1, measured=False), lambda seed: {"memory": {}}, Fails(), command).run([1, 2])
    assert not helpers_aside()
    assert time.monotonic() - start < 10
