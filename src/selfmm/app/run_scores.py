"""The scores of a run, and the words of the clips that they belong to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from selfmm import api
from selfmm.api import parts

_TEXT = 160  # characters
SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "test"}


def predictions(folder: parts.RunFolder) -> Any:
    """Return the scores of the clips of a run's data set; of seeds, their means."""
    if isinstance(folder, parts.SeedsFolder):
        return parts.mean_scores([run.predictions() for run in folder.finished.values()])
    return folder.predictions()


def cut(text: str) -> str:
    """Return a text on one line, cut to the length of a cell."""
    text = parts.words(text)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1].rstrip()}…"


def texts(folder: parts.RunFolder) -> dict[str, str]:
    """Return the words of the clips of a run's data set by their ids; empty if it is gone."""
    with suppress(api.SelfmmError, OSError):
        samples = api.open_dataset(folder.info().dataset_path).samples
        if "text" in samples:
            pairs = zip(samples["id"], samples["text"], strict=True)
            return {str(name): cut(text) for name, text in pairs if isinstance(text, str)}
    return {}
