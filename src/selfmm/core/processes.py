"""The processes of one run: which of them this is, and what they tell each other. One alone tells nobody anything."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

from selfmm.core.errors import SettingsError, TrainingError
from selfmm.core.tensors import Positions

# Others wait while one writes the results. A process that dies is noticed at once by whoever launched them.
_PATIENCE = timedelta(hours=2)
_NO_BOARD = (KeyError, ValueError, RuntimeError)
_BUCKET = 2**23  # numbers summed in one message: it takes this much memory once more, in 4 bytes each


def refuse_launcher(why: str) -> None:
    """Raises ``SettingsError`` where a launcher has started several processes, for what starts its own."""
    if _launched() > 1:
        raise SettingsError([f"{why}; start it without accelerate launch"])


def _launched() -> int:
    """How many processes a launcher has started for one run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class Processes:
    """This process's place among those of its run, all of which make the same calls in the same order.

    Attributes:
        rank: from 0, the one that writes files and speaks to people.
        count: how many there are.
        device: this one's; messages are sent from there.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, device: str) -> Processes:
        """Meets the others, where a launcher (``torchrun``, ``accelerate launch``) has started several.

        Args:
            device: as in ``training.device``.

        Raises:
            SettingsError: the processes have no way to talk to each other on this device.
        """
        launched = _launched()
        # Without being told, Accelerate takes processes on a machine without a GPU for as many runs of one.
        cpu = device == "cpu" or (launched > 1 and not torch.cuda.is_available())
        state = PartialState(cpu=cpu, timeout=_PATIENCE)
        if state.num_processes < launched:
            raise SettingsError(
                [f"training.device = {device!r}: {launched} processes were launched, but on {state.device} they cannot "
                 "work on one run; launch one, or use cpu or cuda"]
            )  # fmt: skip
        if state.num_processes > 1:
            if dist.get_backend() == "gloo":
                atexit.register(leave)  # else its threads may abort the program as it ends
            with suppress(*_NO_BOARD):
                _board()  # now: once something has failed, it may take no more visitors
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def main(self) -> bool:
        return self.rank == 0

    @property
    def group(self) -> dist.ProcessGroup | None:
        """All of them; None where there is one."""
        return dist.group.WORLD if self.count > 1 else None

    def share(self, parts: Sequence[Positions]) -> list[Positions]:
        """This process's clips of each part: of all clips in a row, every ``count``-th. Parts may be empty for it."""
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + len(part))
        return [
            part[(self.rank - start) % self.count :: self.count] for part, start in zip(parts, starts, strict=False)
        ]

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes, in few messages. All are of one dtype and dense."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            together = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(together)
            for tensor, total in zip(bucket, torch.split(together, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def total(self, part: Tensor) -> Tensor:
        """The sum over the processes, where ``part`` is."""
        if self.count == 1:
            return part
        everything = part.to(self.device)
        dist.all_reduce(everything)
        return everything.to(part.device)

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Gives every process the values that these tensors have in the main one."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def decide(self, ask: Callable[[], int]) -> int:
        """The main process's answer, in all of them; the others do not ask."""
        if self.count == 1:
            return ask()
        answer = torch.tensor(int(ask()) if self.main else 0, device=self.device)
        dist.broadcast(answer, 0)
        return int(answer)

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            self.decide(lambda: 0)  # no barrier: with NCCL that has to be told the device


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
    """Says in plain words that another process is gone, where that is what ends this one.

    Raises:
        TrainingError: a message could not be sent or did not come.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            "another process of this run has ended or cannot be reached. Look for what it says itself, or whether it "
            "was killed (the memory of its machine may have been too small); then go on with `resume=True`."
        ) from error


def leave() -> None:
    """Takes leave of the others when all has ended well; NCCL complains of those who just go."""
    if dist.is_initialized():
        dist.destroy_process_group()


def first_to_fail() -> bool:
    """Whether no other process of this run has failed before: that one says why, the others fail in consequence."""
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        return bool(_board().add(f"selfmm/failed/{attempt}", 1) == 1)
    except _NO_BOARD:  # nobody there to ask any more
        return os.environ.get("RANK", "0") == "0"


@cache
def _board() -> Any:
    """Where the launched processes leave notes, also before they have met."""
    place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(place, port, is_master=False, timeout=timedelta(seconds=5))  # type: ignore[attr-defined]
