"""``selfmm extract``: from clips to a data-set folder. It goes on after a crash, and no clip stops the others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from selfmm.config.recipe import Recipe
from selfmm.core import errors
from selfmm.core.errors import OutputError, SourceError
from selfmm.core.files import explain
from selfmm.core.jobs.plan import check_jobs
from selfmm.core.listener import Listener
from selfmm.core.machine import cores
from selfmm.core.version import __version__
from selfmm.data.checks import check_source
from selfmm.data.store import Dataset
from selfmm.data.writer import FAILURES, Source, check_writable, write_dataset
from selfmm.features.clips.clip import Clip, Failure
from selfmm.features.clips.listing import read_clips
from selfmm.features.dataset import source_of
from selfmm.features.extraction import ClipFeatures
from selfmm.features.kept import features_folder, load, name_of, versions, weights_used
from selfmm.features.plan import none_left, plan_dataset, usable
from selfmm.features.workers import Answer, Backend, in_workers


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
    media_root: str | Path | None = None,
    label_range: tuple[float, float] | None = None,
    name: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    backend: Backend = "local",
    cache: str | Path | None = None,
    force: bool = False,
    listener: Listener | None = None,
) -> Extracted:
    """Extracts words, voice and face of many clips into a data-set folder.

    What is extracted of a clip is kept in ``cache`` at once, so a run that is killed goes on where it was when it is
    started again. The data set appears when all is done; its bytes do not depend on ``jobs`` and ``backend``.

    Args:
        source: a table of clips, a folder of recordings, or a recording; see ``clips.listing``.
        dst: the folder to make.
        recipe: what to extract and how.
        label_column: of the table, the one that holds the ratings; default ``label``.
        media_root: folder from which the table's relative paths start; default: the table's.
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
        MissingPackageError, WeightsError: the recipe needs something that is not installed.
    """
    source, dst, recipe = Path(source), Path(dst), recipe or Recipe()
    check_jobs(jobs)
    check_writable(dst, force=force)
    listed = usable(
        read_clips(source, label_column=label_column, media_root=None if media_root is None else Path(media_root))
    )
    name = name or (source.resolve().name if source.is_dir() else source.stem)
    plan, notes = plan_dataset(listed, name, label_range, seed)
    folder = _made(features_folder() if cache is None else Path(cache))
    work = _Work(listed.clips, recipe, folder, listener or Listener())
    work.look()
    work.extract(jobs or cores(), backend)
    failures = (*listed.failures, *work.failures())
    found = _assembled(plan, work, failures)
    found = replace(found, provenance=_provenance(source, recipe, len(failures)))
    checked = check_source(found, missing="allow", require_labels=False)
    dataset = write_dataset(found, dst, force=force)
    return Extracted(dataset, failures, (*listed.notes, *notes, *checked), work.kept)


def _assembled(plan: Source, work: _Work, failures: Sequence[Failure]) -> Source:
    """The data set of the clips that could be extracted, and the list of the others."""
    rows = [place for place in range(len(work.clips)) if place not in work.failed]
    if not rows:
        raise SourceError(none_left(failures))
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


class _Work:
    """Clips on their way: where each is kept, or why it cannot be extracted."""

    def __init__(self, clips: Sequence[Clip], recipe: Recipe, folder: Path, listener: Listener) -> None:
        self.clips, self.recipe, self.folder, self.listener = clips, recipe, folder, listener
        self.paths: dict[int, Path] = {}
        self.failed: dict[int, str] = {}
        self.kept = 0
        self._missing: dict[Path, list[int]] = {}  # clips by where they are kept: of equal ones, one is extracted

    def look(self) -> None:
        """Finds what was extracted before."""
        self.listener.clips_planned(len(self.clips))
        for place, clip in enumerate(self.clips):
            try:
                self.paths[place] = self.folder / name_of(clip, self.recipe)
            except SourceError as error:
                self._fail(place, str(error))
            except OSError as error:
                self._fail(place, f"{clip.path} cannot be read: {error.strerror or error}.")
            else:
                if self.paths[place] in self._missing or load(self.paths[place]) is None:
                    self._missing.setdefault(self.paths[place], []).append(place)
                else:
                    self.kept += 1
                    self.listener.clip(clip, True, None)

    def extract(self, jobs: int, backend: Backend) -> None:
        """Has the rest extracted."""
        if not self._missing:
            return
        jobs = min(jobs, len(self._missing))
        threads = max(1, cores() // jobs) if backend == "local" else 1
        common: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json"), "threads": threads}
        alike = list(self._missing.items())
        asked = [
            {"clip": self.clips[places[0]].to_json(), "path": str(path.resolve()), **common} for path, places in alike
        ]
        with closing(in_workers(asked, at_once=jobs, backend=backend)) as answers:
            for number, answer in answers:
                self._heard(alike[number][1], answer)

    def _heard(self, places: Sequence[int], answer: Answer) -> None:
        if "stop" in answer:
            kind, says = answer["stop"]
            raise getattr(errors, kind)(says)
        for place in places:
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


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    return folder


def _load(path: Path) -> ClipFeatures:
    found = load(path)
    if found is None:
        raise OutputError(
            f"{path} is gone or damaged, though it was just written. Workers on other machines need a `cache=...` "
            "folder that all of them and this one share; the same command then goes on with what is there."
        )
    return found


def _provenance(source: Path, recipe: Recipe, failures: int) -> dict[str, Any]:
    """Where a data set comes from. No time and no full path: the same clips give the same bytes."""
    return {
        "source": source.name,
        "selfmm": __version__,
        "versions": versions(),
        "weights": weights_used(recipe),
        "failures": failures,
    }
