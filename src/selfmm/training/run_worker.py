"""The worker that trains one run, which its parent describes, and reports each epoch."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from selfmm.config.settings import Settings
from selfmm.core.jobs.parent import Parent, work
from selfmm.core.listener import Listener
from selfmm.core.memory import memory_now
from selfmm.data.store import open_dataset
from selfmm.runs.folder import RunFolder
from selfmm.training.run import Run
from selfmm.training.trainer import EpochRecord

NEEDS = (
    "torch._dynamo",  # which the first optimizer imports
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
    "transformers.models.mpnet.modeling_mpnet",
    "transformers.models.mpnet.tokenization_mpnet",
)
"""What nearly every training imports only when it gets there; see :class:`selfmm.core.jobs.template.Template`."""


class Reporter(Listener):
    """Reports a training to the parent."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self.parent.report("started", max_epochs=max_epochs, done=done)

    def epoch(self, record: EpochRecord) -> None:
        memory = {place: asdict(figures) for place, figures in memory_now().items()}
        self.parent.report("epoch", record=asdict(record), memory=memory)

    def finishing(self, stage: str, done: int = 0, total: int = 0) -> None:
        self.parent.report("finishing", stage=stage, done=done, total=total)


def train(parent: Parent) -> None:
    task = parent.receive()
    settings, out = Settings.model_validate(task["settings"]), RunFolder(Path(task["out"]))
    run = Run(open_dataset(task["data"]), settings, out, Reporter(parent), shared=Path(task["shared"]))
    run.execute(resume=True)


def run() -> int:
    return work(train)


if __name__ == "__main__":
    sys.exit(run())
