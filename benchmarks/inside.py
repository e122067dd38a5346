"""Run one of the two programs in its own process and environment, and record what only that process knows.

    python inside.py ours|peer WANTED.json REPORT.json

Nothing of ours is imported for the peer, nor the other way round. The peer's computation is not changed: its progress
bar shows when a loop over the data begins and ends, and its own early stopping ends it after the last epoch.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def peaks() -> dict[str, int]:
    """Peak memory of this process in bytes, and the peak of its allocator on a GPU (0 without one)."""
    import resource

    import torch

    status = Path("/proc/self/status")
    # ru_maxrss only as a last resort: a new process inherits its parent's.
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if status.exists():
        rss = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return {"rss": rss, "gpu": torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0}


def ours(wanted: dict[str, Any]) -> list[dict[str, float]]:
    """Run ``selfmm.train`` with these arguments."""
    from clock import Clock

    import selfmm

    clock = Clock()
    selfmm.train(**wanted, listener=clock)
    return clock.epochs


def peer(wanted: dict[str, Any]) -> list[dict[str, float]]:
    """Run MMSA's Self-MM on MOSI for a given number of epochs; as always, it then tests its best weights."""
    import torch

    if not torch.cuda.is_available():
        torch.cuda.set_device = lambda device: None  # MMSA calls it with the CPU too, where it raises
    mmsa = importlib.import_module("MMSA")
    module: Any = importlib.import_module("MMSA.trains.multiTask.SELF_MM")
    loops: list[tuple[float, float, float]] = []
    epochs: list[dict[str, float]] = []

    class Timed(module.tqdm):  # type: ignore[misc]
        def __iter__(self) -> Any:
            begun, worked = time.perf_counter(), time.process_time()
            yield from super().__iter__()
            loops.append((begun, time.perf_counter(), worked))

    plain = module.SELF_MM.do_test

    def do_test(self: Any, *arguments: Any, **named: Any) -> Any:
        result = plain(self, *arguments, **named)
        if named.get("mode") == "VAL":
            begun, trained, worked = loops[-2]
            taken = {"seconds": time.perf_counter() - begun, "processor_seconds": time.process_time() - worked}
            epochs.append({**taken, "clips_per_second": wanted["config"]["train_samples"] / (trained - begun)})
            if len(epochs) == wanted["epochs"]:
                self.args.early_stop = 0
        return result

    module.tqdm, module.SELF_MM.do_test = Timed, do_test
    places = {key: Path(wanted["out"]) / key for key in ("model_save_dir", "res_save_dir", "log_dir")}
    config = dict(wanted["config"])  # MMSA adds to it what it reads from the data
    mmsa.MMSA_run("self_mm", "mosi", config=config, seeds=[wanted["seed"]], num_workers=0, verbose_level=0, **places)
    return epochs


def main() -> None:
    program, wanted, report = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), Path(sys.argv[3])
    epochs = peer(wanted) if program == "peer" else ours(wanted)
    report.write_text(json.dumps({"epochs": epochs, "peak": peaks()}), encoding="utf-8")


if __name__ == "__main__":
    main()
