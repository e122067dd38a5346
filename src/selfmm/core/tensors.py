"""Sequences of different lengths in one array, padded batches of them without a loop, and tensors on disk."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from selfmm.core.errors import RunError
from selfmm.core.files import atomic_file

Positions = npt.NDArray[np.int64]
"""Row numbers of clips."""


@dataclass(frozen=True)
class Ragged:
    """n sequences of different lengths.

    Attributes:
        rows: (T, d) or (T,) their content; may be a file mapped into memory.
        starts: (n,) int64, where each starts in ``rows``.
        lengths: (n,) int64, on the device of ``rows`` like ``starts``.
    """

    rows: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: npt.NDArray[Any], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Ragged:
        """Make sequences that share the memory of ``rows``."""
        with warnings.catch_warnings():
            # The file is mapped for reading only, and nothing here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return cls(torch.from_numpy(rows), torch.from_numpy(starts), torch.from_numpy(lengths))

    def part(self, positions: npt.NDArray[np.int64]) -> Ragged:
        """Return the sequences at these positions; nothing is copied."""
        at = torch.from_numpy(positions)
        return Ragged(self.rows, self.starts[at], self.lengths[at])

    @property
    def nbytes(self) -> int:
        """Size of the sequences themselves, without anything else in ``rows``."""
        wide = self.rows.shape[1] if self.rows.ndim == 2 else 1
        return int(self.lengths.sum()) * wide * self.rows.element_size()

    def to(self, device: torch.device) -> Ragged:
        """Return a copy of the sequences alone on ``device``, one after the other."""
        clips = torch.arange(len(self.lengths)).repeat_interleave(self.lengths)
        starts = self.lengths.cumsum(0) - self.lengths
        places = torch.arange(len(clips)) - starts[clips] + self.starts[clips]
        return Ragged(self.rows[places].to(device), starts.to(device), self.lengths.to(device))

    def padded(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """Return the sequences at ``positions``, (B, longest) or (B, longest, d), padded with zeros; and their lengths.

        Args:
            positions: (B,) int64, on the device of ``rows``.
            longest: length of the longest, at least 1; an argument, so that nothing has to wait for the device.
        """
        lengths = self.lengths[positions].clamp(max=longest)
        steps = torch.arange(longest, device=lengths.device)
        real = steps < lengths[:, None]
        if not len(self.rows):
            return self.rows.new_zeros(len(positions), longest, *self.rows.shape[1:]), lengths
        values = self.rows[(self.starts[positions][:, None] + steps).where(real, 0)]
        real = real if values.ndim == 2 else real[:, :, None]
        return values.where(real, torch.zeros((), dtype=values.dtype, device=values.device)), lengths


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    plain: dict[str, Tensor] = {}
    taken: set[int] = set()  # safetensors refuses tensors that share memory, as tied weights do
    for key, value in tensors.items():
        content = value.detach().cpu().contiguous()
        place = content.untyped_storage().data_ptr()
        plain[key] = content.clone() if place in taken else content
        taken.add(place)
    with atomic_file(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(plain, temporary)
            temporary.chmod(mode)  # safetensors makes the file readable for the owner only, whatever the umask
        except SafetensorError as error:  # it wraps errors of the operating system, such as a full disk
            raise OSError(_errno(error), str(error)) from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors that ``save_tensors`` wrote; raise ``RunError`` if the file is missing or damaged."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot read {path}: {error}. The run folder is incomplete; train it again.") from error
    return tensors


def _errno(error: SafetensorError) -> int:
    number = re.search(r"os error (\d+)", str(error))
    return int(number.group(1)) if number else 0


def learned(module: nn.Module) -> dict[str, Tensor]:
    """Return the state without frozen parameters, which stay as they were loaded."""
    constant = frozen(module)
    return {name: value for name, value in module.state_dict().items() if name not in constant}


def load_learned(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load the state that ``learned`` returned; raise ``RunError`` if it is the state of another module."""
    try:
        module.load_state_dict(state | frozen(module))
    except RuntimeError as error:
        raise RunError(
            f"the stored state does not fit: {str(error).strip()[:300]}. It is damaged or of another version of "
            "selfmm; train into a new folder."
        ) from error


def frozen(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that training does not change."""
    return {name: value.detach() for name, value in module.named_parameters() if not value.requires_grad}


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, value in tensors.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
