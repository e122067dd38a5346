"""``selfmm train --seeds``: its output, its errors, and that nothing goes on when it ends."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import psutil
import pytest
from rich.console import Console

from cli.command_line import complains, selfmm
from conftest import QUICK
from forked import Program
from selfmm.cli.progress import RunBars, watch_runs
from selfmm.core.jobs.plan import Plan
from selfmm.data.store import Dataset
from selfmm.training.trainer import EpochRecord
from waiting import PATIENCE, wait_until

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]
ENDLESS = [*STREAMS, "training.max_epochs=100000", "training.patience=100000"]


def command(planted: Dataset, out: Path, settings: list[str], *more: str) -> list[str]:
    options = [argument for override in settings for argument in ("--set", override)]
    return ["train", str(planted.path), "--out", str(out), *more, *options]


def run(planted: Dataset, out: Path, *more: str) -> CompletedProcess[str]:
    return selfmm(*command(planted, out, STREAMS, *more))


@pytest.mark.slow
def test_table_and_folder(planted: Dataset, tmp_path: Path) -> None:
    result = run(planted, tmp_path / "out", "--seeds", "5,7", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    assert "2 seeds to train, 2 at once as set by --jobs, 1 thread each" in result.stdout
    assert "seed 7: finished, valid MAE" in result.stdout
    figures = json.loads((tmp_path / "out" / "summary.json").read_text())["figures"]["test_mae"]
    (row,) = [line for line in result.stdout.splitlines() if line.strip().startswith("MAE")]
    assert f"{figures['mean']:.4f} ± {figures['std']:.4f}" in row
    assert row.split()[-2:] == [f"{figures['seed_5']:.4f}", f"{figures['seed_7']:.4f}"]
    assert "over 2 seeds" in result.stdout
    again = run(planted, tmp_path / "out", "--seeds", "5,7", "--resume")
    assert "0 seeds to train (2 finished already)" in again.stdout
    assert row in again.stdout
    damaged = tmp_path / "out" / "seed-7"
    (damaged / "state" / "latest.json").write_text("{")
    (damaged / "run.json").write_text((damaged / "run.json").read_text().replace('"finished"', '"training"'))
    result = run(planted, tmp_path / "out", "--seeds", "5,7", "--resume")
    assert result.returncode == 1
    assert "seed 7: failed: cannot read" in result.stdout
    assert "over 1 seed," in result.stdout
    assert result.stderr == "error: no result for seed 7; continue with the same command and --resume.\n"


@pytest.mark.slow
def test_evaluate_and_predict_take_the_folder(planted: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(planted, folder, "--seeds", "5,7", "--jobs", "1")
    figures = json.loads((folder / "summary.json").read_text())["figures"]["test_mae"]
    shown = selfmm("evaluate", folder)
    assert f"{figures['mean']:.4f} ± {figures['std']:.4f}" in shown.stdout
    assert "over 2 seeds" in shown.stdout
    content = json.loads(selfmm("evaluate", folder, "--json").stdout)
    assert content["mae"] == pytest.approx(figures["mean"], abs=1e-6)
    assert set(content["seeds"]["mae"]) == {"mean", "std", "runs", "seed_5", "seed_7"}
    table = pd.read_csv(io.StringIO(selfmm("predict", folder, planted.path, "--split", "test").stdout))
    assert len(table) == len(planted.rows("test"))
    assert table["deviation"].gt(0).any()
    explained = selfmm("predict", folder, planted.path, "--split", "test", "--explain").stdout
    assert "by_audio" in explained.splitlines()[0]
    complains(selfmm("report", folder), "it holds the runs 'seed-5', 'seed-7'", f"selfmm ensemble {folder} --out")
    unfinished = folder / "seed-7" / "run.json"
    unfinished.write_text(unfinished.read_text().replace('"finished"', '"training"'))
    shown = selfmm("evaluate", folder)
    assert "note: 1 seed not finished and left out: 7." in shown.stderr
    assert "over 1 seed" in shown.stdout


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--seeds", "1-2", "--seed", "1"), "give --seed for one run or --seeds for several"),
        (("--jobs", "2"), "--jobs is the number of --seeds that run at once"),
    ],
)
def test_what_does_not_go_together(planted: Dataset, tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    result = run(planted, tmp_path / "out", *more)
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def started(planted: Dataset, out: Path) -> tuple[Program, list[psutil.Process]]:
    """A command that trains two seeds without end, and its processes."""
    process = Program(command(planted, out, ENDLESS, "--seeds", "1-2", "--jobs", "2"))
    wait_until(lambda: len(list(out.glob("seed-*/history.jsonl"))) == 2, poll=process.poll)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2  # and the one that they are forked from, where that is done
    return process, children


@pytest.mark.slow
def test_ctrl_c_ends_all_and_says_how_to_go_on(planted: Dataset, tmp_path: Path) -> None:
    process, children = started(planted, tmp_path / "out")
    process.send_signal(signal.SIGINT)  # to the parent alone, as `kill -INT` does
    done = process.wait()
    assert done.returncode == 130
    assert f"interrupted; continue with: selfmm train {planted.path}" in done.stderr
    assert done.stderr.endswith("--resume\n")
    assert "Traceback" not in done.stderr
    assert not [child for child in children if child.is_running()]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_sigterm_ends_all_like_ctrl_c(planted: Dataset, tmp_path: Path) -> None:
    process, children = started(planted, tmp_path / "out")
    process.send_signal(signal.SIGTERM)
    done = process.wait()
    assert done.returncode == 143
    assert "ended by SIGTERM; continue with: selfmm train" in done.stderr
    assert not [child for child in children if child.is_running()]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_no_process_outlives_a_killed_parent(planted: Dataset, tmp_path: Path) -> None:
    process, children = started(planted, tmp_path / "out")
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert len(gone) == len(children)


RECORD = EpochRecord(2, {"fusion": 0.5}, {"mae": 0.75}, best=True, seconds=3.0, clips_per_second=9.0)


@pytest.mark.parametrize("terminal", [True, False])
def test_views(terminal: bool) -> None:
    out = io.StringIO()
    with watch_runs(Console(file=out, force_terminal=terminal, width=120, color_system=None), "seed") as listener:
        assert isinstance(listener, RunBars) == terminal
        listener.runs_planned(Plan(jobs=2, threads=3), [1, 2], [9])
        listener.run_started(1, 5, 0)
        listener.run_started(2, 5, 1)
        listener.run_epoch(1, RECORD)
        if isinstance(listener, RunBars):
            bars = [(bar.description, bar.completed, bar.total, bar.fields["note"]) for bar in listener.progress.tasks]
            assert bars == [
                ("seeds", 1, 3, ""),
                ("seed 1", 2, 5, "best valid MAE 0.7500"),
                ("seed 2", 1, 5, ""),
            ]
        listener.run_ended(1, None)
        listener.run_ended(2, "the data set [bold] has no clip")
        listener.run_ended(3, "died before it began")
    text = out.getvalue()
    assert "2 seeds to train (1 finished already), 2 at once if memory allows, 3 threads each" in text
    assert "seed 1: finished, valid MAE 0.7500 at epoch 2" in text
    assert "seed 2: resumed after epoch 1" in text or terminal
    assert "seed 2: failed: the data set [bold] has no clip" in text
    assert "seed 1: epoch 2" not in text


def test_a_log_of_seeds_has_their_epochs() -> None:
    out = io.StringIO()
    with watch_runs(Console(file=out, force_terminal=False, width=40), "seed", epochs=True) as listener:
        listener.run_epoch(1, RECORD)
    assert out.getvalue() == "seed 1: epoch 2, valid MAE 0.7500; best so far\n"
