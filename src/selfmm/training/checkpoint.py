"""State that survives ``kill -9`` at any moment: write new files, then one pointer, then remove old files.

All files are safetensors or JSON, so a run folder from somebody else is data, never code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from selfmm.core.errors import RunError
from selfmm.core.files import write_text
from selfmm.core.tensors import learned, load_learned, load_tensors, save_tensors

_POINTER = "latest.json"


class Checkpoints:
    """The resumable state of a run, in one folder.

    Args:
        folder: contains ``latest.json`` and the tensors it points to.
        writes: whether this process stores the state; True in only one of several, which together compute it.
    """

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        self.folder, self.writes = folder, writes

    def progress(self) -> dict[str, Any] | None:
        """Return the ``progress`` of the last complete checkpoint; None without one."""
        try:
            progress: dict[str, Any] = json.loads((self.folder / _POINTER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {self.folder / _POINTER}: {error}. Train into a new folder.") from error
        return progress

    def save(
        self,
        progress: dict[str, Any],
        parts: dict[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        best: dict[str, Tensor] | None,
    ) -> None:
        """Store the state at the end of an epoch.

        Args:
            progress: as JSON; must contain ``epoch`` and ``best_epoch``.
            parts: modules by name.
            best: the weights of ``best_epoch``; None if they are stored already.
        """
        tensors = {f"{part}/{key}": value for part, module in parts.items() for key, value in learned(module).items()}
        if not self.writes:
            return
        save_tensors(self._state_file(progress["epoch"]), tensors | _optimizer_state(optimizer))
        if best is not None:
            save_tensors(self._best_file(progress["best_epoch"]), best)
        write_text(self.folder / _POINTER, json.dumps(progress))
        keep = {_POINTER, self._state_file(progress["epoch"]).name, self._best_file(progress["best_epoch"]).name}
        for file in self.folder.iterdir():
            if file.is_file() and file.name not in keep:
                file.unlink()

    def finish(self, part: str) -> None:
        """Keep the state of ``part`` of a finished run and remove the rest, which is most of its size."""
        progress = self.progress()
        if progress is None or not self.writes:
            return
        file = self._state_file(progress["epoch"])
        with safe_open(file, "pt") as stored:
            names = [name for name in stored.keys() if name.startswith(f"{part}/")]  # noqa: SIM118  not a dict
            tensors = {name: stored.get_tensor(name).clone() for name in names}  # its file is about to be replaced
        save_tensors(file, tensors)
        self._best_file(progress["best_epoch"]).unlink(missing_ok=True)

    def load(self, epoch: int, parts: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        """Restore the state of the modules and the optimizer after ``epoch``."""
        tensors = load_tensors(self._state_file(epoch))
        for part, module in parts.items():
            prefix = f"{part}/"
            load_learned(module, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        _restore_optimizer(optimizer, tensors)

    def best(self, epoch: int) -> dict[str, Tensor]:
        """Return the weights of the best epoch."""
        return load_tensors(self._best_file(epoch))

    def _state_file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:05}.safetensors"

    def _best_file(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch:05}.safetensors"


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"optimizer/{index}/{key}": value for index, entry in state.items() for key, value in entry.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
