"""Columns of MMSA pickles: clip ids, words and labels, in any container."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.data.tables.cells import SEPARATOR

_NUMBERED = re.compile(r"(.+?)(?:_\d+|\[\d+\])")
_CJK = re.compile("[\u3400-\u9fff]")
_MOST_PARTS = 8
_Scalar = str | bytes | int | float | np.generic | None


@dataclass(frozen=True)
class ClipName:
    """Id of a clip, the video that it was cut from, and its place there in seconds (NaN where unknown)."""

    id: str
    video: str
    start: float = float("nan")
    end: float = float("nan")


def video_of(clip: str) -> str:
    """Return the video of a clip id: the part before ``$_$``, or before a final ``_7`` or ``[7]``, else all of it."""
    if SEPARATOR in clip:
        return clip.split(SEPARATOR, 1)[0]
    numbered = _NUMBERED.fullmatch(clip)
    return numbered[1] if numbered else clip


def count(values: object) -> int | None:
    """Return the number of clips in a list or an array; None if ``values`` is neither."""
    if isinstance(values, np.ndarray):
        if values.ndim and not values.size:
            return 0  # an empty array can have any length
        return len(values) if values.ndim else None
    return len(values) if isinstance(values, list | tuple) else None


def clip_names(values: Any) -> list[ClipName]:
    """Return names from ids (``video$_$clip``) or rows of video, start and end (MulT); or raise ``ValueError``."""
    return [_clip_name([_text(part) for part in _parts(value)]) for value in values]


def texts(values: Any) -> list[str]:
    """Return the words of each clip; raise ``ValueError`` if a value is not text."""
    # pandas writes a missing text as NaN.
    return ["" if value is None or value != value else _text(value) for value in map(_single, values)]


def numbers(values: Any) -> npt.NDArray[np.float64]:
    """Return one number per clip, (N,), from any such column, NaN for None; raise ``ValueError`` for other values."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        if values.size != len(values):
            raise ValueError(f"has the shape {values.shape}, expected one number per clip: (N,) or (N, 1)")
        return values.reshape(-1).astype(np.float64)
    return np.array([_number(_single(value)) for value in values], dtype=np.float64)


def is_chinese(words: list[str]) -> bool:
    """Return whether more than a third of the characters in the first thousand clips are Chinese."""
    sample = "".join("".join(text[:200].split()) for text in words[:1000])
    return len(_CJK.findall(sample)) * 3 > len(sample)


def _clip_name(parts: list[str]) -> ClipName:
    video = parts[0]
    if len(parts) == 1:
        return ClipName(video, video_of(video))
    times = [_seconds(part) for part in parts[1:3]]
    return ClipName(SEPARATOR.join([video, "_".join(parts[1:])]), video, *times)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _parts(value: Any) -> list[_Scalar]:
    if not isinstance(value, list | tuple | np.ndarray) or (isinstance(value, np.ndarray) and not value.ndim):
        return [_single(value)]
    if not 0 < len(value) <= _MOST_PARTS:
        raise ValueError(f"has an id of {len(value)} parts, expected one, or video, start and end")
    return [_single(part) for part in value]


def _single(value: Any) -> _Scalar:
    """Return the only value in up to three nested containers."""
    for _ in range(3):
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        elif isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
    if isinstance(value, _Scalar):
        return value
    raise ValueError(f"has a {type(value).__name__} where one value per clip is expected")


def _text(value: _Scalar) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    if value is None or isinstance(value, float | complex):
        raise ValueError(f"has {value!r} where text is expected")
    return str(value)


def _number(value: _Scalar) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"has {str(value)[:40]!r} where a number is expected") from None
