"""What runs in the process of one seed: a training told on standard input, its progress on standard output.

Started by :mod:`selfmm.training.seed_pool`; see :mod:`selfmm.training.child` for how the two speak.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from selfmm.config.settings import Settings
from selfmm.core.errors import SelfmmError
from selfmm.core.machine import collect_rarely
from selfmm.core.memory import memory_now
from selfmm.data.store import open_dataset
from selfmm.runs.folder import RunFolder
from selfmm.training.child import Parent
from selfmm.training.run import Run
from selfmm.training.trainer import EpochRecord


class Reporter:
    """Tells the parent how training goes."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self.parent.send("started", max_epochs=max_epochs, done=done)

    def step(self) -> None: ...

    def epoch(self, record: EpochRecord) -> None:
        memory = {place: asdict(found) for place, found in memory_now().items()}
        self.parent.send("epoch", record=asdict(record), memory=memory)


def main() -> int:
    collect_rarely()
    parent = Parent()
    try:
        job = parent.hear()
        settings = Settings.model_validate(job["settings"])
        out, shared = RunFolder(Path(job["out"])), Path(job["shared"])
        Run(open_dataset(job["data"]), settings, out, Reporter(parent), shared=shared).execute(resume=True)
    except SelfmmError as error:
        parent.send("failed", message=str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # out of memory on a device among them
        parent.send("failed", message=explain(error))
        return 1
    return 0


def explain(error: Exception) -> str:
    """An error that nobody foresaw, in a line."""
    first = (str(error).strip() or "no message").splitlines()[0][:300]
    return f"{type(error).__name__}: {first}"


if __name__ == "__main__":
    sys.exit(main())
