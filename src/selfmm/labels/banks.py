"""Where the last features are kept: in memory beside the labels, or in a file that is mapped into it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfmm.core.files import explain


def make_bank(rows: int, dim: int, dtype: torch.dtype, device: torch.device, folder: Path | None) -> Tensor:
    """(rows, dim) zeros on ``device``; with a folder, in an unnamed file there, which is gone when the tensor is.

    Raises:
        OutputError: the folder cannot be written to, or lacks the room; it is all reserved at once.
    """
    if folder is None:
        return torch.zeros(rows, dim, dtype=dtype, device=device)
    size = rows * dim * dtype.itemsize
    try:
        with tempfile.TemporaryFile(dir=folder, prefix="selfmm-bank-") as file:
            # Without room reserved, a full disk would later kill the process instead of raising an error.
            reserve = getattr(os, "posix_fallocate", None)
            _ = reserve(file.fileno(), 0, size) if reserve else file.truncate(size)
            mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,))
    except OSError as error:
        raise explain(error, folder) from error
    return torch.from_numpy(mapped).view(dtype).view(rows, dim)
