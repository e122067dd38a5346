"""A model's weights in its run folder: what training changed, and beside it what it let be.

A text encoder that is not trained is the same in every run of a comparison, and most of a run's size. Runs that lie
in one folder share one file of it: each has its own name for it (a hard link), so that each can be moved, copied and
deleted by itself.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn

from selfmm.core.errors import RunError
from selfmm.core.files import atomic_file
from selfmm.core.tensors import checksum, frozen, learned, load_tensors, save_tensors
from selfmm.runs.folder import RunFolder


def store_weights(folder: RunFolder, model: nn.Module, shared: Path | None) -> None:
    """Writes ``model.safetensors`` and, where parameters are frozen, ``frozen.safetensors``.

    Args:
        folder: of the run.
        model: its parameters that need no gradient are the frozen ones.
        shared: a folder on the same disk in which runs keep frozen weights together; made if need be. None: alone.
    """
    save_tensors(folder.weights, learned(model))
    still = frozen(model)
    if not still:
        return
    if shared is None:
        save_tensors(folder.frozen_weights, still)
        return
    kept = shared / f"{checksum(still)}.safetensors"
    if not _holds(kept, still):
        save_tensors(kept, still)
    with atomic_file(folder.frozen_weights) as temporary:
        try:
            os.link(kept, temporary)
        except OSError:  # not every file system knows links
            shutil.copyfile(kept, temporary)


def load_weights(folder: RunFolder, model: nn.Module) -> dict[str, Tensor]:
    """The whole state that a run has for ``model``.

    Raises:
        RunError: a file is missing or damaged.
    """
    state = load_tensors(folder.weights)
    if frozen(model).keys() <= state.keys():  # there are none, or an older version wrote all into one file
        return state
    if not folder.frozen_weights.exists():
        raise RunError(f"{folder.frozen_weights} is missing. Copy the whole run folder, or train it anew.")
    return load_tensors(folder.frozen_weights) | state


def _holds(file: Path, tensors: dict[str, Tensor]) -> bool:
    """Whether a file is there and whole: its name alone would spread damage from one run to all that follow."""
    try:
        there = load_tensors(file)
    except RunError:
        return False
    return there.keys() == tensors.keys() and all(torch.equal(there[name], tensors[name].cpu()) for name in tensors)
