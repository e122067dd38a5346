"""Extract clips into a data-set folder. An extraction resumes after a crash, and no clip stops the others."""

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
from selfmm.features.dataset import ClipRow, row_of, source_of
from selfmm.features.extraction import ClipFeatures, lack_of
from selfmm.features.kept import features_folder, load, name_of, versions, weights_used
from selfmm.features.plan import none_left, plan_dataset, refuse_unread, usable
from selfmm.features.words.later import foreign_speech, missing_later
from selfmm.features.words.recogniser import check_recogniser
from selfmm.features.workers import Answer, Backend, in_workers


@dataclass(frozen=True)
class Extracted:
    """The result of an extraction.

    Attributes:
        dataset: the data set.
        failures: the clips that are not in it, with reasons; also in its ``failures.csv``.
        notes: automatic decisions and things to check, one sentence each.
        kept: number of clips that were already in the cache.
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
    """Extract words, voice and face of many clips into a data-set folder.

    Every extracted clip is immediately stored in ``cache``, so a killed extraction resumes when it is started again.
    The data set appears at the end; its bytes do not depend on ``jobs`` and ``backend``.

    Args:
        source: a table of clips, a folder of recordings, or a recording; see `selfmm.features.clips.listing`.
        dst: the folder to create.
        recipe: what to extract and how.
        label_column: column of the table that holds the ratings; default: ``label``.
        media_root: folder from which the table's relative paths start; default: the folder of the table.
        label_range: lowest and highest possible rating; default: [-1, 1] if it holds all ratings, also of
            clips that fail, else [-3, 3].
        name: name of the data set; default: the name of the source.
        seed: seed of the split, if the table has none.
        jobs: number of clips at a time; default: the number of cores.
        backend: ``local``, or a ``ray`` or ``dask`` cluster whose machines share ``cache``.
        cache: folder for extracted clips; default: in the user's cache folder.
        force: replace a data set at ``dst``.
        listener: follows the extraction.

    Raises:
        SourceError: if the list of clips is wrong as a whole, or no clip could be extracted.
        OutputError: if ``dst`` exists, or a file cannot be written.
        MissingPackageError, WeightsError: if something that the recipe needs is not installed.
    """
    source, dst, recipe = Path(source), Path(dst), recipe or Recipe()
    check_jobs(jobs)
    check_writable(dst, force=force)
    speech = recipe.speech
    if speech.recogniser != "none":
        check_recogniser(speech.recogniser, speech.language)
    root = None if media_root is None else Path(media_root)
    listed = read_clips(source, label_column=label_column, media_root=root)
    refuse_unread(source, listed.unread)
    listed = usable(listed)
    name = name or (source.resolve().name if source.is_dir() else source.stem)
    plan, notes = plan_dataset(listed, name, label_range, seed)
    folder = features_folder() if cache is None else Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    work = _Work(listed.clips, recipe, folder, listener or Listener())
    work.find_kept()
    work.extract(jobs or cores(), backend)
    failures = (*listed.failures, *work.failures())
    extracted = _assemble(plan, work, failures)
    extracted = replace(extracted, provenance=_provenance(source, recipe, len(failures)))
    checked = check_source(extracted, missing="allow", require_labels=False)
    dataset = write_dataset(extracted, dst, force=force)
    texts = extracted.table["text"].dropna().astype(str).tolist()
    notes += _absent(recipe, dataset)
    notes += missing_later(recipe, extracted.language, texts)
    notes += foreign_speech(extracted.table["warnings"].tolist(), speech.recogniser)
    return Extracted(dataset, failures, (*listed.notes, *notes, *checked), work.kept)


def _absent(recipe: Recipe, dataset: Dataset) -> list[str]:
    """Return a note if no clip has a modality that the recipe asks for."""
    absent = [part for part in recipe.parts if part not in dataset.modalities]
    if not absent:
        return []
    return [f"{lack_of(absent)} was found in any clip, so the data set is without {' and '.join(absent)}."]


def _assemble(plan: Source, work: _Work, failures: Sequence[Failure]) -> Source:
    """Return the data set of the extracted clips, with a table of those that failed."""
    places = [place for place in range(len(work.clips)) if place not in work.failed]
    if not places:
        raise SourceError(none_left(failures))
    extracted = source_of(
        plan.table.iloc[places].reset_index(drop=True),
        [work.row(place) for place in places],
        lambda row, stream: _load(work.paths[places[row]], stream).features,
        work.recipe,
        name=plan.name,
        label_range=plan.label_range,
    )
    if failures:
        rows = [[failure.id, failure.path, failure.reason] for failure in failures]
        failed = pd.DataFrame(rows, columns=["id", "path", "reason"])
        extracted = replace(extracted, tables={**extracted.tables, FAILURES: failed})
    return extracted


class _Work:
    """The clips of an extraction: the cached file and the table entries of each, or why it failed.

    A cached file is read and checked as a whole once. Later, each track is read alone when the data set is written.
    """

    def __init__(self, clips: Sequence[Clip], recipe: Recipe, folder: Path, listener: Listener) -> None:
        self.clips, self.recipe, self.folder, self.listener = clips, recipe, folder, listener
        self.paths: dict[int, Path] = {}
        self.failed: dict[int, str] = {}
        self.kept = 0
        self._rows: dict[Path, ClipRow] = {}
        self._missing: dict[Path, list[int]] = {}  # places of the clips by file: equal clips are extracted once

    def find_kept(self) -> None:
        """Find the clips that are already in the cache."""
        self.listener.clips_planned(len(self.clips))
        for place, clip in enumerate(self.clips):
            try:
                path = self.paths[place] = self.folder / name_of(clip, self.recipe)
            except SourceError as error:
                self._fail(place, str(error))
            except OSError as error:
                self._fail(place, f"{clip.path} cannot be read: {error.strerror or error}.")
            else:
                if self._is_kept(path):
                    self.kept += 1
                    self.listener.clip(clip, True, None)
                else:
                    self._missing.setdefault(path, []).append(place)

    def _is_kept(self, path: Path) -> bool:
        if path not in self._rows and path not in self._missing and (clip := load(path)) is not None:
            self._rows[path] = row_of(clip, self.recipe)
        return path in self._rows

    def extract(self, jobs: int, backend: Backend) -> None:
        """Extract the other clips in workers."""
        if not self._missing:
            return
        jobs = min(jobs, len(self._missing))
        threads = max(1, cores() // jobs) if backend == "local" else 1
        common: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json"), "threads": threads}
        missing = list(self._missing.items())
        work = [
            {"clip": self.clips[places[0]].to_json(), "path": str(path.resolve()), **common} for path, places in missing
        ]
        with closing(in_workers(work, at_once=jobs, backend=backend)) as answers:
            for number, answer in answers:
                self._take(missing[number][1], answer)

    def _take(self, places: Sequence[int], answer: Answer) -> None:
        if "stop" in answer:
            kind, content = answer["stop"]
            raise getattr(errors, kind)(content)
        for place in places:
            if "reason" in answer:
                self._fail(place, answer["reason"])
            else:
                self.listener.clip(self.clips[place], False, None)

    def row(self, place: int) -> ClipRow:
        """Return the table entries of a clip that did not fail."""
        path = self.paths[place]
        if path not in self._rows:
            self._rows[path] = row_of(_load(path), self.recipe)
        return self._rows[path]

    def failures(self) -> list[Failure]:
        """Return the clips that failed, in their order."""
        clips = self.clips
        return [Failure(clips[at].id, str(clips[at].path), self.failed[at]) for at in sorted(self.failed)]

    def _fail(self, place: int, reason: str) -> None:
        self.failed[place] = reason
        self.listener.clip(self.clips[place], False, reason)


def _load(path: Path, stream: str | None = None) -> ClipFeatures:
    clip = load(path, stream)
    if clip is None:
        raise OutputError(
            f"{path} is gone or damaged, but it was there a moment ago. If workers run on other machines, choose a "
            "`cache=...` folder that all machines share. Run the same command again: it continues where it stopped."
        )
    return clip


def _provenance(source: Path, recipe: Recipe, failures: int) -> dict[str, Any]:
    """Return the origin of a data set, without times and full paths: the same clips give the same bytes."""
    return {
        "source": source.name,
        "selfmm": __version__,
        "versions": versions(),
        "weights": weights_used(recipe),
        "failures": failures,
    }
