"""Ratings that people give in the app: read them, compare raters, save them as a table, and train with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.api.arguments import TABLES, check_file
from selfmm.core.errors import ArgumentsError, MissingPackageError, SourceError
from selfmm.core.messages import some

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.annotation.journal import RatingJournal
    from selfmm.data.store import Dataset
    from selfmm.features.clips.clip import Clip, ClipList


def open_ratings(
    source: str | Path, *, root: str | Path | None = None, label_range: tuple[float, float] | None = None
) -> RatingJournal:
    """Return the ratings of a data set, a folder of recordings or a table of clips; their file need not exist yet.

    Args:
        source: what is rated, or the file of its ratings (``...-ratings.jsonl``).
        root: a folder outside which no file may be made; default: the file is next to ``source``.
        label_range: lowest and highest label if there are no ratings yet; default: those of the data set, or (-3, 3).

    Raises:
        SourceError: if the file cannot be read.
        DatasetError: if the data set is damaged.
    """
    from selfmm.annotation.journal import SUFFIX, RatingJournal, journal_path
    from selfmm.data.manifest import MANIFEST, read_manifest

    source = Path(source)
    if source.name.endswith(SUFFIX):
        return RatingJournal(source, label_range or (-3.0, 3.0))
    if label_range is None and (source / MANIFEST).is_file():
        label_range = read_manifest(source / MANIFEST).label_range
    return RatingJournal(journal_path(source, root), label_range or (-3.0, 3.0))


def rater_agreement(ratings: RatingJournal, *, by_mode: bool = False) -> pd.DataFrame:
    """Return how far the raters agree, one row per target (``clip`` or a modality).

    Args:
        ratings: from :func:`open_ratings`.
        by_mode: compare only ratings that were given in the same mode, that is, of people who saw and heard the same.

    Returns:
        See :func:`selfmm.data.agreement.agreement`; with ``by_mode``, the index is ``modality`` and ``mode``.
    """
    import pandas as pd

    from selfmm.data.agreement import agreement

    table = ratings.ratings()
    if not by_mode or table.empty:
        return agreement(table)
    modes = {mode: agreement(rows) for mode, rows in table.groupby("mode", sort=False)}
    return pd.concat(modes, names=["mode", "modality"]).reorder_levels(["modality", "mode"])


def rater_disagreements(ratings: RatingJournal) -> pd.DataFrame:
    """Return the clips that several people rated, the largest disagreement first.

    Returns:
        See :func:`selfmm.annotation.consensus.disagreements`.
    """
    from selfmm.annotation.consensus import disagreements

    return disagreements(ratings.ratings())


def save_ratings(ratings: RatingJournal, out: str | Path, *, force: bool = False) -> Path:
    """Write the ratings as a table, one row per clip and rater: ``id``, ``rater``, ``label``, ``label_<modality>``.

    The columns ``mode`` and ``mode_<modality>`` hold what the rater could see or hear.

    Args:
        ratings: from :func:`open_ratings`.
        out: a .csv, .parquet, .xlsx or .json file. :func:`selfmm.api.import_labels` reads all but .xlsx.
        force: replace an existing file.

    Raises:
        SourceError: if nobody has rated anything.
        OutputError: if the file exists, has another ending, or cannot be written.
    """
    from selfmm.annotation.sheet import write_rating_sheet

    out = Path(out)
    check_file(out, None, force, (*TABLES, ".json"))
    write_rating_sheet(out, ratings.ratings())
    return out


def clips_to_rate(source: Dataset | ClipList | str | Path) -> pd.DataFrame:
    """Return the clips of a data set, a folder of recordings or a table of clips, in their order.

    Args:
        source: its path; or the open data set, or the list of the clips.

    Returns:
        A row per clip: ``id``, ``path``, ``start``, ``end`` (seconds; NaN: the whole file), ``text``, ``video``,
        ``split``, ``label`` (NaN if unknown). Unknown texts are None; texts may come from subtitles.

    Raises:
        SourceError: if the list cannot be read, has no clips, or names files with characters that are not UTF-8.
        DatasetError: if the data set is damaged.
    """
    import pandas as pd

    from selfmm.annotation.ratings import printable
    from selfmm.data.manifest import MANIFEST
    from selfmm.data.store import as_dataset
    from selfmm.features.clips.clip import ClipList
    from selfmm.features.clips.listing import read_clips

    columns = ["id", "path", "start", "end", "text", "video", "split", "label"]
    if isinstance(source, str | Path) and not (Path(source) / MANIFEST).is_file():
        source = read_clips(Path(source))
    if not isinstance(source, ClipList):
        table = as_dataset(source).samples.reindex(columns=columns)
    else:
        clips = source.clips
        if unreadable := [str(clip.path) for clip in clips if str(clip.path) != printable(str(clip.path))]:
            raise SourceError(f"these names have characters that are not UTF-8: {some(unreadable)}. Rename the files.")
        table = pd.DataFrame([[getattr(clip, name) for name in columns] for clip in clips], columns=columns)
        table["text"] = [_words(clip) for clip in clips]
        table["path"] = table["path"].map(str)
    for name in ("path", "text", "video", "split"):
        column = table[name].astype(object)
        table[name] = column.where(column.notna(), None)
    return table.astype(dict.fromkeys(("start", "end", "label"), "float64"))


def _words(clip: Clip) -> str | None:
    """Return the words of a clip or of its subtitles; None if they are unknown or cannot be read."""
    from selfmm.features.words.subtitles import read_subtitles

    if clip.text is not None or clip.subtitles is None:
        return clip.text
    try:
        return read_subtitles(clip.subtitles, clip.start, clip.end).text or None
    except (SourceError, MissingPackageError):  # an extraction reports the problem
        return None


def save_rated_clips(
    ratings: RatingJournal, source: str | Path, out: str | Path, *, listed_labels: bool = True
) -> Path:
    """Write a table of recordings with their mean ratings, for :func:`selfmm.api.extract`; replace an existing table.

    Pass ``label_range=ratings.label_range`` to the extraction, then add the
    ratings of single modalities to its data set with :func:`apply_ratings`.

    Args:
        ratings: from :func:`open_ratings`.
        source: a folder of recordings, or a table of clips.
        out: a .csv or .parquet file, outside the folder of recordings.
        listed_labels: whether clips that nobody rated keep the labels of a table of clips, and all clips its labels of
            single modalities.

    Raises:
        SourceError: if nobody has rated a whole clip, or the source cannot be read.
        OutputError: if the file cannot be written.
    """
    from selfmm.annotation.applying import write_rated_table
    from selfmm.annotation.consensus import m_labels
    from selfmm.features.clips.listing import read_clips

    out = Path(out)
    check_file(out, None, True, (".csv", ".parquet"))
    clips, labels = read_clips(Path(source)).clips, m_labels(ratings.ratings())
    write_rated_table(out, clips, labels, listed_labels=listed_labels)
    return out


@dataclass(frozen=True)
class AppliedRatings:
    """What :func:`apply_ratings` did.

    Attributes:
        dataset: the data set to train on.
        m_labels: number of clips that got a new m-label.
        corrections: number of labels of single modalities by people.
        notes: what is good to know, one sentence each.
    """

    dataset: Dataset
    m_labels: int
    corrections: int
    notes: Sequence[str] = ()


def apply_ratings(
    data: Dataset | str | Path,
    ratings: RatingJournal,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
) -> AppliedRatings:
    """Add ratings to a data set: those of single modalities as corrections, those of whole clips as m-labels.

    Args:
        data: the data set, or its folder.
        ratings: from :func:`open_ratings`.
        out: a folder for a copy with the new m-labels, see :func:`selfmm.annotation.applying.rated_copy`; the original
            then does not change. None: store only the corrections, in ``data``.
        seed: seed of the splits, which are made if no clip had a label.
        force: replace a data set at ``out``.

    Raises:
        SourceError: if there is nothing to apply, or a rating does not fit the data set.
        DatasetError, OutputError: the message says what to do.
    """
    from selfmm.annotation.acts import CLIP
    from selfmm.annotation.applying import rated_copy
    from selfmm.annotation.consensus import m_labels
    from selfmm.annotation.importing import import_corrections
    from selfmm.data.store import as_dataset

    dataset, table = as_dataset(data), ratings.ratings()
    table = table[table["id"].isin(set(dataset.samples["id"]))]
    labels, of_modalities = m_labels(table), table[table["modality"] != CLIP]
    notes: list[str] = []
    if out is not None:
        dataset = rated_copy(
            dataset, out, labels, ratings.label_range, source=ratings.path.name, seed=seed, force=force
        )
    elif of_modalities.empty:
        raise ArgumentsError(
            ["nobody rated a single modality; to use the ratings of whole clips, name a copy with `out=...`"]
        )
    if len(of_modalities):
        imported = import_corrections(dataset, ratings.path)
        notes += imported.notes
    return AppliedRatings(as_dataset(dataset.path), len(labels) if out else 0, len(dataset.corrections), notes)
