"""What looking through a data set can find: plain values, and what they mean for training."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

FIRST = 5
"""As many names are kept of a finding."""


@dataclass(frozen=True)
class Finding:
    """How many things have some property, and the names of the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.first) else ""
        return f"{self.count} ({', '.join(self.first)}{more})" if self.count else "0"


@dataclass(frozen=True)
class SplitReport:
    """One split: numbers of clips, and its labels.

    Attributes:
        clips, videos, unlabelled: counts.
        negative, zero, positive: counts of labels below, at and above the neutral one, see `LabelScale`.
        mean, std: of the labels (std over n); NaN if there are none.
        histogram: clips per bin, see `Inspection.bin_edges`; labels outside are in the outer bins.
    """

    clips: int
    videos: int
    unlabelled: int
    negative: int
    zero: int
    positive: int
    mean: float
    std: float
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class Lengths:
    """Quantiles of the lengths of the streams that are there: frames, tokens, or words of text."""

    shortest: int
    quarter: float
    median: float
    three_quarters: float
    p95: float
    longest: int


@dataclass(frozen=True)
class ModalityReport:
    """One modality.

    Attributes:
        kind, dim: as in the manifest.
        unit: what a length counts: ``frames``, ``tokens`` or ``words``.
        frames: total length over all clips.
        lengths: per split; a split in which no clip has the stream is left out.
        missing: clips without the stream.
        non_finite: clips with NaN or infinite values where there should be none.
        gaps: frames in which nothing could be measured.
        constant_columns: features that have one value in the whole data set.
    """

    kind: str
    dim: int | None
    unit: str
    frames: int
    lengths: dict[str, Lengths]
    missing: Finding
    non_finite: Finding
    gaps: int
    constant_columns: tuple[int, ...]


@dataclass(frozen=True)
class Inspection:
    """What `inspect_dataset` found.

    Attributes:
        name, path, label_range: of the data set.
        bin_edges: edges of the label histograms, over ``label_range``.
        splits: per split.
        modalities: per modality.
        duplicated_ids: ids that more than one clip has.
        shared_videos: videos with clips in more than one split.
        outside_range: clips whose label is outside ``label_range``.
        empty_clips: clips without any stream.
        corrections: labels that people gave, per modality that has any.
        damaged_files: files that are not what their checksum in ``dataset.json`` says.
        verified: whether checksums were compared.
    """

    name: str
    path: str
    label_range: tuple[float, float]
    bin_edges: tuple[float, ...]
    splits: dict[str, SplitReport]
    modalities: dict[str, ModalityReport]
    duplicated_ids: Finding
    shared_videos: Finding
    outside_range: Finding
    empty_clips: Finding
    corrections: dict[str, int]
    damaged_files: tuple[str, ...]
    verified: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """What should be mended before training, one sentence each, with the mend."""
        found = [f"{file} is not what its checksum says; import the data set anew" for file in self.damaged_files]
        for finding, sentence in (
            (self.duplicated_ids, "ids belong to more than one clip: {}; give every clip its own"),
            (self.shared_videos, "videos have clips in two splits: {}; a test on known speakers flatters"),
            (self.outside_range, f"labels are outside {list(self.label_range)}: {{}}; mend them or widen the range"),
            (self.empty_clips, "clips have no stream at all: {}; leave them out"),
        ):
            found += [sentence.format(finding)] if finding.count else []
        found += [f"the split {n!r} is empty; training needs all three" for n, s in self.splits.items() if not s.clips]
        for name in ("train", "valid"):
            split = self.splits[name]
            if split.clips and split.clips == split.unlabelled:
                found.append(f"no clip of the split {name!r} has a label; training needs them")
        for name, modality in self.modalities.items():
            if modality.non_finite.count:
                found.append(f"{name} has NaN or infinite values in clips: {modality.non_finite}; extract them anew")
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing but does no harm, one sentence each."""
        found = []
        if self.corrections:
            counts = ", ".join(f"{name} {count}" for name, count in self.corrections.items())
            found.append(f"people corrected labels per modality ({counts}); `selfmm corrections` shows them")
        for name, modality in self.modalities.items():
            if modality.missing.count:
                found.append(f"{name} is missing in clips: {modality.missing}")
            if modality.gaps:
                share = modality.gaps / modality.frames
                found.append(f"{name} could not be measured in {modality.gaps} of its frames ({share:.0%})")
            if modality.constant_columns:
                found.append(f"{name} has features that never change: {_some(modality.constant_columns)}")
        for name, split in self.splits.items():
            if split.clips > split.unlabelled > 0:
                found.append(f"{split.unlabelled} clips of the split {name!r} have no label")
            if split.clips > split.unlabelled and not (split.negative and split.positive):
                side = "negative" if split.positive else "positive"
                found.append(f"the split {name!r} has no {side} label")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ``problems`` and ``notes`` included, ready for ``json.dumps``; NaN becomes None."""
        content: dict[str, Any] = _plain(dataclasses.asdict(self))
        return content | {"problems": list(self.problems), "notes": list(self.notes)}


def _some(columns: tuple[int, ...]) -> str:
    return f"{len(columns)} ({', '.join(map(str, columns[:FIRST]))}{', ...' if len(columns) > FIRST else ''})"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
