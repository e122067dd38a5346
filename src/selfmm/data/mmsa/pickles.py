"""Reader of MMSA feature pickles (MOSI, MOSEI, SIMS, SIMSv2; written by MMSA, MMSA-FET, Self-MM or MulT).

Such a pickle is a dict of splits, ``train``, ``valid`` (or ``val``, ``dev``) and ``test``, each a dict of columns with
one entry per clip:

========================== =========================================================================================
``raw_text``               words
``text_bert``              (N, 3, L): token ids, mask and segments of BERT
``text``                   (N, L, dim): features of the words
``audio``, ``vision``      (N, L, dim); any other three-dimensional array is a modality of its name
``<modality>_lengths``     frames per clip before padding
``id``                     ``video$_$clip``, or rows of video, start, end
``regression_labels``      or ``labels``: one number per clip; with ``_T``, ``_A``, ``_V``: labels of one modality
========================== =========================================================================================

Padding is removed. MMSA pads at the end, so a clip is cut at its stated length. Aligned files state no lengths; the
mask of ``text_bert`` gives them if L is the same. Otherwise frames of zeros count as padding: at the end, or at the
front if more of them are there (as in files of MulT).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import refuse
from selfmm.core.messages import some
from selfmm.data.finite import FiniteCheck, NonFinite
from selfmm.data.manifest import TEXT, Form, check_modality_name
from selfmm.data.mmsa.columns import is_chinese
from selfmm.data.mmsa.padded import Padded, PaddedModality
from selfmm.data.mmsa.parts import ALONE, Part, mismatch, number_column, read_columns, split_parts
from selfmm.data.mmsa.text import choose_form, mask_lengths, token_frames
from selfmm.data.pickle.reader import read_pickle
from selfmm.data.writer import Frames, Source

_NO_MODALITY = ("raw_text", "text_bert", "id", "annotations")


def read_mmsa_pickle(
    path: str | Path,
    *,
    name: str | None = None,
    language: str | None = None,
    label_range: tuple[float, float] | None = None,
    text: Form | None = None,
    tokenizer: str | None = None,
    non_finite: NonFinite = "error",
) -> Source:
    """Read an MMSA feature pickle without running anything in it.

    Args:
        path: the file.
        name: name of the data set; by default that of the file.
        language: language of the words; by default ``zh`` if they are Chinese.
        label_range: lowest and highest label; by default [-1, 1] if the file has labels per modality and all labels
            are within it (SIMS), else [-3, 3].
        text: form of the words: ``raw``, ``tokens`` (ids of BERT) or ``features``; by default the first that the file
            has.
        tokenizer: vocabulary of the token ids; by default ``bert-base-chinese`` for Chinese, else
            ``bert-base-uncased``.
        non_finite: ``error`` refuses NaN and infinite features, ``zero`` replaces them with 0. -inf in audio
            always becomes 0.

    Raises:
        UnsafePickleError: if the pickle asks for anything but numpy arrays and plain containers.
        SourceError: if the file is damaged or has another layout; everything wrong is listed.
    """
    path = Path(path)
    problems: list[str] = []
    parts, notes = split_parts(read_pickle(path), path)
    table = read_columns(parts, problems)
    words = list(table[TEXT].dropna())
    if language is None and is_chinese(words):
        language = "zh"
        notes.append("the words are Chinese, so the language was set to zh.")
    form = choose_form(parts, text, path)
    frames: dict[str, Frames] = {}
    bad: list[str] = []
    if form == "tokens":
        tokenizer = tokenizer or ("bert-base-chinese" if language == "zh" else "bert-base-uncased")
        frames[TEXT] = token_frames(parts, tokenizer, problems)
    for modality in _modalities(parts, form, notes):
        padded = _padded(parts, modality, problems)
        if padded is None:
            continue
        unpadded = PaddedModality(modality, padded)
        if problems:
            continue  # it fails anyway; do not read every number
        check = FiniteCheck(modality, non_finite, accept_minus_inf=modality == "audio")
        unpadded.look(check, list(table["id"]))
        bad += check.problems()
        notes += [*unpadded.notes, *check.notes()]
        frames[modality] = unpadded.frames()
    refuse(f"{path} cannot be imported:", [*problems, *bad])
    return Source(
        table=table,
        frames=frames,
        name=name or path.stem,
        label_range=label_range or _label_range(table),
        language=language,
        notes=tuple(notes),
    )


def _modalities(parts: list[Part], form: Form | None, notes: list[str]) -> list[str]:
    """Return the names of the modalities: audio, vision, and every other three-dimensional array of numbers."""
    names: dict[str, None] = {}
    unread = [key for part in parts for key in part.columns if not _is_known(key, part.columns[key])]
    if unread:
        notes.append(
            f"the columns {some(list(dict.fromkeys(unread)))} were left out: a modality is (clips, frames, dim)."
        )
    for part in parts:
        names |= {str(key): None for key, values in part.columns.items() if _is_modality(str(key), values, form)}
    for key in list(names):
        try:
            check_modality_name(key)
        except ValueError as error:
            notes.append(f"the array {key!r} was left out: {error}.")
            del names[key]
    return list(names)


def _is_known(key: str, values: object) -> bool:
    """Return whether a column is one of those that files of MMSA have, or is a modality."""
    return (
        key in (*_NO_MODALITY, TEXT) or "labels" in key or key.endswith("_lengths") or _is_modality(key, values, None)
    )


def _is_modality(key: str, values: object, form: Form | None) -> bool:
    if values is None or key in _NO_MODALITY or "labels" in key:
        return False
    if key in ("audio", "vision"):
        return True  # an error if it is not an array of frames
    if key == TEXT:
        return form == "features"
    return isinstance(values, np.ndarray) and values.ndim == 3 and values.dtype.kind in "fiu"


def _padded(parts: list[Part], modality: str, problems: list[str]) -> list[Padded] | None:
    before = len(problems)
    padded = [_padded_part(part, modality, problems) for part in parts]
    dims = {part.split: p.values.shape[2] for part, p in zip(parts, padded, strict=True) if p.values is not None}
    if len(set(dims.values())) > 1:
        problems.append(
            f"{modality} has a different number of features per split: {dims}. Extract all splits in the same way."
        )
    if dims and not any(dims.values()):
        problems.append(f"{modality} has no features: its arrays are empty. Remove the key, or fill it.")
    return padded if len(problems) == before else None


def _padded_part(part: Part, modality: str, problems: list[str]) -> Padded:
    values = part.columns.get(modality)
    if values is None:
        return Padded(None, part.size)
    is_array = isinstance(values, np.ndarray)
    if not is_array or values.ndim not in (2, 3) or values.dtype.kind not in "fiub":
        what = f"an array ({values.dtype}) of shape {values.shape}" if is_array else f"a {type(values).__name__}"
        problems.append(
            f"{part.split}: {modality} is {what}; expected: an array of numbers (clips, frames, features). "
            f"Pad the clips to one length and give the true lengths as {modality}_lengths."
        )
        return Padded(None, part.size)
    if len(values) != part.size:
        problems.append(mismatch(part, modality))
        return Padded(None, part.size)
    values = values[:, None, :] if values.ndim == 2 else values  # one vector per clip
    return Padded(values, part.size, _stated(part, modality, values.shape[1], problems))


def _stated(part: Part, modality: str, longest: int, problems: list[str]) -> npt.NDArray[np.int64] | None:
    key = f"{modality}_lengths"
    if part.columns.get(key) is None:
        return mask_lengths(part, longest)
    lengths = number_column(part, key, problems)
    wrong = ~(np.isfinite(lengths) & (lengths >= 0) & (lengths == np.floor(lengths)))
    if wrong.any() and not problems:
        first = int(wrong.argmax())
        problems.append(
            f"{part.split}: {key} is {lengths[first]} for clip number {first}; lengths must be whole numbers "
            "of 0 or more. Fix the column."
        )
    return np.where(wrong, 0, np.minimum(lengths, 2**31)).astype(np.int64)


def _label_range(table: pd.DataFrame) -> tuple[float, float]:
    alone = any(f"label_{modality}" in table for modality in ALONE.values())
    small = bool((table["label"].abs().max()) <= 1)
    return (-1.0, 1.0) if alone and small else (-3.0, 3.0)
