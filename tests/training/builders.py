"""Trainers for the tests, put together as a run does it, and runs that end before their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import selfmm
from selfmm.config.settings import Settings, load_settings
from selfmm.core.files import write_json
from selfmm.core.tensors import Positions
from selfmm.data.store import Dataset
from selfmm.models.assembly import Assembly, assemble
from selfmm.training import run
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.objective import make_objective
from selfmm.training.trainer import Trainer

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
        objective=make_objective(dataset, settings, assembly, rows),
        train=assembly.maker(dataset, rows),
        valid=assembly.maker(dataset, dataset.rows("valid")),
        names=dataset.samples["id"].iloc[rows].tolist(),
        scale="mosi",
        settings=settings,
        checkpoints=Checkpoints(folder),
    )
    return trainer, assembly


def take_step(trainer: Trainer, parts: list[Positions], passes: list[Positions] | None = None) -> None:
    trainer._step(parts, [trainer.train.make(positions) for positions in passes or parts], epoch=1)


class Killed(BaseException):
    """What no code of ours may catch."""


def killed_at_the_end(dataset: Dataset, out: Path, **arguments: Any) -> None:
    """All epochs done, some results written, the run not yet marked as finished; arguments of ``selfmm.train``."""

    def die(path: Path, content: object) -> None:
        if path.name == "metrics.json":
            raise Killed
        write_json(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "write_json", die)
        with pytest.raises(Killed):
            selfmm.train(dataset, out=out, **arguments)
    assert {file.name for file in out.iterdir()} > {"model.safetensors", "predictions.parquet"}
