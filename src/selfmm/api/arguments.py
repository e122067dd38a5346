"""The short forms that both Python and the command line take: lists, ranges, settings, windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from selfmm.core.errors import SettingsError

if TYPE_CHECKING:
    from selfmm.recordings.spans import Sentences, Windows
    from selfmm.runs.folder import RunFolder
    from selfmm.runs.trained_model import TrainedModel

    # A finished run: its folder, or the run as `selfmm.load` returns it.
    Run: TypeAlias = TrainedModel | RunFolder | str | Path


def names(value: str | Sequence[str]) -> list[str]:
    """Names from a comma list, or from a sequence.

    >>> names("mult, tfn"), names(["mult", "tfn"])
    (['mult', 'tfn'], ['mult', 'tfn'])
    """
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)


def setting_values(
    overrides: Sequence[str], *, model: str | None = None, labels: str | None = None, text_encoder: str | None = None
) -> list[str]:
    """``overrides``, then those settings that have an option of their own.

    >>> setting_values(["seed=3"], model="mult", text_encoder="minilm")
    ['seed=3', 'model=mult', 'text.encoder=minilm']
    """
    from selfmm.config.settings import with_values

    return with_values(overrides, {"model": model, "labels.source": labels, "text.encoder": text_encoder})


def label_range(value: str | tuple[float, float] | None) -> tuple[float, float] | None:
    """Lowest and highest label, from two numbers or from text.

    Raises:
        SettingsError: the text is not a range.

    >>> label_range("-3,3")
    (-3.0, 3.0)
    """
    if not isinstance(value, str):
        return value
    try:
        low, high = (float(edge) for edge in value.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high:
        raise SettingsError(
            [f"`label_range=...` is {value!r}: write the lowest and the highest label, for example -3,3"]
        )
    return low, high


def spans(window: float | None, hop: float | None, by_sentence: bool) -> Windows | Sentences | None:
    """How a long recording is divided; None: it is scored as a whole.

    Raises:
        SettingsError: the arguments contradict each other.
    """
    if window is None and hop is None and not by_sentence:
        return None
    from selfmm.recordings.spans import Sentences, Windows

    if by_sentence and (window is not None or hop is not None):
        raise SettingsError(["give `window=...` or `by_sentence=True`, not both"])
    if window is None and not by_sentence:
        raise SettingsError(["`hop=...` is the time from one window to the next; give `window=...` too"])
    return Sentences() if window is None else Windows(window, 1.0 if hop is None else hop)


def open_run(run: Run) -> RunFolder:
    """Return the folder of a run; it reads ``run.json`` once."""
    from selfmm.runs.folder import RunFolder

    if isinstance(run, str | Path):
        return RunFolder(Path(run))
    return run if isinstance(run, RunFolder) else run.folder
