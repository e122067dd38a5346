"""The processes of one run: the place of this one among them, and how they communicate."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from selfmm.core.errors import SettingsError, TrainingError
from selfmm.core.tensors import Positions

# Others wait while one writes the results. The launcher notices immediately when a process dies.
_PATIENCE = timedelta(hours=2)
_NO_BOARD = (KeyError, ValueError, RuntimeError)
_BUCKET = 2**23  # numbers summed in one message, which takes a copy of them, 4 bytes each


def refuse_launcher(why: str) -> None:
    """Raise ``SettingsError`` if a launcher has started several processes, for jobs that start their own."""
    if _launched() > 1:
        raise SettingsError([f"{why}; start it without accelerate launch"])


def _launched() -> int:
    """Return the number of processes that a launcher has started for one run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class Processes:
    """This process's place among those of its run; all of them make the same calls in the same order.

    Attributes:
        rank: its number from 0; process 0 writes files and prints.
        count: number of processes.
        device: the device of this process, from which it sends messages.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, device: str) -> Processes:
        """Join the other processes, if a launcher (``torchrun``, ``accelerate launch``) has started several.

        Args:
            device: as in ``training.device``.

        Raises:
            SettingsError: if the processes cannot communicate on this device.
        """
        from accelerate import PartialState  # only for training: scores do not wait for its import

        launched = _launched()
        # Otherwise Accelerate treats the processes on a machine without a GPU as separate runs.
        cpu = device == "cpu" or (launched > 1 and not torch.cuda.is_available())
        state = PartialState(cpu=cpu, timeout=_PATIENCE)
        if state.num_processes < launched:
            raise SettingsError(
                [f"training.device = {device!r}: {launched} processes were launched, but on {state.device} they cannot "
                 "work on one run; launch one, or use cpu or cuda"]
            )  # fmt: skip
        if state.num_processes > 1:
            if dist.get_backend() == "gloo":
                atexit.register(leave)  # otherwise its threads may abort the program as it ends
            with suppress(*_NO_BOARD):
                _board()  # now: after a failure, it may accept no more connections
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def main(self) -> bool:
        return self.rank == 0

    @property
    def group(self) -> dist.ProcessGroup | None:
        """The group of all processes; None if there is only one."""
        return dist.group.WORLD if self.count > 1 else None

    def share(self, parts: Sequence[Positions]) -> list[Positions]:
        """Return this process's clips of each part: every ``count``-th of all clips in a row. Parts may be empty."""
        starts = accumulate(map(len, parts), initial=0)
        return [
            part[(self.rank - start) % self.count :: self.count] for part, start in zip(parts, starts, strict=False)
        ]

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in few messages. All have one dtype and are dense."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            together = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(together)
            for tensor, total in zip(bucket, torch.split(together, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of ``part`` over the processes, on its device."""
        if self.count == 1:
            return part
        everything = part.to(self.device)
        dist.all_reduce(everything)
        return everything.to(part.device)

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the values that these tensors have in the main process."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def decide(self, ask: Callable[[], int]) -> int:
        """Return the main process's answer in all processes; the others do not call ``ask``."""
        if self.count == 1:
            return ask()
        answer = torch.tensor(int(ask()) if self.main else 0, device=self.device)
        dist.broadcast(answer, 0)
        return int(answer)

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            self.decide(lambda: 0)  # not a barrier: with NCCL, that needs the device


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(map(torch.Tensor.numel, bucket)) + tensor.numel() > _BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


@contextmanager
def together() -> Iterator[None]:
    """Raise a clear error if the block fails because another process has ended.

    Raises:
        TrainingError: if a message could not be sent or received.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            "another process of this run has ended or cannot be reached. See what it printed, or whether it was "
            "killed (its machine may have run out of memory); then continue with `resume=True`."
        ) from error


def leave() -> None:
    """Leave the group after a run that succeeded; otherwise NCCL complains."""
    if dist.is_initialized():
        dist.destroy_process_group()


def first_to_fail() -> bool:
    """Return whether this process of the run failed first. It reports the reason; the others fail as a consequence."""
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        return bool(_board().add(f"selfmm/failed/{attempt}", 1) == 1)
    except _NO_BOARD:  # the store no longer answers
        return os.environ.get("RANK", "0") == "0"


@cache
def _board() -> Any:
    """Return the store that the launched processes share, even before they have joined."""
    place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(place, port, is_master=False, timeout=timedelta(seconds=5))  # type: ignore[attr-defined]
