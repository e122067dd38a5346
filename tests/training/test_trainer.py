"""The loop: gradients neither lost nor scaled, early stop, and a stop with a reason when a loss is not finite."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.worlds import as_on_an_accelerator
from selfmm.core.errors import DatasetError, TrainingError
from selfmm.core.listener import Listener
from selfmm.core.tensors import Positions
from selfmm.data.store import Dataset, open_dataset
from selfmm.labels import UnimodalLabelGenerator
from selfmm.models.text import TransformerEncoder
from selfmm.training.trainer import EpochRecord, Trainer
from training.builders import make, take_step


def first_step_gradients(trainer: Trainer, passes: list[Positions]) -> list[torch.Tensor]:
    """Gradients as the optimizer sees them at its step."""
    seen: list[torch.Tensor] = []
    step = trainer.optimizer.step

    def record() -> None:
        seen.extend(p.grad.clone() for p in trainer.model.parameters() if p.grad is not None)
        step()

    trainer.optimizer.step = record
    take_step(trainer, passes)
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


def test_rows_of_an_embedding_are_gathered_into_its_dense_gradient(
    planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    """After two steps of other words it is that of transformers' own embedding: nothing of the first one stays."""
    found, last = [], np.arange(16, 24)
    for packs in (True, False):
        overrides = ["modalities=text", f"text.encoder={tiny_encoder}", "text.max_tokens=40", "training.precision=fp32"]
        overrides += ["text.lr=1e-9", "fusion.lr=1e-9"]  # of the same weights, though Adam makes steps of rounding too
        trainer, assembly = make(planted, tmp_path / str(packs), *overrides, "labels.features=train")
        assembly.model.eval()  # no dropout
        assembly.model.encoders["text"]._packs = packs  # type: ignore[assignment]
        take_step(trainer, [np.arange(8), np.arange(8, 16)])
        found.append(first_step_gradients(trainer, [last]))
    assert all(gradient.layout is torch.strided for gradient in found[0])
    for rows, dense in zip(*found, strict=True):
        torch.testing.assert_close(rows, dense, atol=1e-6, rtol=1e-4)


def train_the_whole_embedding(encoder: TransformerEncoder, ids: torch.Tensor) -> None:
    """Its gradient comes in rows too, which are added in the same order."""
    encoder.model.embeddings.word_embeddings.sparse = True  # type: ignore[union-attr]


def test_words_that_no_training_clip_has_are_left_out_of_the_step(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the weights are the same to the bit as if the whole embedding were trained."""
    weights = []
    for rows_only in (True, False):
        if not rows_only:
            monkeypatch.setattr(TransformerEncoder, "train_words", train_the_whole_embedding)
        overrides = ["modalities=text", f"text.encoder={tiny_encoder}", "text.max_tokens=40", "training.max_epochs=2"]
        trainer, _ = make(planted, tmp_path / str(rows_only), *overrides, "training.clip_norm=0")
        names = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
        assert any(name.endswith("word_embeddings.rows") for name in names) == rows_only
        trainer.fit()
        trainer.load_best()
        weights.append(trainer.model.state_dict())
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


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
        take_step(trainer, leftover)
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
        overrides = (*dropout, "labels.rule=authors", f"labels.features={choice}")
        trainer, assembly = make(planted, tmp_path / choice, *overrides)
        assembly.model.eval()
        with torch.no_grad():
            clean = assembly.model(trainer.train.make(positions)).features["audio"].clone()
        assembly.model.train()
        take_step(trainer, [positions])
        generator: Any = trainer.objective.generator
        bank = generator.streams["of_audio"].bank[positions]
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


@pytest.mark.slow
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
        fusion: Any = assembly.model.fusion
        list(fusion.score.parameters())[-2].fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"The weights fusion.score.*overflowed.*clip_norm"):
        trainer.fit()


def test_a_listener_is_told_everything(planted: Dataset, tmp_path: Path) -> None:
    events: list[str] = []

    class Recorder(Listener):
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


def test_passes_change_neither_gradients_nor_labels(planted: Dataset, tmp_path: Path) -> None:
    """A forward pass may be a part of a batch of labels, or several: the same step, for every way to make labels."""
    clips = np.arange(40)
    parts = [clips[:16], clips[16:32], clips[32:]]
    for rule in ("authors", "posterior"):
        states = []
        for sizes in ((16, 16, 8), (40,), (7, 20, 13)):
            passes = np.split(clips, np.cumsum(sizes)[:-1])
            trainer, _ = make(planted, tmp_path / f"{rule}{sizes}", f"labels.rule={rule}", "training.gradient=sum")
            # Adam would turn a rounding error of a gradient that should be 0 into a whole step.
            trainer.optimizer = trainer.accelerator.prepare(torch.optim.SGD(trainer.model.parameters(), lr=0.1))
            for epoch in (1, 2):
                trainer._step(parts, [trainer.train.make(positions) for positions in passes], epoch)
                trainer.objective.end_epoch()
            states.append({**trainer.model.state_dict(), **trainer.objective.state_dict()})
        for state in states[1:]:
            for name, value in states[0].items():
                torch.testing.assert_close(state[name], value, atol=1e-5, rtol=1e-4, msg=name)


class Waits(TorchDispatchMode):
    """Counts the operations that would wait for an accelerator: their result, or its shape, is needed by Python."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("rule", ["authors", "posterior"])
def test_a_step_waits_for_nothing(
    rule: str, planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "checks_at_once", False)  # as on an accelerator
    as_on_an_accelerator(monkeypatch)
    monkeypatch.setattr(TransformerEncoder, "train_words", lambda self, ids: None)
    # On the CPU the generator checks its positions, which there costs nothing.
    monkeypatch.setattr(UnimodalLabelGenerator, "_check_index", lambda self, index: index)
    text = ("modalities=text,audio,vision", f"text.encoder={tiny_encoder}", "text.max_tokens=32")
    trainer, _ = make(planted, tmp_path, *text, "training.clip_norm=1", f"labels.rule={rule}")
    parts = [np.arange(16), np.arange(16, 32)]
    batches = [trainer.train.make(positions) for positions in parts]
    take_step(trainer, parts)  # its loss is looked at during the next step, when it has long been there
    trainer._unsure.clear()
    with Waits() as waits:
        trainer._step(parts, batches, epoch=2)
    assert waits.found == []
    with Waits() as waits:
        float(torch.ones(()))
    assert waits.found, "the count works"


def test_where_losses_are_looked_at_late_the_weights_wait(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "checks_at_once", False)
    trainer, _ = make(planted, tmp_path)
    parts = [np.arange(16), np.arange(16, 32)]
    take_step(trainer, parts)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train._known_labels[20] = float("nan")
    take_step(trainer, parts)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    with pytest.raises(TrainingError, match=f"loss of clip '{trainer.names[20]}' is not finite.* Its label is nan"):
        take_step(trainer, parts)


def test_state_is_stored_when_it_is_due_and_at_the_end(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, expected in (("0", 3), ("3600", 1)):
        trainer, _ = make(
            planted, tmp_path / seconds, "training.max_epochs=3", f"training.checkpoint_seconds={seconds}"
        )
        stored: list[int] = []
        save = trainer.checkpoints.save

        def note(progress: dict[str, Any], *rest: Any, save: Any = save, stored: list[int] = stored) -> None:
            stored.append(progress["epoch"])
            save(progress, *rest)

        monkeypatch.setattr(trainer.checkpoints, "save", note)
        trainer.fit()
        assert len(stored) == expected
        assert stored[-1] == 3
        trainer.load_best()
        assert trainer._validate(3)["mae"] == trainer.history[trainer.best_epoch - 1].valid["mae"]


def test_the_average_of_the_weights_is_validated_and_kept_also_after_an_interruption(
    planted: Dataset, tmp_path: Path
) -> None:
    """Against an average of the weights after each step, computed here."""
    settings = ("training.average=1.5", "training.max_epochs=3", "training.patience=9")

    def trained(folder: str, *until: int, seconds: int = 0) -> tuple[Any, list[Tensor]]:
        averages: list[Tensor] = []
        for last in until:
            trainer, _ = make(planted, tmp_path / folder, *settings, f"training.checkpoint_seconds={seconds}")
            own = trainer._step

            def step(*arguments: Any, trainer: Any = trainer, own: Any = own) -> Any:
                result = own(*arguments)
                now = [parameter.detach().clone() for parameter in trainer.model.parameters()]
                kept = 1 - 1 / (1.5 * trainer.steps) if averages else 0
                averages[:] = [kept * a + (1 - kept) * b for a, b in zip(averages or now, now, strict=True)]
                return result

            trainer._step = step  # type: ignore[assignment]
            trainer._finished = lambda: len(trainer.history) == last  # type: ignore[method-assign]  # noqa: B023
            trainer.fit()
        return trainer, averages

    whole, expected = trained("whole", 3, seconds=3600)
    after = [parameter.detach().clone() for parameter in whole.model.parameters()]
    with whole.optimizer.optimizer.averaged():
        for average, parameter in zip(expected, whole.model.parameters(), strict=True):
            torch.testing.assert_close(parameter.detach(), average)
        assert whole._validate(3) == whole.history[-1].valid
    assert all(torch.equal(a, b) for a, b in zip(after, whole.model.parameters(), strict=True))
    assert whole._validate(3) != whole.history[-1].valid
    parts, _ = trained("parts", 1, 3)
    assert [record.valid for record in parts.history] == [record.valid for record in whole.history]
    for trainer in (whole, parts):
        trainer.load_best()
        assert trainer._validate(3) == trainer.history[trainer.best_epoch - 1].valid


def test_linear_rates_rise_and_fall_by_step_also_after_an_interruption(planted: Dataset, tmp_path: Path) -> None:
    settings = ("training.schedule=linear", "training.max_epochs=4", "training.patience=9", "fusion.lr=1.0")

    def rates(folder: str, until: int) -> list[float]:
        trainer, _ = make(planted, tmp_path / folder, *settings)
        used: list[float] = []
        own = trainer._step

        def step(*arguments: Any) -> Any:
            used.append(trainer.optimizer.param_groups[-1]["lr"])
            return own(*arguments)

        trainer._step = step  # type: ignore[assignment]
        trainer._finished = lambda: len(trainer.history) == until  # type: ignore[method-assign]
        trainer.fit()
        return used

    whole = rates("whole", 4)
    assert len(whole) == 8
    assert whole == pytest.approx([0.625, *((1 - (k + 0.5) / 8) / 0.9 for k in range(1, 8))])
    assert rates("parts", 2) + rates("parts", 4) == whole
