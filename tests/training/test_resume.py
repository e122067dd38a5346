"""``kill -9`` at any moment, then ``--resume``: the same numbers as without, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

import selfmm
from conftest import QUICK
from selfmm.data.store import Dataset
from selfmm.predict import TrainedModel


def command(planted: Dataset, encoder: str, out: Path) -> list[str]:
    options = [argument for override in QUICK for argument in ("--set", override)]
    return [
        sys.executable, "-m", "selfmm", "train", str(planted.path), "--text-encoder", encoder,
        "--out", str(out), "--resume", *options,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_and_resumed_equals_uninterrupted(
    planted: Dataset, tiny_encoder: str, trained: TrainedModel, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kills = 0
    # Moments are counted from signs of life in the folder: before anything, during an epoch, around a checkpoint.
    for sign, delay in (("settings.toml", 0.0), ("state/latest.json", 0.02), ("state/epoch-00003.safetensors", 0.0)):
        process = subprocess.Popen(command(planted, tiny_encoder, out), env=environment, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline and not (out / sign).exists():
            time.sleep(0.002)
        time.sleep(delay)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 2, "the run ended before it could be killed"
    subprocess.run(command(planted, tiny_encoder, out), env=environment, check=True, capture_output=True)
    again = selfmm.load(out)
    pd.testing.assert_frame_equal(again.labels, trained.labels, check_exact=True)
    pd.testing.assert_frame_equal(again.predictions, trained.predictions, check_exact=True)
    assert again.metrics == trained.metrics
    weights, expected = load_file(again.folder.weights), load_file(trained.folder.weights)
    assert all((weights[key] == expected[key]).all() for key in expected)
    epochs = [json.loads(line)["epoch"] for line in (out / "history.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, len(trained.history) + 1))
    assert not list(out.rglob("*.partial"))


def test_a_kill_while_results_are_written_is_mended(
    trained: TrainedModel, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    """All epochs done, some results written, the run not yet marked as finished."""
    import shutil

    out = tmp_path / "run"
    shutil.copytree(trained.folder.path, out)
    for name in ("metrics.json", "labels.parquet", "model.safetensors"):
        (out / name).unlink()
    info = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**info, "status": "training"}))
    again = selfmm.train(planted, text_encoder=tiny_encoder, overrides=QUICK, out=out, resume=True)
    # What the fixture was scored with long ago in this process may have been rounded otherwise: libraries that other
    # tests load change how sums are made. Within one quiet process it is the same to the last bit.
    for split, tasks in trained.metrics["splits"].items():
        for task, found in tasks.items():
            assert again.metrics["splits"][split][task] == {**found, "values": pytest.approx(found["values"], abs=1e-5)}
    pd.testing.assert_frame_equal(again.labels, trained.labels, check_exact=True)
