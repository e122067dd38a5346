"""What runs in a process that trains trials: one after the other, as standard input says.

Started by :mod:`selfmm.experiments.crew`; see :mod:`selfmm.training.child` for how the two speak.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from selfmm.config.settings import Settings
from selfmm.core.errors import SelfmmError
from selfmm.core.machine import collect_rarely
from selfmm.data.store import open_dataset
from selfmm.experiments.trial import Bench
from selfmm.training.child import Parent
from selfmm.training.seed_process import explain


def main() -> int:
    collect_rarely()
    parent = Parent()

    def heard(epoch: int, mae: float) -> bool:
        parent.send("epoch", epoch=epoch, mae=mae)
        return bool(parent.hear()["go_on"])

    try:
        job = parent.hear()
        bench = Bench(open_dataset(job["data"]), Settings.model_validate(job["settings"]))
        while True:
            parent.send("ended", outcome=asdict(bench.run(parent.hear()["values"], heard)))
    except SelfmmError as error:
        parent.send("broken", message=str(error))
    except KeyboardInterrupt:  # the end of the input among them, by which the parent lets it go
        return 130
    except Exception as error:
        parent.send("broken", message=explain(error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
