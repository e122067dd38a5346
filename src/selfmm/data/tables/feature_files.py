"""Feature files next to a table: ``<modality>.npz``, or a folder ``<modality>/`` of ``<id>.npy``.

A ``.npz`` holds one array per clip, named by the clip's id, or two arrays, ``frames`` (total, dim) and ``lengths`` (N,)
in the order of the table, which are read into memory. Pickled content is never loaded. Ids only select among
existing files: an id like ``../x`` is looked up in their names, never opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError
from selfmm.core.files import is_stray
from selfmm.core.messages import clips, count, first_line, some
from selfmm.data.altered_ids import altered
from selfmm.data.finite import FiniteCheck, NonFinite, as_float, without_non_finite
from selfmm.data.manifest import MANIFEST, TEXT, Modality, check_modality_name
from selfmm.data.other_paths import TABLES
from selfmm.data.writer import Frames

Array = npt.NDArray[Any]
_USUAL = (TEXT, "audio", "vision")


@dataclass(frozen=True)
class FeatureFile:
    """The arrays of one modality.

    Attributes:
        modality: its name.
        path: the file or folder.
        read: function of the number of a clip; returns its array, or None if it has none.
    """

    modality: str
    path: Path
    read: Callable[[int], Array | None]


def find_features(folder: Path, ids: Sequence[str], notes: list[str]) -> list[FeatureFile]:
    """Return every feature file or folder next to a table, in the order of their names.

    Text, audio and vision must have clips of the table. Other names may belong to something else: if such a file has no
    clip of the table, it is left out, and ``notes`` gets a sentence.

    Raises:
        SourceError: if one cannot be read or has none of the clips, or if a modality has two.
    """
    files: dict[str, FeatureFile] = {}
    for path in sorted(folder.iterdir()):
        is_file = path.suffix.lower() == ".npz" and path.is_file()
        if is_stray(path.name) or not (is_file or _is_feature_folder(path)):
            if path.stem in _USUAL and path.suffix.lower() not in TABLES and not is_stray(path.name):
                notes.append(
                    f"{path.name} was left out: features are read from <modality>.npz, or <modality>/<id>.npy."
                )
            continue
        try:
            read = _open_npz(path, ids, notes) if is_file else _open_folder(path, ids, notes)
        except SourceError as error:
            if path.stem in _USUAL:
                raise
            notes.append(f"{path.name} was left out: {error}")
            continue
        name = _modality_name(path)
        if name in files:
            raise SourceError(f"{path} and {files[name].path} both hold {name}. Keep the right one.")
        files[name] = FeatureFile(name, path, read)
    return list(files.values())


def _modality_name(path: Path) -> str:
    try:
        return check_modality_name(path.stem if path.is_file() else path.name)
    except ValueError as error:
        raise SourceError(f"{path} holds features, but {error}. Rename it, or move it away.") from error


def _is_feature_folder(path: Path) -> bool:
    if not path.is_dir() or (path / MANIFEST).exists():
        return False
    return any(map(_is_array, path.iterdir()))


def _is_array(file: Path) -> bool:
    return file.suffix.lower() == ".npy" and not is_stray(file.name)


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # the file may be hostile; numpy raises many kinds of errors on damaged files
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"cannot read {path} ({first_line(error)}). It must hold plain arrays of numbers; "
        "write it with numpy.save or numpy.savez."
    )


def _open_folder(path: Path, ids: Sequence[str], notes: list[str]) -> Callable[[int], Array | None]:
    files = {file.stem: file for file in path.iterdir() if _is_array(file)}
    _check_known(path, files, ids, notes)

    def read(clip: int) -> Array | None:
        file = files.get(ids[clip])
        return None if file is None else _load(file)

    return read


def _open_npz(path: Path, ids: Sequence[str], notes: list[str]) -> Callable[[int], Array | None]:
    archive = _load(path)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise _unreadable(path, ValueError("it is not a .npz file"))

    def load(key: str) -> Array:
        try:
            array: Array = archive[key]
        except Exception as error:  # as above
            raise _unreadable(path, error) from error
        return array

    names = set(archive.files)
    if names == {"frames", "lengths"} and not names & set(ids):
        return _packed(path, load("frames"), load("lengths"), len(ids))
    _check_known(path, names, ids, notes)
    return lambda clip: load(ids[clip]) if ids[clip] in names else None


def _check_known(path: Path, names: set[str] | Mapping[str, Path], ids: Sequence[str], notes: list[str]) -> None:
    hint = altered([id_ for id_ in ids if id_ not in names], set(names) - set(ids))
    if hint:
        raise SourceError(f"{path} does not fit the table. {hint}")
    if not set(names) & set(ids):
        raise SourceError(
            f"{path} has no clip of the table: it has {some(sorted(names)) or 'nothing'}, the table has {some(ids)}. "
            "Name the arrays by the ids, or move the file away if it does not belong to the table."
        )
    if others := sorted(set(names) - set(ids)):
        notes.append(f"{path.name}: {count(len(others), 'array')} of no clip of the table left out: {some(others)}.")


def _packed(path: Path, frames: Array, lengths: Array, count: int) -> Callable[[int], Array | None]:
    if lengths.shape != (count,) or lengths.dtype.kind not in "iu" or (lengths.size and lengths.min() < 0):
        raise SourceError(
            f"{path}: lengths is {lengths.shape} {lengths.dtype}; expected: one whole number for each of the "
            f"{count} clips of the table, in its order."
        )
    if frames.ndim == 0 or len(frames) != int(lengths.sum()):
        raise SourceError(f"{path}: frames is {frames.shape}; its first axis must be the sum of lengths.")
    ends = np.cumsum(lengths.astype(np.int64))
    return lambda clip: frames[int(ends[clip] - lengths[clip]) : int(ends[clip])]


def is_tokens(file: FeatureFile, count: int) -> bool:
    """Return whether the arrays are token ids: one-dimensional whole numbers of the modality text."""
    arrays = (file.read(clip) for clip in range(count))
    first = next((array for array in arrays if array is not None and array.size), None)
    return file.modality == TEXT and first is not None and first.ndim == 1 and first.dtype.kind in "iu"


def feature_frames(
    file: FeatureFile, ids: Sequence[str], non_finite: NonFinite, problems: list[str], notes: list[str]
) -> Frames | None:
    """Return the features for the writer; None, and a problem, if the clips do not fit together."""
    check = FiniteCheck(file.modality, non_finite)
    lengths = np.zeros(len(ids), dtype=np.int64)
    dims: dict[int, list[str]] = {}
    half = True
    wrong: list[str] = []
    for clip, clip_id in enumerate(ids):
        array = file.read(clip)
        frames = None if array is None else _as_frames(array)
        if array is not None and frames is None:
            wrong.append(f"{clip_id}: {array.shape} {array.dtype}")
        if frames is None or not frames.size:
            continue
        lengths[clip] = len(frames)
        dims.setdefault(frames.shape[1], []).append(clip_id)
        half = half and frames.dtype == np.float16
        check.look(as_float(frames), clip_id)
    problems += check.problems()
    notes += check.notes()
    if wrong:
        problems.append(
            f"{file.path}: expected: (frames, features) of numbers, but got {some(wrong)}. Fix these arrays."
        )
    if len(dims) > 1:
        listed = "; ".join(f"{dim} in {some(clip_ids)}" for dim, clip_ids in sorted(dims.items()))
        problems.append(f"{file.path}: clips differ in the number of features: {listed}. Extract all in the same way.")
    if not dims and not wrong:
        problems.append(f"{file.path}: every array is empty. Leave the modality out, or check how it was extracted.")
    if wrong or len(dims) != 1:
        return None
    (dim,), dtype = dims, np.dtype(np.float16 if half else np.float32)

    def read(clip: int) -> Array:
        array = file.read(clip) if lengths[clip] else None
        frames = np.zeros((0, dim)) if array is None else _as_frames(array)
        if frames is None or frames.shape != (lengths[clip], dim):
            raise SourceError(f"{file.path} changed while it was read. Try again when no program writes to it.")
        return without_non_finite(frames, dtype)

    return Frames(Modality(kind="frames", dim=dim), lengths, read, dtype)


def _as_frames(array: Array) -> Array | None:
    """Return (frames, dim), with a single vector as one frame; None if the array is neither."""
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
        return None
    return array if array.ndim == 2 else array[None]


def token_clips(file: FeatureFile, ids: Sequence[str], tokenizer: str | None, problems: list[str]) -> Frames | None:
    """Return token ids for the writer. They are held in memory, as int32."""
    if tokenizer is None:
        problems.append(
            f"{file.path} holds token ids; name their vocabulary, for example `tokenizer='bert-base-uncased'`."
        )
    arrays, wrong = [], []
    for clip, clip_id in enumerate(ids):
        array = file.read(clip)
        array = np.zeros(0, dtype=np.int32) if array is None else array
        whole = array.ndim == 1 and (array.dtype.kind in "iu" or not array.size)
        if not whole or (array.size and not 0 <= int(array.min()) <= int(array.max()) < 2**31):
            wrong.append(clip_id)
        arrays.append(array.astype(np.int32) if whole else array)
    if wrong:
        problems.append(
            f"{file.path}: token ids must be one-dimensional whole numbers of 0 or more; they are not in "
            f"{clips(len(wrong))} ({some(wrong)}). Fix these arrays."
        )
    if problems:
        return None
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    return Frames(Modality(kind="tokens", tokenizer=tokenizer), lengths, arrays.__getitem__, np.dtype(np.int32))
