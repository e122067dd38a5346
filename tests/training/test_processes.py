"""A run of several real processes, as a launcher starts them, against the same run of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import selfmm
from conftest import QUICK, heeds_ctrl_c
from forked import Program
from selfmm.core.folders import only_one
from selfmm.data.store import Dataset
from selfmm.runs.trained_model import TrainedModel
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

# Without words no process imports transformers, which takes a launched one half of its time.
STREAMS = "modalities=audio,vision"
# Batches of 5 in steps of 10: shares are unequal, and the last step of an epoch is one clip.
UNEVEN = (
    *QUICK,
    "training.batch_size=5",
    "training.accumulation=2",
    "text.projection_dropout=0",
    "training.precision=fp32",
)
CLIPS = 71


@pytest.fixture(scope="module")
def still_encoder(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny encoder without dropout, which differs between processes."""
    folder = tmp_path_factory.mktemp("still") / "encoder"
    shutil.copytree(tiny_encoder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(scope="module")
def data(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """``planted`` with so many training clips that the last step of an epoch is a single one."""
    folder = tmp_path_factory.mktemp("data") / "data"
    shutil.copytree(planted.path, folder)
    table = pd.read_parquet(folder / "samples.parquet")
    train = table.index[table["split"] == "train"]
    table.loc[train[CLIPS:], "split"] = "test"
    table.to_parquet(folder / "samples.parquet", index=False)
    return selfmm.open_dataset(folder)


LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "selfmm")
NETWORK = {"GLOO_SOCKET_IFNAME": "lo"}


def train(data: Path, encoder: str, out: Path, *overrides: str) -> list[str]:
    options = [argument for override in overrides for argument in ("--set", override)]
    return ["train", str(data), "--text-encoder", encoder, "--out", str(out), "--resume", *options]


def launch(words: list[str]) -> subprocess.Popen[str]:
    """Two processes, as people start them."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **NETWORK}
    return subprocess.Popen(
        [*LAUNCHER, *words], env=environment, preexec_fn=heeds_ctrl_c, start_new_session=True, **pipes
    )


def start(words: list[str], processes: int) -> list[Program]:
    """Without a launcher, whose death its processes would survive; so some clusters start them too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": str(processes)}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} | place if processes > 1 else {} for rank in range(processes)]
    return [Program(words, NETWORK | rank) for rank in ranks]


def finish(programs: list[Program]) -> list[subprocess.CompletedProcess[str]]:
    done = [program.wait() for program in programs]
    assert all(one.returncode == 0 for one in done), "\n".join(one.stderr for one in done)
    return done


def assert_same(one: TrainedModel, several: TrainedModel) -> None:
    """To the rounding of float32 sums in another order, over all the steps of the run."""
    pd.testing.assert_frame_equal(several.labels, one.labels, rtol=0, atol=1e-4)
    pd.testing.assert_frame_equal(several.predictions, one.predictions, rtol=0, atol=1e-4)
    assert several.metrics["best_epoch"] == one.metrics["best_epoch"]
    for split, tasks in one.metrics["splits"].items():
        for task, found in tasks.items():
            assert several.metrics["splits"][split][task]["values"] == pytest.approx(found["values"], abs=1e-4)


@pytest.fixture(scope="module")
def one(data: Dataset, still_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The run of one process."""
    out = tmp_path_factory.mktemp("one") / "run"
    return selfmm.train(data, text_encoder=still_encoder, overrides=UNEVEN, out=out)


def test_two_processes_train_as_one(one: TrainedModel, data: Dataset, still_encoder: str, tmp_path: Path) -> None:
    done = finish(start(train(data.path, still_encoder, tmp_path / "two", *UNEVEN), 2))
    assert "".join(process.stdout for process in done).count("best epoch") == 1, "both spoke, or none"
    two = selfmm.load(tmp_path / "two")
    assert (two.labels["u_label"] != two.labels["m_label"]).any()
    assert_same(one, two)
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2
    assert not list(tmp_path.rglob("*.partial"))


def test_labels_estimated_before_training_too(data: Dataset, still_encoder: str, tmp_path: Path) -> None:
    overrides = (*UNEVEN, "labels.rule=posterior")
    alone = selfmm.train(data, text_encoder=still_encoder, overrides=overrides, out=tmp_path / "one")
    finish(start(train(data.path, still_encoder, tmp_path / "two", *overrides), 2))
    two = selfmm.load(tmp_path / "two")
    assert (two.labels["u_label"] != two.labels["m_label"]).any()
    assert_same(alone, two)


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_killed_run_goes_on_with_another_number(
    first: int, then: int, one: TrainedModel, data: Dataset, still_encoder: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = train(data.path, still_encoder, out, *UNEVEN)
    workers = start(words, first)
    wait_until((out / "state" / "latest.json").exists, poll=workers[0].poll)
    for worker in workers:
        worker.kill()
        worker.wait()
    assert json.loads((out / "run.json").read_text())["status"] == "training"
    assert json.loads((out / "state" / "latest.json").read_text())["epoch"] < len(one.history)
    finish(start(words, then))
    assert_same(one, selfmm.load(out))


def test_an_error_in_one_process_stops_both(data: Dataset, still_encoder: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data.path, folder)
    matrix = np.load(folder / "audio.npy")
    row = int(data.rows("train")[4])
    matrix[int(data.samples["audio_offset"].iloc[row]), 0] = np.nan
    np.save(folder / "audio.npy", matrix)
    overrides = (*UNEVEN, STREAMS, "stream.audio.standardise=false")
    assert "error: the audio frames of clip" in one_complaint(
        train(folder, still_encoder, tmp_path / "run", *overrides)
    )


def test_what_is_wrong_for_all_is_said_once(still_encoder: str, tmp_path: Path) -> None:
    words = train(tmp_path / "nothing", still_encoder, tmp_path / "run")
    assert "does not exist. Make a data set with" in one_complaint(words)


def one_complaint(words: list[str]) -> str:
    process = launch(words)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert told.count("error: ") == 1, told
    return told


def test_an_interrupt_stops_both(data: Dataset, still_encoder: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = train(data.path, still_encoder, out, *UNEVEN, STREAMS, "training.max_epochs=9999")
    words[words.index("training.max_epochs=4")] = "training.patience=9999"
    process = launch(words)
    try:
        wait_until((out / "state" / "latest.json").exists, poll=process.poll)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert told.count("continue with: selfmm train") == 1
    with only_one(out):  # nobody is left at work in it
        pass
