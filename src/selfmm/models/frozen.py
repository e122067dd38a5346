"""A text encoder that is not trained says the same of a clip in every epoch: it is asked once, and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from selfmm.core.errors import OutputError
from selfmm.core.files import atomic_file
from selfmm.core.tensors import Positions, Ragged, checksum
from selfmm.data.batches import BatchMaker, evaluation_plan

_BATCH = 64
_VERSION = b"1"
_Rows = npt.NDArray[np.float32]


def encode_once(encoder: nn.Module, clips: BatchMaker, modality: str, cache: Path) -> Ragged:
    """What a frozen encoder says of each clip, float32; from ``cache`` if it was asked before.

    The file's name is a checksum of the encoder's weights and of all token ids, so it can only ever hold these. Every
    model with this encoder reads the same file.

    Args:
        encoder: (ids, lengths) -> (B, ``dim``), or with an attribute ``tokens`` that is True (B, L, ``dim``), in
            evaluation mode.
        clips: whose ``modality`` are token ids; for clips that lack it the encoder is asked of one padding token.
        cache: a folder; made if need be. What is in it may be deleted at any time.
    """
    counts = _counts(encoder, clips.lengths[modality])
    tokens = bool(getattr(encoder, "tokens", False))
    file = cache / f"{_checksum(encoder, clips, modality)}{'-tokens' if tokens else ''}.npy"
    rows = _kept(file, (int(counts.sum()), int(encoder.dim)))  # type: ignore[arg-type]
    if rows is not None:
        return _ragged(rows, counts, clips.lengths[modality])
    said = encode(encoder, clips, modality)
    with suppress(OutputError), atomic_file(file) as temporary, temporary.open("wb") as out:
        np.save(out, said.rows.numpy())  # a cache that cannot be written costs time, nothing else
    return said


def encode(encoder: nn.Module, clips: BatchMaker, modality: str) -> Ragged:
    """The same as ``encode_once`` of any encoder in evaluation mode, asked now and not kept."""
    lengths = clips.lengths[modality]
    counts = _counts(encoder, lengths)
    starts = np.cumsum(counts) - counts
    rows = np.zeros((int(counts.sum()), int(encoder.dim)), dtype=np.float32)  # type: ignore[arg-type]
    for positions, said in _ask(encoder, clips, modality):
        for clip, part in zip(positions.tolist(), said if said.ndim == 3 else said[:, None], strict=True):
            rows[starts[clip] : starts[clip] + counts[clip]] = part[: counts[clip]]
    return _ragged(rows, counts, lengths)


def _counts(encoder: nn.Module, lengths: Positions) -> Positions:
    """How many rows the encoder's answer has per clip."""
    return lengths if getattr(encoder, "tokens", False) else np.ones_like(lengths)


def _ragged(rows: _Rows, counts: Positions, lengths: Positions) -> Ragged:
    return Ragged.of(rows, np.cumsum(counts) - counts, np.minimum(counts, lengths))


def _kept(file: Path, shape: tuple[int, int]) -> _Rows | None:
    try:
        kept: _Rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # not there, or not whole
    return kept if kept.shape == shape and kept.dtype == np.float32 else None


@torch.inference_mode()
def _ask(encoder: nn.Module, clips: BatchMaker, modality: str) -> Iterator[tuple[npt.NDArray[np.int64], _Rows]]:
    device = next(encoder.parameters()).device
    for positions in evaluation_plan(clips.lengths[modality], _BATCH):
        stream = clips.stream(modality, positions).to(device)
        yield positions, encoder(stream.values, stream.lengths).float().cpu().numpy()


def _checksum(encoder: nn.Module, clips: BatchMaker, modality: str) -> str:
    found = hashlib.sha256(_VERSION + checksum(encoder.state_dict()).encode())
    for start in range(0, len(clips), _BATCH):
        stream = clips.stream(modality, np.arange(start, min(start + _BATCH, len(clips))))
        found.update(stream.lengths.numpy().astype("<i8").tobytes())
        found.update(stream.values.numpy().astype("<i8").tobytes())
    return found.hexdigest()
