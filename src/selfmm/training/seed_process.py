"""What runs in the process of one seed: a training told on standard input, its progress on standard output.

Started by :mod:`selfmm.training.seed_pool`. The input is one line of JSON and then stays open: its end says that the
parent is gone, however that died, and ends this process too. The output is one JSON object per line.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from selfmm.config import Settings
from selfmm.data.store import open_dataset
from selfmm.errors import SelfmmError
from selfmm.training.folder import RunFolder
from selfmm.training.memory import memory_now
from selfmm.training.run import Run
from selfmm.training.trainer import EpochRecord

_GRACE = 2.0  # seconds to clean up in; a long step does not see the interrupt before its end


class Reporter:
    """Tells the parent how training goes."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def send(self, event: str, **content: Any) -> None:
        self.out.write(json.dumps({"event": event, **content}) + "\n")
        self.out.flush()

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self.send("started", max_epochs=max_epochs, done=done)

    def step(self) -> None: ...

    def epoch(self, record: EpochRecord) -> None:
        memory = {place: asdict(found) for place, found in memory_now().items()}
        self.send("epoch", record=asdict(record), memory=memory)


def main() -> int:
    # What libraries print goes to standard error: this stream is ours.
    reporter = Reporter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        settings = Settings.model_validate(job["settings"])
        Run(open_dataset(job["data"]), settings, RunFolder(Path(job["out"])), reporter).execute(resume=True)
    except SelfmmError as error:
        reporter.send("failed", message=str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # out of memory on a device among them
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        reporter.send("failed", message=f"{type(error).__name__}: {first}")
        return 1
    return 0


def _end_with_parent() -> None:
    # Unbuffered: a thread that waits in sys.stdin would hold its lock when the interpreter ends.
    while os.read(0, 1024):
        pass
    _thread.interrupt_main()
    time.sleep(_GRACE)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
