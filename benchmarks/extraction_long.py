"""Measure the memory for a long recording, extracted whole or scored window by window, in a process of its own.

    python benchmarks/extraction_long.py extract RECORDING THREADS        # prints one line of JSON
    python benchmarks/extraction_long.py curve RECORDING THREADS RUN

``extraction.py`` starts it with the environment variables that ``selfmm extract`` gives its workers.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Peak memory of this process."""
    if STATUS.exists():  # getrusage would count what the parent held when it started this process
        line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def extract(path: Path, threads: int) -> tuple[float, int]:
    """Return the length of the recording in seconds, and the number of rows extracted."""
    from selfmm.config.recipe import Recipe
    from selfmm.features.clips.clip import Clip
    from selfmm.features.extraction import extract_clip

    features = extract_clip(Clip(path), Recipe(), threads=threads).features
    return features.end, sum(len(track) for track in features.tracks.values())


def curve(path: Path, threads: int, run: Path) -> tuple[float, int]:
    """Return the length of the recording in seconds, and the number of windows of 5 s, one per second, scored."""
    import selfmm
    from selfmm.features.clips.clip import Clip
    from selfmm.features.media.recording import probe
    from selfmm.recordings.spans import Windows

    windows = sum(1 for _ in selfmm.load(run).recordings.curve(Clip(path), Windows(5.0, 1.0), threads=threads))
    return probe(path).duration or 0.0, windows


def measure(kind: str, path: Path, threads: int, *run: str) -> dict[str, Any]:
    """Cost from start to end, including imports and loading the models."""
    import torch

    torch.set_num_threads(threads)
    started = time.perf_counter()
    seconds, rows = extract(path, threads) if kind == "extract" else curve(path, threads, Path(*run))
    wall = time.perf_counter() - started
    return {
        "seconds": seconds,
        "rows": rows,
        "wall": wall,
        "processor": time.process_time(),
        "peak": peak_bytes(),
    }


def main() -> None:
    kind, path, threads, *run = sys.argv[1:]
    print(json.dumps(measure(kind, Path(path), int(threads), *run)))


if __name__ == "__main__":
    main()
