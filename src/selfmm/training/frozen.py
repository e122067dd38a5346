"""A text encoder that is not trained says the same of a clip in every epoch: it is asked once, and kept on disk."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from selfmm.atomic import atomic_file
from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.errors import OutputError

_BATCH = 64
_VERSION = b"1"
Encoded = npt.NDArray[np.float32]


def encode_once(encoder: nn.Module, clips: BatchMaker, modality: str, cache: Path) -> Encoded:
    """What a frozen encoder says of each clip, (n, dim) float32; from ``cache`` if it was asked before.

    The file's name is a checksum of the encoder's weights and of all token ids, so it can only ever hold these.

    Args:
        encoder: (ids, lengths) -> (B, ``dim``), in evaluation mode.
        clips: whose ``modality`` are token ids; for clips that lack it the encoder is asked of one padding token.
        cache: a folder; made if need be. What is in it may be deleted at any time.
    """
    plan = evaluation_plan(clips.lengths[modality], _BATCH)
    file = cache / f"{_checksum(encoder, clips, modality)}.npy"
    shape = (len(clips), int(encoder.dim))  # type: ignore[arg-type]
    try:
        kept: Encoded = np.load(file, mmap_mode="r", allow_pickle=False)
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    except (OSError, ValueError, EOFError):
        pass  # not there, or not whole
    encoded = np.zeros(shape, dtype=np.float32)
    device = next(encoder.parameters()).device
    with torch.inference_mode():
        for positions in plan:
            stream = clips.stream(modality, positions).to(device)
            encoded[positions] = encoder(stream.values, stream.lengths).float().cpu().numpy()
    with suppress(OutputError), atomic_file(file) as temporary, temporary.open("wb") as out:
        np.save(out, encoded)  # a cache that cannot be written costs time, nothing else
    return encoded


def _checksum(encoder: nn.Module, clips: BatchMaker, modality: str) -> str:
    found = hashlib.sha256(_VERSION)
    for name, value in encoder.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for start in range(0, len(clips), _BATCH):
        stream = clips.stream(modality, np.arange(start, min(start + _BATCH, len(clips))))
        found.update(stream.lengths.numpy().astype("<i8").tobytes())
        found.update(stream.values.numpy().astype("<i8").tobytes())
    return found.hexdigest()
