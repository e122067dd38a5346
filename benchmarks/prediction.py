"""How fast a trained run scores clips with PyTorch, and with ONNX Runtime and weights in 32 and 8 bits, in one process.

    python benchmarks/prediction.py RUN                   # clips of the data set that it was trained on
    python benchmarks/prediction.py RUN DATA --threads 2  # of another data set

The three take turns on every batch, so that a busy moment of the machine affects all of them. Batches are made before
the clock starts. Batches of several clips hold clips of similar length, as ``selfmm predict`` makes them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

import selfmm
from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.data.types import Batch
from selfmm.exporting.session import OnnxModel
from selfmm.recordings.model import SentimentModel

Scoring = Callable[[Batch], object]
SIZES = (1, 8, 64, 256)


def by_torch(model: SentimentModel) -> Scoring:
    def run(batch: Batch) -> object:
        with torch.inference_mode():
            return model.assembly.model(batch.to(model.device)).fusion.cpu()

    return run


def seconds(paths: Mapping[str, Scoring], batches: Sequence[Batch]) -> dict[str, npt.NDArray[np.float64]]:
    """Time of each batch per path, after each path has seen the longest batch once."""
    for path in paths.values():
        path(batches[-1])
    times: dict[str, list[float]] = {name: [] for name in paths}
    for batch in batches:
        for name, path in paths.items():
            started = time.perf_counter()
            path(batch)
            times[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in times.items()}


def batches_of(maker: BatchMaker, clips: npt.NDArray[np.int64], size: int) -> list[Batch]:
    return [maker.make(clips[positions]) for positions in evaluation_plan(maker.cost[clips], size)]


def of_words(model: SentimentModel, sentences: Sequence[str]) -> npt.NDArray[np.float64]:
    """Time ``SentimentModel.predict`` of one sentence, from words to a table."""
    times = []
    for sentence in [sentences[0], *sentences]:
        started = time.perf_counter()
        model.predict(text=sentence)
        times.append(time.perf_counter() - started)
    return np.array(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    model = selfmm.load(options.run)
    loading = time.perf_counter() - started
    dataset = selfmm.open_dataset(options.data or model.info.dataset_path)
    maker = model.assembly.maker(dataset, np.arange(len(dataset)))
    clips = np.random.default_rng(0).permutation(len(dataset))[: options.clips]
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, Scoring] = {"PyTorch": by_torch(model)}
        sizes = {"PyTorch": model.folder.weights.stat().st_size}
        for name, int8 in (("ONNX fp32", False), ("ONNX int8", True)):
            made = selfmm.export(options.run, Path(folder) / f"{int8}.onnx", int8=int8)
            paths[name] = OnnxModel(made.path, list(model.info.modalities), threads=options.threads)
            sizes[name] = made.size
        print(
            f"{model.device}, {options.threads} threads, {len(clips)} clips of {dataset.name}; loading {loading:.1f} s"
        )
        taken = {size: seconds(paths, batches_of(maker, clips, size)) for size in SIZES}
    rates = " | ".join(f"clips/s at {size}" for size in SIZES)
    print(f"| | MB | one clip, ms: p50 | p95 | {rates} |\n|---|---|---|---|{'---|' * len(SIZES)}")
    for name in paths:
        one = 1000 * taken[1][name]
        rates = " | ".join(f"{len(clips) / taken[size][name].sum():.0f}" for size in SIZES)
        p50, p95 = np.percentile(one, [50, 95])
        print(f"| {name} | {sizes[name] / 1e6:.0f} | {p50:.2f} | {p95:.2f} | {rates} |")
    if any(modality.kind == "text" for modality in model.info.modalities.values()):
        texts = cast(list[str], dataset.samples["text"].dropna().iloc[:100].tolist())
        p50, p95 = np.percentile(1000 * of_words(model, texts), [50, 95])
        print(f"TrainedModel.predict of one sentence: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


if __name__ == "__main__":
    main()
