"""The data-set folder: ``samples.parquet``, a frame matrix ``<modality>.npy`` per modality, and ``dataset.json``.

``samples.parquet`` has one row per clip, in the order of the frame matrices:

=================== ======= ==========================================================================
column              type    meaning
=================== ======= ==========================================================================
id                  string  unique name of the clip
split               string  ``train``, ``valid`` or ``test``
label               float64 the regression label of the whole clip (m-label); NaN where unknown
text                string  the words; null where unknown
video               string  the recording the clip was cut from; clips of one video stay in one split
path, start, end    mixed   optional: media file, and the clip's place in it in seconds
label_<modality>    float64 optional: a human (or planted) label of this modality alone
<modality>_offset   int64   first row of the clip in ``<modality>.npy``
<modality>_length   int64   number of rows; 0 where the clip lacks the modality
=================== ======= ==========================================================================

``<modality>.npy`` is (total frames, dim) float32 or float16, or (total tokens,) int32 for token ids, without padding.
It is only ever memory-mapped. A row of NaN is a frame in which nothing could be measured; only modalities with
``gaps`` have such rows. ``corrections.parquet`` may lie next to these files, see `selfmm.data.ratings`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.core.messages import clips, some
from selfmm.data.blank import is_blank
from selfmm.data.corrections import corrections_of
from selfmm.data.manifest import MANIFEST, SPLITS, TABLE, TEXT, Manifest, Modality, Split, read_manifest, unreadable
from selfmm.data.other_paths import not_a_dataset
from selfmm.data.ratings import read_ratings

_PREVIEW = 3  # clips in the HTML table
_LABEL = "label_"
_HTML = """\
<table>
<caption>{{ caption }}</caption>
{% for head, cell in facts.items() %}<tr><th scope="row">{{ head }}</th><td colspan="3">{{ cell }}</td></tr>
{% endfor %}<tr><th>clip</th><th>split</th><th>label</th><th>text</th></tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
"""


@dataclass(frozen=True, eq=False, repr=False)
class DatasetClip:
    """One clip of a data set.

    Attributes:
        id: unique name.
        split: ``train``, ``valid`` or ``test``.
        label: m-label; NaN where unknown.
        text: the words; None where unknown.
        video: the recording it was cut from.
        frames: for each modality with a matrix, (length, dim) features or (length,) token ids, memory-mapped and
            read-only; length 0 where the clip lacks the modality.
        unimodal_labels: label of each modality alone, where the data set has one.
    """

    id: str
    split: str
    label: float
    text: str | None
    video: str
    frames: Mapping[str, npt.NDArray[Any]]
    unimodal_labels: Mapping[str, float]

    def __repr__(self) -> str:
        shapes = "".join(f", {name} {values.shape}" for name, values in self.frames.items())
        words = "" if self.text is None else f", text {self.text[:40]!r}"
        return f"<DatasetClip {self.id!r}: {self.split}, label {self.label:g}{words}{shapes}>"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """An opened data set. Frames are memory-mapped, so opening reads the table only.

    It is a sequence of clips, and so a map-style data set of `torch.utils.data`: ``dataset[3]``,
    ``dataset[-1]`` and ``dataset["clip id"]`` are a `DatasetClip`, ``dataset[:5]`` is a list of them. For batches use
    `selfmm.data.batches.collate`.

    Attributes:
        path: the folder.
        manifest: the content of ``dataset.json``.
        samples: the table, one row per clip.
        matrices: the frame matrices of a data set in memory, which has no folder.
        left_out: ids of clips that are in the folder, but not in this view of it.
    """

    path: Path
    manifest: Manifest
    samples: pd.DataFrame
    matrices: Mapping[str, npt.NDArray[Any]] | None = None
    left_out: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        size, modalities, labels = self._facts().values()
        return f"<Dataset {self.name!r}: {size}; {modalities}; labels {labels}>"

    def _repr_html_(self) -> str:
        from selfmm.core.html import render  # jinja2 takes a tenth of a second, which most uses do not need

        shown = [self[row] for row in range(min(_PREVIEW, len(self)))]
        rows = [[clip.id, clip.split, f"{clip.label:g}", (clip.text or "")[:80]] for clip in shown]
        return render(_HTML, caption=f"Data set {self.name}", facts=self._facts(), rows=rows)

    def _facts(self) -> dict[str, str]:
        per_split = ", ".join(f"{split} {len(self.rows(split))}" for split in SPLITS)
        low, high = self.manifest.label_range
        return {
            "size": f"{clips(len(self))} ({per_split})",
            "modalities": ", ".join(f"{name} ({modality.size})" for name, modality in self.modalities.items()),
            "labels": f"{low:g} to {high:g}",
        }

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[DatasetClip]:
        return (self[row] for row in range(len(self)))

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._row_of

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> DatasetClip: ...
    @overload
    def __getitem__(self, key: slice) -> list[DatasetClip]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> DatasetClip | list[DatasetClip]:
        """Return a clip by its id or its row number, or the clips of a slice.

        Raises:
            IndexError: if there is no such row.
            KeyError: if no clip has this id.
        """
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        if isinstance(key, str):
            if key not in self._row_of:
                raise KeyError(f"{self.title} has no clip {key!r}; it has {some(list(self._row_of))}")
            return self._clip(self._row_of[key])
        row = operator.index(key)
        if not -len(self) <= row < len(self):
            raise IndexError(f"{self.title} has no clip number {row}; it has {clips(len(self))}")
        return self._clip(row % len(self))

    def __getstate__(self) -> dict[str, Any]:
        # Another process maps the files itself; a pickled map would be a copy of them.
        return {name: value for name, value in self.__dict__.items() if name != "_frames"}

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {clip_id: row for row, clip_id in reversed(list(enumerate(self.samples["id"])))}

    def _clip(self, row: int) -> DatasetClip:
        values = self.samples.iloc[row]
        labels = {name: values.get(f"{_LABEL}{name}") for name in self.modalities}
        return DatasetClip(
            id=values["id"],
            split=values["split"],
            label=float(values["label"]),
            text=None if pd.isna(values[TEXT]) else values[TEXT],
            video=values["video"],
            frames={name: self.frames(name, row) for name in self._frames},
            unimodal_labels={name: float(label) for name, label in labels.items() if pd.notna(label)},
        )

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def title(self) -> str:
        """How messages name it: by its folder, which is what the user typed, or as the input if it is in memory."""
        return "the input" if self.path == Path() else f"the data set in {self.path}"

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
        """Return the memory-mapped frame matrix of a modality: (total frames, dim), or (total tokens,) for ids."""
        return self._frames[modality]

    def frames(self, modality: str, row: int) -> npt.NDArray[Any]:
        """Return the frames of clip number ``row``: (length, dim), or (length,) for token ids; length 0 if none."""
        start = int(self.samples[f"{modality}_offset"].iloc[row])
        return self._frames[modality][start : start + int(self.lengths(modality)[row])]

    def lengths(self, modality: str) -> npt.NDArray[np.int64]:
        """Return the frames per clip, (N,). For words in the table: 1 where there is a text, else 0."""
        if self.modalities[modality].kind == "text":
            return np.array([not is_blank(text) for text in self.texts()], dtype=np.int64)
        return self.samples[f"{modality}_length"].to_numpy(dtype=np.int64)

    def texts(self) -> list[str]:
        """Return the words of each clip, empty where it has none; no texts at all if the data set stores no words."""
        stored = self.modalities.get(TEXT)
        return self.samples[TEXT].fillna("").astype(str).tolist() if stored and stored.kind == "text" else []

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split, in the table's order."""
        rows: npt.NDArray[np.int64] = np.flatnonzero(self.samples["split"].to_numpy(dtype=str) == split)
        return rows

    def without(self, split: Split) -> Dataset:
        """Return the data set without the clips of ``split``, for code that must not see them.

        Rows are renumbered. The frame matrices stay as they are; nothing points to the frames of the clips left out.
        """
        gone = self.samples["split"] == split
        ids = self.left_out | set(self.samples.loc[gone, "id"].dropna())
        return replace(self, samples=self.samples[~gone].reset_index(drop=True), left_out=frozenset(ids))

    def labels(self) -> npt.NDArray[np.float64]:
        """Return the m-labels, (N,); NaN where unknown."""
        return self.samples["label"].to_numpy(dtype=np.float64)

    @cached_property
    def ratings(self) -> pd.DataFrame:
        """Labels per modality that each rater gave, see `selfmm.data.ratings`; read once, at the first access.

        Raises:
            DatasetError: if their file is damaged or does not fit the data set.
        """
        ids = set(self.samples["id"].dropna())
        table = read_ratings(self.path, ids | self.left_out, self.modalities, self.manifest.label_range)
        return table[table["id"].isin(ids)].reset_index(drop=True) if self.left_out else table

    @cached_property
    def corrections(self) -> pd.DataFrame:
        """One label per clip and modality from all ``ratings``, see `selfmm.data.corrections`.

        Raises:
            DatasetError: like ``ratings``.
        """
        return corrections_of(self.ratings)


def open_dataset(path: str | Path) -> Dataset:
    """Open a data-set folder and check that its files fit together.

    Raises:
        DatasetError: if the folder is missing, is not a data set, or its files contradict each other.
    """
    if not isinstance(path, str | Path):
        raise DatasetError(
            f"a data set is a folder, given as a string or path, not {type(path).__name__}: {path!r:.80}"
        )
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise DatasetError(not_a_dataset(folder))
    manifest = read_manifest(folder / MANIFEST)
    dataset = Dataset(folder, manifest, _read_table(folder / TABLE))
    _check(dataset)
    return dataset


def as_dataset(data: Dataset | str | Path) -> Dataset:
    """Return ``data`` if it is open, else open the folder with :func:`open_dataset`."""
    return data if isinstance(data, Dataset) else open_dataset(data)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow fails on damaged bytes in many ways
        raise unreadable(path, error) from error


def _open_matrix(path: Path, name: str, modality: Modality) -> npt.NDArray[Any]:
    try:
        matrix: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header fails in numpy's parser in many ways
        raise unreadable(path, error) from error
    if modality.kind == "tokens":
        fits, expected = matrix.ndim == 1 and matrix.dtype.kind in "iu", "(tokens,) of whole numbers"
    else:
        fits = matrix.ndim == 2 and matrix.shape[1] == modality.dim and matrix.dtype.kind == "f"
        expected = f"(frames, {modality.dim}) of floating-point numbers"
    if not fits:
        raise DatasetError(f"{path} is {matrix.shape} {matrix.dtype}; {MANIFEST} says {name!r} is {expected}.")
    return matrix


def _check(dataset: Dataset) -> None:
    """Check that the table has the columns of the manifest and stays inside the matrices."""
    table, path = dataset.samples, dataset.path / TABLE
    stored = [name for name, modality in dataset.modalities.items() if modality.kind != "text"]
    places = [f"{name}_{column}" for name in stored for column in ("offset", "length")]
    missing = [column for column in ["id", "split", "label", TEXT, "video", *places] if column not in table.columns]
    if missing:
        raise DatasetError(f"{path} lacks the columns {', '.join(missing)}. Make the data set again.")
    _check_types(table, path, places)
    unknown = sorted(set(table["split"].dropna()) - set(SPLITS)) or ([None] if table["split"].hasnans else [])
    if unknown:
        raise DatasetError(f"{path} has the splits {some(unknown)}; only {', '.join(SPLITS)} are known.")
    for name in stored:
        total = len(dataset.matrix(name))
        offsets, lengths = table[f"{name}_offset"].to_numpy(), dataset.lengths(name)
        if len(table) and (min(offsets.min(), lengths.min()) < 0 or (lengths > total - offsets).any()):
            raise DatasetError(
                f"{path} points outside {name}.npy, which has {total} rows. "
                "One of the two was changed or truncated; make the data set again."
            )


def _check_types(table: pd.DataFrame, path: Path, places: list[str]) -> None:
    """Check the types of the columns: somebody may have edited the table."""
    numbers = ["label", *(str(column) for column in table.columns if str(column).startswith(_LABEL))]
    wrong = [f"{column} (whole numbers)" for column in places if not pd.api.types.is_integer_dtype(table[column])]
    wrong += [f"{column} (numbers)" for column in numbers if not pd.api.types.is_numeric_dtype(table[column])]
    for column in ("id", TEXT):
        if not all(isinstance(value, str) for value in table[column].dropna()):
            wrong.append(f"{column} (words)")
    if wrong:
        raise DatasetError(f"{path} has columns of the wrong type: {', '.join(wrong)}. Make the data set again.")
