"""A training with ratings: whether there are enough of them, its steps, what to expect, and its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfmm.api import parts
from selfmm.app.errors import RequestError
from selfmm.app.rating import CLIP, Rating, Source
from selfmm.app.workspace import write_problem

ENOUGH = 10
"""Clips with a label that a training needs at least."""


def plan(source: Source, listed_labels: bool = False) -> dict[str, Any]:
    """Return whether there are enough ratings for a training, its steps, and what to expect from it.

    Args:
        source: what was rated.
        listed_labels: whether to use the labels of the table in a folder of recordings too.
    """
    table = source.ratings.ratings()
    known = table[table["id"].isin(source.clips.index)]
    rated = set(known[known["modality"] == CLIP]["id"])
    alone = known[known["modality"] != CLIP]
    had_label = source.clips["label"].notna() & (source.is_dataset or listed_labels)
    labelled = len(rated | set(source.clips.index[had_label]))
    problem = ""
    if not len(known):
        problem = "Nobody has rated a clip yet."
    elif labelled < ENOUGH:
        lack = ENOUGH - labelled
        problem = (
            f"{parts.clips(labelled)} with a label for the whole clip {'is' if labelled == 1 else 'are'} too few to "
            f"learn from. Rate {parts.count(lack, 'more whole clip')}."
        )
    return {
        "clips": len(rated),
        "alone": {name: int(group["id"].nunique()) for name, group in alone.groupby("modality")},
        "raters": int(known["rater"].nunique()),
        "labelled": labelled,
        "total": len(source.clips),
        "problem": problem,
        "steps": _steps(source, len(rated), len(alone)),
        "expect": [*_expectations(labelled, len(alone)), *_advice(source)],
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
    """Return what to expect from a number of labels; the figures are those of docs/starter.md."""
    if labelled < 1000:
        first = (
            f"With {parts.clips(labelled)}, selfmm begins with the starter and moves its scores towards your ratings, "
            "as far as these are evidence. The training takes seconds."
        )
        second = (
            "In 24 clips with clear voices and faces, this raised the correlation with the truth from 0.76 to 0.94. In "
            "film reviews, which the starter reads well already, 10 to 300 ratings changed nothing (0.78)."
        )
    else:
        first = f"With {parts.clips(labelled)}, selfmm trains a network that begins with the starter. It takes minutes."
        second = "In film reviews, 1,000 ratings raised the correlation with the truth from 0.76 to 0.79."
    few = "From so few clips, nobody can tell how good the model is: the figures depend on chance. "
    third = (
        f"{few if labelled < 50 else ''}The page of the run shows how far off its scores are on your clips, and which "
        "scores carry no information."
    )
    only = [] if labelled or not alone else ["Ratings of single modalities are not enough: rate whole clips too."]
    return [first, second, third, *only]


def _advice(source: Source) -> list[str]:
    """Return how to measure the model more fairly."""
    if source.is_dataset or source.clips["video"].fillna("").any():
        return []
    return [
        "If a speaker is in several recordings, put these into a subfolder of their own. Then the model is measured on "
        "speakers that it has not seen."
    ]


def training(
    rating: Rating, source: Source, recogniser: str, listed_labels: bool = False
) -> tuple[list[list[str]], str]:
    """Return the commands of a training with the ratings of a source, and the name of its run.

    Raises:
        RequestError: if there are too few ratings, the recogniser is unknown, or the folder cannot be written.
    """
    planned = plan(source, listed_labels)
    if planned["problem"]:
        raise RequestError(planned["problem"])
    if recogniser not in ("tiny.en", "base", "none"):
        raise RequestError("The speech recogniser is tiny.en, base or none.")
    workspace = rating.workspace
    title, parent = source.title, _parent(rating, source)
    if problem := cannot_save(rating, source):
        raise RequestError(problem)
    run = parts.fresh(workspace.root / "runs" / f"{title}-rated")
    data, journal = source.path, str(source.ratings.path)
    commands: list[list[str]] = []
    if not source.is_dataset:
        data = parts.fresh(parent / f"{title}-rated")
        scale = ",".join(f"{edge:g}" for edge in source.ratings.label_range)
        options = [f"--label-range={scale}", "--recogniser", recogniser, "--force"]
        commands.append(["extract", str(rating.table(source, listed_labels)), str(data), f"--name={title}", *options])
    elif planned["clips"]:
        data = parts.fresh(parent / f"{title}-rated")
        commands.append(["labels", str(source.path), "--import", journal, "--out", str(data), "--force"])
    if planned["alone"] and not (source.is_dataset and planned["clips"]):  # a copy has them already
        commands.append(["labels", str(data), "--import", journal])
    commands.append(["train", str(data), "--out", str(run), "--resume"])
    return commands, workspace.name_of(run) or ""


def cannot_save(rating: Rating, source: Source) -> str:
    """Return why a training cannot save what it makes, and what to do; an empty text if it can."""
    problem = write_problem(_parent(rating, source), rating.workspace.root / "runs")
    return f"A training cannot save its model here. {problem}" if problem else ""


def _parent(rating: Rating, source: Source) -> Path:
    """Return the folder for the data set that a training makes."""
    return source.path if source.path == rating.workspace.root else source.path.parent
