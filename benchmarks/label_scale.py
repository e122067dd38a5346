"""What the label generator costs as the number of clips grows: time of a step and of a resync, bytes a clip.

    python benchmarks/label_scale.py                      # N = 1e3 to 1e7, in memory; about 16 GB for the largest
    python benchmarks/label_scale.py --largest 6          # up to 1e6
    python benchmarks/label_scale.py --bank-folder /data  # the features in files there

Every clip has features stored before anything is timed. Steps of all sizes are timed in turn, so that a busy moment of
the machine falls on all of them; the ratio is the median over rounds of the time at N to that at 1e3 in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.streams import FeatureStream

DIMS, FUSION = {"text": 32, "audio": 16, "vision": 32}, 128  # the widths published for MOSI
BATCH = 64


def filled(clips: int, rule: str, bank: str, folder: Path | None) -> UnimodalLabelGenerator:
    """A generator in which every clip has been seen, with features that rise with the label."""
    torch.manual_seed(0)
    labels = torch.rand(clips) * 6 - 3
    gen = UnimodalLabelGenerator(labels, DIMS, FUSION, rule=rule, bank_dtype=getattr(torch, bank), bank_folder=folder)
    for stream in [gen.fusion, *(cast(FeatureStream, stream) for stream in gen.streams.children())]:
        for start in range(0, clips, 65536):
            rows = stream.bank[start : start + 65536]
            rows.normal_().add_(labels[start : start + 65536, None])
        stream.seen.fill_(True)
    return gen


def step_seconds(gen: UnimodalLabelGenerator) -> float:
    """One update of clips drawn from all of them."""
    index = torch.randint(len(gen.m_labels), (BATCH,))
    features = {name: torch.randn(BATCH, dim) for name, dim in DIMS.items()}
    fusion = torch.randn(BATCH, FUSION)
    started = time.perf_counter()
    gen.update(fusion, features, index, 2)
    return time.perf_counter() - started


def bytes_per_clip(gen: UnimodalLabelGenerator) -> tuple[int, int]:
    """Of the banks, and of all else, by the size of the buffers that have a row per clip."""
    clips = len(gen.m_labels)
    sizes = {name: b.nbytes // clips for name, b in gen.named_buffers() if b.ndim and len(b) == clips}
    banks = sum(size for name, size in sizes.items() if name.endswith(".bank"))
    return banks, sum(sizes.values()) - banks


@dataclass(frozen=True)
class Cost:
    """What a generator of ``clips`` clips costs: seconds of an update and of a resync, bytes a clip.

    Attributes:
        update: median seconds of the update of a batch.
        ratio: of these to those at 1000 clips, median over the rounds.
        resync: seconds of one.
        bytes_per_clip: of the banks, and of all else.
    """

    clips: int
    update: float
    ratio: float
    resync: float
    bytes_per_clip: tuple[int, int]


def cost(clips: int, rule: str, rounds: int, bank: str = "float32", folder: Path | None = None) -> Cost:
    """Measures a generator of so many clips in turn with one of 1000."""
    # Two at a time: the smallest beside each, so that the largest has the memory to itself.
    small, large = (filled(size, rule, bank, folder) for size in (1000, clips))
    for gen in (small, large):
        for _ in range(50):
            step_seconds(gen)
    small.resync()
    started = time.perf_counter()
    large.resync()
    resync = time.perf_counter() - started
    pairs = [(step_seconds(small), step_seconds(large)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in pairs)
    return Cost(clips, statistics.median(b for _, b in pairs), ratio, resync, bytes_per_clip(large))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=7, help="power of ten")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--rules", default="authors,posterior")
    parser.add_argument("--bank", default="float32")
    parser.add_argument("--bank-folder", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"batch {BATCH}, features {DIMS}, fusion {FUSION}, bank {options.bank}, 1 thread, {options.rounds} rounds")
    print("| rule | N | update, ms (median) | ratio to 1e3 | resync, s | bytes a clip: banks + the rest |")
    print("|---|---|---|---|---|---|")
    for rule in options.rules.split(","):
        for power in range(3, options.largest + 1):
            found = cost(10**power, rule, options.rounds, options.bank, options.bank_folder)
            banks, rest = found.bytes_per_clip
            times = f"{1000 * found.update:.2f} | {found.ratio:.2f} | {found.resync:.2f}"
            print(f"| {rule} | 1e{power} | {times} | {banks} + {rest} |", flush=True)


if __name__ == "__main__":
    main()
