"""A trained model that scores data sets; :mod:`selfmm.recordings` builds on it to score recordings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from selfmm.config.model_name import is_code
from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, RunError, SourceError
from selfmm.core.html import html_table
from selfmm.core.messages import typed
from selfmm.core.tensors import Positions
from selfmm.data.blank import is_blank
from selfmm.data.checks import check_source
from selfmm.data.manifest import MANIFEST, TEXT, Manifest, Modality
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.tables.reader import read_table_source
from selfmm.data.writer import Source, sha256, write_dataset
from selfmm.evaluation.metrics import evaluate, scale_for
from selfmm.evaluation.verdicts import skill_text
from selfmm.evaluation.worth import FUSION, Evaluation, RunWorth, Scored, worth_on
from selfmm.features.clips.listing import holds_recordings, is_recording
from selfmm.models.assembly import Assembly, build_model, reads_words
from selfmm.models.base import Model
from selfmm.models.ensemble import Ensemble
from selfmm.models.hardware import choose_device
from selfmm.models.scoring import prediction_table, score
from selfmm.models.text import Pretrained, load_architecture, text_encoder
from selfmm.runs.code import model_class
from selfmm.runs.folder import RunFolder, RunInfo
from selfmm.runs.weights import complete_weights, member_weights, stored_weights

ENCODER = f"encoders.{TEXT}.model."
"""How the names of a text encoder's weights begin in a run."""
_ENDLESS = 2**31  # tokens


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A finished run: its model, and the files that training wrote.

    Attributes:
        folder: the run folder; ``folder.history()`` and similar methods read its files.
        info: ``run.json``: the model and the data set that it was trained on.
        assembly: the network with its text encoder.
        device: on which it computes.
    """

    folder: RunFolder
    info: RunInfo
    assembly: Assembly
    device: torch.device

    @classmethod
    def load(cls, path: RunFolder | Path, model: str | None = None, trust: bool = False) -> Self:
        """Load a finished run; see :func:`selfmm.api.load` for ``model`` and ``trust``.

        Raises:
            RunError: if the folder is not a run folder, the run is damaged or not finished, or its code is neither
                named nor trusted.
            SettingsError: if the code that ``model`` names cannot be loaded.
        """
        folder = path if isinstance(path, RunFolder) else RunFolder(path)
        info = folder.require_finished()
        settings, stored = folder.settings(), stored_weights(folder)
        if info.members:
            assembly = _of_members(folder, info, settings, stored, model, trust)
        else:
            assembly = _assembly(folder, info, model_class(folder, info, model, trust), settings, stored)
        device = choose_device(settings.training.device)
        assembly.model.to(device).eval()
        return cls(folder, info, assembly, device)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(f'{key}: {value}' for key, value in self._summary().items())}>"

    def _repr_html_(self) -> str:
        return html_table(list(self._summary().items()), caption="trained model")

    def _summary(self) -> dict[str, str]:
        info = self.info
        summary = {"run": str(self.folder.path), "model": info.model, "data set": info.dataset}
        summary["modalities"] = ", ".join(info.modalities)
        with suppress(RunError):  # show the model even if metrics.json is damaged
            error = self.metrics["splits"]["test"]["fusion"]["values"].get("mae")
            summary |= {} if error is None else {"test MAE": f"{error:.4f}"}
            summary |= {} if self.worth is None else {"better than a constant": skill_text(self.worth.measured(FUSION))}
        return summary

    @property
    def metrics(self) -> dict[str, Any]:
        """Content of ``metrics.json``."""
        return self.folder.metrics()

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """See :meth:`RunFolder.notes`."""
        return self.folder.notes()

    @cached_property
    def worth(self) -> RunWorth | None:
        """What each score is worth on clips not trained on; None for a run of version 0.2 or before."""
        return self.folder.worth()

    @cached_property
    def labels(self) -> pd.DataFrame:
        """The u-labels, with a row per clip, modality and epoch; see ``RunFolder.labels``."""
        return self.folder.labels()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The scores of the training data set: id, split, label, score, score_<modality>."""
        return self.folder.predictions()

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch, see ``RunFolder.history``."""
        return self.folder.history()

    def score(self, data: Dataset | str | Path, split: str | None = None) -> pd.DataFrame:
        """Score the clips of a data set, on the scale of the labels that the model was trained on.

        Args:
            data: a data set, its folder, or a table with features next to it. Modalities may be missing.
            split: score only this split; None: all clips.

        Returns:
            One row per clip: id, split, label (NaN where unknown), score (all modalities together) and
            score_<modality> for each modality with a score of its own (NaN where the clip lacks it); and for the mean
            of several runs deviation, the standard deviation of score over them (over n - 1).

        Raises:
            SourceError, DatasetError: if the data cannot be read, or do not fit the model.
        """
        with open_data(data) as dataset:
            rows, dataset = split_rows(dataset, split), self.readable(dataset)
            scores = score(self.assembly.model, self.assembly.maker(dataset, rows), self.device)
            table = prediction_table(dataset, scores, rows)
        without = table.loc[~np.isfinite(scores.fusion), "id"].tolist()
        if without:
            raise DatasetError(
                f"clips without a finite score: {len(without)} of {len(table)}; the first is {without[0]!r}. Their "
                "features are far outside the range of the training data. Extract them as for training."
            )
        return table

    def cut_texts(self, texts: Sequence[str]) -> dict[int, str]:
        """Return a warning for each text that is longer than the model reads, by its position."""
        pretrained, limit = self.assembly.pretrained, self.assembly.settings.text.max_tokens
        long = [] if pretrained is None else [place for place, text in enumerate(texts) if len(text) > limit]
        tokens = pretrained.tokenise([texts[place] for place in long], _ENDLESS) if pretrained is not None else []
        return {
            place: f"the text is too long: only the first {limit:,} of {len(ids):,} tokens are read"
            for place, ids in zip(long, tokens, strict=True)
            if len(ids) > limit
        }

    @property
    def context(self) -> int:
        """Number of earlier clips of the same recording whose words the model reads, ``text.context``."""
        return self.assembly.settings.text.context if self.assembly.pretrained is not None else 0

    @property
    def without_context(self) -> tuple[str, ...]:
        """A warning for clips that are scored without the words before them, if the model reads these in training."""
        if not self.context:
            return ()
        return (
            "it was scored without the words before it, which the model reads in training (text.context = "
            f"{self.context}); score a whole recording by sentence, or its clips as a data set",
        )

    def readable(self, dataset: Dataset) -> Dataset:
        """Return the data set for this model: one that comes with selfmm ignores features that others extracted."""
        if not self.info.about:
            return dataset
        kept = {}
        for name, stored in dataset.modalities.items():
            read = self.info.modalities.get(name)
            if read and (read.kind, read.dim, read.columns) == (stored.kind, stored.dim, stored.columns):
                kept[name] = stored
        return replace(dataset, manifest=dataset.manifest.model_copy(update={"modalities": kept}))

    def evaluate(self, data: Dataset | str | Path | None = None, split: str = "test") -> Evaluation:
        """Return the metrics of the fused score on a split of ``data``, by default of the training data set.

        ``worth`` says what each score is worth on these clips, and how often the bands of the run hold on them.

        Raises:
            RunError: if the training data set was moved or deleted.
            SourceError, DatasetError: like :meth:`score`.
        """
        with open_data(self.folder.training_data() if data is None else data) as dataset:
            table = self.score(dataset, split)
            scored = Scored.of(table, dataset.samples.iloc[split_rows(dataset, split)])
        scale, neutral = scale_for(self.info.label_range), LabelScale.of(self.info.label_range).neutral
        metrics = evaluate(scored.scores[FUSION], scored.labels["label"], scale, neutral)
        worth = worth_on(scored, split, self.worth or RunWorth(self.info.label_range, 0, 0, {}))
        return Evaluation(metrics.values, metrics.reasons, metrics.count, metrics.unlabelled, worth)


def split_rows(dataset: Dataset, split: str | None) -> Positions:
    """Return the row numbers of a split, or of all clips if it is None; raise ``DatasetError`` if it is empty."""
    if split is None:
        return np.arange(len(dataset))
    rows = dataset.rows(split)
    if not len(rows):
        known = ", ".join(sorted(set(dataset.samples["split"])))
        raise DatasetError(f"{dataset.title} has no clip in a split {split!r}; it has: {known}")
    return rows


def _assembly(
    folder: RunFolder,
    info: RunInfo,
    kind: type[Model],
    settings: Settings,
    stored: dict[str, Tensor],
    pretrained: Pretrained | None = None,
) -> Assembly:
    """Return the network of a run with its weights; with a text encoder that is loaded already, if one is given."""
    if pretrained is None and reads_words(info.modalities):
        pretrained = _text_encoder(folder, info, settings, stored)
    with torch.random.fork_rng(devices=[]):
        network = build_model(kind, info.modalities, settings, pretrained, LabelScale.of(info.label_range))
    try:
        # Not copied: the text encoder has these tensors already.
        network.load_state_dict(complete_weights(folder, network, stored), assign=True)
    except RuntimeError as error:
        raise RunError(
            f"{folder.weights} does not fit {folder.path / 'settings.toml'}: {str(error)[:300]} ... "
            "One of the two has changed. Train the run again."
        ) from error
    return Assembly(info.modalities, settings, pretrained, network)


def _of_members(
    folder: RunFolder, info: RunInfo, settings: Settings, stored: dict[str, Tensor], model: str | None, trust: bool
) -> Assembly:
    """Return the networks of an ensemble as one. They share the text encoder unless it was trained."""
    own_code = [member for member in info.members if is_code(member.settings.model)]
    if model is not None and not own_code:
        raise RunError(f"{folder.path} is the mean of models of selfmm. Leave out `model=...`.")
    parts: list[Assembly] = []
    for number, member in enumerate(info.members):
        change = {"model": member.settings.model, "code_sha256": member.code_sha256}
        of_member = info.model_copy(update=change)
        kind = model_class(folder, of_member, model if member in own_code else None, trust)
        weights = member_weights(stored, number)
        trained = any(name.startswith(f"{number}.{ENCODER}") for name in stored)
        encoder = None if trained or not parts else parts[0].pretrained
        parts.append(_assembly(folder, info, kind, member.settings, weights, encoder))
    return Assembly(info.modalities, settings, parts[0].pretrained, Ensemble([part.model for part in parts]))


def _text_encoder(folder: RunFolder, info: RunInfo, settings: Settings, stored: Mapping[str, Tensor]) -> Pretrained:
    """Return the text encoder of a run with its weights, from ``stored`` if they are in the run folder.

    Raises:
        RunError: like :func:`stored_encoder`.
        WeightsError: if the run needs offline weights that are not on this machine.
    """
    if info.encoder_weights:
        return text_encoder(settings.text.model_copy(update={"encoder": info.encoder_weights}), compact=True)
    own = {name.removeprefix(ENCODER): value for name, value in stored.items() if name.startswith(ENCODER)}
    return stored_encoder(folder, info, own)


def stored_encoder(folder: RunFolder, info: RunInfo, stored: Mapping[str, Tensor] | None = None) -> Pretrained:
    """Return the text encoder in a run folder, with the weights ``stored``, or random ones that the caller replaces.

    Raises:
        RunError: if a file of it has changed since training: scores would differ silently.
    """
    for name, digest in info.text_encoder.items():
        file = folder.text_encoder / Path(name).name
        if not file.is_file() or sha256(file) != digest:
            raise RunError(f"{file} is missing or has changed since training. Restore it, or train the run again.")
    return load_architecture(folder.text_encoder, stored)


@contextmanager
def open_data(data: Dataset | str | Path) -> Iterator[Dataset]:
    """Open the data as a data set. A table with features is first written to a temporary folder.

    Raises:
        SourceError, DatasetError: if the data cannot be read.
    """
    if isinstance(data, Dataset):
        yield data
    elif not isinstance(data, str | Path) or (Path(data) / MANIFEST).is_file():
        yield open_dataset(data)
    else:
        source = _source(Path(data))
        with tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
            yield write_dataset(source, Path(folder) / "data")


def texts_dataset(texts: Sequence[str]) -> Dataset:
    """Return a data set of sentences, in memory.

    Raises:
        SourceError: if there are no sentences, or one is empty.
    """
    if not all(isinstance(text, str) for text in texts):
        wrong = next(text for text in texts if not isinstance(text, str))
        raise SourceError(
            f"a text to score is a string or a list of strings, not {type(wrong).__name__}: {wrong!r:.80}"
        )
    if not texts or any(map(is_blank, texts)):
        raise SourceError("there is nothing to score: give one or more sentences, none of them empty.")
    ids = [f"text_{number}" for number in range(1, len(texts) + 1)]
    table = pd.DataFrame({"id": ids, "split": "test", "label": np.nan, TEXT: list(texts), "video": ids})
    manifest = Manifest(name="texts", label_range=(-1.0, 1.0), modalities={TEXT: Modality(kind="text")})
    return Dataset(Path(), manifest, table)


def _source(path: Path) -> Source:
    if not path.exists():
        raise SourceError(f"{path} does not exist. Give a data-set folder, or a table with features next to it.")
    if is_recording(path) or (path.is_dir() and holds_recordings(path)):
        content = "is a recording" if path.is_file() else "holds recordings"
        raise SourceError(
            f"{path} {content}, but a data set is needed. Extract one with: selfmm extract {typed(path)} DATA"
        )
    source = read_table_source(path, require_labels=False)
    check_source(source, missing="allow", require_labels=False)
    return source
