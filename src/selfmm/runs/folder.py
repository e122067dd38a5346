"""The run folder: the files that a training writes, and how to read them.

=================== ================================================================================
file                content
=================== ================================================================================
run.json            the model, the data set, and whether training is finished
settings.toml       every setting; can be given as ``--preset`` again
environment.json    versions, processor, device, threads; at the end, peak memory in bytes
history.jsonl       one line per epoch
model.safetensors   the best epoch's weights: those that training changed
frozen.safetensors  the weights that it did not change: those of a frozen text encoder, unless run.json names them
text_encoder/       configuration, tokenizer and rules of reading, if the model reads words; with the same exception
metrics.json        metrics of each split at the best epoch, and what each score is worth
predictions.parquet id, split, label, score, score_<modality>; deviation, if it is the mean of other runs
labels.parquet      id, epoch, modality, m_label, u_label and more, see `labels`; if labels were generated
log/                the files of a tracker, if ``training.log`` names one
state/              the state that ``--resume`` continues from; after training, what the report draws of the labels
=================== ================================================================================

A run that is the mean of others, see :mod:`selfmm.runs.ensemble`, has no ``history.jsonl``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from selfmm.config.model_name import STARTER, is_code, short_name
from selfmm.config.recipe import Recipe
from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import OutputError, RunError
from selfmm.core.messages import plain, some, typed
from selfmm.core.weights import KNOWN, find
from selfmm.data.manifest import MANIFEST, Modality, check_modalities
from selfmm.data.store import Dataset, open_dataset
from selfmm.evaluation.worth import RunWorth
from selfmm.labels.audit.history import check_labels
from selfmm.runs.results import read_history, read_metrics, read_peak_memory, read_worth

FORMAT_VERSION = 1
STARTERS = {"e5": Path(__file__).with_name("starter"), "minilm": Path(__file__).with_name("starter_minilm")}
"""The runs that come with selfmm, by their text encoders, the best one first; :mod:`selfmm.starter` makes them."""
PROCEDURE = 3
"""Raised when the same settings train another model, so that no run is continued in another way than it was begun."""

_Content = TypeVar("_Content")


class CorrectionsUsed(BaseModel):
    """The number of training clips with a fixed label of ``modality``, and the source and weight of these labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: str
    source: str
    weight: float
    clips: int


class StartInfo(BaseModel):
    """The run from which a training began.

    Attributes:
        run: its folder, or ``starter``.
        model: its model.
        weights_sha256: SHA-256 of its ``model.safetensors``.
        taken, afresh: parts of the new model, as its weights are named: those that began with the weights of ``run``,
            and the others.
        linear: those of ``taken`` that began as the score of the words of ``run``.
        encoder_weights: name of the offline weights of the text encoder, if the weights of ``run`` are those.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    model: str
    weights_sha256: str
    taken: tuple[str, ...]
    afresh: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    encoder_weights: str = ""


class Member(BaseModel):
    """One of the runs whose mean a run is.

    Attributes:
        run: its folder.
        weights_sha256: SHA-256 of its ``model.safetensors``.
        code_sha256: SHA-256 of the file with the user's own code; empty for the models of selfmm.
        settings: its settings, also the name of its model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    weights_sha256: str
    code_sha256: str = ""
    settings: Settings


class RunInfo(BaseModel):
    """``run.json``.

    Attributes:
        status: ``training`` until every result is written, then ``finished``.
        dataset, dataset_path, fingerprint: name, path and checksum of the training data set.
        modalities: the modalities that the model reads, in its order.
        text_encoder: SHA-256 of each file in ``text_encoder/``.
        corrections: number of labels that people fixed, by modality, source and weight.
        corrections_digest: checksum of all corrections; empty if there were none.
        label_range: lowest and highest label of the data set; sets the metrics' scale and the bound of u-labels.
        model: the model's name in ``selfmm.models.MODELS``, or that of the user's own code with an absolute path.
        code_sha256: SHA-256 of the file with the user's own code; empty for the models of selfmm.
        labels: the source of the labels per modality.
        parameters, trained_parameters: number of parameters of the model, and of those that training changed; 0 in
            runs of version 0.1.
        recipe: the extraction recipe of the features, so predictions extract them the same way.
        procedure: ``PROCEDURE`` of the version that began the run.
        about: for a run that comes with selfmm, one sentence: what it was fitted on, and how far off it is.
        encoder_weights: name of the offline weights with its text encoder. Such a run has neither ``text_encoder/`` nor
            ``frozen.safetensors``.
        unscored: modalities of recordings that such a run does not score, with the reason.
        start: the run from which training began; None: it began with random weights.
        members: the runs whose mean this one is; then ``model`` is ``ensemble``. Empty if it was trained.
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
    procedure: int = 1
    about: str = ""
    encoder_weights: str = ""
    unscored: dict[str, str] = {}
    start: StartInfo | None = None
    members: tuple[Member, ...] = ()

    @property
    def model_name(self) -> str:
        """The model's name for messages, tables and folders."""
        return short_name(self.model)

    @property
    def closed_form(self) -> bool:
        """Whether the model was fitted at once: it has one epoch, and scores of rated clips are left out."""
        return self.model == "adapt"

    @property
    def in_epochs(self) -> bool:
        """Whether the model was trained epoch by epoch."""
        return not (self.closed_form or self.members)

    @field_validator("format_version")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value != FORMAT_VERSION:
            raise ValueError(f"is {value}; this selfmm reads version {FORMAT_VERSION}")
        return value

    @field_validator("encoder_weights")
    @classmethod
    def _weights_are_known(cls, value: str) -> str:
        if value and (value not in KNOWN or KNOWN[value].use != "text"):
            raise ValueError(f"there are no offline weights {value!r} of a text encoder")
        return value

    @field_validator("modalities")
    @classmethod
    def _modalities_are_plain(cls, value: dict[str, Modality]) -> dict[str, Modality]:
        return check_modalities(value)


@dataclass(frozen=True)
class RunFolder:
    """A run folder. Each method reads its file when it is called."""

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

    @property
    def is_run(self) -> bool:
        """Whether there is a run at all, finished or not."""
        return (self.path / "run.json").is_file()

    def info(self) -> RunInfo:
        """Read ``run.json``.

        Raises:
            RunError: if this is not a run folder, or the file cannot be read.
        """
        file = self.path / "run.json"
        if not file.is_file():
            raise RunError(f"{self.path} is not a run folder: {_why_no_run(self.path)}")
        try:
            return RunInfo.model_validate_json(file.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise RunError(f"{file} is not valid: {_brief(error)}. Train into a new folder.") from error
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {file}: {error}. Train into a new folder.") from error

    def require_finished(self) -> RunInfo:
        """Return ``run.json`` of a finished run. It is read once, because a finished run does not change.

        Raises:
            RunError: if it cannot be read, or the run is not finished.
        """
        return self._finished_info

    @cached_property
    def _finished_info(self) -> RunInfo:
        info = self.info()
        if info.status != "finished":
            if info.procedure != PROCEDURE:
                raise RunError(
                    f"{self.path} is not finished, and was begun by another version of selfmm, which trains in another "
                    "way. Finish it with that version, or train again into a new folder."
                )
            model = f"--model {typed(info.model)} " if is_code(info.model) else ""
            raise RunError(
                f"{self.path} is not finished. Resume it with: selfmm train {typed(info.dataset_path)} "
                f"--preset {typed(self.path / 'settings.toml')} {model}--out {typed(self.path)} --resume"
            )
        return info

    def training_data(self) -> Dataset:
        """Open the data set that this finished run was trained on.

        Raises:
            RunError: if it was moved or deleted.
            DatasetError: if it cannot be read.
        """
        info = self.require_finished()
        if info.about:
            raise RunError(
                f"the texts that {info.dataset} was fitted on are not a data set on this machine. Name a data set of "
                f"yours where a command takes one, for example: selfmm evaluate {info.dataset} DATA (in Python, "
                "data=DATA)."
            )
        path = Path(info.dataset_path)
        if not (path / MANIFEST).is_file():
            raise RunError(
                f"the data set of the run {self.path} was moved or deleted: it is no longer at {path}. Move it back, "
                f"or name its folder: selfmm evaluate {typed(self.path)} DATA (in Python, data=DATA)."
            )
        return open_dataset(path)

    def require_labels(self) -> RunInfo:
        """Return ``run.json`` of a finished run that generated labels.

        Raises:
            RunError: like :meth:`require_finished`, or if the run generated none.
        """
        info = self.require_finished()
        if info.labels != "generated":
            raise self.no_labels_error(info)
        return info

    def no_labels_error(self, info: RunInfo) -> RunError:
        """Return the error for a run without generated labels."""
        if info.members:
            return RunError(
                f"{self.path} is the mean of other runs, and labels per modality are of one training. Give one of its "
                f"runs, for example {info.members[0].run}."
            )
        if info.closed_form:
            what = f"{info.dataset} comes with selfmm" if info.about else f"{self.path} is fitted to whole clips"
            return RunError(
                f"{what} and has no labels per modality. `selfmm labels DATA` estimates those of a data set."
            )
        return RunError(
            f"{self.path} has no generated labels per modality: {info.model_name} was trained with "
            f"`labels='{info.labels}'`. Train with `labels='generated'` to have them."
        )

    def settings(self) -> Settings:
        return load_settings(self.path / "settings.toml", trust=True)  # reading them runs no code

    def metrics(self) -> dict[str, Any]:
        """Read ``metrics.json``: the metrics and counts of each split, and the reasons for values that are null."""
        return self._parsed("metrics.json", read_metrics)

    def notes(self) -> tuple[str, ...]:
        """Return a sentence about each score that says nothing: its head is untrained, or it is the same for all clips.

        Empty if ``metrics.json`` cannot be read, or an older version wrote it.
        """
        with suppress(RunError):
            return tuple(self.metrics().get("notes", ()))
        return ()

    def worth(self) -> RunWorth | None:
        """Return what the scores are worth, from ``metrics.json``; None for a run of version 0.2 or before."""
        return read_worth(self.metrics())

    def predictions(self) -> pd.DataFrame:
        """Read ``predictions.parquet``: the scores of the training data set; empty for a run that comes with selfmm."""
        if self.require_finished().about:
            return pd.DataFrame({"id": [], "split": [], "label": [], "score": []})
        table = self._table("predictions.parquet")
        scores = [name for name in map(str, table.columns) if name.startswith("score")]
        wrong = [name for name in {"id", "score"} if name not in table]
        wrong += [name for name in scores if not pd.api.types.is_numeric_dtype(table[name])]
        if wrong:
            raise RunError(
                f"{self.path / 'predictions.parquet'} lacks the columns {sorted(wrong)}, or they are of another type: "
                "it is damaged or was written by another program. Train into a new folder."
            )
        return table

    def labels(self, clip: str | None = None) -> pd.DataFrame:
        """Read ``labels.parquet``.

        Args:
            clip: id of the only clip whose labels are read, which is fast also in a large file; None for all clips.

        Returns:
            id, epoch, modality, m_label, u_label, weight, outcome. Labels that were estimated before training are
            those of all clips, with epoch 0 and split, expected_error, trust, contradiction and made; see
            :class:`selfmm.labels.estimated.ClipLabels`. Others are those of the training clips in every epoch.

        Raises:
            RunError: if the run generated no labels, or the file cannot be read.
        """
        self.require_labels()
        return check_labels(self._table("labels.parquet", None if clip is None else [("id", "==", clip)]))

    def history(self) -> pd.DataFrame:
        """Read ``history.jsonl``, one row per epoch; none for the mean of other runs.

        Columns: epoch, loss_<task>, valid_<metric>, best, seconds, clips_per_second, head_weight_<modality> (the mean
        weight with which its head learned), and labels_<task>_<figure>, which are figures of the generated labels.
        """
        if not (self.path / "history.jsonl").exists() and self.info().members:
            return pd.DataFrame({"epoch": [], "seconds": []})
        return self._parsed("history.jsonl", read_history)

    def peak_memory(self) -> dict[str, float]:
        """Return the peak memory of ``host`` and ``device`` in bytes; NaN if unknown.

        See ``selfmm.core.memory.peak_memory``. For a resumed run, it is the peak of the process that finished it.
        """
        return self._parsed("environment.json", read_peak_memory)

    def _parsed(self, name: str, parse: Callable[[str], _Content]) -> _Content:
        try:
            text = (self.path / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {self.path / name}: {error}. The run folder is incomplete.") from error
        try:
            return parse(text)
        except ValueError as error:
            problem = _brief(error) if isinstance(error, ValidationError) else str(error)
            raise RunError(f"{self.path / name} is damaged: {problem}. Train into a new folder.") from error

    def _table(self, name: str, filters: list[tuple[str, str, str]] | None = None) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.path / name, filters=filters)
        except Exception as error:  # pyarrow fails on damaged bytes in many ways
            raise RunError(f"cannot read {self.path / name}: {error}. The run folder is incomplete.") from error


def starter_folder(encoder: str = "") -> Path:
    """Return the starter for a text encoder; without one of its own, the best whose encoder is on this machine.

    If none is, it is the best of all, whose error then says which weights to get.
    """
    return STARTERS[encoder if encoder in STARTERS else next(filter(find, STARTERS), next(iter(STARTERS)))]


def start_folder(start: str, encoder: str) -> RunFolder:
    """Return the run that the setting ``start`` names; of the starters, the one with this text encoder."""
    return RunFolder(starter_folder(encoder) if start == STARTER else Path(start))


def _why_no_run(path: Path) -> str:
    """Return why this path without a run.json is not a run folder, and what to do."""
    if not path.exists():
        runs = some([str(run.parent) for run in sorted(Path("runs").glob("*/run.json"))])
        here = f"there are {runs}" if runs else "`selfmm train DATA` makes one, by default in the folder runs"
        return f"it does not exist. Give the folder of a run: {here}."
    if not path.is_dir():
        return "it is a file. Give the folder of a run."
    if (path / MANIFEST).is_file():
        return "it is a data set. Give the folder of a run; `selfmm train` makes one from a data set."
    seeds = sorted(file.parent.name for file in path.glob("*/run.json"))
    if seeds:
        return (
            f"it holds the runs {some(seeds)}. Give one of them, for example {path / seeds[0]}; evaluate and predict "
            f"take a folder of seeds too, and `selfmm ensemble {typed(path)} --out FOLDER` makes one run of it."
        )
    holds = f"it holds {some(names)}, but" if (names := sorted(file.name for file in path.iterdir())) else "it has"
    return f"{holds} no run.json. Give the folder of a run, which `selfmm train DATA` makes."


def _brief(error: ValidationError) -> str:
    """The first few problems of a validation."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, e["loc"])), plain(e["msg"])))) for e in error.errors()[:5]
    )


def refuse_inside(path: Path, run: Path) -> None:
    """Raise ``OutputError`` if ``path`` is in a data set or in the folder ``run``."""
    inside = run.resolve() in {path.resolve(), *path.resolve().parents}
    in_dataset = any((folder / MANIFEST).is_file() for folder in (path, path.parent))
    if inside or in_dataset:
        where = "a data set" if in_dataset else "the run folder"
        raise OutputError(f"{path} is in {where}. Files there must not be replaced. Choose another place.")


def environment(device: str, threads: int, processes: int = 1) -> dict[str, Any]:
    """Return the versions of packages and facts of the machine, for ``environment.json``."""
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
