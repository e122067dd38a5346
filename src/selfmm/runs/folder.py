"""The run folder: what a training leaves behind, and reading it again.

=================== ================================================================================
file                content
=================== ================================================================================
run.json            what was trained on what, and whether it is finished
settings.toml       every setting; can be given as ``--preset`` again
environment.json    versions, processor, device, threads; at the end, peak memory in bytes
history.jsonl       one line per epoch
model.safetensors   the best epoch's weights, as far as training changed them
frozen.safetensors  those that it let be: a text encoder's that is not trained
text_encoder/       configuration and tokenizer, where words are read
metrics.json        metrics of each split at the best epoch
predictions.parquet id, split, label, score, score_<modality>
labels.parquet      id, epoch, modality, m_label, u_label, weight, outcome; if labels were generated
state/              what ``--resume`` goes on from; once finished, what the report draws of the label generator
=================== ================================================================================
"""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from selfmm.config.model_name import is_code, short_name
from selfmm.config.recipe import Recipe
from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import OutputError, RunError
from selfmm.data.store import MANIFEST, Modality, check_modalities
from selfmm.labels.history import check_labels
from selfmm.runs.results import read_history, read_metrics, read_peak_memory

FORMAT_VERSION = 1


class CorrectionsUsed(BaseModel):
    """How many clips of a training had a label of ``modality`` fixed, from which source and with which weight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: str
    source: str
    weight: float
    clips: int


class RunInfo(BaseModel):
    """``run.json``.

    Attributes:
        status: ``training`` until every result is written, then ``finished``.
        dataset, dataset_path, fingerprint: name, place and checksum of the data trained on.
        modalities: those the model reads, in its order.
        text_encoder: SHA-256 of each file of the text encoder's configuration and tokenizer.
        corrections: people's labels that were fixed truth, counted by modality, source and weight.
        corrections_digest: checksum of all corrections; empty where there were none.
        label_range: of the data set; gives the scale of the metrics and the bound of the u-labels.
        model: its name in ``selfmm.models.MODELS``, or that of the user's own code with an absolute path.
        code_sha256: SHA-256 of the file with the user's own code; empty for the models of selfmm.
        labels: where the labels per modality came from.
        parameters, trained_parameters: how many numbers the model has, and how many of them training changed; 0 in runs
            of version 0.1.
        recipe: how the features were extracted, so that a prediction extracts them the same way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    selfmm: str
    status: Literal["training", "finished"]
    dataset: str
    dataset_path: str
    fingerprint: str
    language: str | None
    label_range: tuple[float, float]
    modalities: dict[str, Modality]
    text_encoder: dict[str, str] = {}
    corrections: list[CorrectionsUsed] = []
    corrections_digest: str = ""
    model: str = "self_mm"
    code_sha256: str = ""
    labels: Literal["generated", "human", "none"] = "generated"
    parameters: int = 0
    trained_parameters: int = 0
    recipe: Recipe | None = None

    @property
    def model_name(self) -> str:
        """The model's name for messages, tables and folders."""
        return short_name(self.model)

    @field_validator("format_version")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value != FORMAT_VERSION:
            raise ValueError(f"is {value}; this selfmm reads version {FORMAT_VERSION}")
        return value

    @field_validator("modalities")
    @classmethod
    def _modalities_are_plain(cls, value: dict[str, Modality]) -> dict[str, Modality]:
        return check_modalities(value)


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path; reads lazily."""

    path: Path

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def frozen_weights(self) -> Path:
        return self.path / "frozen.safetensors"

    @property
    def text_encoder(self) -> Path:
        return self.path / "text_encoder"

    @property
    def state(self) -> Path:
        return self.path / "state"

    def info(self) -> RunInfo:
        """``run.json``.

        Raises:
            RunError: this is no run folder, or it cannot be read.
        """
        file = self.path / "run.json"
        if not file.is_file():
            if self.path.exists() and not self.path.is_dir():
                raise RunError(f"{self.path} is a file, so it is no run: name the folder that selfmm train made.")
            what = "holds no run.json" if self.path.is_dir() else "does not exist"
            raise RunError(f"{self.path} {what}, so it is no run. Make one with: selfmm train DATA --out {self.path}")
        try:
            return RunInfo.model_validate_json(file.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise RunError(f"{file} is not valid: {_brief(error)}. Train into a new folder.") from error
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {file}: {error}. Train into a new folder.") from error

    def finished(self) -> RunInfo:
        """``run.json`` of a run that must be finished."""
        info = self.info()
        if info.status != "finished":
            model = f"--model {shlex.quote(info.model)} " if is_code(info.model) else ""
            raise RunError(
                f"{self.path} is not finished. Go on with: selfmm train {info.dataset_path} "
                f"--preset {self.path / 'settings.toml'} {model}--out {self.path} --resume"
            )
        return info

    def made_labels(self) -> RunInfo:
        """``run.json`` of a finished run that must have generated labels."""
        info = self.finished()
        if info.labels != "generated":
            raise self.without_labels(info)
        return info

    def without_labels(self, info: RunInfo) -> RunError:
        """What to say where generated labels are asked for, and there are none."""
        return RunError(
            f"{self.path} made no labels per modality: {info.model_name} was trained with --labels {info.labels}. "
            "Train with --labels generated to have them."
        )

    def settings(self) -> Settings:
        return load_settings(self.path / "settings.toml", trust=True)  # reading them runs no code

    def metrics(self) -> dict[str, Any]:
        """``metrics.json``: per split its metrics, counts and reasons for values that are null."""
        text = self._read("metrics.json")
        try:
            return read_metrics(text)
        except ValueError as error:
            raise self._damaged("metrics.json", error) from error

    def predictions(self) -> pd.DataFrame:
        table = self._table("predictions.parquet")
        scores = [name for name in map(str, table.columns) if name.startswith("score")]
        wrong = [name for name in {"id", "score"} if name not in table]
        wrong += [name for name in scores if not pd.api.types.is_numeric_dtype(table[name])]
        if wrong:
            raise RunError(
                f"{self.path / 'predictions.parquet'} lacks the columns {sorted(wrong)}, or they are of another type: "
                "it is damaged or of another program. Train into a new folder."
            )
        return table

    def labels(self) -> pd.DataFrame:
        """``labels.parquet``, whole.

        Raises:
            RunError: the run made none, or they cannot be read.
        """
        self.made_labels()
        return check_labels(self._table("labels.parquet"))

    def history(self) -> pd.DataFrame:
        """One row per epoch: epoch, loss_<task>, valid_<metric>, best, seconds, clips_per_second, and
        labels_<task>_<figure>, figures of the generated labels."""
        text = self._read("history.jsonl")
        try:
            return read_history(text)
        except ValueError as error:
            raise self._damaged("history.jsonl", error) from error

    def peak_memory(self) -> dict[str, float]:
        """``host`` and ``device``, in bytes: see ``selfmm.core.memory.peak_memory``; NaN where it is not known.

        Of a run that was resumed, it is that of the process that finished it.
        """
        text = self._read("environment.json")
        try:
            return read_peak_memory(text)
        except ValueError as error:
            raise self._damaged("environment.json", error) from error

    def _damaged(self, name: str, error: ValueError) -> RunError:
        what = _brief(error) if isinstance(error, ValidationError) else str(error)
        return RunError(f"{self.path / name} is damaged: {what}. Train into a new folder.")

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {self.path / name}: {error}. The run folder is incomplete.") from error

    def _table(self, name: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.path / name)
        except Exception as error:  # pyarrow fails on damaged bytes in many ways
            raise RunError(f"cannot read {self.path / name}: {error}. The run folder is incomplete.") from error


def _brief(error: ValidationError) -> str:
    """The first few problems of a validation."""
    return "; ".join(": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors()[:5])


def refuse_inside(path: Path, run: Path) -> None:
    """Raises ``OutputError`` where ``path`` lies in a data set or in the folder ``run``."""
    inside = run.resolve() in {path.resolve(), *path.resolve().parents}
    data = any((folder / MANIFEST).is_file() for folder in (path, path.parent))
    if inside or data:
        where = "a data set" if data else "the run folder"
        raise OutputError(f"{path} lies in {where}, whose files are not to be replaced. Choose another place.")


def environment(device: str, threads: int, processes: int = 1) -> dict[str, Any]:
    """Versions and machine, for ``environment.json``."""
    packages = ("selfmm", "torch", "transformers", "accelerate", "numpy", "pandas", "pyarrow", "safetensors")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "device": device,
        "threads": threads,
        "processes": processes,
        "packages": {name: metadata.version(name) for name in packages},
    }
