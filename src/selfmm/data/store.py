"""The data-set folder: ``samples.parquet``, one ``<modality>.npy`` frame matrix each, and ``dataset.json``.

``samples.parquet`` has one row per clip, in the order of the frame matrices:

=================== ======= ==========================================================================
column              type    meaning
=================== ======= ==========================================================================
id                  string  unique name of the clip
split               string  ``train``, ``valid`` or ``test``
label               float64 the regression label of the whole clip (m-label); NaN where unknown
text                string  what is said; null where unknown
video               string  the recording the clip was cut from; clips of one video stay in one split
path, start, end    mixed   optional: media file, and the clip's place in it in seconds
label_<modality>    float64 optional: a human (or planted) label of this modality alone
<modality>_offset   int64   first row of the clip in ``<modality>.npy``
<modality>_length   int64   number of rows; 0 where the clip has no such stream
=================== ======= ==========================================================================

``<modality>.npy`` is (total frames, dim) float32 or float16, or (total tokens,) int32 for token ids; nothing
is padded. A row of NaN is a frame in which nothing could be measured; only modalities with ``gaps`` have such. It is
only ever memory-mapped. ``corrections.parquet`` may lie beside them, see `selfmm.data.corrections`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from selfmm.config.recipe import Recipe
from selfmm.core.errors import DatasetError
from selfmm.data.corrections import read_corrections

FORMAT_VERSION = 1
MANIFEST = "dataset.json"
TABLE = "samples.parquet"
TEXT = "text"
"""Name of the modality that carries words, whatever form it takes."""
PLACE = ("video", "path", "start", "end")
"""Optional columns of the table that tell a person which clip it is."""
SPLITS = ("train", "valid", "test")
Split = Literal["train", "valid", "test"]
Kind = Literal["text", "tokens", "frames"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Modality(BaseModel):
    """What one modality of a data set is.

    Attributes:
        kind: ``text`` (words in the table), ``tokens`` (token ids in a 1-D matrix) or ``frames`` (features).
        dim: number of features per frame; None unless ``kind`` is ``frames``.
        frame_rate: frames per second, where known.
        tokenizer: which vocabulary the ids of ``tokens`` belong to, for example ``bert-base-uncased``.
        columns: name of each feature, where they have names.
        gaps: whether a row of NaN is a frame in which nothing could be measured, for example one without a face.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    dim: int | None = Field(None, ge=1, le=1_000_000)
    frame_rate: float | None = None
    tokenizer: str | None = None
    columns: tuple[str, ...] = ()
    gaps: bool = False

    @model_validator(mode="after")
    def _columns_fit(self) -> Modality:
        if self.columns and len(set(self.columns)) != self.dim:
            raise ValueError(f"{len(set(self.columns))} different names for {self.dim} features")
        return self


class Manifest(BaseModel):
    """``dataset.json``: what a data set is, apart from its clips.

    ``recipe`` says how its features were extracted, where selfmm did it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    name: str
    language: str | None = None
    label_range: tuple[float, float]
    modalities: dict[str, Modality]
    recipe: Recipe | None = None
    provenance: dict[str, Any] = {}
    checksums: dict[str, str] = {}

    @field_validator("modalities")
    @classmethod
    def _modalities_are_plain(cls, value: dict[str, Modality]) -> dict[str, Modality]:
        return check_modalities(value)

    @field_validator("label_range")
    @classmethod
    def _range_is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not (np.isfinite(value).all() and value[0] < value[1]):
            raise ValueError(f"label_range is {value}; it must be two finite numbers, the smaller one first")
        return value


def check_modalities(modalities: dict[str, Modality]) -> dict[str, Modality]:
    """Returns ``modalities`` if names, kinds and widths make sense; raises ``ValueError`` if not."""
    for name, modality in modalities.items():
        check_modality_name(name)
        if (modality.kind == "frames") != (modality.dim is not None):
            raise ValueError(f"modality {name!r}: kind 'frames' needs a dim, the other kinds have none")
        if modality.kind != "frames" and name != TEXT:
            raise ValueError(f"modality {name!r} is of kind {modality.kind!r}; only 'text' may be")
    if not modalities:
        raise ValueError("at least one modality is needed")
    return modalities


def check_modality_name(name: str) -> str:
    """Returns ``name`` if it can be a modality's name (and so a file's); raises ``ValueError`` if not."""
    if name == "fusion":
        raise ValueError("'fusion' is the name of the task of all modalities together; name the modality otherwise")
    if not _NAME.fullmatch(name) or name in {"samples", "dataset"}:
        raise ValueError(
            f"{name!r} cannot name a modality: use a lower-case letter, then letters, digits or _ (32 at most)"
        )
    return name


@dataclass(frozen=True)
class Dataset:
    """An opened data set. Frames are memory-mapped, so opening costs the table alone.

    Attributes:
        path: the folder.
        manifest: the content of ``dataset.json``.
        samples: the table, one row per clip.
        matrices: the frame matrices of a data set that lies in memory and has no folder.
        left_out: ids of clips that are in the folder, but not in this view of it.
    """

    path: Path
    manifest: Manifest
    samples: pd.DataFrame
    matrices: Mapping[str, npt.NDArray[Any]] | None = None
    left_out: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def modalities(self) -> Mapping[str, Modality]:
        return self.manifest.modalities

    @cached_property
    def _frames(self) -> Mapping[str, npt.NDArray[Any]]:
        if self.matrices is not None:
            return self.matrices
        return {
            name: _open_matrix(self.path / f"{name}.npy", name, modality)
            for name, modality in self.modalities.items()
            if modality.kind != "text"
        }

    def matrix(self, modality: str) -> npt.NDArray[Any]:
        """The memory-mapped frame matrix of a modality: (total frames, dim), or (total tokens,) for ids."""
        return self._frames[modality]

    def frames(self, modality: str, row: int) -> npt.NDArray[Any]:
        """Frames of clip number ``row``: (length, dim), or (length,) for token ids. Length 0 if it has none."""
        start = int(self.samples[f"{modality}_offset"].iloc[row])
        return self._frames[modality][start : start + int(self.lengths(modality)[row])]

    def lengths(self, modality: str) -> npt.NDArray[np.int64]:
        """Frames per clip, (N,). For words in the table: 1 where there is a text, else 0."""
        if self.modalities[modality].kind == "text":
            texts = self.samples[TEXT].fillna("").str.strip()
            return np.asarray(texts != "", dtype=np.int64)
        return self.samples[f"{modality}_length"].to_numpy(dtype=np.int64)

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Row numbers of a split, in the table's order."""
        rows: npt.NDArray[np.int64] = np.flatnonzero(self.samples["split"].to_numpy(dtype=str) == split)
        return rows

    def without(self, split: Split) -> Dataset:
        """The data set as if no clip were in ``split``, for those who may not look at it.

        Rows are numbered anew; frames stay where they are in the matrices, and those of the clips left out are pointed
        to by nothing.
        """
        gone = self.samples["split"] == split
        ids = self.left_out | set(self.samples.loc[gone, "id"].dropna())
        return replace(self, samples=self.samples[~gone].reset_index(drop=True), left_out=frozenset(ids))

    def labels(self) -> npt.NDArray[np.float64]:
        """The m-labels, (N,); NaN where unknown."""
        return self.samples["label"].to_numpy(dtype=np.float64)

    @cached_property
    def corrections(self) -> pd.DataFrame:
        """Labels per modality that people gave, see `selfmm.data.corrections`; as they are when first asked for.

        Raises:
            DatasetError: their file is damaged or does not fit the data set.
        """
        ids = set(self.samples["id"].dropna())
        found = read_corrections(self.path, ids | self.left_out, self.modalities, self.manifest.label_range)
        return found[found["id"].isin(ids)].reset_index(drop=True) if self.left_out else found


def open_dataset(path: str | Path) -> Dataset:
    """Opens a data-set folder and checks that its parts fit together.

    Raises:
        DatasetError: the folder is not there, is no data set, or its parts contradict each other.
    """
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        what = "does not exist" if not folder.exists() else f"holds no {MANIFEST}"
        raise DatasetError(
            f"{folder} {what}, so it is no data set of selfmm. Make one with: selfmm import SOURCE {folder}"
        )
    manifest = _read_manifest(folder / MANIFEST)
    dataset = Dataset(folder, manifest, _read_table(folder / TABLE))
    _check(dataset)
    return dataset


def as_dataset(data: Dataset | str | Path) -> Dataset:
    """``data`` if it is open, else what :func:`open_dataset` makes of the folder."""
    return data if isinstance(data, Dataset) else open_dataset(data)


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"cannot read {path}: {error}. Import the data set anew.") from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{path} has format version {version!r}; this selfmm reads version {FORMAT_VERSION}. "
            "Import the data set anew with this version."
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DatasetError(f"{path} is not valid: {problems}. Import the data set anew.") from error


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow fails on damaged bytes in many ways
        raise DatasetError(f"cannot read {path}: {error}. Import the data set anew.") from error


def _open_matrix(path: Path, name: str, modality: Modality) -> npt.NDArray[Any]:
    try:
        matrix: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header fails in numpy's parser in many ways
        raise DatasetError(f"cannot read {path}: {error}. Import the data set anew.") from error
    if modality.kind == "tokens":
        fits, expected = matrix.ndim == 1 and matrix.dtype.kind in "iu", "(tokens,) of whole numbers"
    else:
        fits = matrix.ndim == 2 and matrix.shape[1] == modality.dim and matrix.dtype.kind == "f"
        expected = f"(frames, {modality.dim}) of floating-point numbers"
    if not fits:
        raise DatasetError(f"{path} is {matrix.shape} {matrix.dtype}; {MANIFEST} says {name!r} is {expected}.")
    return matrix


def _check(dataset: Dataset) -> None:
    """Checks that the table has what the manifest says and stays inside the matrices."""
    table = dataset.samples
    needed = ["id", "split", "label", TEXT, "video"]
    for name, modality in dataset.modalities.items():
        needed += [] if modality.kind == "text" else [f"{name}_offset", f"{name}_length"]
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise DatasetError(f"{dataset.path / TABLE} lacks the columns {missing}. Import the data set anew.")
    _check_types(dataset)
    strange = sorted(set(table["split"].dropna()) - set(SPLITS)) or ([None] if table["split"].hasnans else [])
    if strange:
        raise DatasetError(f"{dataset.path / TABLE} has the splits {strange}; only {list(SPLITS)} are known.")
    for name, modality in dataset.modalities.items():
        if modality.kind == "text":
            continue
        total = len(dataset.matrix(name))
        offsets, lengths = table[f"{name}_offset"].to_numpy(), dataset.lengths(name)
        if len(table) and (min(offsets.min(), lengths.min()) < 0 or (lengths > total - offsets).any()):
            raise DatasetError(
                f"{dataset.path / TABLE} points outside {name}.npy, which has {total} rows. "
                "One of the two was changed or cut off; import the data set anew."
            )


def _check_types(dataset: Dataset) -> None:
    """Numbers where numbers belong, words where words belong: the table may have been edited by hand."""
    table, words, whole = dataset.samples, ["id", TEXT], []
    for name, modality in dataset.modalities.items():
        whole += [] if modality.kind == "text" else [f"{name}_offset", f"{name}_length"]
    numbers = ["label", *(str(column) for column in table.columns if str(column).startswith("label_"))]
    wrong = [f"{column} (whole numbers)" for column in whole if not pd.api.types.is_integer_dtype(table[column])]
    wrong += [f"{column} (numbers)" for column in numbers if not pd.api.types.is_numeric_dtype(table[column])]
    for column in words:
        if not all(isinstance(one, str) for one in table[column].dropna()):
            wrong.append(f"{column} (words)")
    if wrong:
        raise DatasetError(
            f"{dataset.path / TABLE} has columns of another type than they should be: {', '.join(wrong)}. "
            "Import the data set anew."
        )
