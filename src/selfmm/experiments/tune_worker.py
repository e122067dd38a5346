"""The worker that trains trials, one after the other."""

from __future__ import annotations

import sys
from dataclasses import asdict

from selfmm.config.settings import Settings
from selfmm.core.jobs.parent import Parent, work
from selfmm.data.store import open_dataset
from selfmm.experiments.trial import TrialTrainer


def train(parent: Parent) -> None:
    def report(epoch: int, mae: float) -> bool:
        parent.report("epoch", epoch=epoch, mae=mae)
        return bool(parent.receive()["go_on"])

    setup = parent.receive()
    trainer = TrialTrainer(open_dataset(setup["data"]), Settings.model_validate(setup["settings"]))
    while True:
        parent.report("done", outcome=asdict(trainer.run(parent.receive()["values"], report)))


if __name__ == "__main__":
    sys.exit(work(train))
