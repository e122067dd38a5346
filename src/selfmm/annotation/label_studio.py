"""Tasks for Label Studio (clips, with generated labels as pre-annotations) and the labelling configuration.

Ratings are ``<Number>`` controls, the only ones in Label Studio for decimal numbers between two limits; ``<Rating>``
has whole stars from 1 and ``<Choices>`` has words. Formats: https://labelstud.io/guide/task_format and
https://labelstud.io/tags/number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd

from selfmm.annotation.ratings import PREFIX
from selfmm.core.files import write_text
from selfmm.core.messages import clips
from selfmm.data.manifest import TEXT

CLIP = "clip"
"""Key of the clip's id in a task. It is not ``id``, where the JSON-MIN export writes the number of the task."""
_AUDIO = frozenset({".wav", ".mp3", ".flac", ".ogg", ".m4a", ".opus"})
_OBJECT = {TEXT: "text", "audio": "audio", "vision": "video", "video": "video"}


@dataclass(frozen=True)
class Project:
    """A labelling project for some clips of a run.

    Attributes:
        clips: from `clips_to_annotate`.
        modalities: the modalities to rate.
        label_range: lowest and highest label.
        model: name of the run, the ``model_version`` of the predictions.
        media_root: prefix for paths that are not URLs.
    """

    clips: pd.DataFrame
    modalities: Sequence[str]
    label_range: tuple[float, float]
    model: str
    media_root: str = ""

    @property
    def step(self) -> float:
        """Step of the ratings: a power of ten, 20 to 200 steps over the range."""
        low, high = self.label_range
        return float(10.0 ** math.floor(math.log10((high - low) / 20 * (1 + 1e-9))))

    @property
    def media(self) -> list[str]:
        """The players in the project: ``audio``, ``video``, both or neither."""
        if "path" not in self.clips:
            return []
        paths = [path for path in self.clips["path"] if _is_path(path)]
        video = any(_suffix(path) not in _AUDIO for path in paths)
        return ["audio", "video"] if video else ["audio"] if paths else []

    @property
    def shown(self) -> list[str]:
        """Names of the tags that show a part of a clip and take ratings."""
        words = self.clips[TEXT].fillna("").str.strip().ne("").any()
        return [CLIP, *(["text"] if words else []), *self.media]

    @property
    def has_places(self) -> bool:
        return bool(self.media) and "start" in self.clips

    def config(self) -> str:
        """Return the labelling configuration as XML."""
        view = ElementTree.Element("View")
        for name in self.shown:
            tag = {"audio": "Audio", "video": "Video"}.get(name, "Text")
            # Without sound, the picture can be judged alone; the sound has its own player.
            muted = {"muted": "true"} if name == "video" else {}
            ElementTree.SubElement(view, tag, {"name": name, "value": f"${name}", **muted})
        if self.has_places:
            ElementTree.SubElement(view, "Text", name="place", value="$place")
        low, high = (repr(edge).removesuffix(".0") for edge in self.label_range)
        for name in self.modalities:
            ElementTree.SubElement(view, "Header", value=f"{name} alone, from {low} to {high}", size="5")
            names = {"name": f"{PREFIX}{name}", "toName": self._target(name)}
            ElementTree.SubElement(view, "Number", names, min=low, max=high, step=repr(self.step).removesuffix(".0"))
        ElementTree.indent(view)
        return ElementTree.tostring(view, encoding="unicode") + "\n"

    def _target(self, modality: str) -> str:
        """Return the tag that a rating belongs to: the text or player of the modality, or the name of the clip."""
        target = _OBJECT.get(modality, CLIP)
        return target if target in self.shown else CLIP

    def tasks(self) -> list[dict[str, Any]]:
        """Return one task per clip: its data, and one prediction with a rating for each of its modalities."""
        targets = {name: self._target(name) for name in self.modalities}
        media, has_places = self.media, self.has_places
        return [self._task(row, targets, media, has_places) for row in self.clips.to_dict("records")]

    @property
    def notes(self) -> list[str]:
        """What the user should know, one sentence each."""
        if not self.media:
            return ["the data set has no media (column path), so annotators see only the words and the ids of clips."]
        notes = []
        paths = [str(path) for path in self.clips["path"] if _is_path(path)]
        lacking = len(self.clips) - len(paths)
        if lacking:
            notes.append(f"{clips(lacking, ('has', 'have'))} no media path; the players stay empty.")
        if not self.media_root and any(not _is_url(path) and not path.startswith("/data/") for path in paths):
            notes.append("the media paths are not URLs, which Label Studio needs: pass `media_root=...`.")
        return notes

    def _task(
        self, row: Mapping[Any, Any], targets: Mapping[str, str], media: Sequence[str], has_places: bool
    ) -> dict[str, Any]:
        labels = {name: float(row[f"u_label_{name}"]) for name in self.modalities}
        data = {CLIP: row["id"], "text": row[TEXT] if isinstance(row[TEXT], str) else ""}
        data |= {name: self._url(row["path"]) for name in media}
        if has_places:
            data["place"] = _place(row)
        data["m_label"] = _or_none(float(row["m_label"]))
        data |= {f"u_label_{name}": _or_none(label) for name, label in labels.items()}
        result = [
            {
                "id": f"{PREFIX}{name}",
                "from_name": f"{PREFIX}{name}",
                "to_name": targets[name],
                "type": "number",
                "value": {"number": self._on_grid(label)},
            }
            for name, label in labels.items()
            if math.isfinite(label)
        ]
        low, high = self.label_range
        agreement = max(0.0, 1.0 - float(row["spread"]) / (high - low))
        return {"data": data, "predictions": [{"model_version": self.model, "score": agreement, "result": result}]}

    def _on_grid(self, label: float) -> float:
        """Return the nearest value to a label that the control can show."""
        low, high = self.label_range
        steps = round((min(max(label, low), high) - low) / self.step)
        decimals = max(0, -math.floor(math.log10(self.step)))
        nearest = round(low + steps * self.step, decimals + 2)
        return min(max(nearest, low), high) + 0.0  # no -0.0

    def _url(self, path: object) -> str:
        if not _is_path(path):
            return ""
        text = str(path)
        return self.media_root + quote(text) if self.media_root and not _is_url(text) else text


def _is_path(path: object) -> bool:
    return isinstance(path, str) and path.strip() != ""


def _is_url(path: str) -> bool:
    return "://" in path


def _suffix(path: str) -> str:
    return PurePosixPath(path.split("?")[0]).suffix.lower()


def _place(row: Mapping[Any, Any]) -> str:
    start, end = float(row["start"]), float(row.get("end", math.nan))
    if not math.isfinite(start):
        return f"all of {row['video']}"
    until = f" to {end:g} s" if math.isfinite(end) else ""
    return f"from {start:g} s{until} of {row['video']}"


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write_project(project: Project, tasks: Path, config: Path) -> None:
    """Write the tasks (JSON) and the labelling configuration (XML); raise ``OutputError`` if that is impossible."""
    write_text(config, project.config())
    write_text(tasks, json.dumps(project.tasks(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
