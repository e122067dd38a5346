"""What a text encoder says of every clip without any training: what the trivial baseline stands on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfmm.config.settings import Settings
from selfmm.core.tensors import Ragged
from selfmm.core.weights import cache_folder
from selfmm.data.batches import BatchMaker
from selfmm.data.store import TEXT, Dataset
from selfmm.models.frozen import encode_once
from selfmm.models.hardware import choose_device
from selfmm.models.text import TransformerEncoder, check_max_tokens, load_pretrained, tokenise


def text_embeddings(dataset: Dataset, settings: Settings) -> npt.NDArray[np.float64] | None:
    """The mean over each clip's tokens as the encoder of ``settings`` leaves them, or over its text's stored features.

    Returns:
        (N, d), zeros for clips without text; None where the data set has no text.

    Raises:
        WeightsError, SettingsError: the encoder cannot be loaded, or reads fewer tokens.
    """
    stored = dataset.modalities.get(TEXT)
    if stored is None:
        return None
    rows = np.arange(len(dataset))
    if stored.kind == "frames":
        return means(BatchMaker(dataset, rows, {TEXT: stored}).ragged(TEXT))
    pretrained, limit = load_pretrained(settings.text.encoder), settings.text.max_tokens
    check_max_tokens(pretrained.model, limit)
    tokens = None
    if stored.kind == "text":
        tokens = tokenise(pretrained.tokenizer, dataset.samples[TEXT].fillna("").tolist(), limit)
    clips = BatchMaker(dataset, rows, {TEXT: stored}, tokens=tokens, max_tokens=limit)
    encoder = TransformerEncoder(pretrained.model, finetune=False, tokens=True)
    device = choose_device(settings.training.device)
    return means(encode_once(encoder.to(device).eval(), clips, TEXT, cache_folder() / "encoded"))


def means(stream: Ragged) -> npt.NDArray[np.float64]:
    """(n, d) mean of each clip's rows; zeros of none. Rows of NaN, in which nothing was measured, do not count."""
    rows, starts, lengths = stream.rows.numpy(), stream.starts.numpy(), stream.lengths.numpy()
    found = np.zeros((len(lengths), rows.shape[1]))
    for clip, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        part = rows[start : start + length].astype(np.float64)
        part = part[~np.isnan(part).all(axis=1)]
        if len(part):
            found[clip] = part.mean(axis=0)
    return found
