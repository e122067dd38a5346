"""What the Rate screen needs: the clips of a source, their ratings, scores to propose, and how to train with them."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import Counter
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
ENOUGH = 10
"""Rated clips from which a training makes sense."""


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
        scales: whether the scale may still be chosen.
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
        self._workspace, self.folder = workspace, folder
        self._lock = threading.Lock()
        self._journals: dict[Path, api.RatingJournal] = {}
        self._sources: dict[str, tuple[float, Source]] = {}

    def source(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotHereError: if there is no such data set or folder.
            SourceError, DatasetError: if it cannot be read, or has no clips.
        """
        path = self._workspace.path(name)
        with self._lock:
            then, source = self._sources.get(name, (-_FRESH, None))
            if source is None or time.monotonic() - then >= _FRESH:
                source = self._read(name, path)
                self._sources[name] = (time.monotonic(), source)
        return source

    def journal(self, name: str) -> api.RatingJournal:
        """Return the ratings of a source without reading its clips; errors as above."""
        path = self._workspace.path(name)
        with self._lock:
            return self._journal(path)

    def _journal(self, path: Path, label_range: tuple[float, float] | None = None) -> api.RatingJournal:
        if path not in self._journals:
            self._journals[path] = api.open_ratings(path, root=self._workspace.root, label_range=label_range)
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
        return recording_of(self._workspace, source, path)

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
        names = [parts.STARTER, *(item.name for item in self._workspace.items("run"))]
        rows = [
            {
                "run": run,
                "ready": self.scores_file(source, run).is_file() or self._predictions(source, run) is not None,
            }
            for run in names
        ]
        return sorted(rows, key=lambda row: not row["ready"])

    def _info(self, run: str) -> Path | None:
        return None if run == parts.STARTER else self._workspace.path(run) / "run.json"

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
        return stored if self._workspace.name_of(trained_on) == self._workspace.name_of(source.path) else None

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


def counts_of(source: Source, rater: str = "") -> dict[str, Any]:
    """Return how much everyone has rated, and a rater each target; skipped clips count as done."""
    acts = source.ratings.acts()
    rated = [act for act in acts if act.act == "rate"]
    mine = Counter(act.target for act in acts if act.rater == rater)
    return {"ratings": len(rated), "raters": sorted({act.rater for act in rated}), "done": dict(mine)}


def acts_of(source: Source, rater: str) -> list[list[Any]]:
    """Return the acts of a rater that count, in their order: id, target and label, which is None if it was skipped."""
    return [[act.id, act.target, act.label] for act in source.ratings.acts() if act.rater == rater]


def standing(source: Source, acts: Sequence[api.Act]) -> list[dict[str, Any]]:
    """Return what counts now, for each clip and target that some acts were about."""
    counting = {act.place: act for act in source.ratings.acts()}
    places = dict.fromkeys(act.place for act in acts)
    return [
        {
            "rater": place[0],
            "id": place[1],
            "target": place[2],
            "done": place in counting,
            "label": counting[place].label,
        }
        if place in counting
        else {"rater": place[0], "id": place[1], "target": place[2], "done": False, "label": None}
        for place in places
    ]


def agreement_rows(ratings: api.RatingJournal) -> list[dict[str, Any]]:
    """Return the agreement of each target with a sentence that says what it means."""
    table = api.rater_agreement(ratings)
    return [
        {
            "target": str(target),
            "raters": int(row["raters"]),
            "clips": int(row["clips"]),
            "ratings": int(row["ratings"]),
            "shared": int(row["shared"]),
            "alpha": float(row["alpha"]),
            "difference": float(row["difference"]),
            "sentence": _agreement_sentence(float(row["alpha"]), int(row["shared"]), int(row["raters"])),
        }
        for target, row in table.iterrows()
    ]


_MEANING = {
    "reliable": "The raters agree well. Labels like these can be relied on.",
    "tentative": "The raters agree in part. Draw only tentative conclusions from these labels.",
    "unreliable": "The raters often disagree. Look at the disagreements together, and agree on what each number means.",
    "worse than chance": "The raters contradict each other. Perhaps someone uses the scale the other way round.",
}


def _agreement_sentence(alpha: float, shared: int, raters: int) -> str:
    if not shared:
        second = "Let a second person rate" if raters < 2 else "Let two people rate"
        return f"No clip has been rated by two people, so agreement is unknown. {second} the same clips."
    if math.isnan(alpha):
        return "All ratings of the shared clips are equal, so alpha is not defined. Rate clips that differ."
    level = parts.agreement_level(alpha, shared)
    return _MEANING.get(
        level, f"{_clips(shared)} rated by several people {_is(shared)} too few to tell. Share 10 or more."
    )


def _clips(number: int) -> str:
    return parts.count(number, "clip")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def disagreement_rows(source: Source, target: str, most: int) -> list[dict[str, Any]]:
    """Return the clips on which raters disagree most."""
    table = api.rater_disagreements(source.ratings)
    table = table[table["modality"] == target] if target else table
    return [
        {
            "id": row["id"],
            "target": row["modality"],
            "mean": row["label"],
            "range": row["range"],
            "labels": row["labels"],
            "text": source.clips["text"].get(row["id"]),
        }
        for row in table.head(most).to_dict("records")
    ]


def plan(source: Source) -> dict[str, Any]:
    """Return whether the ratings suffice for a training, what it will do, and what to expect from it."""
    table = source.ratings.ratings()
    known = table[table["id"].isin(source.clips.index)]
    clips = int(known[known["modality"] == CLIP]["id"].nunique())
    alone = known[known["modality"] != CLIP]
    before = int(source.clips["label"].notna().sum())
    labelled = len(set(known[known["modality"] == CLIP]["id"]) | set(source.clips.index[source.clips["label"].notna()]))
    problem = ""
    if not len(known):
        problem = "Nobody has rated a clip yet."
    elif labelled < ENOUGH:
        lack = ENOUGH - labelled
        problem = (
            f"{_clips(labelled)} with a label for the whole clip {_is(labelled)} too few to learn from. Rate "
            f"{lack} more whole {'clip' if lack == 1 else 'clips'}."
        )
    return {
        "clips": clips,
        "alone": {name: int(group["id"].nunique()) for name, group in alone.groupby("modality")},
        "raters": int(known["rater"].nunique()),
        "labelled": labelled,
        "before": before,
        "total": len(source.clips),
        "problem": problem,
        "steps": _steps(source, clips, len(alone)),
        "expect": _expectations(labelled, len(alone)),
    }


def _steps(source: Source, clips: int, alone: int) -> list[str]:
    steps = []
    if not source.is_dataset:
        steps.append("Extract words, voice and face from the recordings: a few seconds for each clip.")
    elif clips:
        steps.append("Copy the data set with your ratings as labels. The original stays as it is.")
    if alone:
        steps.append("Store the ratings of words, voice and face as corrections, which training takes as true.")
    return [*steps, "Train a model, and measure it on clips that it has not seen."]


def _expectations(labelled: int, alone: int) -> list[str]:
    """Return what to expect from so many labels; the figures are those of docs/starter.md."""
    if labelled < 1000:
        first = (
            f"With {_clips(labelled)}, selfmm begins with the starter and moves its scores towards your ratings as far "
            "as they are evidence. The training takes seconds."
        )
        second = (
            "In 24 clips with clear voices and faces, this raised the correlation with the truth from 0.76 to 0.94. In "
            "film reviews, which the starter reads well already, 10 to 300 ratings changed nothing (0.78)."
        )
    else:
        first = (
            f"With {_clips(labelled)}, selfmm trains a network that begins with the starter. It takes minutes or more."
        )
        second = "In film reviews, 1,000 ratings raised the correlation with the truth from 0.76 to 0.79."
    few = "So few clips say little about how good the model is: the figures depend on chance. " if labelled < 50 else ""
    third = f"{few}The run says how far off its scores are on your clips, and shows a score that carries no information as such."
    only = [] if labelled or not alone else ["Ratings of single modalities alone do not suffice: rate whole clips too."]
    return [first, second, third, *only]


def training(rating: Rating, source: Source, recogniser: str) -> tuple[list[list[str]], str]:
    """Return the commands of a training with the ratings of a source, and the name of its run.

    Raises:
        RequestError: if there are too few ratings, or the recogniser is unknown.
    """
    planned = plan(source)
    if planned["problem"]:
        raise RequestError(planned["problem"])
    if recogniser not in ("tiny.en", "base", "none"):
        raise RequestError("The speech recogniser is tiny.en, base or none.")
    workspace = rating._workspace
    title = source.title if source.path != workspace.root else workspace.root.name
    parent = source.path if source.path == workspace.root else source.path.parent
    run = _free(workspace.root / "runs" / f"{title}-rated")
    data, journal = source.path, str(source.ratings.path)
    commands: list[list[str]] = []
    imports = [["labels", "{data}", "--import", journal]] if planned["alone"] else []
    if not source.is_dataset:
        data = _free(parent / f"{title}-rated")
        scale = ",".join(f"{edge:g}" for edge in source.ratings.label_range)
        options = [f"--label-range={scale}", "--recogniser", recogniser, "--force"]
        commands.append(["extract", str(rating.table(source)), str(data), "--name", title, *options])
    elif planned["clips"]:
        data = _free(parent / f"{title}-rated")
        commands.append(["labels", str(source.path), "--import", journal, "--out", str(data), "--force"])
        imports = []  # the copy has them already
    commands += [[word.format(data=data) if word == "{data}" else word for word in command] for command in imports]
    commands.append(["train", str(data), "--out", str(run), "--resume"])
    return commands, workspace.name_of(run) or ""


def _free(path: Path) -> Path:
    """Return a path that does not exist: ``path``, or with a number."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


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
