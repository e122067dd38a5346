"""A trained model that scores clips."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd
import torch
from torch.overrides import TorchFunctionMode

from selfmm.core.errors import DatasetError, RunError, SettingsError, SourceError
from selfmm.core.tensors import Positions
from selfmm.data.checks import check_source
from selfmm.data.scales import LabelScale
from selfmm.data.store import MANIFEST, TEXT, Dataset, Manifest, Modality, open_dataset
from selfmm.data.tables.reader import read_table_source
from selfmm.data.writer import Source, sha256, write_dataset
from selfmm.evaluation.metrics import Metrics, evaluate, scale_for
from selfmm.features.clips.clip import Clip
from selfmm.features.clips.listing import holds_recordings, is_recording
from selfmm.models.assembly import Assembly, build_model
from selfmm.models.hardware import choose_device
from selfmm.models.scoring import prediction_table, score
from selfmm.models.text import load_architecture
from selfmm.runs.code import model_class
from selfmm.runs.folder import RunFolder, RunInfo
from selfmm.runs.weights import load_weights

if TYPE_CHECKING:
    from selfmm.recordings.prediction import Prediction
    from selfmm.recordings.scorer import Scorer


@dataclass(frozen=True)
class TrainedModel:
    """A finished run: its model, and what it left behind.

    Attributes:
        folder: the run folder; ``folder.history()`` and the like read its files.
        info: what it was trained on.
        assembly: the network with its text encoder.
        device: where it computes.
    """

    folder: RunFolder
    info: RunInfo
    assembly: Assembly
    device: torch.device

    @classmethod
    def load(cls, path: Path, model: str | None = None, trust: bool = False) -> TrainedModel:
        """Loads a finished run; see :func:`selfmm.api.load`."""
        folder = RunFolder(path)
        info = folder.finished()
        kind = model_class(folder, info, model, trust)
        settings = folder.settings()
        pretrained = None
        with _NoRandomStart():
            if any(modality.kind != "frames" for modality in info.modalities.values()):
                _check_text_encoder(folder, info)
                pretrained = load_architecture(folder.text_encoder)
            network = build_model(kind, info.modalities, settings, pretrained, LabelScale.of(info.label_range))
        try:
            network.load_state_dict(load_weights(folder, network))
        except RuntimeError as error:
            raise RunError(
                f"{folder.weights} does not fit {folder.path / 'settings.toml'}: {str(error)[:300]} ... "
                "One of the two was changed; train the run anew."
            ) from error
        device = choose_device(settings.training.device)
        network.to(device).eval()
        return cls(folder, info, Assembly(info.modalities, settings, pretrained, network), device)

    @property
    def metrics(self) -> dict[str, Any]:
        """Content of ``metrics.json``."""
        return self.folder.metrics()

    @cached_property
    def labels(self) -> pd.DataFrame:
        """The u-labels: id, epoch, modality, m_label, u_label, weight."""
        return self.folder.labels()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The scores of the data set it was trained on: id, split, label, score, score_<modality>."""
        return self.folder.predictions()

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch."""
        return self.folder.history()

    @cached_property
    def scorer(self) -> Scorer:
        """Scores what is extracted of recordings.

        Raises:
            RunError: the model reads nothing that can be extracted.
        """
        from selfmm.recordings.scorer import Scorer

        return Scorer(self)

    @overload
    def predict(self, data: Dataset | Sequence[str], split: str | None = None) -> pd.DataFrame: ...

    @overload
    def predict(self, data: Clip) -> Prediction: ...

    @overload
    def predict(self, data: str | Path, split: str | None = None) -> Any: ...

    def predict(
        self, data: Dataset | Sequence[str] | Clip | str | Path, split: str | None = None
    ) -> pd.DataFrame | Prediction:
        """Scores clips, on the scale of the labels that were trained on.

        Args:
            data: a data set, its folder, a table with features beside it, or a list of sentences. Streams may be
                missing; a modality that a clip lacks gets no score of its own. Or one recording, or a part of it (a
                ``selfmm.Clip``), from which the features are extracted as the run's recipe says.
            split: of a data set or table, score only this split.

        Returns:
            Of a recording a ``Prediction``. Of all else one row per clip: id, split, label (NaN where unknown), score
            (all modalities together) and score_<modality> (NaN where the clip lacks it).

        Raises:
            SourceError, DatasetError: the data cannot be read, or do not fit the model.
            SettingsError: a split of a recording.
            MediaError, RunError, MissingPackageError, WeightsError: a recording cannot be read, or its features not extracted.
        """
        if isinstance(data, Clip) or (isinstance(data, str | Path) and is_recording(Path(data))):
            if split is not None:
                raise SettingsError([f"split = {split!r}: a recording has none"])
            from selfmm.recordings.scores import predict_clip

            return predict_clip(self, data if isinstance(data, Clip) else Clip(Path(data)))
        with opened(data) as dataset:
            rows = rows_of(dataset, split)
            scores = score(self.assembly.model, self.assembly.maker(dataset, rows), self.device)
            table = prediction_table(dataset, scores, rows)
        bad = table.loc[~np.isfinite(scores.fusion), "id"].tolist()
        if bad:
            raise DatasetError(
                f"{len(bad)} of {len(table)} clips get no finite score, the first is {bad[0]!r}. Their features are "
                "far outside what the run was trained on; extract them as for training."
            )
        return table

    def evaluate(self, data: Dataset | str | Path | None = None, split: str = "test") -> Metrics:
        """Metrics of the fused score on a split of ``data``, by default of the data set it was trained on."""
        with opened(self.info.dataset_path if data is None else data) as dataset:
            table = self.predict(dataset, split)
        predictions, labels = table["score"].to_numpy(), table["label"].to_numpy(dtype=np.float64)
        return evaluate(
            predictions, labels, scale_for(self.info.label_range), LabelScale.of(self.info.label_range).neutral
        )


class _NoRandomStart(TorchFunctionMode):
    """Leaves new weights as the memory was: the run's own replace every one of them, and drawing them takes more than
    a second for BERT-base."""

    _DRAW = ("normal_", "uniform_", "kaiming_uniform_")  # by name: they are methods, and functions wrapped in others

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", None) in self._DRAW:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def rows_of(dataset: Dataset, split: str | None) -> Positions:
    """Row numbers of a split, or of all clips; raises ``DatasetError`` where there is no such split."""
    return np.arange(len(dataset)) if split is None else split_rows(dataset, split)


def split_rows(dataset: Dataset, split: str) -> Positions:
    """Row numbers of a split; raises ``DatasetError`` where there is none."""
    rows = dataset.rows(split)
    if not len(rows):
        known = sorted(set(dataset.samples["split"]))
        raise DatasetError(f"the data set {dataset.name!r} has no clip in a split {split!r}; it has: {known}")
    return rows


def _check_text_encoder(folder: RunFolder, info: RunInfo) -> None:
    """Raises ``RunError`` where a file of the text encoder is not as the run left it: scores would differ silently."""
    for name, digest in info.text_encoder.items():
        file = folder.text_encoder / Path(name).name
        if not file.is_file() or sha256(file) != digest:
            raise RunError(f"{file} is missing or was changed since training. Restore it, or train the run anew.")


@contextmanager
def opened(data: Dataset | str | Path | Sequence[str]) -> Iterator[Dataset]:
    """The data as a data set; features that are not stored as one yet go through a temporary folder."""
    if isinstance(data, Dataset):
        yield data
    elif not isinstance(data, str | Path):
        yield _sentences(list(data))
    elif (Path(data) / MANIFEST).is_file():
        yield open_dataset(data)
    else:
        source = _source(Path(data))
        with tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
            yield write_dataset(source, Path(folder) / "data")


def _source(path: Path) -> Source:
    if not path.exists():
        raise SourceError(
            f"{path} does not exist. Give a recording, a data-set folder or a table; for words alone, use --text."
        )
    if path.is_dir() and holds_recordings(path):
        raise SourceError(f"{path} holds recordings: predict them one by one, or with: selfmm predict RUN {path}")
    source = read_table_source(path, require_labels=False)
    check_source(source, missing="allow", require_labels=False)
    return source


def _sentences(texts: list[str]) -> Dataset:
    """A data set of words alone, which lie in the table: it needs no folder."""
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise SourceError("there is nothing to score: give one or more sentences, none of them empty.")
    ids = [f"text_{number}" for number in range(1, len(texts) + 1)]
    table = pd.DataFrame({"id": ids, "split": "test", "label": np.nan, TEXT: texts, "video": ids})
    manifest = Manifest(name="texts", label_range=(-1.0, 1.0), modalities={TEXT: Modality(kind="text")})
    return Dataset(Path(), manifest, table)
