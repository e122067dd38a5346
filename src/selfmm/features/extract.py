"""``selfmm extract``: from clips to a data-set folder. It goes on after a crash, and no clip stops the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from selfmm import __version__, errors
from selfmm.atomic import explain
from selfmm.data.checks import check_source, check_table
from selfmm.data.finite import some
from selfmm.data.scales import default_range
from selfmm.data.splits import seeded_split
from selfmm.data.store import Dataset
from selfmm.data.writer import FAILURES, Source, check_writable, write_dataset
from selfmm.errors import OutputError, SettingsError, SourceError
from selfmm.features.analysis import Features
from selfmm.features.clips.clip import Clip, Failure
from selfmm.features.clips.listing import read_clips
from selfmm.features.dataset import source_of
from selfmm.features.kept import features_folder, load, name_of, versions, weights_used
from selfmm.features.recipe import Recipe
from selfmm.features.workers import Backend, in_workers


class ExtractListener(Protocol):
    """Is told how extraction goes."""

    def started(self, clips: int) -> None: ...

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None: ...


class Unheard:
    """Tells nobody."""

    def started(self, clips: int) -> None: ...

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None: ...


@dataclass(frozen=True)
class Extracted:
    """What an extraction made.

    Attributes:
        dataset: the data set.
        failures: clips that are not in it, each with its reason; also in its ``failures.csv``.
        notes: what was decided or is remarkable, one sentence each.
        kept: so many clips had been extracted before.
    """

    dataset: Dataset
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    kept: int


def extract(
    source: str | Path,
    dst: str | Path,
    *,
    recipe: Recipe | None = None,
    label_column: str | None = None,
    label_range: tuple[float, float] | None = None,
    name: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    backend: Backend = "local",
    cache: str | Path | None = None,
    force: bool = False,
    listener: ExtractListener | None = None,
) -> Extracted:
    """Extracts words, voice and face of many clips into a data-set folder.

    What is extracted of a clip is kept in ``cache`` at once, so a run that is killed goes on where it was when it is
    started again. The data set appears when all is done; its bytes do not depend on ``jobs`` and ``backend``.

    Args:
        source: a table of clips, a folder of recordings, or a recording; see ``clips.listing``.
        dst: the folder to make.
        recipe: what to extract and how.
        label_column: of the table, the one that holds the ratings; default ``label``.
        label_range: lowest and highest rating; default [-1, 1] if none is beyond 1, else [-3, 3].
        name: of the data set; default: the source's.
        seed: of the split, where the table has none.
        jobs: clips at once; default: as many as there are cores.
        backend: where: ``local``, or a ``ray`` or ``dask`` cluster, whose machines share ``cache``.
        cache: folder for what is extracted; default: in the user's cache folder.
        force: replace a data set at ``dst``.
        listener: is told how it goes.

    Raises:
        SourceError: the list of clips is wrong as a whole, or none of them could be extracted.
        OutputError: ``dst`` exists, or something cannot be written.
        PartError, WeightsError: the recipe needs something that is not installed.
    """
    source, dst, recipe = Path(source), Path(dst), recipe or Recipe()
    if jobs is not None and jobs < 1:
        raise SettingsError([f"jobs = {jobs}: give 1 or more, or leave it away to have it chosen"])
    check_writable(dst, force=force)
    listed = read_clips(source, label_column=label_column)
    name = name or (source.resolve().name if source.is_dir() else source.stem)
    clips, failures, notes = _labelled(listed.clips)
    plan = _plan(clips, name, label_range, seed, notes)
    folder = _made(features_folder() if cache is None else Path(cache))
    work = _Work(clips, recipe, folder, listener or Unheard())
    work.look()
    work.extract(jobs or _cores(), backend)
    failures = [*listed.failures, *failures, *work.failures()]
    found = _assembled(plan, work, failures)
    found = replace(found, provenance=_provenance(source, recipe, len(failures)))
    notes += check_source(found, missing="allow", require_labels=False)
    dataset = write_dataset(found, dst, force=force)
    return Extracted(dataset, tuple(failures), (*listed.notes, *notes), work.kept)


def _assembled(plan: Source, work: _Work, failures: Sequence[Failure]) -> Source:
    """The data set of the clips that could be extracted, and the list of the others."""
    rows = [place for place in range(len(work.clips)) if place not in work.failed]
    if not rows:
        reasons = [f"{failure.id}: {failure.reason}" for failure in failures[:5]]
        raise SourceError("\n  - ".join(["none of the clips could be extracted:", *reasons]))
    found = source_of(
        plan.table.iloc[rows].reset_index(drop=True),
        lambda row: _load(work.paths[rows[row]]),
        work.recipe,
        name=plan.name,
        label_range=plan.label_range,
    )
    if not failures:
        return found
    table = pd.DataFrame([[one.id, one.path, one.reason] for one in failures], columns=["id", "path", "reason"])
    return replace(found, tables={**found.tables, FAILURES: table})


def _labelled(clips: Sequence[Clip]) -> tuple[list[Clip], list[Failure], list[str]]:
    """The clips that go on, those that lack a rating where others have one, and notes."""
    if all(clip.label is None for clip in clips):
        return list(clips), [], ["no clip has a rating: the data set can be scored, not trained on."]
    reason = "it has no rating, and others have. Rate it, or leave it out."
    failures = [Failure(clip.id, str(clip.path), reason) for clip in clips if clip.label is None]
    return [clip for clip in clips if clip.label is not None], failures, []


def _plan(
    clips: Sequence[Clip], name: str, label_range: tuple[float, float] | None, seed: int, notes: list[str]
) -> Source:
    """The table without what is yet to be extracted, checked: nobody should hear of a wrong label after hours."""
    if not clips:
        raise SourceError(f"{name} has no clip that can be read. `failures` of read_clips says why of each.")
    labels = np.array([np.nan if clip.label is None else clip.label for clip in clips], dtype=np.float64)
    videos = [clip.video or clip.path.name for clip in clips]
    splits = [clip.split for clip in clips]
    if all(split is None for split in splits) and np.isfinite(labels).all():
        splits = list(seeded_split(videos, seed))
        notes.append(f"there is no split; one of 70/10/20 by video was made with seed {seed}.")
    elif None in splits and np.isfinite(labels).all():
        without = [clip.id for clip in clips if clip.split is None]
        raise SourceError(
            f"{len(without)} clips have no split ({some(without)}), and others have. Give each one, or remove the "
            "column: then a split is made."
        )
    table = pd.DataFrame({"id": [clip.id for clip in clips], "split": [split or "test" for split in splits]})
    table = table.assign(label=labels, text=None, video=videos, path=[str(clip.path) for clip in clips])
    for edge in ("start", "end"):
        table[edge] = np.array([getattr(clip, edge) for clip in clips], dtype=np.float64)  # None becomes NaN
    for modality in sorted({modality for clip in clips for modality in clip.labels}):
        table[f"label_{modality}"] = [clip.labels.get(modality, np.nan) for clip in clips]
    if label_range is None:
        label_range = default_range(labels[np.isfinite(labels)])
        if np.isfinite(labels).any():
            notes.append(f"ratings are taken to be on {list(label_range)}; if not, pass --label-range LOW,HIGH.")
    plan = Source(table, {}, name, label_range)
    check_table(plan, require_labels=bool(np.isfinite(labels).any()))
    return plan


class _Work:
    """Clips on their way: where each is kept, or why it cannot be extracted."""

    def __init__(self, clips: Sequence[Clip], recipe: Recipe, folder: Path, listener: ExtractListener) -> None:
        self.clips, self.recipe, self.folder, self.listener = clips, recipe, folder, listener
        self.paths: dict[int, Path] = {}
        self.failed: dict[int, str] = {}
        self.kept = 0
        self._missing: list[int] = []

    def look(self) -> None:
        """Finds what was extracted before."""
        self.listener.started(len(self.clips))
        for place, clip in enumerate(self.clips):
            try:
                self.paths[place] = self.folder / name_of(clip, self.recipe)
            except SourceError as error:
                self._fail(place, str(error))
            except OSError as error:
                self._fail(place, f"{clip.path} cannot be read: {error.strerror or error}.")
            else:
                if load(self.paths[place]) is None:
                    self._missing.append(place)
                else:
                    self.kept += 1
                    self.listener.clip(clip, True, None)

    def extract(self, jobs: int, backend: Backend) -> None:
        """Has the rest extracted."""
        if not self._missing:
            return
        jobs = min(jobs, len(self._missing))
        threads = max(1, _cores() // jobs) if backend == "local" else 1
        common: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json"), "threads": threads}
        asked = [
            {"clip": self.clips[place].to_json(), "path": str(self.paths[place].resolve()), **common}
            for place in self._missing
        ]
        for number, answer in in_workers(asked, at_once=jobs, backend=backend):
            place = self._missing[number]
            if "stop" in answer:
                kind, message = answer["stop"]
                raise getattr(errors, kind)(message)
            if "reason" in answer:
                self._fail(place, answer["reason"])
            else:
                self.listener.clip(self.clips[place], False, None)

    def failures(self) -> list[Failure]:
        """Clips that cannot be extracted, in their order."""
        clips = self.clips
        return [Failure(clips[at].id, str(clips[at].path), self.failed[at]) for at in sorted(self.failed)]

    def _fail(self, place: int, reason: str) -> None:
        self.failed[place] = reason
        self.listener.clip(self.clips[place], False, reason)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    return folder


def _load(path: Path) -> Features:
    found = load(path)
    if found is None:
        raise OutputError(
            f"{path} is gone or damaged, though it was just written. Workers on other machines need a --cache folder "
            "that all of them and this one share; the same command then goes on with what is there."
        )
    return found.features


def _provenance(source: Path, recipe: Recipe, failures: int) -> dict[str, Any]:
    """Where a data set comes from. No time and no full path: the same clips give the same bytes."""
    return {
        "source": source.name,
        "selfmm": __version__,
        "versions": versions(),
        "weights": weights_used(recipe),
        "failures": failures,
    }
