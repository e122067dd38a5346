"""Plan and check the table of a data set before the extraction, which can take hours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.errors import SourceError
from selfmm.core.messages import clips as clip_count
from selfmm.core.messages import some
from selfmm.data.checks import check_table, unrated
from selfmm.data.findings import unimodal_labels_note
from selfmm.data.inspect import count_unimodal_labels
from selfmm.data.scales import default_range
from selfmm.data.splits import split_rated
from selfmm.data.writer import Source
from selfmm.features.clips.clip import ClipList, Failure

_RATING = re.compile(r"rating|score|sentiment|label|valence|polarity|opinion|annotation|target|gold|stars\b|^(mos|y)$")
_SHOWN = 5  # failures in a message


def usable(listed: ClipList) -> ClipList:
    """Return the list with the clips that cannot be in a data set moved to the failures.

    A clip needs names and a text that are valid Unicode.
    """
    clips, failures = [], [_printable(failure) for failure in listed.failures]
    for clip in listed.clips:
        if any(map(_broken, (clip.id, clip.video, clip.text or "", str(clip.path)))):
            reason = "its name or text is not valid Unicode. Rename the file, or save the text again as UTF-8."
            failures.append(_printable(Failure(clip.id, str(clip.path), reason)))
        else:
            clips.append(clip)
    without = sum(clip.label is None for clip in clips)
    notes = [unrated(without, "rating")] if without else []
    if listed.unread:
        notes.append(
            f"the table has no column label; these columns of numbers were not read: {', '.join(listed.unread)}. If "
            f"one of them holds the ratings, pass `label_column={listed.unread[0]!r}`."
        )
    return replace(listed, clips=tuple(clips), failures=tuple(failures), notes=(*listed.notes, *notes))


def refuse_unread(source: Path, unread: Sequence[str]) -> None:
    """Raise ``SourceError`` if a table has no ratings, but a column whose name says that it holds them."""
    ratings = next((name for name in unread if _RATING.search(name)), None)
    if ratings is not None:
        raise SourceError(
            f"{source} has no column label, and its column {ratings!r} would not be read. If it holds the ratings, "
            f"pass `label_column={ratings!r}`; if not, remove or rename it."
        )


def plan_dataset(
    listed: ClipList, name: str, label_range: tuple[float, float] | None, seed: int
) -> tuple[Source, list[str]]:
    """Return the checked table, without the columns that extraction adds, and notes on automatic decisions.

    ``listed`` is the result of ``usable``; for the other arguments see ``extract``.

    Raises:
        SourceError: if the list is empty, or the labels, splits or range are wrong.
    """
    clips, notes = listed.clips, []
    if not clips:
        raise SourceError(none_left(listed.failures))
    labels = np.array([np.nan if clip.label is None else clip.label for clip in clips], dtype=np.float64)
    videos = [clip.video or clip.path.name for clip in clips]
    splits = [clip.split for clip in clips]
    rated = np.isfinite(labels)
    if all(split is None for split in splits) and rated.any():
        splits = list(split_rated(videos, rated, seed))
        notes.append(f"the clips have no split; they were split 70/10/20 by video with seed {seed}.")
    elif any(clip.split is None and clip.label is not None for clip in clips):
        without = [clip.id for clip in clips if clip.split is None]
        raise SourceError(
            f"{clip_count(len(without), ('has', 'have'))} no split ({some(without)}), but others have one. Give each "
            "clip a split, or remove the column: then the clips are split by video."
        )
    table = pd.DataFrame({"id": [clip.id for clip in clips], "split": [split or "test" for split in splits]})
    table = table.assign(label=labels, text=None, video=videos, path=[str(clip.path) for clip in clips])
    for edge in ("start", "end"):
        table[edge] = np.array([getattr(clip, edge) for clip in clips], dtype=np.float64)  # None becomes NaN
    for modality in sorted({modality for clip in clips for modality in clip.labels}):
        table[f"label_{modality}"] = [clip.labels.get(modality, np.nan) for clip in clips]
    if counts := count_unimodal_labels(table, [str(name).removeprefix("label_") for name in table]):
        notes.append(f"{unimodal_labels_note(counts)}.")
    if label_range is None:
        label_range = default_range(np.array([*labels[np.isfinite(labels)], *listed.ratings]))
        if np.isfinite(labels).any():
            notes.append(
                f"ratings are assumed to be in {list(label_range)}, which follows from all ratings, also of clips that "
                "failed; if not, pass `label_range=(LOW, HIGH)`."
            )
    plan = Source(table, {}, name, label_range)
    check_table(plan, require_labels=bool(np.isfinite(labels).any()))
    return plan, notes


def none_left(failures: Sequence[Failure]) -> str:
    """Return the error message for a list without any usable clip."""
    reasons = [f"{failure.id}: {failure.reason}" for failure in failures[:_SHOWN]]
    rest = [f"and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else []
    return "\n  - ".join(["none of the clips can be extracted:", *reasons, *rest])


def _broken(text: str) -> bool:
    """Return whether a text holds bytes that are not Unicode, which Python keeps in names of files."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _printable(failure: Failure) -> Failure:
    return Failure(**{name: text.encode("utf-8", "backslashreplace").decode() for name, text in vars(failure).items()})
