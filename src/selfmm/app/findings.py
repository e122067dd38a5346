"""The findings of an inspection of a data set as sentences for people, with links to the clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_table import scale_text


@dataclass(frozen=True)
class Sentence:
    """A finding.

    Attributes:
        text: what was found, and what to do.
        query: the filter that shows the clips, as in the link of a page; empty if there is none.
    """

    text: str
    query: str = ""


def to_fix(found: api.Inspection) -> Iterator[Sentence]:
    """Return what to fix before training."""
    for file in found.damaged_files:
        yield Sentence(f"The file {file} has changed since it was written. Make the data set again, or copy it again.")
    if size := found.duplicated_ids.count:
        yield Sentence(
            f"{parts.count(size, 'id')} {_verb(size, 'belongs', 'belong')} to more than one clip. Give each clip its "
            "own id.",
            "warnings=yes",
        )
    if size := found.shared_videos.count:
        yield Sentence(
            f"{parts.count(size, 'recording')} {_verb(size, 'has', 'have')} clips in two splits. The model then sees "
            "the same speakers in training and in the test, so its results look too good. Keep each recording in one "
            "split.",
            "warnings=yes",
        )
    if size := found.outside_range.count:
        yield Sentence(
            f"{parts.clips(size, ('has a label', 'have labels'))} outside {scale_text(found.label_range)}. Correct "
            "them, or widen the range.",
            "warnings=yes",
        )
    if size := found.empty_clips.count:
        yield Sentence(
            f"{parts.clips(size, ('has', 'have'))} no modality at all. Leave {_them(size)} out.", "warnings=yes"
        )
    for name, split in found.splits.items():
        if not split.clips:
            yield Sentence(f"The split {name} is empty. Training needs train, valid and test.")
        elif name != "test" and split.clips == split.unlabelled:
            yield Sentence(
                f"No clip of the split {name} has a label, and training needs labels. Rate some clips.", f"split={name}"
            )
    for name, modality in found.modalities.items():
        if size := modality.non_finite.count:
            first = ", ".join(modality.non_finite.first)
            yield Sentence(
                f"{parts.clips(size, ('has', 'have'))} numbers in {name} that are not finite ({first}). Extract "
                f"{_them(size)} again."
            )


def to_know(found: api.Inspection) -> Iterator[Sentence]:
    """Return what is good to know but does no harm."""
    if found.unimodal_labels:
        yield Sentence(
            f"Single modalities have labels of their own: {_counts(found.unimodal_labels)}. Training generates such "
            "labels itself, unless you tell it to use these."
        )
    if found.corrections:
        yield Sentence(
            f"People rated single modalities: {_counts(found.corrections)}. Training takes these as true.", "rated=yes"
        )
    if size := found.capitals.count:
        yield Sentence(
            f"The text of {parts.clips(size)} is mostly capitals. Text models that distinguish capitals read it in "
            "lower case."
        )
    if size := found.foreign.count:
        yield Sentence(
            f"{parts.clips(size)} may not be in English, the only language of the speech recogniser tiny.en. Extract "
            f"{_them(size)} again with the recogniser base.",
            "warnings=yes",
        )
    for name, modality in found.modalities.items():
        if size := modality.missing.count:
            yield Sentence(f"{parts.clips(size, ('lacks', 'lack'))} {name}.", f"missing={name}")
        if modality.gaps:
            share = modality.gaps / modality.frames
            yield Sentence(f"In {share:.0%} of the frames of {name}, nothing could be measured, for example no face.")
        if modality.ranges is not None and (size := modality.ranges.off_scale.count):
            yield Sentence(
                f"{parts.count(size, 'feature')} of {name} {_verb(size, 'has', 'have')} very large values, most "
                f"of all {modality.ranges.widest.name}. Training with the default settings standardises them."
            )
        if size := len(modality.constant_columns):
            yield Sentence(f"{parts.count(size, 'feature')} of {name} never {_verb(size, 'changes', 'change')}.")
    for name, split in found.splits.items():
        if split.clips > split.unlabelled > 0:
            size = split.unlabelled
            yield Sentence(
                f"{parts.clips(size)} of the split {name} {_verb(size, 'has', 'have')} no label.",
                f"split={name}&labelled=no",
            )
        if split.clips > split.unlabelled and not (split.negative and split.positive):
            side = "negative" if split.positive else "positive"
            yield Sentence(f"No clip of the split {name} is {side}.", f"split={name}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({parts.clips(size)})" for name, size in counts.items())


def _verb(size: int, one: str, several: str) -> str:
    return one if size == 1 else several


def _them(size: int) -> str:
    return "it" if size == 1 else "them"
