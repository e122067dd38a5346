"""Findings of the inspection of a data set: plain values, and what they mean for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfmm.core.files import without_nan
from selfmm.core.messages import clips, count

FIRST = 5
"""Number of names that a finding keeps."""


@dataclass(frozen=True)
class Finding:
    """The number of things with some property, and the names of the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.first) else ""
        return f"{self.count} ({', '.join(self.first)}{more})" if self.count else "0"


@dataclass(frozen=True)
class SplitReport:
    """One split: its clips and labels.

    Attributes:
        clips, videos, unlabelled: counts.
        negative, zero, positive: counts of labels below, at and above the neutral label, see `LabelScale`.
        mean, std: mean and standard deviation (over n) of the labels; NaN without labels.
        histogram: clips per bin, see `Inspection.bin_edges`; labels outside the range are in the outer bins.
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
    """Quantiles of the lengths of clips that have the modality, in frames, tokens or words."""

    shortest: int
    quarter: float
    median: float
    three_quarters: float
    p95: float
    longest: int


@dataclass(frozen=True)
class Column:
    """One feature over all frames of the data set: its name (or ``column 3``), values and standard deviation."""

    name: str
    lowest: float
    highest: float
    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.name} ({self.lowest:.3g} to {self.highest:.3g}, deviation {self.deviation:.3g})"


@dataclass(frozen=True)
class Ranges:
    """The values of a modality with frames, gaps and non-finite values left out.

    Attributes:
        lowest, highest: over all features.
        deviation: median of the features' standard deviations (over n).
        widest: the feature with the largest root mean square, the one that most dominates a network's input.
        off_scale: number of features with a root mean square above ``LARGE``, and their names.
    """

    lowest: float
    highest: float
    deviation: float
    widest: Column
    off_scale: Finding


LARGE = 10.0
"""Root mean square of a feature, above which an LSTM without standardised input saturates.

Its initial weights are up to 1 / sqrt(hidden), .25 for the 16 units of preset ``mosi``: an input of 10 moves a gate by
more than 1, and one of 100 closes it for good.
"""


@dataclass(frozen=True)
class ModalityReport:
    """One modality.

    Attributes:
        kind, dim: as in the manifest.
        unit: what a length counts: ``frames``, ``tokens`` or ``words``.
        frames: total length over all clips.
        lengths: per split; a split in which no clip has the modality is left out.
        missing: clips without the modality.
        non_finite: clips with NaN or infinite values outside gaps.
        gaps: frames in which nothing could be measured.
        constant_columns: features with the same value in the whole data set.
        ranges: the values of the features; None without frames.
        raw_in: the presets (or the chosen settings) that do not standardise the features.
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
    ranges: Ranges | None = None
    raw_in: tuple[str, ...] = ()

    def scale_note(self, name: str, settings: str) -> list[str]:
        """Return a warning if features are far off scale and ``settings`` (or presets) do not standardise them."""
        if self.ranges is None or not self.ranges.off_scale.count or not (self.raw_in or not settings):
            return []
        ranges, remedy = self.ranges, f"`overrides=['stream.{name}.standardise=true']`"
        size = count(ranges.off_scale.count, "feature")
        note = f"{name} has {size} far off scale (root mean square above {LARGE:g}), most of all {ranges.widest}"
        if settings:
            return [f"{note}, and {settings} does not standardise it: train with {remedy}"]
        if not self.raw_in:
            return [f"{note}; training standardises it"]
        return [
            f"{note}. The default settings standardise it; the presets {', '.join(self.raw_in)} do not: with them, "
            f"train with {remedy}"
        ]


@dataclass(frozen=True)
class Inspection:
    """Result of `inspect_dataset`.

    Attributes:
        name, path, label_range: those of the data set.
        bin_edges: edges of the label histograms, over ``label_range``.
        splits, modalities: a report for each.
        duplicated_ids: ids of more than one clip.
        shared_videos: videos with clips in more than one split.
        outside_range: clips whose label is outside ``label_range``.
        empty_clips: clips without any modality.
        corrections: number of labels that people gave, per modality that has any.
        damaged_files: files that do not match their checksum in ``dataset.json``.
        verified: whether checksums were compared.
        unimodal_labels: number of clips with a ``label_<modality>`` of their own, per modality that has any.
        preset: the settings that the features were judged for; empty for the default settings.
        capitals: clips whose text is mostly capitals; empty if they are too few to mention.
        foreign: clips whose speech may be in a language that their recogniser does not know.
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
    unimodal_labels: dict[str, int] = field(default_factory=dict)
    preset: str = ""
    capitals: Finding = Finding()
    foreign: Finding = Finding()

    @property
    def problems(self) -> tuple[str, ...]:
        """What to fix before training, one sentence each, with the remedy."""
        problems = [f"{file} does not match its checksum; make the data set again" for file in self.damaged_files]
        for finding, sentence in (
            (self.duplicated_ids, "ids belong to more than one clip: {}; give every clip its own"),
            (self.shared_videos, "videos have clips in two splits: {}; test results on known speakers are too good"),
            (self.outside_range, f"labels are outside {list(self.label_range)}: {{}}; fix them or widen the range"),
            (self.empty_clips, "clips have no modality at all: {}; leave them out"),
        ):
            problems += [sentence.format(finding)] if finding.count else []
        problems += [
            f"the split {n!r} is empty; training needs all three" for n, s in self.splits.items() if not s.clips
        ]
        for name in ("train", "valid"):
            split = self.splits[name]
            if split.clips and split.clips == split.unlabelled:
                problems.append(f"no clip of the split {name!r} has a label; training needs labels")
        for name, modality in self.modalities.items():
            if modality.non_finite.count:
                problems.append(f"{name} has NaN or infinite values in clips: {modality.non_finite}; extract it again")
        return tuple(problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing but harmless, one sentence each."""
        notes = []
        if self.unimodal_labels:
            notes.append(unimodal_labels_note(self.unimodal_labels))
        if self.corrections:
            counts = ", ".join(f"{name} {number}" for name, number in self.corrections.items())
            notes.append(f"people corrected labels per modality ({counts}); `selfmm corrections` shows them")
        if self.capitals.count:
            notes.append(
                f"the text is mostly capitals in clips: {self.capitals}. A text encoder that tells capitals from small "
                "letters misreads it, so it reads such text in lower case; `overrides=['text.capitals=keep']` turns "
                "this off"
            )
        if self.foreign.count:
            notes.append(
                f"the speech may not be in English, which is all that the recogniser knows, in clips: {self.foreign}; "
                "see the column `warnings`, and extract again with `recogniser='base'`"
            )
        for name, modality in self.modalities.items():
            notes += modality.scale_note(name, self.preset)
            if modality.missing.count:
                notes.append(f"{name} is missing in clips: {modality.missing}")
            if modality.gaps:
                share = modality.gaps / modality.frames
                notes.append(f"{name} could not be measured in {modality.gaps} of its frames ({share:.0%})")
            if columns := modality.constant_columns:
                finding = Finding(len(columns), tuple(map(str, columns[:FIRST])))
                notes.append(f"{name} has features that never change: {finding}")
        for name, split in self.splits.items():
            if split.clips > split.unlabelled > 0:
                notes.append(f"{clips(split.unlabelled)} of the split {name!r} without a label")
            if split.clips > split.unlabelled and not (split.negative and split.positive):
                side = "negative" if split.positive else "positive"
                notes.append(f"the split {name!r} has no {side} label")
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, with ``problems`` and ``notes``, ready for ``json.dumps``; NaN becomes None."""
        content: dict[str, Any] = without_nan(dataclasses.asdict(self))
        return content | {"problems": list(self.problems), "notes": list(self.notes)}


def unimodal_labels_note(counts: Mapping[str, int]) -> str:
    """Return what the labels of single modalities are used for, in one sentence.

    Args:
        counts: number of clips with a label, per modality.
    """
    columns = ", ".join(f"label_{name} ({clips(number)})" for name, number in counts.items())
    return (
        f"labels of single modalities recognised: {columns}. Training does not use them unless it is told to with "
        "`labels='human'`; the audit of generated labels compares them with the truth"
    )
