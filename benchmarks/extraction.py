"""What extraction from recordings costs: time stage by stage, memory, many clips at once, size on disk.

    python benchmarks/extraction.py                                  # on clips of the demo, about an hour
    python benchmarks/extraction.py CLIPS... --only speed            # on own clips, a few minutes
    python benchmarks/extraction.py --only memory --minutes 60
    python benchmarks/extraction.py CLIPS... --out benchmarks/results/extraction-cpu.md

The output is Markdown. Every measurement runs in a process of its own. It needs the extras of the development
environment, and the weights minilm, tiny.en and face. benchmarks/README.md explains how to read the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from command import run_benchmark
from environments import ROOT, BenchmarkError, installed_bytes, our_bytes, surroundings
from extraction_many import cuts, differences, kill_and_resume, run, write_table
from extraction_stages import STAGES, Cost, least

from selfmm.core.files import write_text
from selfmm.core.weights import KNOWN, cache_folder, find
from selfmm.features import workers

SECTIONS = ("speed", "memory", "many", "size")
TITLES = {
    "sound": "decoding sound",
    "pictures": "decoding pictures, 10 a second kept",
    "activity": "speech activity",
    "voice": "voice",
    "words": "words, tiny.en",
    "face": "face, 10 pictures a second",
    "without_recognition": "**everything but speech recognition**",
    "everything": "**everything**",
}
THREADS = (1, 2)
_HERE = Path(__file__).parent
_SHOWN = 6


@dataclass(frozen=True)
class Speed:
    """Cost of one stage with a given number of threads.

    Attributes:
        cold: the first clip of a process, including imports and loading the models.
        warm: each clip.
    """

    cold: Cost
    warm: tuple[Cost, ...]


def child(script: str, threads: int, *arguments: object) -> dict[str, Any]:
    """Run a script of this folder in a process of its own and return the last line it prints, read as JSON.

    Raises:
        BenchmarkError: if it fails.
    """
    command = [sys.executable, str(_HERE / script), *map(str, arguments)]
    around = surroundings(threads, "cpu") | workers.thread_limits(threads)
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-8:]
        raise BenchmarkError("\n".join([f"{' '.join(command)[:300]} failed:", *last]))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(stage: str, clips: Sequence[Path], threads: int, rounds: int, repeats: int) -> Speed:
    """Smallest cost over ``rounds`` processes, each of which sees every clip ``repeats`` times."""
    colds, warms = [], []
    for _ in range(rounds):
        found = child("extraction_stages.py", threads, stage, threads, repeats, *clips)
        colds.append(Cost(**found["cold"]))
        warms.append([Cost(**cost) for cost in found["warm"]])
    return Speed(least(colds), tuple(least(costs) for costs in zip(*warms, strict=True)))


def speed_tables(clips: Sequence[Path], seconds: Sequence[float], rounds: int, repeats: int) -> str:
    """Tables of every stage, with one thread and with two; also clip by clip, if there are few clips."""
    measured: dict[str, dict[int, Speed]] = {}
    for stage in STAGES:
        print(f"speed: {stage}", file=sys.stderr)
        measured[stage] = {threads: speed(stage, clips, threads, rounds, repeats) for threads in THREADS}
    tables = [stage_table(measured, sum(seconds))]
    if len(clips) <= _SHOWN:
        tables.append(clip_table(measured, [clip.name for clip in clips], seconds))
    return "\n\n".join(tables)


def stage_table(measured: dict[str, dict[int, Speed]], seconds: float) -> str:
    """Costs as multiples of ``seconds``, the total length of the clips; those of the first clip in seconds."""
    head = (
        "| | 1 thread, processor | wall | 2 threads, processor | half of it | wall | first clip, processor s | wall s |"
    )
    lines = [head, "|---|" + "---|" * 7]
    for stage, by_threads in measured.items():
        one, two = (sum(by_threads[threads].warm, Cost(0, 0)) for threads in THREADS)
        cold = by_threads[1].cold
        times = (one.processor, one.wall, two.processor, two.processor / 2, two.wall)
        cells = [f"{time / seconds:.3f}" for time in times] + [f"{cold.processor:.2f}", f"{cold.wall:.2f}"]
        lines.append(f"| {TITLES[stage]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def clip_table(measured: dict[str, dict[int, Speed]], names: Sequence[str], seconds: Sequence[float]) -> str:
    """CPU seconds with one thread, as multiples of the length of each clip."""
    titles = [f"{name}, {length:.1f} s" for name, length in zip(names, seconds, strict=True)]
    lines = [f"| processor, 1 thread | {' | '.join(titles)} |", "|---|" + "---|" * len(titles)]
    for stage, by_threads in measured.items():
        cells = [f"{cost.processor / length:.3f}" for cost, length in zip(by_threads[1].warm, seconds, strict=True)]
        lines.append(f"| {TITLES[stage]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def memory_table(minutes: float, trained: Path, folder: Path) -> str:
    """A long recording and a sixth of it, extracted whole and scored window by window."""
    from selfmm.demo.clips import make_long_recording

    lines = ["| | minutes | peak memory, GB | processor, times its length | wall | rows |", "|---|---|---|---|---|---|"]
    for title, kind, more in (
        ("extracted whole", "extract", ()),
        ("curve, windows of 5 s every second", "curve", (trained,)),
    ):
        for length in (minutes / 6, minutes):
            print(f"memory: {kind}, {length:g} minutes", file=sys.stderr)
            path = make_long_recording(folder / f"{length:g}.mp4", minutes=length)
            found = child("extraction_long.py", 2, kind, path, 2, *more)
            times = " | ".join(f"{found[clock] / found['seconds']:.3f}" for clock in ("processor", "wall"))
            lines.append(f"| {title} | {length:g} | **{found['peak'] / 1e9:.2f}** | {times} | {found['rows']} |")
    return "\n".join(lines)


def trained_run(cache: Path) -> Path:
    """A run trained once on features of the demo's clips; what it has learnt does not matter here."""
    import selfmm
    from selfmm.demo.clips import make_clips
    from selfmm.features.extract import extract

    folder = cache / "extraction-run"
    if not (folder / "run.json").exists():
        print("training a model of recordings, once", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="selfmm-extraction-") as name:
            table = make_clips(Path(name) / "clips", count=16)
            extract(table, Path(name) / "data")
            selfmm.train(Path(name) / "data", out=folder, overrides=["training.max_epochs=1", "training.device=cpu"])
    return folder


def many_table(clips: Sequence[Path], seconds: Sequence[float], count: int, folder: Path) -> str:
    """The same clips with one process, with two, on Ray, and killed and resumed, and whether the bytes agree."""
    table = folder / "clips.csv"
    write_table(table, cuts(dict(zip(clips, seconds, strict=True)), count))
    lines = ["| | clips/s | wall s | processor s | data set |", "|---|---|---|---|---|"]
    runs = (("1 process", 1, "local"), ("2 processes", 2, "local"), ("2 tasks on Ray", 2, "ray"))
    first = folder / "0"
    for number, (title, jobs, backend) in enumerate(runs):
        print(f"many: {title}", file=sys.stderr)
        took = run(table, folder / str(number), jobs, backend)
        # Ray's processes are not children of the one that was timed.
        worked = f"{took.processors:.0f}" if backend == "local" else ""
        same = "same bytes" if number else "the first"
        _check_same(first, folder / str(number), title)
        lines.append(f"| {title} | {count / took.wall:.2f} | {took.wall:.0f} | {worked} | {same} |")
    print("many: killed and resumed", file=sys.stderr)
    killed = kill_and_resume(table, folder / "killed", 2, count)
    _check_same(first, folder / "killed", "killed and resumed")
    left, took = count - killed.before, killed.took
    title = f"2 processes, resumed after kill -9 at {killed.before} clips"
    lines.append(f"| {title} | {left / took.wall:.2f} | {took.wall:.0f} | {took.processors:.0f} | same bytes |")
    return "\n".join([*lines, "", f"Of the {killed.before} clips, {killed.again} were lost or extracted again."])


def _check_same(one: Path, other: Path, title: str) -> None:
    apart = differences(one / "data", other / "data")
    if apart:
        raise BenchmarkError(f"{title}: the data set has other bytes than that of 1 process: {', '.join(apart[:5])}")


def size_table() -> str:
    """What is installed, and the weights."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs, video = project["dependencies"], project["optional-dependencies"]["video"]
    here = Path(sys.executable)
    adds = installed_bytes(here, [*needs, *video]) - installed_bytes(here, needs)
    sizes = {"`pip install .`": our_bytes(), "what `[video]` adds": adds}
    for name in KNOWN:
        if folder := find(name):
            sizes[f"weights {name}"] = sum((folder / file).stat().st_size for file in KNOWN[name].files)
    return "\n".join(["| | MB |", "|---|---|", *(f"| {title} | {size / 1e6:.0f} |" for title, size in sizes.items())])


def machine() -> str:
    """The processor and whatever else the figures depend on, without names of machines or people."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    widest = next((name for name in ("avx512f", "avx2") if name in flags), "")
    packages = ("av", "mediapipe", "faster-whisper", "ctranslate2", "torch")
    used = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    processor = " ".join(filter(None, (models[0] if models else platform.machine(), widest)))
    return f"{os.cpu_count()} cores, {processor}; {used}; {datetime.now(UTC):%Y-%m-%d}"


def load() -> str:
    """Load of the machine, from everything that runs on it."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def lengths(clips: Sequence[Path]) -> list[float]:
    """Length of each clip in seconds."""
    from selfmm.features.media.recording import probe

    found = [probe(clip).duration for clip in clips]
    for clip, seconds in zip(clips, found, strict=True):
        if not seconds:
            raise BenchmarkError(f"{clip} does not tell how long it is; convert it to mp4, or leave it out")
    return [seconds for seconds in found if seconds]


def sections(options: argparse.Namespace, clips: Sequence[Path], folder: Path) -> Iterator[str]:
    """The requested tables, each with a heading and a description."""
    seconds = lengths(clips)
    names = ", ".join(clip.name for clip in clips[:_SHOWN]) + (", ..." if len(clips) > _SHOWN else "")
    before = load()
    if "speed" in options.only:
        table = speed_tables(clips, seconds, options.rounds, options.repeats)
        about = f"{names}; {sum(seconds):.1f} s; the least of {options.rounds} processes x {options.repeats} passes"
        yield f"## Speed, in seconds for one second of a clip\n\n{about}; load {before} to {load()}.\n\n{table}\n"
    if "memory" in options.only:
        trained = options.run or trained_run(options.cache)
        table = memory_table(options.minutes, trained, folder)
        yield f"## Memory of a long recording\n\nThe demo's, 320 x 240, 25 pictures a second; 2 threads.\n\n{table}\n"
    if "many" in options.only:
        table = many_table(clips, seconds, options.count, folder)
        about = f"{options.count} spans of 1 to 2 s of {names}, with words"
        yield f"## Many clips\n\n{about}; load now {load()}.\n\n{table}\n"
    if "size" in options.only:
        yield f"## Size\n\n{size_table()}\n"


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*", help="recordings; default: three clips of the demo")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=2, help="processes per stage")
    parser.add_argument("--repeats", type=int, default=3, help="passes over the clips in each")
    parser.add_argument("--minutes", type=float, default=60, help="length of the recording; a sixth is measured too")
    parser.add_argument("--count", type=int, default=200, help="number of clips for the table of many clips")
    parser.add_argument("--run", type=Path, help="a run on recordings for the curve; by default, one is trained")
    parser.add_argument("--cache", type=Path, default=cache_folder() / "benchmarks", help="folder that keeps this run")
    parser.add_argument("--out", type=Path, help="write the tables to this .md file too")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in SECTIONS]:
        parser.error(f"--only has {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    for name, lowest in (("rounds", 1), ("repeats", 1), ("minutes", 1), ("count", 4)):
        if getattr(options, name) < lowest:
            parser.error(f"--{name} is {getattr(options, name)}; give at least {lowest}")
    return options


def main() -> None:
    options = parsed()
    tables = [f"{machine()}.\n"]
    print(tables[0])
    with tempfile.TemporaryDirectory(prefix="selfmm-extraction-") as name:
        for table in sections(options, options.clips or demo_clips(Path(name)), Path(name)):
            print(table, flush=True)
            tables.append(table)
    if options.out:
        write_text(options.out, "\n".join(tables))


def demo_clips(folder: Path) -> list[Path]:
    """Three clips of invented people, about five seconds each."""
    from selfmm.demo.clips import make_clips

    return sorted(make_clips(folder / "demo", count=3, seconds=(4.0, 6.0)).parent.glob("*.mp4"))


if __name__ == "__main__":
    run_benchmark(main)
