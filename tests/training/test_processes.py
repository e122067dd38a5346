"""A run of several real processes, as a launcher starts them, against the same run of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import selfmm
from conftest import QUICK
from selfmm.data.store import Dataset
from selfmm.predict import TrainedModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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


def command(data: Path, encoder: str, out: Path, *overrides: str, processes: int) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    options = [argument for override in overrides for argument in ("--set", override)]
    return [
        sys.executable, *launcher, "-m", "selfmm", "train", str(data), "--text-encoder", encoder,
        "--out", str(out), "--resume", *options,
    ]  # fmt: skip


def launch(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=200)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def assert_same(one: TrainedModel, several: TrainedModel) -> None:
    """To the rounding of float32 sums in another order, over all the steps of the run."""
    pd.testing.assert_frame_equal(several.labels, one.labels, rtol=0, atol=1e-4)
    pd.testing.assert_frame_equal(several.predictions, one.predictions, rtol=0, atol=1e-4)
    assert several.metrics["best_epoch"] == one.metrics["best_epoch"]
    for split, tasks in one.metrics["splits"].items():
        for task, found in tasks.items():
            assert several.metrics["splits"][split][task]["values"] == pytest.approx(found["values"], abs=1e-4)


@pytest.mark.parametrize("rule", ["authors", "posterior"])
def test_two_processes_train_as_one(rule: str, data: Dataset, still_encoder: str, tmp_path: Path) -> None:
    overrides = (*UNEVEN, f"labels.rule={rule}")
    one = selfmm.train(data, text_encoder=still_encoder, overrides=overrides, out=tmp_path / "one")
    done = launch(command(data.path, still_encoder, tmp_path / "two", *overrides, processes=2))
    assert done.returncode == 0, done.stderr
    two = selfmm.load(tmp_path / "two")
    assert (two.labels["u_label"] != two.labels["m_label"]).any()
    assert_same(one, two)
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2
    assert not list(tmp_path.rglob("*.partial"))
