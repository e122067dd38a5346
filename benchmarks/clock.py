"""How long each epoch takes."""

from __future__ import annotations

import time

from selfmm.core.listener import Listener
from selfmm.training.trainer import EpochRecord


class Clock(Listener):
    """A listener that records the time of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._worked = 0.0

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self._worked = time.process_time()

    def epoch(self, record: EpochRecord) -> None:
        worked, self._worked = self._worked, time.process_time()
        taken = {"seconds": record.seconds, "clips_per_second": record.clips_per_second}
        self.epochs.append({**taken, "processor_seconds": self._worked - worked})
