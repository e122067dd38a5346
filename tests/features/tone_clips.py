"""Clips that are quick to extract: half a second of a tone each, of which the voice alone is looked at."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from features.recordings import tone, write_recording
from selfmm.config.recipe import Recipe, load_recipe

VOICE: Recipe = load_recipe(["parts=audio"])

COMMAND = """
import os, pathlib, signal, sys, time
from selfmm.features import clip_worker
from selfmm.features.extraction import extract_clip

def extract(clip, recipe, **how):
    if "deadly" in clip.id:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "TEST_LOG" in os.environ:
        with open(os.environ["TEST_LOG"], "a") as log:
            log.write(clip.id + "\\n")
    if "hanging" in clip.id:
        how["alive"](0.0)
    if "slow" in clip.id or "hanging" in clip.id or clip.id in os.environ.get("TEST_SLOW", "").split():
        time.sleep(3600)
    return extract_clip(clip, recipe, **how)

clip_worker.extract_clip = extract
clip_worker.main()
"""
"""Like ``selfmm.features.clip_worker``, but clips named so kill it, or take for ever; and it writes down what it does.
"""

STAND_IN = (sys.executable, "-c", COMMAND)


def write_clips(folder: Path, count: int, names: Sequence[str] = (), videos: int = 5) -> Path:
    """Writes wav files and their table ``clips.csv``: id, path, label in [-3, 3], video.

    Args:
        folder: to be made.
        count: clips; the same ones on every call.
        names: ids of the first ones; the others are called c00, c01, ...
        videos: number of videos that the clips come from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "path", "label", "video"))
        for place in range(count):
            name = names[place] if place < len(names) else f"c{place:02d}"
            path = folder / f"file{place:02d}.wav"
            write_recording(path, sound=tone(0.5, hertz=110 + 20 * place))
            table.writerow((name, path.name, round(-3 + 6 * place / max(count - 1, 1), 3), f"v{place % videos}"))
    return folder / "clips.csv"


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }
