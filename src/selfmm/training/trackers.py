"""The figures of each epoch in TensorBoard, Weights & Biases or MLflow, as they come, by Accelerate's trackers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfmm.config.settings import Settings, flatten
from selfmm.core.errors import MissingPackageError, TrainingError
from selfmm.core.files import write_text
from selfmm.core.listener import Listener
from selfmm.core.messages import first_line
from selfmm.training.trainer import EpochRecord

_PROJECT = "selfmm"
_ID = "run_id"  # the file that remembers the run of a tracker, so that a resumed training continues it


def check_log(settings: Settings) -> None:
    """Raise ``MissingPackageError`` if the package that ``training.log`` names is not installed; import nothing."""
    name = settings.training.log
    if name != "jsonl" and importlib.util.find_spec(name) is None:
        raise MissingPackageError(
            f"training.log = {name!r} needs {name}, which is not installed. Install it with: pip install "
            f"'selfmm[{name}]'; or leave this setting out: history.jsonl in the run folder has the same figures."
        )


class Tracker:
    """Sends the figures of a training to the tracker that ``training.log`` names; does nothing for ``jsonl``.

    It is given those of each epoch as ``history.jsonl`` has them, for example ``valid/mae``, and at the end the metrics
    of the best epoch as ``final/<split>_<metric>``. TensorBoard's files are in ``log/`` of the run folder; W&B and
    MLflow use their own configuration, such as ``WANDB_MODE`` and ``MLFLOW_TRACKING_URI``.

    A tracker that fails after the start of training is left, with a warning: it must not end hours of training.

    Args:
        settings: of the run.
        run: its folder.
        listener: receives the warning.

    Raises:
        MissingPackageError: as :func:`check_log`.
        TrainingError: if the tracker cannot be started.
    """

    def __init__(self, settings: Settings, run: Path, listener: Listener) -> None:
        check_log(settings)
        self._name, self._listener, self._accelerator = settings.training.log, listener, None
        if self._name == "jsonl":
            return
        try:
            self._accelerator = _started(settings, run)
        except Exception as error:  # of other people's packages, for example without an account
            raise TrainingError(
                f"training.log = {self._name!r}: {self._name} cannot be started ({first_line(error)}). Set it up, or "
                "leave this setting out, and continue with `resume=True`."
            ) from error

    def epoch(self, record: EpochRecord) -> None:
        """Send the figures of an epoch."""
        values = {name: value for name, value in asdict(record).items() if name not in ("epoch", "best")}
        self._log(_flat(values), record.epoch)

    def finish(self, metrics: Mapping[str, Mapping[str, float]], best_epoch: int) -> None:
        """Send the metrics of the fused score per split, and end the run of the tracker."""
        values = {f"{split}_{key}": value for split, of in metrics.items() for key, value in of.items()}
        self._log(_flat({"final": values}), best_epoch if self._name == "tensorboard" else None)
        self.close()

    def close(self) -> None:
        """End the run of the tracker, if that has not happened."""
        self._try(lambda accelerator: accelerator.end_training())
        self._accelerator = None

    def _log(self, values: dict[str, float], step: int | None) -> None:
        self._try(lambda accelerator: accelerator.log(values, step=step))

    def _try(self, act: Any) -> None:
        if self._accelerator is None:
            return
        try:
            act(self._accelerator)
        except Exception as error:  # as above
            self._accelerator = None
            self._listener.note(
                f"training.log: {self._name} failed ({first_line(error)}); training goes on without it."
            )


def _started(settings: Settings, run: Path) -> Any:
    """Return an Accelerator with the tracker."""
    from accelerate import Accelerator

    folder, name = run / "log", settings.training.log
    folder.mkdir(exist_ok=True)
    known = (folder / _ID).read_text(encoding="utf-8") if (folder / _ID).is_file() else None
    accelerator = Accelerator(cpu=settings.training.device == "cpu", log_with=name, project_dir=str(folder))
    title = f"{run.parent.name}-{run.name}" if run.name.startswith("seed-") else run.name
    options: dict[str, dict[str, Any]] = {
        "wandb": {"name": title, "dir": str(folder), "id": known, "resume": "allow"},
        "mlflow": {"run_name": title, "run_id": known},
        "tensorboard": {},
    }
    projects = {"wandb": os.environ.get("WANDB_PROJECT", _PROJECT), "tensorboard": "."}
    shown = None if known else {key: _plain(value) for key, value in flatten(settings).items()}
    accelerator.init_trackers(projects.get(name, _PROJECT), config=shown, init_kwargs={name: options[name]})
    unwrapped = accelerator.get_tracker(name, unwrap=True)
    number = unwrapped.id if name == "wandb" else unwrapped.info.run_id if name == "mlflow" else name
    write_text(folder / _ID, str(number))
    return accelerator


def _plain(value: object) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return numbers by the path to them, ``valid/mae``; what is not a number is left out."""
    flat: dict[str, float] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            flat[f"{prefix}{key}"] = float(value)
    return flat
