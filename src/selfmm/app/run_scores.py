"""The scores of a run, and the words of the clips that they belong to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from selfmm import api
from selfmm.api import parts
from selfmm.app.workspace import Workspace

_TEXT = 160  # characters


def predictions(folder: parts.RunFolder) -> Any:
    """Return the scores of the clips of a run's data set; of seeds, their means."""
    if isinstance(folder, parts.SeedsFolder):
        return parts.mean_scores([run.predictions() for run in folder.finished.values()])
    return folder.predictions()


def shortened(text: object) -> str:
    """Return the words of a clip on one line, cut to the length of a cell; empty if they are missing."""
    if not isinstance(text, str):
        return ""
    text = parts.words(text)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1].rstrip()}…"


def samples_of(workspace: Workspace, folder: parts.RunFolder) -> Any:
    """Return the clips of a run's data set; None if it is gone, or lies outside the folder that is shown."""
    place = folder.info().dataset_path
    if place and workspace.name_of(place) is not None:
        with suppress(api.SelfmmError, OSError):
            return api.open_dataset(place).samples
    return None


def texts(workspace: Workspace, folder: parts.RunFolder) -> dict[str, str]:
    """Return the words of the clips of a run's data set by their ids, see :func:`samples_of`."""
    samples = samples_of(workspace, folder)
    if samples is None or "text" not in samples:
        return {}
    return {str(name): shortened(text) for name, text in zip(samples["id"], samples["text"], strict=True)}
