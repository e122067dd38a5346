"""What can be rated: the clips of a source, what a rater is shown of them, their ratings, and scores to propose."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_media import recording_of
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.state import private_folder
from selfmm.app.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_FRESH = 3.0  # seconds for which the clips of a source are not read again
_LOOKED_AT = 20  # clips, to see whether there are recordings
_SOUND_ONLY = frozenset(
    (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aiff", ".aif", ".au", ".caf", ".amr")
)
CLIP, MODALITIES = "clip", ("text", "audio", "vision")
_BLIND = {"text": ("words",), "audio": ("sound", "filtered sound"), "vision": ("pictures",)}
_NEEDS = {"words": "text", "sound": "path", "filtered sound": "path", "pictures": "path"}


@dataclass(frozen=True)
class Source:
    """Something whose clips can be rated.

    Attributes:
        name: its path from the folder that is shown.
        path: the data set, or the folder of recordings.
        is_dataset: whether it is a data set.
        clips: see :func:`selfmm.api.clips_to_rate`, by id.
        modalities: those that can be rated alone.
        ratings: its ratings.
        shows: what a rater can be shown: ``words``, ``sound``, ``pictures``.
    """

    name: str
    path: Path
    is_dataset: bool
    clips: pd.DataFrame
    modalities: tuple[str, ...]
    ratings: api.RatingJournal
    shows: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.path.name

    @property
    def targets(self) -> tuple[str, ...]:
        return (CLIP, *self.modalities)

    def modes(self, target: str) -> list[str]:
        """Return what the raters of a target can be shown, the usual choice first."""
        blind = _BLIND.get(target, ("words", "sound", "filtered sound", "pictures"))
        shown = [mode for mode in blind if mode.removeprefix("filtered ") in self.shows]
        return ["all", *shown] if target == CLIP else [*shown, "all"]

    def with_words(self, scores: pd.DataFrame | None) -> Source:
        """Return the source with the words that a scoring recognised, for clips whose words are not known."""
        if scores is None or "text" not in scores:
            return self
        heard = scores.set_index("id")["text"].dropna()
        texts = [own or heard.get(clip) or None for clip, own in self.clips["text"].items()]
        shows = self.shows if "words" in self.shows or not any(texts) else ("words", *self.shows)
        return replace(self, clips=self.clips.assign(text=texts), shows=shows)


class Rating:
    """The sources of a folder, and their ratings.

    Args:
        workspace: the folder that is shown.
        folder: where to keep scores and tables, private to the app.
    """

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self.folder = workspace, folder
        self._lock = threading.Lock()
        self._journals: dict[Path, api.RatingJournal] = {}
        self._sources: dict[str, tuple[float, Source]] = {}

    def source(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotHereError: if there is no such data set or folder.
            SourceError, DatasetError: if it cannot be read, or has no clips.
        """
        path = self.workspace.path(name)
        with self._lock:
            then, source = self._sources.get(name, (-_FRESH, None))
            if source is None or time.monotonic() - then >= _FRESH:
                source = self._read(name, path)
                self._sources[name] = (time.monotonic(), source)
        return source

    def journal(self, name: str) -> api.RatingJournal:
        """Return the ratings of a source without reading its clips; errors as above."""
        path = self.workspace.path(name)
        with self._lock:
            return self._journal(path)

    def _journal(self, path: Path, label_range: tuple[float, float] | None = None) -> api.RatingJournal:
        if path not in self._journals:
            self._journals[path] = api.open_ratings(path, root=self.workspace.root, label_range=label_range)
        return self._journals[path]

    def _read(self, name: str, path: Path) -> Source:
        clips = api.clips_to_rate(path).drop_duplicates("id").set_index("id")
        is_dataset = (path / parts.MANIFEST).is_file()
        modalities = api.open_dataset(path).modalities if is_dataset else MODALITIES
        shows = ["words"] if clips["text"].notna().any() else []
        files = [file for file in clips["path"].dropna().head(_LOOKED_AT) if self.file(path, file) is not None]
        shows += ["sound"] if files else []
        shows += ["pictures"] if any(has_pictures(file) for file in files) else []
        return Source(
            name=name,
            path=path,
            is_dataset=is_dataset,
            clips=clips,
            modalities=tuple(modality for modality in MODALITIES if modality in modalities),
            ratings=self._journal(path),
            shows=tuple(shows),
        )

    def rescale(self, source: Source, label_range: tuple[float, float]) -> None:
        """Choose the scale of a source that has no ratings yet; once it has some, the scale stays."""
        if not (math.isfinite(label_range[0]) and math.isfinite(label_range[1]) and label_range[0] < label_range[1]):
            raise RequestError("A scale needs a lowest and a highest label.")
        with self._lock:
            if label_range == source.ratings.label_range or source.ratings.path.exists():
                return
            del self._journals[source.path]
            self._journal(source.path, label_range)
            self._sources.pop(source.name, None)

    def file(self, source: Path, path: str) -> Path | None:
        """Return the recording of a clip of a source; None if it is not in the folder that is shown."""
        return recording_of(self.workspace, source, path)

    def scores(self, source: Source, run: str) -> pd.DataFrame | None:
        """Return the scores of a run for the clips of a source, on the scale of its ratings; None if there are none.

        Returns:
            ``id``, ``score``, ``score_<modality>``; ``low`` and ``high`` where the run knows its error; ``text`` for
            recordings.
        """
        import pandas as pd

        saved = self.scores_file(source, run)
        if saved.is_file():
            table = pd.read_parquet(saved)
        elif (stored := self._predictions(source, run)) is not None:
            table = pd.read_parquet(stored)
        else:
            return None
        own = self._label_range(run)
        low, high = source.ratings.label_range
        if own is not None and own != (low, high):
            for name in [name for name in table if str(name).split("_")[0] in ("score", "low", "high")]:
                table[name] = low + (table[name] - own[0]) / (own[1] - own[0]) * (high - low)
        return table

    def scores_file(self, source: Source, run: str) -> Path:
        """Return where the scores of a run for the clips of a source are kept; a run that changed has other ones."""
        info = self._info(run)
        key = json.dumps([source.name, run, info.stat().st_mtime_ns if info is not None and info.is_file() else 0])
        return self.folder / f"scores-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.parquet"

    def proposers(self, source: Source) -> list[dict[str, Any]]:
        """Return the runs whose scores can be proposed, those that have scores already first."""
        names = [parts.STARTER, *(item.name for item in self.workspace.items("run"))]
        rows = [
            {
                "run": run,
                "ready": self.scores_file(source, run).is_file() or self._predictions(source, run) is not None,
            }
            for run in names
        ]
        return sorted(rows, key=lambda row: not row["ready"])

    def _info(self, run: str) -> Path | None:
        return None if run == parts.STARTER else self.workspace.path(run) / "run.json"

    def _label_range(self, run: str) -> tuple[float, float] | None:
        if run == parts.STARTER:
            return -3.0, 3.0
        entry = _json(self._info(run)).get("label_range")
        return (float(entry[0]), float(entry[1])) if isinstance(entry, list) and len(entry) == 2 else None

    def _predictions(self, source: Source, run: str) -> Path | None:
        """Return the stored predictions of a run that was trained on this data set."""
        info = self._info(run)
        if info is None or not source.is_dataset:
            return None
        trained_on, stored = _json(info).get("dataset_path"), info.with_name("predictions.parquet")
        if not isinstance(trained_on, str) or not stored.is_file():
            return None
        return stored if self.workspace.name_of(trained_on) == self.workspace.name_of(source.path) else None

    def table(self, source: Source) -> Path:
        """Write the rated recordings as a table for an extraction, and return it."""
        private_folder(self.folder)
        name = hashlib.sha256(source.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        file = self.folder / f"rated-{name}-{time.time_ns()}.csv"
        return api.save_rated_clips(source.ratings, source.path, file)


def has_pictures(path: str) -> bool:
    """Return whether a recording may have pictures, by its name."""
    return Path(path).suffix.lower() not in _SOUND_ONLY


def _json(path: Path | None) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def key_labels(label_range: tuple[float, float]) -> list[float]:
    """Return the labels of the number keys: the whole numbers of the scale if there are 5 to 9, else 5 steps.

    >>> key_labels((-3, 3)), key_labels((0, 100))
    ([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], [0.0, 25.0, 50.0, 75.0, 100.0])
    """
    low, high = label_range
    whole = low == int(low) and high == int(high) and 4 <= high - low <= 8
    steps = int(high - low) if whole else 4
    return [low + (high - low) * step / steps for step in range(steps + 1)]


def usable_ids(source: Source, mode: str) -> list[str]:
    """Return the ids of the clips that have what a mode shows."""
    if mode == "all":
        return list(source.clips.index)
    chosen = source.clips[_NEEDS[mode]].notna()
    if mode == "pictures":
        chosen &= source.clips["path"].map(lambda path: path is not None and has_pictures(path))
    return list(source.clips.index[chosen])


def mode_of(source: Source, target: str, mode: str) -> str:
    """Return the mode for a target: ``mode`` if it is possible, ``blind`` for the usual blind one, else ``all``."""
    modes = source.modes(target)
    if mode in modes:
        return mode
    blind = [known for known in modes if known != "all"]
    filtered = [known for known in blind if known == "filtered sound"]
    chosen = filtered if mode == "filtered" and filtered else blind
    return chosen[0] if mode in ("blind", "filtered") and chosen else "all"


def proposal_rows(
    scores: pd.DataFrame | None, ids: Iterable[str], targets: Sequence[str], label_range: tuple[float, float]
) -> dict[str, dict[str, float]]:
    """Return the scores to propose, by clip and target, on the scale of the labels."""
    if scores is None:
        return {}
    low, high = label_range
    by_id, rows = scores.drop_duplicates("id").set_index("id"), {}
    for clip in ids:
        if clip in by_id.index:
            row = by_id.loc[clip]
            named = {target: row.get("score" if target == CLIP else f"score_{target}") for target in targets}
            rows[clip] = {
                target: round(min(max(float(score), low), high), 2)
                for target, score in named.items()
                if score is not None and math.isfinite(score)
            }
    return rows


def clip_row(rating: Rating, source: Source, clip: str) -> tuple[dict[str, Any], Path | None]:
    """Return a clip of a source, and its recording; None if it is not in the folder that is shown.

    Raises:
        NotHereError: if there is no such clip.
    """
    if clip not in source.clips.index:
        raise NotHereError(f"There is no clip {clip[:80]!r} in {source.title}.")
    row = source.clips.loc[clip].to_dict()
    return row, None if row["path"] is None else rating.file(source.path, row["path"])
