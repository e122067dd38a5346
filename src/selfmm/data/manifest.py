"""The description of a data set: its modalities and ``dataset.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from selfmm.config.recipe import Recipe
from selfmm.core.errors import DatasetError
from selfmm.core.messages import first_line, plain

FORMAT_VERSION = 1
MANIFEST = "dataset.json"
TABLE = "samples.parquet"
TEXT = "text"
"""Name of the modality of words, in any form."""
PLACE = ("video", "path", "start", "end")
"""Optional columns of the table that tell a person which clip it is."""
SPLITS = ("train", "valid", "test")
Split = Literal["train", "valid", "test"]
Kind = Literal["text", "tokens", "frames"]
Form = Literal["raw", "tokens", "features"]
"""The forms of text that can be imported."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Modality(BaseModel):
    """Description of one modality of a data set.

    Attributes:
        kind: ``text`` (words in the table), ``tokens`` (token ids in a 1-D matrix) or ``frames`` (features).
        dim: number of features per frame; None unless ``kind`` is ``frames``.
        frame_rate: frames per second; None if unknown.
        tokenizer: the vocabulary that the ids of ``tokens`` belong to, for example ``bert-base-uncased``.
        columns: names of the features, if they have names.
        gaps: whether a row of NaN is a frame in which nothing could be measured, for example without a face.
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

    @property
    def size(self) -> str:
        """What one step of this modality holds, in words: ``words``, ``token ids`` or ``5 features``."""
        return f"{self.dim} features" if self.kind == "frames" else "words" if self.kind == "text" else "token ids"


class Manifest(BaseModel):
    """``dataset.json``: the description of a data set, apart from its clips.

    ``recipe`` states how selfmm extracted the features, if it did.
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
    def _modalities_are_valid(cls, value: dict[str, Modality]) -> dict[str, Modality]:
        return check_modalities(value)

    @field_validator("label_range")
    @classmethod
    def _range_is_valid(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not (np.isfinite(value).all() and value[0] < value[1]):
            raise ValueError(f"label_range is {value}; it must be two finite numbers, the smaller one first")
        return value


def check_modalities(modalities: dict[str, Modality]) -> dict[str, Modality]:
    """Return ``modalities`` if their names, kinds and dims are valid; raise ``ValueError`` if not."""
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
    """Return ``name`` if it can be the name of a modality (and so of a file); raise ``ValueError`` if not."""
    if name == "fusion":
        raise ValueError("'fusion' is the name of the task of all modalities together; choose another name")
    if not _NAME.fullmatch(name) or name in {"samples", "dataset"}:
        raise ValueError(
            f"{name!r} cannot name a modality: use a lower-case letter, then letters, digits or _ (32 at most)"
        )
    return name


def read_manifest(path: Path) -> Manifest:
    """Read ``dataset.json``; raise ``DatasetError`` if it is damaged, invalid or of another version."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{path} has format version {version!r}; this selfmm reads version {FORMAT_VERSION}. "
            "Make the data set again with this version."
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {plain(e['msg'])}" for e in error.errors())
        raise DatasetError(f"{path} is not valid: {problems}. Make the data set again.") from error


def unreadable(path: Path, error: Exception) -> DatasetError:
    """Return the error for a file of a data set that a library could not read."""
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path} is missing. Make the data set again.")
    if "mmap length" in str(error):  # numpy's header promises more rows than the file has
        return DatasetError(f"cannot read {path}: the file is cut off. Make the data set again.")
    return DatasetError(f"cannot read {path}: {first_line(error)}. Make the data set again.")
