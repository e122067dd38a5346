"""All pictures of a report, in groups, and writing them to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from selfmm.core.files import atomic_file
from selfmm.labels.audit.audit import Audit
from selfmm.report.canvas import png, svg
from selfmm.report.label_pictures import Picture, against_m, outcomes, over_epochs, quality_histogram
from selfmm.report.plane import read_planes
from selfmm.report.style import drawing, modality_colours
from selfmm.report.training_pictures import answers, centres, curves
from selfmm.runs.material import Material


@dataclass(frozen=True)
class Group:
    """Pictures that belong together: a heading, what to see in them, and the pictures."""

    title: str
    text: str
    pictures: list[Picture]


def draw(material: Material, audit: Audit | None) -> tuple[list[Group], list[str]]:
    """Every picture that the run has the data for; and notes on those that it has not.

    Args:
        material: the run.
        audit: of its labels; None if it made none.
    """
    colours = modality_colours(list(material.info.modalities))
    by_epoch = pd.DataFrame() if audit is None else audit.by_epoch
    with drawing():
        groups, notes = ([], []) if audit is None else _of_labels(material, audit, colours)
        groups += [
            Group(
                "Training",
                "The weights of the epoch with the lowest validation error were kept (ring, dotted line). Unimodal "
                "losses are weighted as they were trained.",
                curves(material.history, by_epoch, int(material.metrics["best_epoch"]), colours),
            ),
            Group(
                "Predictions",
                "The fused score of each clip against its label. On the dashed line it is exact; in the upper left "
                "and the lower right quarter the side is wrong.",
                answers(material.predictions, material.scale),
            ),
        ]
    return [group for group in groups if group.pictures], notes


def _of_labels(material: Material, audit: Audit, colours: dict[str, str]) -> tuple[list[Group], list[str]]:
    labels, scale = material.generated_labels, material.scale
    planes, notes = read_planes(material.folder.state, list(labels.modalities), scale.neutral)
    return [
        Group(
            "How the labels spread",
            "Distribution of the u-labels at several epochs, the first on top. At epoch 1 every u-label is the "
            "m-label; the pale shapes are the early ones.",
            over_epochs(labels, scale.reach, scale.neutral, colours),
        ),
        Group(
            "Where they left the m-label",
            "Each clip's u-label against its m-label at the last epoch, stronger where there are more clips. On "
            "the dashed line nothing was changed; in the upper left and the lower right quarter the side was.",
            against_m(labels, scale.reach, scale.neutral, colours),
        ),
        Group("What became of them", *_became(audit, list(labels.modalities), colours)),
        Group(
            "Class centres",
            "Stored features at the last epoch, at most 2,000 clips. The first axis runs through both class "
            "centres, the second is the most varied direction across it. Filled: clips whose label is positive; "
            "hollow: negative.",
            centres(planes, colours),
        ),
    ], notes


def _became(audit: Audit, modalities: list[str], colours: dict[str, str]) -> tuple[str, list[Picture]]:
    pictures = [quality_histogram(audit.labels, modalities, colours)]
    text = (
        "Quality is 1 less the share of the label range by which a label departs from the m-label; low means: look at "
        "this one."
    )
    if audit.outcomes is None:
        return f"{text} This run is of a version that did not record outcomes.", pictures
    return text, [outcomes(audit.outcomes, colours), *pictures]


def write_pictures(groups: list[Group], folder: Path) -> list[Path]:
    """Each picture as ``NAME.png`` and ``NAME.svg`` in ``folder``."""
    written = []
    with drawing():
        for picture in (picture for group in groups for picture in group.pictures):
            for suffix, content in (("png", png(picture.figure)), ("svg", svg(picture.figure))):
                path = folder / f"{picture.name}.{suffix}"
                with atomic_file(path) as temporary:
                    temporary.write_bytes(content)
                written.append(path)
    return written
