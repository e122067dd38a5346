"""All pictures of a report, in groups, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from selfmm.core.files import atomic_file
from selfmm.labels.audit.audit import Audit
from selfmm.report.label_pictures import against_m, outcomes, over_epochs, quality_histogram
from selfmm.report.plane import read_planes
from selfmm.report.style import Picture, drawing, modality_colours, png, svg
from selfmm.report.training_pictures import answers, centres, curves
from selfmm.runs.material import Material


@dataclass(frozen=True)
class Group:
    """Pictures that belong together, with a heading and a text that explains them."""

    title: str
    text: str
    pictures: list[Picture]


def draw(material: Material, audit: Audit | None) -> tuple[list[Group], list[str]]:
    """Return every picture that the run has data for, and notes on the others.

    Args:
        material: the run.
        audit: the audit of its labels; None if it generated no labels.
    """
    colours = modality_colours(list(material.info.modalities))
    by_epoch = pd.DataFrame() if audit is None else audit.by_epoch
    with drawing():
        groups, notes = ([], []) if audit is None else _of_labels(material, audit, colours)
        groups += [
            Group(
                "Training",
                "The run keeps the weights of the epoch with the lowest validation error (ring, dotted line). Unimodal "
                "losses are weighted as in training.",
                curves(material.history, by_epoch, int(material.metrics["best_epoch"]), colours),
            ),
            Group(
                "Predictions",
                "The fused score of each clip against its label. On the dashed line both are equal; in the upper left "
                "and lower right quarters the sign is wrong.",
                answers(material.predictions, material.scale),
            ),
        ]
    return [group for group in groups if group.pictures], notes


def _of_labels(material: Material, audit: Audit, colours: dict[str, str]) -> tuple[list[Group], list[str]]:
    labels, scale = material.generated_labels, material.scale
    planes, notes = read_planes(material.folder.state, list(labels.modalities), scale.neutral)
    quality = (
        "Quality is 1 minus the distance of a label from the m-label, as a share of the label range; a low quality "
        "means that the clip is worth a look."
    )
    charts = [quality_histogram(audit.labels, list(labels.modalities), colours)]
    if audit.outcomes is None:
        quality += " The version of this run did not record outcomes."
    else:
        charts.insert(0, outcomes(audit.outcomes, colours))
    return [
        Group(
            "Distribution of the labels",
            "Distribution of the u-labels at several epochs, the first at the top. At epoch 1 every u-label equals the "
            "m-label; earlier epochs are paler.",
            over_epochs(labels, scale.reach, scale.neutral, colours),
        ),
        Group(
            "Differences from the m-label",
            "Each clip's u-label against its m-label at the last epoch; the more clips, the stronger the colour. On "
            "the dashed line both are equal; in the upper left and lower right quarters the sign has changed.",
            against_m(labels, scale.reach, scale.neutral, colours),
        ),
        Group("Outcomes and quality", quality, charts),
        Group(
            "Class centres",
            "Stored features at the last epoch, at most 2,000 clips. The first axis runs through both class centres; "
            "the second is the direction of largest variance orthogonal to it. Filled: clips with a positive label; "
            "hollow: negative.",
            centres(planes, colours),
        ),
    ], notes


def write_pictures(groups: list[Group], folder: Path) -> list[Path]:
    """Write each picture as ``NAME.png`` and ``NAME.svg`` in ``folder``; return the files."""
    written = []
    with drawing():
        for picture in (picture for group in groups for picture in group.pictures):
            for suffix, content in (("png", png(picture.figure)), ("svg", svg(picture.figure))):
                path = folder / f"{picture.name}.{suffix}"
                with atomic_file(path) as temporary:
                    temporary.write_bytes(content)
                written.append(path)
    return written
