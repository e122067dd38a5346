"""A model's weights in its run folder: those that training changed, and in a second file those that it did not.

A text encoder that is not trained is the same in every run of a comparison, and makes up most of a run's size. Runs in
one folder share one file of it: each run has its own hard link, so it can be moved, copied and deleted on its own. A
run with a frozen encoder that is known in 4 bits stores none of it, and names it in ``run.json``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from selfmm.core.errors import RunError
from selfmm.core.files import atomic_file
from selfmm.core.tensors import checksum, frozen, learned, load_tensors, save_tensors
from selfmm.runs.folder import RunFolder


def store_weights(folder: RunFolder, model: nn.Module, shared: Path | None, named: nn.Module | None = None) -> None:
    """Write ``model.safetensors`` and, if parameters are frozen, ``frozen.safetensors``.

    Args:
        folder: of the run.
        model: its parameters that need no gradient are the frozen ones.
        shared: a folder on the same disk in which runs share frozen weights; created if needed. None: do not share.
        named: a part of the model that is not stored, because ``run.json`` names its weights; there is one file then.
    """
    if named is not None:
        left_out = {id(parameter) for parameter in named.parameters()}
        names = {name for name, parameter in model.named_parameters() if id(parameter) in left_out}
        save_tensors(folder.weights, {name: value for name, value in model.state_dict().items() if name not in names})
        return
    save_tensors(folder.weights, learned(model))
    unchanged = frozen(model)
    if not unchanged:
        return
    if shared is None:
        save_tensors(folder.frozen_weights, unchanged)
        return
    shared_file = shared / f"{checksum(unchanged)}.safetensors"
    if not _holds(shared_file, unchanged):
        save_tensors(shared_file, unchanged)
    _link(shared_file, folder.frozen_weights)


def _link(source: Path, target: Path) -> None:
    with atomic_file(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # not every file system has hard links
            shutil.copyfile(source, temporary)


def store_members(folder: RunFolder, members: Sequence[RunFolder]) -> set[str]:
    """Write the weights of several runs to one folder: those that are equal in all of them once.

    A tensor that all members share has its own name; that of a single member has its number before, ``0.heads...``.
    If all members have the same frozen weights, the folder shares the file of the first one on disk.

    Returns:
        The names of the tensors that all members share.
    """
    learnt, common = _combined([load_tensors(member.weights) for member in members])
    save_tensors(folder.weights, learnt)
    files = [member.frozen_weights for member in members]
    unchanged, all_share = _combined([load_tensors(file) if file.exists() else {} for file in files])
    if unchanged and unchanged.keys() == all_share:
        _link(files[0], folder.frozen_weights)
    elif unchanged:
        save_tensors(folder.frozen_weights, unchanged)
    return common | all_share


def _combined(parts: Sequence[dict[str, Tensor]]) -> tuple[dict[str, Tensor], set[str]]:
    first, *others = parts
    common = {
        name: value
        for name, value in first.items()
        if all(name in other and torch.equal(other[name], value) for other in others)
    }
    own = {f"{n}.{name}": value for n, part in enumerate(parts) for name, value in part.items() if name not in common}
    return common | own, set(common)


def member_weights(stored: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the weights of one member, from those that :func:`store_members` wrote."""
    own = f"{number}."
    return {
        name.removeprefix(own): value for name, value in stored.items() if not name[0].isdigit() or name.startswith(own)
    }


def stored_weights(folder: RunFolder) -> dict[str, Tensor]:
    """Return all weights in a run folder; raise ``RunError`` if a file is missing or damaged."""
    unchanged = load_tensors(folder.frozen_weights) if folder.frozen_weights.exists() else {}
    return unchanged | load_tensors(folder.weights)


def complete_weights(folder: RunFolder, model: nn.Module, stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the complete state of ``model`` from its stored weights; of its frozen parameters, those that the folder
    lacks because the run names offline weights, which ``model`` has read already, stay as they are.

    Raises:
        RunError: if the file of frozen weights is missing.
    """
    unchanged = frozen(model)
    if unchanged.keys() <= stored.keys():
        return stored
    if folder.require_finished().encoder_weights:
        return unchanged | stored
    raise RunError(f"{folder.frozen_weights} is missing. Copy the whole run folder, or train the run again.")


def _holds(file: Path, tensors: dict[str, Tensor]) -> bool:
    """Whether a file exists and holds ``tensors``. Its name is not proof: damage would spread to all later runs."""
    try:
        stored = load_tensors(file)
    except RunError:
        return False
    return stored.keys() == tensors.keys() and all(torch.equal(stored[name], tensors[name].cpu()) for name in tensors)
