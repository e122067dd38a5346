"""``kill -9`` at any moment, then ``--resume``: the same numbers as without, bit for bit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file

import selfmm
from conftest import QUICK
from forked import Program
from selfmm.core.errors import RunError
from selfmm.data.store import Dataset
from selfmm.runs.folder import PROCEDURE
from selfmm.runs.trained_model import TrainedModel
from training.builders import killed_at_the_end
from waiting import wait_until


def start(planted: Dataset, encoder: str, out: Path) -> Program:
    options = [argument for override in QUICK for argument in ("--set", override)]
    return Program(["train", planted.path, "--text-encoder", encoder, "--out", out, "--resume", *options])


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    kills = 0
    # Moments are counted from signs of life in the folder: before anything, during an epoch, around a checkpoint.
    for sign, delay in (("settings.toml", 0.0), ("state/latest.json", 0.02), ("state/epoch-00003.safetensors", 0.0)):
        process = start(planted, tiny_encoder, out)
        wait_until(lambda: (out / sign).exists() or process.poll() is not None)  # noqa: B023  called at once
        time.sleep(delay)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    assert kills >= 2, "the run ended before it could be killed"
    for folder in (whole, out):
        done = start(planted, tiny_encoder, folder).wait()
        assert done.returncode == 0, done.stderr
    again, once = selfmm.load(out), selfmm.load(whole)
    pd.testing.assert_frame_equal(again.labels, once.labels, check_exact=True)
    pd.testing.assert_frame_equal(again.predictions, once.predictions, check_exact=True)
    assert again.metrics == once.metrics
    weights, expected = load_file(again.folder.weights), load_file(once.folder.weights)
    assert all((weights[key] == expected[key]).all() for key in expected)
    epochs = [json.loads(line)["epoch"] for line in (out / "history.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, len(once.history) + 1))
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_a_kill_while_results_are_written_is_mended(
    trained: TrainedModel, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed_at_the_end(planted, out, text_encoder=tiny_encoder, overrides=QUICK)
    (out / "model.safetensors").unlink()
    again = selfmm.train(planted, text_encoder=tiny_encoder, overrides=QUICK, out=out, resume=True)
    # The fixture was scored long ago: what other tests have loaded since may round sums otherwise.
    for split, tasks in trained.metrics["splits"].items():
        for task, found in tasks.items():
            assert again.metrics["splits"][split][task] == {**found, "values": pytest.approx(found["values"], abs=1e-5)}
    pd.testing.assert_frame_equal(again.labels, trained.labels, check_exact=True)


def as_of_an_older_version(out: Path) -> None:
    """Take away what older versions did not write."""
    settings = (out / "settings.toml").read_text(encoding="utf-8").splitlines()
    older = [line for line in settings if not line.startswith(("weighting =", "optimizer ="))]
    assert len(older) == len(settings) - 2
    (out / "settings.toml").write_text("\n".join(older), encoding="utf-8")
    info = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert info.pop("procedure") == PROCEDURE
    (out / "run.json").write_text(json.dumps(info), encoding="utf-8")


@pytest.mark.parametrize("whole", [True, False])
def test_a_run_of_an_older_version_is_never_continued_in_another_way(
    planted: Dataset, tmp_path: Path, whole: bool
) -> None:
    """It trained with other weights and another decay: what it began is refused, what it finished stays as it is."""
    arguments: dict[str, Any] = {
        "overrides": [*QUICK, "modalities=audio", "training.max_epochs=1"],
        "out": tmp_path / "run",
    }
    if whole:
        selfmm.train(planted, **arguments)
    else:
        killed_at_the_end(planted, **arguments)
    as_of_an_older_version(tmp_path / "run")
    older = ["labels.weighting=published", "training.optimizer=adam"]
    same: dict[str, Any] = {**arguments, "overrides": [*arguments["overrides"], *older], "resume": True}
    if whole:
        assert selfmm.train(planted, **same).folder.settings().training.optimizer == "adam"
        with pytest.raises(RunError, match=r"labels\.weighting: 'published' then, 'encoder' now"):
            selfmm.train(planted, **arguments, resume=True)
        return
    for given in (same, {**arguments, "resume": True}):
        with pytest.raises(RunError, match="begun by another version of selfmm, which trains in another way"):
            selfmm.train(planted, **given)
