"""One trial: the figure of a training, without what a training leaves, and nothing of it in the next one."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.core.errors import DatasetError, WeightsError
from selfmm.data.store import Dataset, open_dataset
from selfmm.experiments.trial import TrialTrainer
from selfmm.recordings.model import SentimentModel
from selfmm.training.start import started

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=3"]


def go_on(epoch: int, mae: float) -> bool:
    return True


def of(trainer: TrialTrainer, **values: object) -> tuple[str, float | None, int | None]:
    outcome = trainer.run({key.replace("__", "."): value for key, value in values.items()}, go_on)
    assert outcome.seconds > 0
    return outcome.state, outcome.mae, outcome.epoch


def test_its_figure_is_that_of_a_training(planted: Dataset, tmp_path: Path) -> None:
    heard: list[float] = []
    trainer = TrialTrainer(planted, load_settings(None, STREAMS))
    values = {"fusion.lr": 3e-3, "stream.audio.hidden": 8}

    def hear(epoch: int, mae: float) -> bool:
        heard.append(mae)
        return True

    outcome = trainer.run(values, hear)
    own = [f"{key}={value}" for key, value in values.items()]
    run = selfmm.train(planted, overrides=[*STREAMS, *own], out=tmp_path / "run")
    assert heard == run.history["valid_mae"].tolist()
    assert (outcome.state, outcome.reason) == ("complete", "")
    assert (outcome.mae, outcome.epoch) == (min(heard), run.metrics["best_epoch"])


@pytest.mark.slow
def test_trials_may_start_from_another_run(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    overrides = [*QUICK, "training.max_epochs=1", "text.finetune=false"]
    settings = load_settings(None, [*overrides, f"start={trained.folder.path}"])
    trainer = TrialTrainer(planted, started(settings, planted))
    run = selfmm.train(planted, start=trained, overrides=[*overrides, "fusion.lr=1e-3"], out=tmp_path / "run")
    # Without the test split, the encoder reads other batches, which it rounds otherwise.
    state, mae, epoch = of(trainer, fusion__lr=1e-3)
    assert (state, epoch) == ("complete", 1)
    assert mae == pytest.approx(run.history["valid_mae"][0], abs=1e-6)


def test_one_that_is_stopped_leaves_nothing_behind(
    planted: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = load_settings(None, STREAMS)
    expected = of(TrialTrainer(planted, settings), fusion__lr=2e-3)
    trainer = TrialTrainer(planted, settings)
    threads = threading.active_count()

    def stop(epoch: int, mae: float) -> bool:
        return epoch < 2

    stopped = trainer.run({"fusion.lr": 0.5}, stop)
    assert (stopped.state, stopped.epoch) in {("pruned", 1), ("pruned", 2)}
    assert threading.active_count() == threads
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert of(trainer, fusion__lr=2e-3) == expected
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_trained_fails_with_its_reason(planted: Dataset) -> None:
    trainer = TrialTrainer(planted, load_settings(None, [*STREAMS, "training.clip_norm=0"]))
    overflow = trainer.run({"fusion.lr": 1e30}, go_on)
    assert overflow.state == "failed"
    assert "not finite" in overflow.reason
    wrong = trainer.run({"fusion.projection": 0}, go_on)
    assert (wrong.state, wrong.mae, wrong.epoch) == ("failed", None, None)
    assert "fusion.projection = 0: input should be greater than or equal to 1" in wrong.reason
    unknown = trainer.run({"options.heads": 2}, go_on)
    assert "options.heads is not a setting" in unknown.reason
    assert "\n" not in unknown.reason


def test_an_encoder_that_is_not_there_fails_where_it_was_searched(planted: Dataset, tiny_encoder: str) -> None:
    settings = load_settings(None, [*QUICK, "training.max_epochs=1", "modalities=text", "text.encoder=/nowhere"])
    trainer = TrialTrainer(planted, settings)
    with pytest.raises(WeightsError, match="/nowhere"):
        trainer.run({"fusion.lr": 1e-3}, go_on)
    assert "/nowhere" in trainer.run({"text.encoder": "/nowhere"}, go_on).reason
    assert trainer.run({"text.encoder": tiny_encoder}, go_on).state == "complete"


def test_memory_that_runs_out_fails_it(planted: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = TrialTrainer(planted, load_settings(None, STREAMS))

    def no_room(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    monkeypatch.setattr("selfmm.experiments.trial.make_objective", no_room)
    assert trainer.run({}, go_on).reason == "memory ran out"


def copied(dataset: Dataset, to: Path) -> Path:
    shutil.copytree(dataset.path, to)
    return to


def test_the_test_split_is_not_read(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    """Its frames, texts and labels are poison, and nothing changes."""
    poisoned = copied(planted, tmp_path / "poisoned")
    table = pd.read_parquet(poisoned / "samples.parquet")
    test = table["split"] == "test"
    for name in ("audio", "vision"):
        frames = np.load(poisoned / f"{name}.npy", mmap_mode="r+")
        for start, length in table.loc[test, [f"{name}_offset", f"{name}_length"]].to_numpy():
            frames[start : start + length] = np.nan
        frames.flush()
    table.loc[test, "label"] = np.inf
    table.loc[test, "text"] = "poison " * 50
    table.to_parquet(poisoned / "samples.parquet")
    settings = load_settings(
        None, [*QUICK, "training.max_epochs=2", f"text.encoder={tiny_encoder}", "text.finetune=false"]
    )
    trainer = TrialTrainer(open_dataset(poisoned), settings)
    assert set(trainer.dataset.samples["split"]) == {"train", "valid"}
    found = of(trainer)
    assert found == of(TrialTrainer(planted, settings))
    assert found[0] == "complete"


def test_damage_that_all_trials_meet_is_raised(planted: Dataset, tmp_path: Path) -> None:
    damaged = copied(planted, tmp_path / "damaged")
    frames = np.load(damaged / "audio.npy", mmap_mode="r+")
    frames[int(planted.samples["audio_offset"].iloc[planted.rows("valid")[0]])] = np.nan
    frames.flush()
    settings = load_settings(None, [*STREAMS, "stream.audio.standardise=false", "stream.vision.standardise=false"])
    with pytest.raises(DatasetError, match="the audio frames of clip"):
        TrialTrainer(open_dataset(damaged), settings).run({}, go_on)


def test_a_frozen_encoder_is_asked_once(
    planted: Dataset, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    quick = [*QUICK, "training.max_epochs=1", "modalities=text", f"text.encoder={tiny_encoder}"]
    trainer = TrialTrainer(planted, load_settings(None, [*quick, "text.finetune=false"]))
    trainer.encode_frozen()
    (kept,) = tmp_path.rglob("*.npy")
    assert np.load(kept).shape[0] == len(planted) - len(planted.rows("test"))
    kept.unlink()
    first = of(trainer, fusion__lr=2e-3)
    assert of(trainer, fusion__lr=2e-3) == first
    assert not list(tmp_path.rglob("*.npy")), "its answers were at hand"
    shorter = of(trainer, fusion__lr=2e-3, text__max_tokens=4)
    assert shorter[1] != first[1], "other words, other answers"
    trained = of(trainer, fusion__lr=2e-3, text__finetune=True)
    assert trained[1] != first[1]
    assert len(list(tmp_path.rglob("*.npy"))) == 1
