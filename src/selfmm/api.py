"""``selfmm.train`` and ``selfmm.load``: what the command line and a Python program both stand on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from selfmm.config import Settings, load_settings
from selfmm.data.store import Dataset, open_dataset
from selfmm.predict import TrainedModel
from selfmm.training.folder import RunFolder
from selfmm.training.run import Run
from selfmm.training.trainer import Listener, Silence


def load(run: str | Path) -> TrainedModel:
    """Loads a finished run.

    Raises:
        RunError: the folder is no run, or it is not finished.
    """
    return TrainedModel.load(Path(run))


def train(
    data: Dataset | str | Path,
    *,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> TrainedModel:
    """Trains Self-MM on a data set and leaves a run folder.

    Args:
        data: a data-set folder, or one that is open.
        preset: one of ``selfmm.config.PRESETS``, or a TOML file.
        text_encoder: hub name, local folder or ``minilm``; overrides the preset's.
        seed: overrides the preset's.
        overrides: further settings like ``training.max_epochs=20``.
        settings: complete settings, instead of the four above.
        out: the run folder; default ``runs/<data set>-<preset>-<seed>``.
        resume: go on with a run that was interrupted; starts one if there is none.
        listener: is told how training goes.

    Returns:
        The trained model, at its best epoch on the validation split.

    Raises:
        SettingsError, DatasetError, TrainingError, WeightsError, OutputError, RunError: each says the mend.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
    if settings is None:
        words = [] if text_encoder is None else [f"text.encoder={text_encoder}"]
        settings = load_settings(preset, [*overrides, *words], seed=seed)
    folder = RunFolder(Path(out) if out is not None else default_folder(dataset, preset, settings.seed))
    Run(dataset, settings, folder, listener or Silence()).execute(resume=resume)
    return load(folder.path)


def default_folder(dataset: Dataset, preset: str | Path | None, seed: int) -> Path:
    """``runs/<data set>-<preset>-<seed>``: seeds never overwrite each other."""
    # The name comes with the data, which may be a stranger's: it must not lead out of the folder.
    name = re.sub(r"[^\w-]+", "_", dataset.name)[:100]
    return Path("runs") / f"{name}-{Path(preset).stem if preset else 'default'}-{seed}"
