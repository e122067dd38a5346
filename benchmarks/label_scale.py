"""Cost of labels as the number of clips grows: of a step and a resync of the generator, and of estimating them.

    python benchmarks/label_scale.py              # N = 1e3 to 1e7; about 16 GB of memory for the largest
    python benchmarks/label_scale.py --largest 6  # up to 1e6
    python benchmarks/label_scale.py --estimate --largest 6  # estimate_labels; about 10 GB of memory

Every clip has features stored before anything is timed. Steps of both sizes are timed in turn, so that a busy moment of
the machine affects both; the ratio is the median over rounds of the time at N to that at 1e3 in the same round.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from selfmm.labels import UnimodalLabelGenerator, estimate_labels
from selfmm.labels.feature_space import FeatureSpace

DIMS, FUSION = {"text": 32, "audio": 16, "vision": 32}, 128  # the widths published for MOSI
BATCH = 64
INPUTS = {"text": (384,), "audio": (74, 74), "vision": (35, 35)}  # mean state; mean and deviation of frames


def filled(clips: int, rule: str) -> UnimodalLabelGenerator:
    """A generator that has seen every clip, with features that increase with the label."""
    torch.manual_seed(0)
    labels = torch.rand(clips) * 6 - 3
    gen = UnimodalLabelGenerator(labels, DIMS, FUSION, rule=rule)
    for space in [gen.fusion, *(cast(FeatureSpace, space) for space in gen.streams.children())]:
        for start in range(0, clips, 65536):
            rows = space.bank[start : start + 65536]
            rows.normal_().add_(labels[start : start + 65536, None])
        space.seen.fill_(True)
    return gen


def step_seconds(gen: UnimodalLabelGenerator) -> float:
    """Seconds of one update of clips sampled from all of them."""
    index = torch.randint(len(gen.m_labels), (BATCH,))
    features = {name: torch.randn(BATCH, dim) for name, dim in DIMS.items()}
    fusion = torch.randn(BATCH, FUSION)
    started = time.perf_counter()
    gen.update(fusion, features, index, 2)
    return time.perf_counter() - started


def bytes_per_clip(gen: UnimodalLabelGenerator) -> tuple[int, int]:
    """Bytes per clip of the banks and of everything else, by the buffers that have one row per clip."""
    clips = len(gen.m_labels)
    sizes = {name: b.nbytes // clips for name, b in gen.named_buffers() if b.ndim and len(b) == clips}
    banks = sum(size for name, size in sizes.items() if name.endswith(".bank"))
    return banks, sum(sizes.values()) - banks


@dataclass(frozen=True)
class Cost:
    """Cost of a generator of ``clips`` clips.

    Attributes:
        update: median seconds of the update of a batch.
        ratio: median over the rounds of the ratio of its time to that at 1000 clips.
        resync: seconds of a resync.
        bytes_per_clip: of the banks, and of everything else.
    """

    clips: int
    update: float
    ratio: float
    resync: float
    bytes_per_clip: tuple[int, int]


def cost(clips: int, rule: str, rounds: int) -> Cost:
    """Measure a generator of ``clips`` clips, in turn with one of 1000."""
    # Only two at a time, so that the largest has the memory to itself.
    small, large = (filled(size, rule) for size in (1000, clips))
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


def estimate_seconds(clips: int) -> float:
    """Seconds of processor time of an estimate from inputs of which each column knows a little of the label."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(-3, 3, clips).astype(np.float32)
    inputs = {
        name: [rng.standard_normal((clips, width), dtype=np.float32) + labels[:, None] / 20 for width in widths]
        for name, widths in INPUTS.items()
    }
    started = time.process_time()
    estimate_labels(labels, inputs)
    return time.process_time() - started


def estimates(largest: int) -> None:
    """Print a table of the cost of estimates."""
    print(f"inputs {INPUTS}, 1 thread")
    print("| N | estimate_labels, s | peak memory of the process, GB |")
    print("|---|---|---|")
    for power in range(3, largest + 1):
        seconds = estimate_seconds(10**power)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"| 1e{power} | {seconds:.1f} | {peak:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=7, help="power of ten")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--rules", default="authors")
    parser.add_argument("--estimate", action="store_true", help="measure estimate_labels instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.estimate:
        estimates(options.largest)
        return
    print(f"batch {BATCH}, features {DIMS}, fusion {FUSION}, 1 thread, {options.rounds} rounds")
    print("| rule | N | update, ms (median) | ratio to 1e3 | resync, s | bytes per clip: banks + the rest |")
    print("|---|---|---|---|---|---|")
    for rule in options.rules.split(","):
        for power in range(3, options.largest + 1):
            measured = cost(10**power, rule, options.rounds)
            banks, rest = measured.bytes_per_clip
            times = f"{1000 * measured.update:.2f} | {measured.ratio:.2f} | {measured.resync:.2f}"
            print(f"| {rule} | 1e{power} | {times} | {banks} + {rest} |", flush=True)


if __name__ == "__main__":
    main()
