"""All pictures of a report, in groups, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from selfmm.core.files import atomic_file
from selfmm.labels.audit.audit import Audit
from selfmm.report.label_pictures import against_m, outcomes, over_epochs, trust_histogram
from selfmm.report.plane import read_planes
from selfmm.report.style import Picture, drawing, modality_colours, pdf, png, svg
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
                curves(material.history, by_epoch, int(material.metrics["best_epoch"]), colours)
                if material.info.in_epochs
                else [],
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
    shown = labels.until(audit.epoch)
    planes, notes = read_planes(material.folder.state, list(labels.modalities), scale.neutral)
    if labels.estimated:
        planes, notes = {}, []  # no class centres were used
    of_epoch = "" if labels.estimated else f" of epoch {audit.epoch}, whose weights the model has"
    charts = [] if audit.outcomes is None else [outcomes(audit.outcomes, colours)]
    charts += [trust_histogram(audit.labels, list(labels.modalities), colours)] if labels.estimated else []
    return [
        Group(
            "Distribution of the labels",
            "Distribution of the m-labels, and below it of the u-labels."
            if labels.estimated
            else "Distribution of the u-labels at several epochs, the first at the top. At epoch 1 every u-label "
            "equals the m-label; earlier epochs are paler.",
            over_epochs(labels, scale.reach, scale.neutral, colours),
        ),
        Group(
            "Differences from the m-label",
            f"Each clip's u-label{of_epoch} against its m-label; the more clips, the stronger the colour. On the "
            "dashed line both are equal; in the upper left and lower right quarters the sign has changed.",
            against_m(shown, scale.reach, scale.neutral, colours),
        ),
        Group(
            "Outcomes and trust" if labels.estimated else "Outcomes",
            "Trust is 1 minus the expected error of a label, as a share of the expected error of the m-label as the "
            "label of this modality: at 0 the modality adds nothing to the m-label."
            if labels.estimated
            else f"Outcomes of the labels{of_epoch}.",
            charts,
        ),
        Group(
            "Class centres",
            "Stored features at the last epoch, at most 2,000 clips. The first axis runs through both class centres; "
            "the second is the direction of largest variance orthogonal to it. Filled: clips with a positive label; "
            "hollow: negative.",
            centres(planes, colours),
        ),
    ], notes


def write_pictures(groups: list[Group], folder: Path, *, latex: bool = False) -> list[Path]:
    """Write each picture as ``NAME.png`` and ``NAME.svg`` in ``folder``; return the files.

    Args:
        latex: also write ``NAME.pdf``, which LaTeX can include.
    """
    written = []
    kinds = {"png": png, "svg": svg, **({"pdf": pdf} if latex else {})}
    with drawing():
        for picture in (picture for group in groups for picture in group.pictures):
            for suffix, draw_as in kinds.items():
                path = folder / f"{picture.name}.{suffix}"
                with atomic_file(path) as temporary:
                    temporary.write_bytes(draw_as(picture.figure))
                written.append(path)
    return written
