"""``selfmm.train``, ``train_seeds`` and ``load``: what the command line and a Python program both stand on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfmm.config.settings import Settings, load_settings, with_values
from selfmm.core.files import safe_name
from selfmm.data.store import Dataset, as_dataset
from selfmm.runs.folder import RunFolder
from selfmm.runs.trained_model import TrainedModel
from selfmm.training.run import Run
from selfmm.training.seed_pool import SeedListener, Unheard
from selfmm.training.seeds import SeedRuns, read_seeds, run_seeds
from selfmm.training.trainer import Listener, Silence


def load(run: str | Path, *, model: str | None = None, trust: bool = False) -> TrainedModel:
    """Load a finished run.

    A run that was trained with your own code (``file.py:Class``) remembers the file's path and SHA-256. It runs that
    code only if you allow it, once per process.

    Args:
        run: a run folder.
        model: name the code again, ``path/to/file.py:ClassName`` or ``package.module:ClassName``; its path may differ
            from that in training. Not needed for the models of selfmm.
        trust: run the code that the run remembers, if it is unchanged. With ``model``, accept a file that has changed
            since training.

    Raises:
        RunError: if the folder is not a finished run, or its code is neither named nor trusted, or has changed.
        SettingsError: if the code that ``model`` names cannot be loaded.
    """
    return TrainedModel.load(Path(run), model, trust)


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
        preset: one of ``selfmm.config.settings.PRESETS``, or a TOML file.
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
    dataset = as_dataset(data)
    if settings is None:
        settings = load_settings(preset, with_values(overrides, {"text.encoder": text_encoder}), seed=seed)
    name = settings.model_name
    folder = RunFolder(Path(out) if out is not None else default_folder(dataset, preset, name, settings.seed))
    Run(dataset, settings, folder, listener or Silence()).execute(resume=resume)
    return load(folder.path)


def train_seeds(
    data: Dataset | str | Path,
    *,
    seeds: str | Sequence[int],
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: SeedListener | None = None,
) -> SeedRuns:
    """Trains the same with several seeds, in processes side by side, and says mean and deviation.

    Each seed's numbers are those of :func:`train` with as many threads. A seed that fails stops no other; it is told
    in ``failed``, and ``resume`` does what is missing.

    Args:
        data: a data-set folder, or one that is open; every process reads the folder.
        seeds: like ``"1111-1115"`` or ``"1111,1113,1120-1122"``, or numbers.
        preset, text_encoder, overrides, settings: as of :func:`train`; their seed does not count.
        out: the folder of run folders ``seed-<seed>``; default ``runs/<data set>-<preset>``.
        resume: go on with what was interrupted, and leave what is finished as it is.
        jobs: so many at once. Default: one per GPU where there are several; else as many as there are cores, and as
            fit into the memory that is free once the first has shown, by its first epoch, what it takes.
        listener: is told how they go.

    Returns:
        Run folders, figures per seed and their summary; also written to ``summary.csv`` and ``summary.json``.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: before anything is trained; each says the mend.
        TrainingError: the data cannot be trained on, or no seed has a result.
    """
    numbers = read_seeds(seeds, overrides)
    dataset = as_dataset(data)
    chosen = settings or load_settings(preset, with_values(overrides, {"text.encoder": text_encoder}))
    folder = Path(out) if out is not None else default_folder(dataset, preset, chosen.model_name)
    return run_seeds(dataset, chosen, numbers, folder, resume=resume, jobs=jobs, listener=listener or Unheard())


def default_folder(dataset: Dataset, preset: str | Path | None, model: str, seed: int | None = None) -> Path:
    """``runs/<data set>-<preset>-<seed>``, before the seed the model if it is not Self-MM: runs never overwrite each
    other; several seeds lie in one folder without a seed in its name."""
    parts = [safe_name(dataset.name), Path(preset).stem if preset else "default"]
    parts += [] if model == "self_mm" else [safe_name(model)]
    return Path("runs") / "-".join([*parts, *([] if seed is None else [str(seed)])])
