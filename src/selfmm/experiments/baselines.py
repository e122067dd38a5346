"""Trivial baselines, which every model in a table should beat: the mean label, and a ridge regression on the text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfmm.config.settings import Settings
from selfmm.core.tensors import Ragged
from selfmm.core.weights import cache_folder
from selfmm.data.batches import BatchMaker
from selfmm.data.manifest import TEXT
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.models.frozen import encode_once
from selfmm.models.hardware import choose_device
from selfmm.models.text import TransformerEncoder, text_encoder

_PENALTIES = tuple(10.0**power for power in range(-2, 6))


def trivial_answers(dataset: Dataset, settings: Settings) -> dict[str, npt.NDArray[np.float64]]:
    """Return (N,) predictions for every clip by name: ``mean``, and ``text ridge`` if the data set has text."""
    rows = training_rows(dataset, settings)
    labels = dataset.labels()
    answers = {"mean": np.full(len(dataset), labels[rows].mean())}
    embeddings = text_embeddings(dataset, settings)
    if embeddings is not None:
        answers["text ridge"] = ridge(embeddings, labels, rows)
    return answers


def ridge(
    features: npt.NDArray[np.float64], labels: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return (N,) predictions of a ridge regression on standardised ``features`` (N, d), clipped to its labels' range.

    Leave-one-out cross-validation on the training clips chooses the penalty; no other split is used.

    Args:
        labels: (N,) labels; only those of ``rows`` are read.
        rows: (n,) row numbers of the training clips.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(features[rows], labels[rows])
    predictions: npt.NDArray[np.float64] = model.predict(features)
    return predictions.clip(labels[rows].min(), labels[rows].max())


def text_embeddings(dataset: Dataset, settings: Settings) -> npt.NDArray[np.float64] | None:
    """Return the mean of each clip's tokens as the untrained text encoder encodes them, or of its stored text features.

    Returns:
        (N, d), zeros for clips without text; None if the data set has no text.

    Raises:
        WeightsError, SettingsError: if the encoder cannot be loaded, or reads fewer tokens than ``text.max_tokens``.
    """
    stored = dataset.modalities.get(TEXT)
    if stored is None:
        return None
    rows = np.arange(len(dataset))
    if stored.kind == "frames":
        return means(BatchMaker(dataset, rows, {TEXT: stored}).ragged(TEXT))
    pretrained, limit = text_encoder(settings.text), settings.text.max_tokens
    tokens = None
    if stored.kind == "text":
        tokens = pretrained.tokenise(dataset.samples[TEXT].fillna("").tolist(), limit)
    clips = BatchMaker(dataset, rows, {TEXT: stored}, tokens=tokens, max_tokens=limit)
    encoder = TransformerEncoder(pretrained.model, finetune=False, tokens=True)
    device = choose_device(settings.training.device)
    return means(encode_once(encoder.to(device).eval(), clips, TEXT, cache_folder() / "encoded"))


def means(stream: Ragged) -> npt.NDArray[np.float64]:
    """Return (n, d) the mean over the rows of each clip, zeros if it has none. Gaps (rows of NaN) do not count."""
    rows, starts, lengths = stream.rows.numpy(), stream.starts.numpy(), stream.lengths.numpy()
    average = np.zeros((len(lengths), rows.shape[1]))
    for clip, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        part = rows[start : start + length].astype(np.float64)
        part = part[~np.isnan(part).all(axis=1)]
        if len(part):
            average[clip] = part.mean(axis=0)
    return average
