"""Arguments in short forms that both Python and the command line accept, and checks of output files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from selfmm.config.model_name import STARTER as STARTER
from selfmm.core.errors import ArgumentsError, OutputError, RunError, SourceError

if TYPE_CHECKING:
    from selfmm.recordings.spans import Sentences, Windows
    from selfmm.runs.folder import RunFolder
    from selfmm.runs.trained_model import TrainedModel

    # A finished run: its folder, or the run that `selfmm.load` returns.
    Run: TypeAlias = TrainedModel | RunFolder | str | Path

TABLES = (".csv", ".xlsx", ".parquet")
"""Suffixes of the tables that are written."""


def names(value: str | Sequence[str]) -> list[str]:
    """Return names from a comma list or a sequence.

    >>> names("mult, tfn"), names(["mult", "tfn"])
    (['mult', 'tfn'], ['mult', 'tfn'])
    """
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)


def setting_values(
    overrides: Sequence[str],
    *,
    model: str | None = None,
    labels: str | None = None,
    text_encoder: str | None = None,
    start: Run | None = None,
) -> list[str]:
    """Return ``overrides``, followed by the settings that have their own argument.

    >>> setting_values(["seed=3"], model="mult", text_encoder="minilm")
    ['seed=3', 'model=mult', 'text.encoder=minilm']
    """
    from selfmm.config.settings import with_values

    values = {"model": model, "labels.source": labels, "text.encoder": text_encoder}
    return with_values(overrides, values if start is None else {**values, "start": _run_name(start)})


def _run_name(run: Run) -> str:
    """Return a run as the setting ``start`` names it."""
    from selfmm.runs.folder import STARTERS

    path = open_run(run).path
    return STARTER if path in STARTERS.values() else str(path.expanduser().resolve())


def label_range(value: str | tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the lowest and highest label, from two numbers or from text.

    Raises:
        SettingsError: if the text is not a range.

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
        problem = f"`label_range=...` is {value!r}: write the lowest and the highest label, for example -3,3"
        raise ArgumentsError([problem])
    return low, high


def spans(window: float | None, hop: float | None, by_sentence: bool) -> Windows | Sentences | None:
    """Return how a long recording is divided; None if it is scored as a whole.

    Raises:
        SettingsError: if the arguments contradict each other.
    """
    if window is None and hop is None and not by_sentence:
        return None
    from selfmm.recordings.spans import Sentences, Windows

    if by_sentence and (window is not None or hop is not None):
        raise ArgumentsError(["give `window=...` or `by_sentence=True`, not both"])
    if window is None and not by_sentence:
        raise ArgumentsError(["`hop=...` is the time from one window to the next; give `window=...` too"])
    return Sentences() if window is None else Windows(window, min(1.0, max(window, 0.1)) if hop is None else hop)


def open_run(run: Run, *, seeds: bool = False) -> RunFolder:
    """Return the folder of a run, which reads ``run.json`` once.

    Args:
        run: a run: its folder, ``starter``, or loaded.
        seeds: also accept a folder of seeds, and return it as a ``SeedsFolder``.

    Raises:
        RunError: if this is neither a path nor a run.
    """
    from selfmm.runs.folder import RunFolder

    if isinstance(run, str | Path):
        from selfmm.runs.folder import starter_folder
        from selfmm.runs.seeds import open_folder

        if str(run) == STARTER and not open_folder(Path(run)).is_run:
            run = starter_folder()
        return open_folder(Path(run)) if seeds else RunFolder(Path(run))
    folder = run if isinstance(run, RunFolder) else getattr(run, "folder", None)
    if not isinstance(folder, RunFolder):
        raise RunError(
            f"a run is its folder, as a string or path, or a loaded run, not {type(run).__name__}: {run!r:.80}"
        )
    return folder


def run_and_inputs(first: Path | None, inputs: Sequence[Path]) -> tuple[Path, list[Path]]:
    """Return the run, and what to score: if the first argument is to be scored itself, the run is the starter.

    Args:
        first: a run, or a recording, a folder of recordings, a data set or a table; None: nothing was named.
        inputs: the arguments after it.

    Raises:
        SourceError: if the first argument names a recording that does not exist.
    """
    if first is None:
        return Path(STARTER), [*inputs]
    if not open_run(first, seeds=True).is_run and _is_input(first):
        return Path(STARTER), [first, *inputs]
    return first, [*inputs]


def _is_input(path: Path) -> bool:
    from selfmm.data.manifest import MANIFEST
    from selfmm.data.other_paths import RECORDINGS
    from selfmm.features.clips.listing import holds_recordings

    if not path.is_dir():
        if not path.exists() and path.suffix.lower() in RECORDINGS:
            raise SourceError(
                f"{path} does not exist. Give a recording, a data-set folder or a table; to score words, use "
                "`text=...`."
            )
        return path.is_file()
    return (path / MANIFEST).is_file() or holds_recordings(path)


def check_file(path: Path | None, inside: Path | None, force: bool, suffixes: Collection[str] = TABLES) -> None:
    """Check that writing ``path`` loses nothing.

    Args:
        path: the file; None passes.
        inside: a run or data-set folder that must not contain it; None: there is none.
        force: whether an existing file may be replaced.
        suffixes: the allowed endings.

    Raises:
        OutputError: if the file must not be written.
    """
    if path is None:
        return
    if path.suffix not in suffixes:
        raise OutputError(f"cannot tell the format of {path}: name a file that ends in {' or '.join(suffixes)}.")
    if inside is not None:
        from selfmm.runs.folder import refuse_inside

        refuse_inside(path, inside)
    if path.exists() and not force:
        raise OutputError(f"{path} exists already. Choose another name, or pass `force=True` to replace it.")
