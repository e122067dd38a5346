"""How the time of an epoch grows with clips, length, modalities and batch, and how the generator's grows with clips.

    python benchmarks/curves.py                                      # about 5 minutes on 2 cores
    python benchmarks/curves.py --clips 1284 --generator 7           # larger, and generators of up to 1e7 clips
    python benchmarks/curves.py --out benchmarks/results/curves.json

Synthetic data of MOSI's shape go through the normal training with the preset ``mosi`` and the 6x384 text encoder. The
tables give the best epoch, with validation (a fifth of the training clips) and for training alone. Other programs on
the machine disturb processor seconds least.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from clock import Clock
from command import run_benchmark
from label_scale import cost
from synthetic import SPLITS, Shape, make_data, make_encoder

from selfmm.config.settings import load_settings
from selfmm.core.files import write_text
from selfmm.core.weights import cache_folder
from selfmm.runs.folder import RunFolder
from selfmm.training.run import Run


@dataclass(frozen=True)
class Point:
    """One training of a curve: its place on the curve, its data, and its settings besides the preset."""

    curve: str
    at: str
    shape: Shape
    settings: tuple[str, ...] = ()


def points(clips: int) -> Iterator[Point]:
    """Yield all trainings; every curve goes through or near the preset with ``clips`` clips of real lengths."""
    for part in (4, 2, 1):
        yield Point("clips", str(clips // part), Shape(clips // part))
    for tokens in (8, 16, 32, 50):
        frames = f"{tokens} tokens, {round(7.5 * tokens)} and {10 * tokens} frames"
        yield Point("length", frames, Shape(clips // 2, tokens))
    for modalities in ("text", "audio", "vision", "audio,vision", "text,audio,vision"):
        yield Point("modalities", modalities, Shape(clips), (f"modalities={modalities}",))
    for batch, accumulation in ((16, 1), (64, 1), (16, 4), (64, 4)):
        settings = (f"training.batch_size={batch}", f"training.accumulation={accumulation}")
        yield Point("batch", f"{batch} x {accumulation}", Shape(clips), settings)


def epoch(point: Point, epochs: int, device: str, cache: Path) -> dict[str, float]:
    """Seconds of the best epoch with validation, clips a second in training, and seconds of the first."""
    clock = Clock()
    data = make_data(point.shape, cache).dataset
    limits = (f"training.max_epochs={epochs}", f"training.patience={epochs}", f"training.device={device}")
    encoder = f"text.encoder={json.dumps(str(make_encoder('minilm', cache)))}"
    settings = load_settings("mosi", [encoder, *limits, *point.settings])
    with tempfile.TemporaryDirectory(prefix="selfmm-curves-") as name:
        Run(data, settings, RunFolder(Path(name) / "run"), clock).execute(resume=False)
    return {
        "epoch_seconds": min(epoch["seconds"] for epoch in clock.epochs),
        "clips_per_second": max(epoch["clips_per_second"] for epoch in clock.epochs),
        "processor_seconds": min(epoch["processor_seconds"] for epoch in clock.epochs),
        "first_epoch_seconds": clock.epochs[0]["seconds"],
    }


def generators(largest: int, rounds: int) -> list[dict[str, Any]]:
    """Cost of the label generator for 1e3 clips and more, on one thread, with the preset's rule."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = [asdict(cost(10**power, "authors", rounds)) for power in range(3, largest + 1)]
    torch.set_num_threads(threads)
    return found


def table(results: dict[str, Any]) -> str:
    """All curves as Markdown."""
    lines = [f"{results['threads']} threads, {results['device']}, torch {torch.__version__}", ""]
    lines += [
        "| curve | at | epoch, s | processor s | training, clips/s | first epoch, s |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["epochs"]:
        times = f"{row['epoch_seconds']:.2f} | {row['processor_seconds']:.2f}"
        figures = f"{times} | {row['clips_per_second']:.1f} | {row['first_epoch_seconds']:.2f}"
        lines.append(f"| {row['curve']} | {row['at']} | {figures} |")
    lines += ["", "| generator, clips | update, ms | ratio to 1e3 | resync, s |", "|---|---|---|---|"]
    for row in results["generator"]:
        lines.append(f"| {row['clips']} | {1000 * row['update']:.2f} | {row['ratio']:.2f} | {row['resync']:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=SPLITS["train"] // 4, help="clips of the training split")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--generator", type=int, default=5, help="its largest number of clips, as a power of ten")
    parser.add_argument("--rounds", type=int, default=100, help="updates of each generator")
    parser.add_argument("--cache", type=Path, default=cache_folder() / "benchmarks", help="folder for the data sets")
    parser.add_argument("--out", type=Path, help="write to this .json file, and the tables to an .md file next to it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {"threads": options.threads, "device": options.device, "epochs": []}
    for point in points(options.clips):
        figures = epoch(point, options.epochs, options.device, options.cache)
        results["epochs"].append({"curve": point.curve, "at": point.at, **figures})
        print(f"{point.curve}, {point.at}: {figures['epoch_seconds']:.2f} s", file=sys.stderr)
    results["generator"] = generators(options.generator, options.rounds)
    print(table(results))
    if options.out:
        write_text(options.out, json.dumps(results, indent=1) + "\n")
        write_text(options.out.with_suffix(".md"), table(results))


if __name__ == "__main__":
    run_benchmark(main)
