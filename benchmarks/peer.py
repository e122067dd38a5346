"""Compare selfmm with MMSA on this machine: speed, memory, start-up and size, as ratios within one run.

    python benchmarks/peer.py                           # 6x384 text encoder, MOSI's sizes, 2 pairs
    python benchmarks/peer.py --encoder base            # BERT-base; the peer then takes 15 GB
    python benchmarks/peer.py --out benchmarks/results/peer-cpu.json
    python benchmarks/peer.py --check benchmarks/results/peer-cpu.json

The peer is MMSA's Self-MM as published on PyPI, in an environment of its own that the first run makes. Both programs
read the same data set and text encoder and take turns, each in a process of its own. benchmarks/README.md explains how
to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from command import run_benchmark
from environments import (
    BenchmarkError,
    available_bytes,
    installed_bytes,
    our_bytes,
    peer_python,
    surroundings,
    timed,
    versions,
)
from ratios import PEER, falls, from_json, markdown, ratios
from synthetic import ENCODERS, SPLITS, TOKENS, Encoder, Made, Shape, make_data, make_encoder

from selfmm.core.files import write_text
from selfmm.core.weights import cache_folder
from selfmm.models.hardware import resolve_precision

SEED = 1111
_INSIDE = Path(__file__).with_name("inside.py")
_PEER_NEEDS = {"base": (3.3e9, 11.9e9), "minilm": (1.2e9, 3.0e9)}
"""Bytes that the peer was seen to take: always, and for 1284 clips, whose graphs it keeps for an epoch."""


@dataclass(frozen=True)
class Comparison:
    """What is compared; both programs get the same values."""

    encoder: Encoder
    clips: int
    full_length: bool
    threads: int
    epochs: int
    device: str

    @property
    def key(self) -> str:
        lengths = "full length" if self.full_length else "real lengths"
        return f"{self.encoder}, {self.clips} clips of {lengths}, {self.device}, threads {self.threads}"


def variants(device: str) -> dict[str, tuple[str, ...]]:
    """Variants of ours by name, with the settings of each besides the preset."""
    precision = resolve_precision("auto", torch.device(device))
    return {
        "fp32, same arithmetic": ("training.precision=fp32", "labels.features=train"),
        f"default, {precision}": (),
    }


def measure(program: str, wanted: Comparison, data: Made, encoder: Path, python: Path) -> dict[str, float]:
    """Train with ``program``; return its figures by the names in ``ratios.METRICS``, without the installed size.

    Args:
        python: the peer's interpreter.
    """
    with tempfile.TemporaryDirectory(prefix="selfmm-peer-") as name:
        folder = Path(name)
        if program == PEER:
            which, asked = "peer", _of_peer(wanted, data, encoder, folder)
            start: list[str | Path] = [python, "-c", "import MMSA"]
        else:
            which, asked = "ours", _of_ours(wanted, data, encoder, folder, variants(wanted.device)[program])
            python, start = Path(sys.executable), [sys.executable, "-m", "selfmm", "--help"]
        asks, report, log = (folder / file for file in ("asked.json", "report.json", "log"))
        asks.write_text(json.dumps(asked), encoding="utf-8")
        around = surroundings(wanted.threads, wanted.device)
        took = timed([python, _INSIDE, which, asks, report], around, log)
        found = json.loads(report.read_text(encoding="utf-8"))
        epochs = found["epochs"]
        return {
            "clips_per_second": max(epoch["clips_per_second"] for epoch in epochs),
            "first_clips_per_second": epochs[0]["clips_per_second"],
            "epoch_seconds": min(epoch["seconds"] for epoch in epochs),
            "first_epoch_seconds": epochs[0]["seconds"],
            "epoch_processor_seconds": min(epoch["processor_seconds"] for epoch in epochs),
            "run_seconds": took.wall,
            "run_processor_seconds": took.processors,
            "peak_memory": found["peak"]["rss"],
            "peak_gpu_memory": found["peak"]["gpu"],
            "start_seconds": min(timed(start, around, log).wall for _ in range(3)),
        }


def _of_peer(wanted: Comparison, data: Made, encoder: Path, folder: Path) -> dict[str, Any]:
    width = json.loads((encoder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    config = {"featurePath": str(data.pickle), "train_samples": wanted.clips}
    config |= {"pretrained": str(encoder), "text_out": width}
    return {"epochs": wanted.epochs, "seed": SEED, "config": config, "out": str(folder)}


def _of_ours(wanted: Comparison, data: Made, encoder: Path, folder: Path, settings: tuple[str, ...]) -> dict[str, Any]:
    limits = {"max_epochs": wanted.epochs, "patience": wanted.epochs, "device": wanted.device}
    return {
        "data": str(data.dataset.path),
        "out": str(folder / "run"),
        "preset": "mosi",
        "text_encoder": str(encoder),
        "seed": SEED,
        "overrides": [*(f"training.{key}={value}" for key, value in limits.items()), *settings],
    }


def compare(wanted: Comparison, pairs: int, cache: Path, python: Path | None) -> dict[str, Any]:
    """Measure everything for the results file: ``pairs`` of figures, ``ratios``, and a description of the machine."""
    _check_memory(wanted)
    data = make_data(Shape(wanted.clips, TOKENS if wanted.full_length else None), cache)
    encoder = make_encoder(wanted.encoder, cache)
    python = python or peer_python(cache)
    theirs, own = installed_bytes(python, ["MMSA"]), our_bytes()
    measured: list[dict[str, dict[str, float]]] = []
    for pair in range(pairs):
        measured.append({})
        for program in (PEER, *variants(wanted.device)):
            figures = measure(program, wanted, data, encoder, python)
            measured[-1][program] = figures | {"install_bytes": float(theirs if program == PEER else own)}
            rate, peak = figures["clips_per_second"], figures["peak_memory"] / 1e9
            print(f"pair {pair + 1} of {pairs}: {program}: {rate:.1f} clips/s, {peak:.2f} GB", file=sys.stderr)
    found = ratios(measured)
    return {
        "settings": asdict(wanted),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(wanted.device),
        "versions": {
            "ours": versions(Path(sys.executable), ["torch", "transformers"]),
            "peer": versions(python, ["MMSA", "torch", "transformers"]),
        },
        "ratios": {name: {m: asdict(spread) for m, spread in metrics.items()} for name, metrics in found.items()},
        "pairs": measured,
    }


def _check_memory(wanted: Comparison) -> None:
    free, (always, grows) = available_bytes(), _PEER_NEEDS[wanted.encoder]
    needs = always + grows * wanted.clips / SPLITS["train"]
    if wanted.device == "cpu" and free is not None and free < 1.1 * needs:
        raise BenchmarkError(
            f"the peer takes about {needs / 1e9:.1f} GB for {wanted.clips} clips, and {free / 1e9:.1f} GB are free. "
            "Give fewer --clips, or end other programs."
        )


def _machine(device: str) -> str:
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


def write_results(out: Path, key: str, entry: Mapping[str, Any]) -> None:
    """Add the entry to those of ``out``, and write all tables to an .md file next to it."""
    entries = {**(read_results(out) if out.exists() else {}), key: entry}
    write_text(out, json.dumps(entries, indent=1) + "\n")
    write_text(out.with_suffix(".md"), "\n".join(section(name, entries[name]) for name in sorted(entries)))


def read_results(file: Path) -> dict[str, Any]:
    try:
        entries: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{file} is not a results file: {error}. Give one that --out wrote.") from error
    return entries


def section(key: str, entry: Mapping[str, Any]) -> str:
    """The table of one comparison with its heading."""
    used = ", ".join(f"{name} {version}" for name, version in entry["versions"]["peer"].items())
    about = f"{entry['machine']}; {used}; pairs: {len(entry['pairs'])}, epochs: {entry['settings']['epochs']}; "
    return f"## {key}\n\n{about}{entry['measured'][:10]}.\n\n{markdown(entry['pairs'])}\n"


def check(file: Path, key: str, entry: Mapping[str, Any]) -> list[str]:
    """A sentence for each ratio that fell by more than a quarter since ``file`` was written."""
    entries = read_results(file)
    if key not in entries:
        raise BenchmarkError(f"{file} has no table for {key!r}; it has: {'; '.join(sorted(entries)) or 'none'}.")
    return falls(from_json(entry), from_json(entries[key]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=ENCODERS, default="minilm")
    parser.add_argument("--clips", type=int, default=SPLITS["train"], help="clips of the training split")
    parser.add_argument("--full-length", action="store_true", help="no clip is padded: the worst case for ours")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--epochs", type=int, default=2, help="at least 2: the labels move starting with the second")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--cache", type=Path, default=cache_folder() / "benchmarks", help="for data, encoders, environment"
    )
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has the peer, if there is no network")
    parser.add_argument("--out", type=Path, help="add the results to this .json file, the tables to an .md file")
    parser.add_argument("--check", type=Path, metavar="FILE", help="fail if a ratio fell by more than 25 %%")
    options = parser.parse_args()
    for name, least in (("clips", 16), ("threads", 1), ("epochs", 2), ("pairs", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} is {getattr(options, name)}; give at least {least}")
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    wanted = Comparison(options.encoder, options.clips, options.full_length, options.threads, options.epochs, device)
    entry = compare(wanted, options.pairs, options.cache, options.peer_python)
    print(section(wanted.key, entry))
    fallen = check(options.check, wanted.key, entry) if options.check else []
    if options.out:
        write_results(options.out, wanted.key, entry)
    for sentence in fallen:
        print(f"slower than the last table: {sentence}", file=sys.stderr)
    return int(bool(fallen))


if __name__ == "__main__":
    run_benchmark(main)
