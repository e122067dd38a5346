"""Labels per modality: those that a run generated, how far to trust them, and corrections by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from selfmm.api.arguments import TABLES, check_file, open_run, setting_values
from selfmm.core.errors import ArgumentsError, RunError

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.annotation.importing import Imported
    from selfmm.api.arguments import Run
    from selfmm.data.store import Dataset
    from selfmm.labels.audit.audit import Audit
    from selfmm.training.label_sets import LabelSet


def labels(
    data: Dataset | Run,
    *,
    epoch: int | str = "best",
    split: str | None = None,
    long: bool = False,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
) -> pd.DataFrame:
    """Return labels per modality (u-labels): those of a run, or estimated from a data set alone, without training.

    The rule ``posterior`` estimates them for all clips before training; the other rules make them in training, in every
    epoch, for training clips only.

    Args:
        data: a run, also an unfinished one: its folder, or loaded. Or a data set: its folder, or open.
        epoch: for rules that make labels in training: ``best`` (whose weights the run keeps), ``last``, a number, or
            ``all`` (with ``long``).
        split: only the clips of this split.
        long: a row per clip and modality instead of a row per clip.
        preset, text_encoder, overrides: for a data set, the settings of a training, see :func:`train`: the text
            encoder, ``modalities`` and ``labels.tasks`` matter. A run has its own.

    Returns:
        A row per clip: id, path, video, start, end, text, split (those that are known), label; per modality
        label_<modality>, trust_<modality>, expected_error_<modality> and made_<modality>. Rules that make labels in
        training have outcome_<modality> instead of the last three. With ``long``, the rows of ``labels.parquet``: id,
        epoch (0 if estimated), modality, m_label, u_label, weight, outcome and, if estimated, split, expected_error,
        trust, contradiction, made.

    Raises:
        RunError: if the run generated no labels, is damaged, or has no such epoch.
        DatasetError, SettingsError, WeightsError: if labels cannot be made from the data set.
    """
    chosen = label_set(data, epoch=epoch, split=split, preset=preset, text_encoder=text_encoder, overrides=overrides)
    return label_rows(chosen, epoch, long)


@dataclass(frozen=True)
class LabelFiles:
    """What :func:`save_labels` wrote.

    Attributes:
        files: the table, and the data card next to it.
        rows: number of rows of the table.
        notes: what to know about the labels, one sentence each.
    """

    files: tuple[Path, Path]
    rows: int
    notes: Sequence[str] = ()


def save_labels(
    data: Dataset | Run,
    out: str | Path,
    *,
    epoch: int | str = "best",
    split: str | None = None,
    long: bool = False,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
) -> LabelFiles:
    """Write the table that :func:`labels` returns, and a data card: what it is, how it was made, how far to trust it.

    In a .csv, a ' stands before a text that a spreadsheet would run as a formula (an id like ``-3g5y``);
    `selfmm import` and `selfmm labels --import` remove it.

    Args:
        data, epoch, split, long, preset, text_encoder, overrides: see :func:`labels`.
        out: a .csv, .xlsx or .parquet file. The card has the same name and the ending .md.
        force: replace existing files.

    Raises:
        OutputError: if a file exists, may not be there, or cannot be written; neither is then changed.
        RunError, DatasetError, SettingsError, WeightsError: see :func:`labels`.
    """
    from selfmm.report.label_card import label_card
    from selfmm.report.label_files import write_labels

    out = Path(out)
    card = out.with_suffix(".md")
    for file, suffixes in ((out, TABLES), (card, (".md",))):
        check_file(file, _folder(data), force, suffixes)
    chosen = label_set(data, epoch=epoch, split=split, preset=preset, text_encoder=text_encoder, overrides=overrides)
    table = label_rows(chosen, epoch, long)
    write_labels(out, table, card, label_card(chosen, chosen.audit(), out.name, list(table.columns)))
    return LabelFiles((out, card), len(table), chosen.notes)


def label_set(
    data: Dataset | Run,
    *,
    epoch: int | str = "best",
    split: str | None = None,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
) -> LabelSet:
    """Return labels with what to know about them; arguments and errors as in :func:`labels`."""
    from selfmm.training.label_sets import from_run

    settings_given = preset is not None or text_encoder is not None or bool(overrides)
    dataset = _as_data(data)
    if dataset is None:
        if settings_given:
            raise ArgumentsError(["a run has settings of its own; leave out `preset=...` and other settings"])
        chosen = from_run(open_run(cast("Run", data)))
        chosen = chosen if str(epoch) == "all" else chosen.of_epoch(str(epoch))
    else:
        if str(epoch) not in ("best", "last", "all"):
            raise ArgumentsError(["labels from a data set alone have no epochs; leave out `epoch=...`"])
        chosen = _from_data(dataset, preset, text_encoder, overrides)
    return chosen if split is None else chosen.of_split(split)


def _from_data(
    dataset: Dataset, preset: str | Path | None, text_encoder: str | None, overrides: Sequence[str]
) -> LabelSet:
    from selfmm.config.settings import load_settings
    from selfmm.training.label_sets import from_data

    return from_data(dataset, load_settings(preset, setting_values(overrides, text_encoder=text_encoder)))


def label_rows(labels: LabelSet, epoch: int | str, long: bool) -> pd.DataFrame:
    """Return a table of labels: a row per clip, or with ``long`` per clip and modality."""
    if long:
        return labels.table
    if str(epoch) == "all" and not labels.estimated:
        raise ArgumentsError(["a row per clip has the labels of one epoch; for all of them, give `long=True` too"])
    return labels.per_clip()


def audit(
    data: Dataset | Run,
    *,
    epoch: int | str = "best",
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
) -> Audit:
    """Return how far to trust labels per modality: those of a run, or estimated from a data set alone.

    Args:
        data, preset, text_encoder, overrides: see :func:`labels`.
        epoch: for rules that make labels in training: ``best`` (whose weights the run keeps), ``last``, or a number.

    Raises:
        RunError, DatasetError, SettingsError, WeightsError: see :func:`labels`.
    """
    from selfmm.runs.material import Material
    from selfmm.training.label_sets import from_run

    if str(epoch) == "all":
        raise ArgumentsError(["an audit judges the labels of one epoch, and shows the earlier ones; give that epoch"])
    if _as_data(data) is not None:
        chosen = label_set(data, epoch=epoch, preset=preset, text_encoder=text_encoder, overrides=overrides)
        return chosen.audit()
    folder = open_run(cast("Run", data))
    chosen = from_run(folder).of_epoch(str(epoch), earlier=True)
    if not chosen.finished:
        return chosen.audit()
    material = Material.read(folder.path)
    return replace(material.audit(epoch=chosen.epochs[-1]), notes=chosen.notes)


def _as_data(data: Dataset | Run) -> Dataset | None:
    """Return the data set, open, or None for a run.

    Raises:
        RunError: if it is neither.
    """
    from selfmm.data.manifest import MANIFEST
    from selfmm.data.store import Dataset, open_dataset

    if isinstance(data, Dataset):
        return data
    folder = open_run(data)
    if folder.is_run:
        return None
    if (folder.path / MANIFEST).is_file():
        return open_dataset(folder.path)
    try:
        folder.info()
    except RunError as error:
        raise RunError(str(error).replace("is not a run folder:", "is neither a run folder nor a data set:")) from None
    return None


def _folder(data: Dataset | Run) -> Path:
    from selfmm.data.store import Dataset

    return data.path if isinstance(data, Dataset) else open_run(data).path


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
    """Write the training clips of a run with their u-labels (of the epoch with its weights) for people to annotate.

    Args:
        run: a finished run: its folder, or loaded.
        out: a sheet, ``.csv``, ``.xlsx`` or ``.parquet``; or Label Studio's tasks, ``.json``.
        most: only this number of clips that nobody has corrected yet, chosen where the modalities disagree most.
        media_root: for Label Studio, the part of the URL before media paths, for example /data/local-files/?d=
        force: replace existing files.

    Raises:
        RunError: if the run is not finished or generated no labels, or people have corrected every clip.
        DatasetError: if the run's data set is missing or was changed.
        OutputError: if a file exists, or has another ending.
    """
    from selfmm.annotation.clips import clips_to_annotate
    from selfmm.training.label_sets import from_run

    folder, out = open_run(run), Path(out)
    path = folder.path
    check_file(out, path, force, (*TABLES, ".json"))
    if media_root is not None and out.suffix != ".json":
        raise ArgumentsError(["`media_root=...` is for Label Studio's tasks; name a file that ends in .json"])
    info = folder.require_finished()
    dataset = folder.training_data()
    labels = from_run(folder).of_epoch("best")
    modalities = tuple(info.modalities)
    clips = clips_to_annotate(dataset, labels.of_split("train").table, modalities, most=most)
    epoch = [] if labels.estimated else list(labels.notes[:1])
    if clips.empty:
        raise RunError(f"people have corrected every training clip of {dataset.path} already.")
    if out.suffix != ".json":
        from selfmm.annotation.sheet import write_sheet

        write_sheet(out, clips, modalities)
        return AnnotationFiles((out,), len(clips), modalities, epoch)
    from selfmm.annotation.label_studio import Project, write_project

    project = Project(clips, modalities, info.label_range, f"selfmm {path.resolve().name}", media_root or "")
    config = out.with_name(f"{out.stem}-config.xml")
    check_file(config, path, force, (".xml",))
    write_project(project, out, config)
    return AnnotationFiles((out, config), len(clips), modalities, [*epoch, *project.notes])


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

    if isinstance(data, Dataset):
        return data
    folder = open_run(data, seeds=True)
    if folder.is_run and not (folder.path / MANIFEST).is_file():
        return folder.training_data()
    return open_dataset(folder.path)
