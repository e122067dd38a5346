"""The worker that trains trials, one after the other."""

from __future__ import annotations

import sys
from dataclasses import asdict

from selfmm.config.settings import Settings
from selfmm.core.jobs.parent import Parent, work
from selfmm.data.store import open_dataset
from selfmm.experiments.trial import Bench


def train(parent: Parent) -> None:
    def heard(epoch: int, mae: float) -> bool:
        parent.report("epoch", epoch=epoch, mae=mae)
        return bool(parent.receive()["go_on"])

    setup = parent.receive()
    bench = Bench(open_dataset(setup["data"]), Settings.model_validate(setup["settings"]))
    while True:
        parent.report("done", outcome=asdict(bench.run(parent.receive()["values"], heard)))


if __name__ == "__main__":
    sys.exit(work(train))
