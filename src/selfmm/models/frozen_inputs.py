"""One fixed vector per clip and modality: the inputs of label estimation, which no training changes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from selfmm.config.settings import Settings
from selfmm.core.weights import cache_folder
from selfmm.data.batches import BatchMaker
from selfmm.data.centring import centre_of, shifts, video_means
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.store import Dataset
from selfmm.models.frozen import encode_once
from selfmm.models.hardware import choose_device
from selfmm.models.text import Pretrained, TransformerEncoder

Vectors = npt.NDArray[np.float32]


def frozen_inputs(
    dataset: Dataset, modalities: Mapping[str, Modality], settings: Settings, pretrained: Pretrained | None
) -> dict[str, list[Vectors]]:
    """Return the inputs of every clip per modality, as :func:`selfmm.labels.estimate_labels` takes them.

    For frames these are two kinds, their mean and their deviation over time, (N, d) each; for words, the mean of the
    untrained encoder's last layer over the tokens, (N, d). Clips that lack the modality, or in which nothing of it was
    measured, have NaN; a feature that was not measured in a clip has the mean of the other clips. Means are centred by
    video where the settings centre the frames.

    Args:
        modalities: those to read.
        settings: ``text.max_tokens`` and the device for the text encoder, and ``stream.*.centre``.
        pretrained: the text encoder as it was before any training; not needed if no words are read.
    """
    inputs = {}
    for name, modality in modalities.items():
        if modality.kind == "frames":
            inputs[name] = _frame_statistics(dataset, name, settings.stream_for(name).centre == "video")
        elif pretrained is not None:
            inputs[name] = [_text_states(dataset, modality, settings, pretrained)]
    return inputs


def _frame_statistics(dataset: Dataset, name: str, centred: bool) -> list[Vectors]:
    statistics = np.full((2, len(dataset), dataset.modalities[name].dim or 0), np.nan, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of features that were not measured in any frame
        for row in np.flatnonzero(dataset.lengths(name)).tolist():
            frames = dataset.frames(name, row).astype(np.float64)
            statistics[0, row], statistics[1, row] = np.nanmean(frames, axis=0), np.nanstd(frames, axis=0)
        if centred:
            means = video_means(dataset, name, np.arange(len(dataset)))
            centre = centre_of(means[dataset.rows("train")])
            statistics[0] -= 0.0 if centre is None else shifts(means, centre)
        for values in statistics:
            measured = np.isfinite(values).any(axis=1)
            usual = np.nan_to_num(np.nanmean(values[measured], axis=0)) if measured.any() else 0.0
            values[measured] = np.where(np.isfinite(values[measured]), values[measured], usual)
    return [*statistics]


def _text_states(dataset: Dataset, modality: Modality, settings: Settings, pretrained: Pretrained) -> Vectors:
    rows, limit = np.arange(len(dataset)), settings.text.max_tokens
    tokens = None
    if modality.kind == "text":
        tokens = pretrained.tokenise(dataset.samples[TEXT].fillna("").tolist(), limit)
    clips = BatchMaker(dataset, rows, {TEXT: modality}, tokens=tokens, max_tokens=limit)
    # As trainable as it is: a run may be about to train it.
    trainable = any(parameter.requires_grad for parameter in pretrained.model.parameters())
    encoder = TransformerEncoder(pretrained.model, finetune=trainable, pooling="mean")
    encoder.to(choose_device(settings.training.device)).eval()
    states: Vectors = encode_once(encoder, clips, TEXT, cache_folder() / "encoded").rows.numpy().copy()
    states[dataset.lengths(TEXT) == 0] = np.nan
    return states
