"""A folder with data sets of every kind: recordings that browsers play or not, hostile names, no labels, damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from features.recordings import grey, tone, write_recording
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.data.ratings import write_ratings
from selfmm.data.store import Dataset
from selfmm.data.writer import WORDS, Source, write_dataset

HOSTILE = "<img src=x onerror=alert(1)>"
TALK = 40  # clips of the first film, half a second each


def make(root: Path) -> Path:
    """Make the folder and return it.

    ``talks`` has 60 clips: 40 of ``films/talk.mp4``, 15 of ``films/old.avi`` (which no browser plays), two of
    ``films/voice.wav``, one of a recording that is gone, one of a recording elsewhere, and one without any.
    """
    films = root / "films"
    films.mkdir(parents=True)
    write_recording(films / "talk.mp4", seconds=20, sound=tone(20), pictures=grey, video_codec="libx264")
    write_recording(films / "old.avi", seconds=8, sound=tone(8), pictures=grey)
    write_recording(films / "voice.wav", sound=tone(2))
    elsewhere = write_recording(root.parent / "elsewhere.wav", sound=tone(1))
    dataset = planted(root / "talks", lambda source: _with_recordings(source, elsewhere), clips=60, missing=0.2)
    _rate(dataset)
    planted(root / "plain", lambda source: _without(source, labels=True))
    planted(root / "unlabelled", lambda source: _without(source, labels=False))
    planted(root / "hostile" / HOSTILE, _hostile)
    planted(root / "broken", lambda source: source)
    (root / "broken" / "samples.parquet").write_bytes(b"PAR1 and nothing else")
    shutil.copytree(root / "plain", root / "altered")
    with (root / "altered" / "audio.npy").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    return root


def planted(path: Path, change: Callable[[Source], Source], *, clips: int = 30, missing: float = 0.0) -> Dataset:
    """Write a planted data set that was changed."""
    source = planted_source(PlantedSettings(clips=clips, missing=missing, seed=4))
    return write_dataset(change(source), path)


def _with_recordings(source: Source, elsewhere: Path) -> Source:
    table = source.table.copy()
    paths = ["films/talk.mp4"] * TALK + ["films/old.avi"] * 15 + ["films/voice.wav"] * 2
    paths += ["films/gone.mp4", str(elsewhere), ""]
    table["path"] = pd.Series([path or None for path in paths], dtype=object)
    starts = np.concatenate([np.arange(TALK) * 0.5, np.arange(15) * 0.5, [0.0, 1.0], np.full(3, np.nan)])
    table["start"], table["end"] = starts, starts + 0.5
    table["warnings"] = ""
    table.loc[[2, 5], "warnings"] = ["no face in 67% of the pictures", "the sound is clipped"]
    words = pd.DataFrame(
        [(table["id"][0], "so", 0.0, 0.2, 1.0), (table["id"][0], "good", 0.2, 0.5, 1.0)],
        columns=["id", "word", "start", "end", "probability"],
    )
    return replace(source, table=table, tables={WORDS: words})


def _rate(dataset: Dataset) -> None:
    rows = [
        (dataset.samples["id"][row], "audio", rater, label)
        for row in (0, 1)
        for rater, label in (("ada", 1.0), ("ben", 2.0))
    ]
    table = pd.DataFrame(rows, columns=["id", "modality", "rater", "label"])
    given = table.assign(weight=1.0, source="app", imported_at="2026-01-01T00:00:00+00:00", sha256="0" * 64)
    write_ratings(dataset.path, given)


def _without(source: Source, *, labels: bool) -> Source:
    table = source.table.drop(columns=[f"label_{name}" for name in ("text", "audio", "vision")])
    return replace(source, table=table if labels else table.assign(label=np.nan))


def _hostile(source: Source) -> Source:
    table = source.table.copy()
    table.loc[0, ["id", "text", "video"]] = [f"{HOSTILE}/a?b#c&d%20e", f"so {HOSTILE} good", HOSTILE]
    return replace(source, table=table, name=HOSTILE)
