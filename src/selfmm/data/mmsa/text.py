"""The three forms of words in MMSA pickles: the words, token ids of BERT, and features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError
from selfmm.data.manifest import TEXT, Form, Modality
from selfmm.data.mmsa.parts import Part
from selfmm.data.writer import Frames

_KEYS: dict[Form, str] = {"raw": "raw_text", "tokens": "text_bert", "features": TEXT}
_IDS, _MASK = 0, 1
_LARGEST_ID = 2**31 - 1


def choose_form(parts: Sequence[Part], wanted: Form | None, path: Path) -> Form | None:
    """Return ``wanted``, or by default the first form in the file, if any; raise ``SourceError`` if it is missing."""
    forms = [form for form, key in _KEYS.items() if any(part.columns.get(key) is not None for part in parts)]
    if wanted is None:
        return forms[0] if forms else None
    if wanted not in forms:
        has = f"it has: {', '.join(forms)}" if forms else "it has no text"
        raise SourceError(f"{path} has no {_KEYS[wanted]}, which `text={wanted!r}` needs; {has}. Choose another form.")
    return wanted


def _is_bert(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.ndim == 3 and values.shape[1] == 3 and values.dtype.kind in "fiu"


def mask_lengths(part: Part, longest: int) -> npt.NDArray[np.int64] | None:
    """Return the tokens per clip if frames are aligned with them, as an equal padded length shows; else None."""
    bert: Any = part.columns.get("text_bert")
    if not _is_bert(bert) or bert.shape != (part.size, 3, longest):
        return None
    lengths: npt.NDArray[np.int64] = np.count_nonzero(bert[:, _MASK], axis=1)
    return lengths.astype(np.int64)


def token_frames(parts: Sequence[Part], tokenizer: str, problems: list[str]) -> Frames:
    """Return the token ids of all splits without padding, as int32 in memory; add what is wrong to ``problems``."""
    clips: list[npt.NDArray[np.int32]] = []
    for part in parts:
        bert = part.columns.get("text_bert")
        if bert is None:
            clips += [np.zeros(0, dtype=np.int32)] * part.size
            continue
        if problem := _problem(bert, part.size):
            problems.append(f"{part.split}: text_bert {problem}.")
            continue
        mask = bert[:, _MASK] != 0
        clips += [ids[real].astype(np.int32) for ids, real in zip(bert[:, _IDS], mask, strict=True)]
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    modality = Modality(kind="tokens", tokenizer=tokenizer)
    return Frames(modality, lengths, clips.__getitem__, np.dtype(np.int32))


def _problem(bert: Any, size: int) -> str | None:
    if not _is_bert(bert):
        return "is not an array of numbers (clips, 3, tokens). Make it one, or choose another form with `text=...`"
    if len(bert) != size:
        return f"has {len(bert)} clips, the labels {size}. Make them one entry per clip"
    ids, mask = bert[:, _IDS], bert[:, _MASK]
    if not np.isin(mask, (0, 1)).all():
        return "has a mask with values other than 0 and 1. Its rows must be ids, mask and segments, in this order"
    if not ((ids >= 0) & (ids <= _LARGEST_ID) & (ids == np.floor(ids))).all():
        return "has ids that are not whole numbers of 0 or more. Its rows must be ids, mask and segments, in this order"
    return None
