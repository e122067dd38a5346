"""Labels per modality: those that a run generated, how far to trust them, and corrections by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.api.arguments import check_file, open_run
from selfmm.core.errors import ArgumentsError, RunError

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.annotation.importing import Imported
    from selfmm.api.arguments import Run
    from selfmm.data.store import Dataset
    from selfmm.labels.audit.audit import Audit


def labels(run: Run, epoch: int | str = "last") -> pd.DataFrame:
    """Return the labels per modality (u-labels) that a run generated for its training clips.

    Args:
        run: a finished run: its folder, or loaded.
        epoch: ``last``, ``best`` (with the best validation figure), ``all``, or a number.

    Returns:
        A row per clip, epoch and modality: id, epoch, modality, m_label, u_label, weight, outcome.

    Raises:
        RunError: if the run generated no labels, is damaged, or has no such epoch.
    """
    folder = open_run(run)
    folder.require_finished()
    table, epoch = folder.labels(), str(epoch)
    if epoch == "all":
        return table
    if not len(table) or "epoch" not in table:
        raise RunError("labels.parquet holds no labels; the run folder is damaged.")
    last = int(table["epoch"].max())
    named = {"last": last, "best": folder.metrics()["best_epoch"]}
    number = named.get(epoch) or (int(epoch) if epoch.isdecimal() and len(epoch) < 10 else 0)
    if not 1 <= number <= last:
        raise RunError(f"there is no epoch {epoch!r}: give a number from 1 to {last}, or last, best or all.")
    return table[table["epoch"] == number]


def audit(run: Run) -> Audit:
    """Return how far to trust the labels that a run generated.

    Raises:
        RunError: if the run generated no labels, is not finished, or is damaged.
    """
    from selfmm.runs.material import Material

    material = Material.read(open_run(run).path)
    return replace(material.audit(), notes=material.notes)


@dataclass(frozen=True)
class AnnotationFiles:
    """What :func:`annotate` wrote.

    Attributes:
        files: the sheet; or Label Studio's tasks and their labelling configuration.
        clips: number of clips.
        modalities: the modalities to label.
        notes: what to know about them, one sentence each.
    """

    files: tuple[Path, ...]
    clips: int
    modalities: tuple[str, ...]
    notes: Sequence[str] = ()


def annotate(
    run: Run, out: str | Path, *, most: int | None = None, media_root: str | None = None, force: bool = False
) -> AnnotationFiles:
    """Write the training clips of a run with their u-labels for people to annotate.

    Args:
        run: a finished run: its folder, or loaded.
        out: a sheet, ``.csv`` or ``.parquet``; or Label Studio's tasks, ``.json``.
        most: only this number of clips that nobody has corrected yet, chosen where the modalities disagree most.
        media_root: for Label Studio, the part of the URL before media paths, for example /data/local-files/?d=
        force: replace existing files.

    Raises:
        RunError: if the run is not finished or generated no labels, or people have corrected every clip.
        DatasetError: if the run's data set is missing or was changed.
        OutputError: if a file exists, or has another ending.
    """
    from selfmm.annotation.clips import clips_to_annotate

    folder, out = open_run(run), Path(out)
    path = folder.path
    check_file(out, path, force, (".csv", ".parquet", ".json"))
    if media_root is not None and out.suffix != ".json":
        raise ArgumentsError(["`media_root=...` is for Label Studio's tasks; name a file that ends in .json"])
    info = folder.require_finished()
    dataset = folder.training_data()
    table = folder.labels()
    last = table[table["epoch"] == table["epoch"].max()]
    modalities = tuple(info.modalities)
    clips = clips_to_annotate(dataset, last, modalities, most=most)
    if clips.empty:
        raise RunError(f"people have corrected every training clip of {dataset.path} already.")
    if out.suffix != ".json":
        from selfmm.annotation.sheet import write_sheet

        write_sheet(out, clips, modalities)
        return AnnotationFiles((out,), len(clips), modalities)
    from selfmm.annotation.label_studio import Project, write_project

    project = Project(clips, modalities, info.label_range, f"selfmm {path.resolve().name}", media_root or "")
    config = out.with_name(f"{out.stem}-config.xml")
    check_file(config, path, force, (".xml",))
    write_project(project, out, config)
    return AnnotationFiles((out, config), len(clips), modalities, project.notes)


def import_labels(
    data: Dataset | Run, file: str | Path, *, weight: float = 1.0, source: str | None = None, rater: str | None = None
) -> Imported:
    """Store people's ratings as corrections of a data set; the next training takes their mean as truth.

    Args:
        data: a data set, or a run on it: its folder, or loaded.
        file: a sheet, or Label Studio's export (.json).
        weight: weight of these labels in training, 0 to 1.
        source: where the labels come from; default: the file's name.
        rater: who gave the ratings that name nobody; default: the source.

    Raises:
        SourceError: if a label is wrong; the message lists every problem, and nothing is changed.
        DatasetError, RunError, OutputError: the message says what to do.
    """
    from selfmm.annotation.importing import import_corrections

    return import_corrections(_dataset(data), file, weight=weight, source=source, rater=rater)


def corrections(data: Dataset | Run, *, ratings: bool = False) -> pd.DataFrame:
    """Return the labels that people gave to clips of a data set.

    Args:
        data: a data set, or a run on it: its folder, or loaded.
        ratings: return every rating instead of one label per clip and modality.

    Returns:
        A row per clip and modality: id, modality, label (the mean), weight, ratings (their number), source and more,
        see :mod:`selfmm.data.corrections`. With ``ratings``, a row per rating: id, modality, rater, label and more, see
        :mod:`selfmm.data.ratings`.
    """
    dataset = _dataset(data)
    return dataset.ratings if ratings else dataset.corrections


def agreement(data: Dataset | Run) -> pd.DataFrame:
    """Return how far the people agree who rated clips of a data set: Krippendorff's alpha per modality.

    Args:
        data: a data set, or a run on it: its folder, or loaded.

    Returns:
        See :func:`selfmm.data.agreement.agreement`.
    """
    from selfmm.data.agreement import agreement

    return agreement(_dataset(data).ratings)


def forget_corrections(data: Dataset | Run, source: str) -> int:
    """Delete all ratings of one source, and return their number.

    Raises:
        SourceError: if the data set has no corrections of this source.
    """
    from selfmm.annotation.importing import forget_corrections

    return forget_corrections(_dataset(data), source)


def corrections_file(data: Dataset | Run) -> Path:
    """Return the file with the corrections of a data set."""
    from selfmm.data.ratings import CORRECTIONS

    return _dataset(data).path / CORRECTIONS


def _dataset(data: Dataset | Run) -> Dataset:
    from selfmm.data.manifest import MANIFEST
    from selfmm.data.store import Dataset, open_dataset
    from selfmm.runs.seeds import SeedsFolder

    if isinstance(data, Dataset):
        return data
    folder = open_run(data, seeds=True)
    is_run = isinstance(folder, SeedsFolder) or (folder.path / "run.json").is_file()
    if is_run and not (folder.path / MANIFEST).is_file():
        return folder.training_data()
    return open_dataset(folder.path)
