"""The loop: gradients neither lost nor scaled, early stop, and a stop with a reason when a loss is not finite."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from selfmm.config import Settings, load_settings
from selfmm.data.batches import Positions
from selfmm.data.store import Dataset, open_dataset
from selfmm.errors import DatasetError, TrainingError
from selfmm.training.assembly import Assembly, assemble, make_objective
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.trainer import EpochRecord, Trainer

STREAMS = ("modalities=audio,vision", "stream.audio.projection_dropout=0")


def make(dataset: Dataset, folder: Path, *overrides: str) -> tuple[Trainer, Assembly]:
    settings = load_settings(None, [*STREAMS, "training.clip_norm=0", *overrides])
    return make_with(dataset, folder, settings)


def make_with(dataset: Dataset, folder: Path, settings: Settings) -> tuple[Trainer, Assembly]:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    assembly = assemble(dataset, settings)
    rows = dataset.rows("train")
    trainer = Trainer(
        model=assembly.model,
        objective=make_objective(dataset, assembly),
        train=assembly.maker(dataset, rows),
        valid=assembly.maker(dataset, dataset.rows("valid")),
        names=dataset.samples["id"].iloc[rows].tolist(),
        scale="mosi",
        settings=settings,
        checkpoints=Checkpoints(folder),
    )
    return trainer, assembly


def first_step_gradients(trainer: Trainer, passes: list[Positions]) -> list[torch.Tensor]:
    """Gradients as the optimizer sees them at its step."""
    seen: list[torch.Tensor] = []
    step = trainer.optimizer.step

    def record() -> None:
        seen.extend(p.grad.clone() for p in trainer.model.parameters() if p.grad is not None)
        step()

    trainer.optimizer.step = record
    trainer._step(passes, epoch=1)
    return seen


def test_micro_batches_give_the_gradient_of_the_whole_step(planted: Dataset, tmp_path: Path) -> None:
    """Uneven parts too: a mean of means would weigh the clips of a small part more."""
    clips = np.arange(22)
    whole = first_step_gradients(make(planted, tmp_path / "a", "training.batch_size=22")[0], [clips])
    parts = [clips[:9], clips[9:18], clips[18:]]
    cut = first_step_gradients(make(planted, tmp_path / "b", "training.batch_size=9")[0], parts)
    assert whole
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_gradient_sum_is_the_authors(planted: Dataset, tmp_path: Path) -> None:
    clips = np.arange(20)
    mean = first_step_gradients(make(planted, tmp_path / "a")[0], [clips[:10], clips[10:]])
    total = first_step_gradients(make(planted, tmp_path / "b", "training.gradient=sum")[0], [clips[:10], clips[10:]])
    for a, b in zip(mean, total, strict=True):
        torch.testing.assert_close(2 * a, b, atol=1e-6, rtol=1e-4)


def test_leftover_passes_are_stepped_or_dropped(planted: Dataset, tmp_path: Path) -> None:
    leftover = [np.arange(8), np.arange(8, 13)]
    for choice, moves in (("step", True), ("drop", False)):
        trainer, _ = make(planted, tmp_path / choice, "training.accumulation=4", f"training.leftover={choice}")
        before = [p.detach().clone() for p in trainer.model.parameters()]
        trainer._step(leftover, epoch=1)
        moved = any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
        assert moved is moves
        assert all(p.grad is None or not p.grad.any() for p in trainer.model.parameters()), "nothing may leak on"


def test_clipping_bounds_the_norm(planted: Dataset, tmp_path: Path) -> None:
    gradients = first_step_gradients(make(planted, tmp_path, "training.clip_norm=0.001")[0], [np.arange(16)])
    assert torch.cat([g.flatten() for g in gradients]).norm() <= 0.001 * (1 + 1e-4)


def test_stored_features_are_without_dropout_unless_asked(planted: Dataset, tmp_path: Path) -> None:
    dropout = ("stream.audio.projection_dropout=0.5", "fusion.projection_dropout=0.5")
    positions = np.arange(16)
    banks = {}
    for choice in ("eval", "train"):
        trainer, assembly = make(planted, tmp_path / choice, *dropout, f"labels.features={choice}")
        assembly.model.eval()
        with torch.no_grad():
            clean = assembly.model(trainer.train.make(positions)).features["audio"].clone()
        assembly.model.train()
        step = trainer.optimizer.step
        trainer._step([positions], epoch=1)
        assert step is not None
        bank = trainer.objective.generator.streams["of_audio"].bank[positions]  # type: ignore[attr-defined]
        banks[choice] = torch.allclose(bank, clean, atol=1e-6)
    assert banks == {"eval": True, "train": False}


def test_validation_is_the_mean_over_the_whole_split(planted: Dataset, tmp_path: Path) -> None:
    trainer, assembly = make(planted, tmp_path)
    figures = trainer._validate(1)
    maker = trainer.valid
    with torch.no_grad():
        assembly.model.eval()
        errors = [
            abs(float(assembly.model(maker.make(np.array([i]))).fusion[0]) - float(maker.labels[i]))
            for i in range(len(maker))
        ]
    assert figures["mae"] == pytest.approx(float(np.mean(errors)), abs=1e-6)


def test_early_stop_and_cap(planted: Dataset, tmp_path: Path) -> None:
    trainer, _ = make(planted, tmp_path / "cap", "training.max_epochs=2", "training.patience=8")
    assert len(trainer.fit()) == 2
    trainer, _ = make(planted, tmp_path / "stop", "training.max_epochs=50", "training.patience=2", "fusion.lr=0.05")
    history = trainer.fit()
    assert len(history) < 50
    assert len(history) - trainer.best_epoch == 2
    assert min(record.valid["mae"] for record in history) == history[trainer.best_epoch - 1].valid["mae"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_frames_that_are_not_finite_name_the_clip(planted: Dataset, tmp_path: Path, value: float) -> None:
    """Infinity too, of which an LSTM makes a finite score and a gradient of NaN."""
    data = tmp_path / "data"
    shutil.copytree(planted.path, data)
    matrix = np.load(data / "audio.npy")
    row = int(planted.rows("train")[4])
    matrix[int(planted.samples["audio_offset"].iloc[row]), 0] = value
    np.save(data / "audio.npy", matrix)
    trainer, _ = make(open_dataset(data), tmp_path / "run", "stream.audio.standardise=false")
    with pytest.raises(DatasetError, match=f"audio frames of clip '{trainer.names[4]}' hold NaN or infinite"):
        trainer.fit()


def test_a_label_that_is_not_finite_names_the_clip(planted: Dataset, tmp_path: Path) -> None:
    trainer, _ = make(planted, tmp_path)
    trainer.train.labels[4] = float("nan")
    with pytest.raises(TrainingError, match=f"clip '{trainer.names[4]}' is not finite.*Its label is nan"):
        trainer.fit()


def test_weights_that_overflow_are_named(planted: Dataset, tmp_path: Path) -> None:
    trainer, assembly = make(planted, tmp_path)
    with torch.no_grad():
        list(assembly.model.fusion.score.parameters())[-2].fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"The weights fusion.score.*overflowed.*clip_norm"):
        trainer.fit()


def test_a_listener_is_told_everything(planted: Dataset, tmp_path: Path) -> None:
    events: list[str] = []

    class Recorder:
        def started(self, max_epochs: int, steps: int, done: int) -> None:
            events.append(f"started {max_epochs} {steps} {done}")

        def step(self) -> None:
            events.append("step")

        def epoch(self, record: EpochRecord) -> None:
            events.append(f"epoch {record.epoch}")

    trainer, _ = make(planted, tmp_path, "training.max_epochs=1", "training.batch_size=64")
    trainer.listener = Recorder()
    trainer.fit()
    clips = len(planted.rows("train"))
    assert events == [f"started 1 {-(-clips // 256)} 0", *["step"] * -(-clips // 256), "epoch 1"]


def test_bf16_computes_and_gives_labels_in_full_precision(planted: Dataset, tmp_path: Path) -> None:
    trainer, _ = make(planted, tmp_path, "training.precision=bf16", "training.max_epochs=1")
    assert np.isfinite(trainer.fit()[0].valid["mae"])
