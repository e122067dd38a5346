"""Outputs of a text encoder that is not trained: computed once per clip, because no epoch changes them, and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from selfmm.core.errors import OutputError
from selfmm.core.files import atomic_file
from selfmm.core.tensors import Positions, Ragged, checksum
from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.models.text import TransformerEncoder

_BATCH = 64
_VERSION = b"1"
_Rows = npt.NDArray[np.float32]


def encode_once(encoder: TransformerEncoder, clips: BatchMaker, modality: str, cache: Path) -> Ragged:
    """Return a frozen encoder's states for each clip, float32, from ``cache`` if possible.

    The name of a cached file is a checksum of the encoder's weights and of all token ids, so its content always fits.
    All models with this encoder read the same file.

    Args:
        encoder: in evaluation mode. It takes its states in place of token ids.
        clips: their ``modality`` is token ids; where a clip lacks it, the encoder reads one padding token.
        cache: a folder, created if needed. Its files may be deleted at any time.
    """
    counts = _row_counts(encoder, clips.lengths[modality])
    kind = "-tokens" if encoder.tokens else "" if encoder.pooling == "first" else f"-{encoder.pooling}"
    kind += "-own" if encoder.pair is not None and encoder.pooling == "mean" else ""
    file = cache / f"{_checksum(encoder, clips, modality)}{kind}.npy"
    rows = _cached(file, (int(counts.sum()), encoder.width))
    if rows is not None:
        return _ragged(rows, counts, clips.lengths[modality])
    encoded = encode(encoder, clips, modality)
    with suppress(OutputError), atomic_file(file) as temporary, temporary.open("wb") as out:
        np.save(out, encoded.rows.numpy())  # a cache that cannot be written costs time, nothing else
    return encoded


def encode(encoder: TransformerEncoder, clips: BatchMaker, modality: str) -> Ragged:
    """Return the states for each clip, as ``encode_once`` does, without a cache."""
    lengths = clips.lengths[modality]
    counts = _row_counts(encoder, lengths)
    starts = np.cumsum(counts) - counts
    rows = np.zeros((int(counts.sum()), encoder.width), dtype=np.float32)
    for positions, outputs in _run(encoder, clips, modality):
        for clip, output in zip(positions.tolist(), outputs if outputs.ndim == 3 else outputs[:, None], strict=True):
            rows[starts[clip] : starts[clip] + counts[clip]] = output[: counts[clip]]
    return _ragged(rows, counts, lengths)


def _row_counts(encoder: TransformerEncoder, lengths: Positions) -> Positions:
    """The number of rows in the encoder's output for each clip."""
    return lengths if encoder.tokens else np.ones_like(lengths)


def _ragged(rows: _Rows, counts: Positions, lengths: Positions) -> Ragged:
    return Ragged.of(rows, np.cumsum(counts) - counts, np.minimum(counts, lengths))


def _cached(file: Path, shape: tuple[int, int]) -> _Rows | None:
    try:
        rows: _Rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # missing or incomplete
    return rows if rows.shape == shape and rows.dtype == np.float32 else None


@torch.inference_mode()
def _run(
    encoder: TransformerEncoder, clips: BatchMaker, modality: str
) -> Iterator[tuple[npt.NDArray[np.int64], _Rows]]:
    device = next(encoder.parameters()).device
    for positions in evaluation_plan(clips.lengths[modality], _BATCH):
        stream = clips.stream(modality, positions).to(device)
        yield positions, encoder.states(stream.values, stream.lengths).float().cpu().numpy()


def _checksum(encoder: TransformerEncoder, clips: BatchMaker, modality: str) -> str:
    digest = hashlib.sha256(_VERSION + checksum(encoder.state_dict()).encode())
    for start in range(0, len(clips), _BATCH):
        stream = clips.stream(modality, np.arange(start, min(start + _BATCH, len(clips))))
        digest.update(stream.lengths.numpy().astype("<i8").tobytes())
        digest.update(stream.values.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
