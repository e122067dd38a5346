"""Reader of a user's own data: a table of clips, with their features next to it.

The table is ``.csv``, ``.tsv``, ``.xlsx`` or ``.parquet``, one row per clip:

==================== ==============================================================================================
column               meaning
==================== ==============================================================================================
``id``               unique name; if absent, made from ``video`` and ``clip_id``
``label``            a number
``text``             optional: the words
``split``            optional: train, valid (or val, dev) or test; if absent, a seeded split by video
``video``            optional: the recording; if absent, the part of the id before ``$_$``, else the id
``path``             optional: the media file
``start``, ``end``   optional: the clip's place in it, in seconds
``label_<modality>`` optional: a label of this modality alone
==================== ==============================================================================================

Case does not matter. The names of MMSA work too: ``video_id``, ``mode``, ``label_T``, ``label_A``, ``label_V``,
``start_s``, ``end_s``. For the features see `selfmm.data.tables.feature_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import SourceError, refuse
from selfmm.core.files import is_stray
from selfmm.core.messages import clips, repeated_ids, some
from selfmm.data.altered_ids import altered, plain_id
from selfmm.data.checks import presence
from selfmm.data.finite import NonFinite
from selfmm.data.manifest import MANIFEST, PLACE, TEXT, Form
from selfmm.data.other_paths import TABLES
from selfmm.data.scales import default_range
from selfmm.data.splits import split_rated
from selfmm.data.tables.cells import (
    COLUMNS,
    SEPARATOR,
    SPLIT_WORDS,
    from_text,
    is_unknown,
    rating_cell,
    read_cells,
    refuse_generated,
    refuse_label_studio,
    refuse_other,
    words,
)
from selfmm.data.tables.feature_files import FeatureFile, feature_frames, find_features, is_tokens, token_clips
from selfmm.data.writer import Frames, Source

_KNOWN = ("id", "split", "label", TEXT, *PLACE, "clip_id")
_TIMES = ("start", "end")
_FIGURES = (*_TIMES, "label_text", "label_audio", "label_vision")


def read_table_source(
    path: str | Path,
    *,
    name: str | None = None,
    language: str | None = None,
    label_range: tuple[float, float] | None = None,
    text: Form | None = None,
    tokenizer: str | None = None,
    non_finite: NonFinite = "error",
    seed: int = 0,
    require_labels: bool = True,
) -> Source:
    """Read a table with the features next to it.

    Args:
        path: the table, or a folder with one table in it.
        name: name of the data set; by default that of the table or the folder.
        language: language of the words.
        label_range: lowest and highest label; by default [-1, 1] if no label is beyond 1, else [-3, 3].
        text: form of the words, if there are several; by default the first of ``raw`` (the column), ``tokens`` and
            ``features`` (both from ``text.npz`` or ``text/``).
        tokenizer: vocabulary of the token ids; required with ``tokens``.
        non_finite: ``error`` refuses NaN and infinite features, ``zero`` replaces them with 0.
        seed: seed of the split, if there is no column ``split``.
        require_labels: if False, labels may be absent (they become NaN), and clips without a split are ``test``.

    Raises:
        SourceError: if something cannot be read or is wrong; everything wrong is listed.
    """
    source_path, path = Path(path), find_table(Path(path))
    raw = read_cells(path)
    problems: list[str] = []
    notes: list[str] = []
    table = _columns(raw, path, problems, require_labels=require_labels)
    refuse(f"{path} cannot be read as it is:", problems)
    notes += _suspicious(table)
    if "split" not in table:
        rated = np.isfinite(table["label"].to_numpy(dtype=np.float64))
        table["split"] = split_rated(list(table["video"]), rated, seed) if require_labels else "test"
        if require_labels:
            notes.append(f"the table has no column split; the clips were split 70/10/20 by video with seed {seed}.")
    if label_range is None:
        label_range = default_range(table["label"].to_numpy(dtype=np.float64))
        if require_labels:
            notes.append(f"labels are assumed to be in {list(label_range)}; if not, pass `label_range=(LOW, HIGH)`.")
    files = find_features(path.parent, list(table["id"]), notes)
    frames = _frames(files, table, text, tokenizer, non_finite, problems, notes)
    refuse(f"{path} cannot be read as it is:", problems)
    source = Source(
        table=table[["id", "split", "label", TEXT, "video", *(c for c in table if c not in _KNOWN[:5])]],
        frames=frames,
        name=name or (source_path.resolve().name if source_path.is_dir() else path.stem),
        label_range=label_range,
        language=language,
        provenance={"files": [path.name, *(file.path.name for file in files if file.modality in frames)]},
        notes=tuple(notes),
    )
    if not any(has.any() for has in presence(source)[0].values()):
        raise SourceError(
            f"{path} has no words in a column text, and no features next to it. Add the words, <modality>.npz, or a "
            "folder <modality>/ of <id>.npy."
        )
    return source


def find_table(path: Path) -> Path:
    """Return ``path`` if it is a table, or the only table in it if it is a folder."""
    if (path / MANIFEST).is_file():
        raise SourceError(f"{path} is already a data set. Use it as it is.")
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in TABLES]
        tables = sorted(file for file in files if not is_stray(file.name))
        if len(tables) != 1:
            names = some([file.name for file in tables])
            has = f"has {len(tables)} tables in it: {names}" if tables else "has no table in it"
            raise SourceError(f"{path} {has}. Give the path of one with a row per clip: .csv, .tsv, .xlsx or .parquet.")
        return tables[0]
    if not path.is_file():
        raise SourceError(f"{path} does not exist. Check the path.")
    refuse_other(path)
    if path.suffix.lower() not in TABLES:
        raise SourceError(
            f"{path} is not a table (.csv, .tsv, .xlsx or .parquet). To import an MMSA pickle: selfmm import PICKLE "
            "FOLDER"
        )
    return path


def _columns(raw: pd.DataFrame, path: Path, problems: list[str], *, require_labels: bool) -> pd.DataFrame:
    names = [str(column).strip().lower() for column in raw.columns]
    raw = raw.set_axis([COLUMNS.get(name, name) for name in names], axis=1)
    repeated = sorted(set(raw.columns[raw.columns.duplicated()]))
    if repeated:
        raise SourceError(f"{path} has the columns {some(repeated)} twice. Remove or rename one of each.")
    refuse_label_studio(list(map(str, raw)), path)
    if require_labels:
        refuse_generated(raw, path)
    if path.suffix.lower() != ".parquet":  # the sheets and tables of selfmm mark words that look like formulas
        for column in {"id", TEXT, "video", "path"} & set(raw):
            raw[column] = words(raw[column]).map(from_text)
    if "id" not in raw and {"video", "clip_id"} <= set(raw.columns):
        raw["id"] = words(raw["video"]) + SEPARATOR + words(raw["clip_id"])
    lacking = [column for column in ("id", "label") if column not in raw and (column == "id" or require_labels)]
    if lacking:
        raise SourceError(
            f"{path} has no column {' and no column '.join(lacking)}; it has {some(list(raw.columns))}. "
            "Add it, or give an existing column this name; the names are in the first row."
        )
    if raw.empty:
        raise SourceError(f"{path} has no rows. Add one per clip.")
    return _typed(raw, path, problems, require_labels)


def _typed(raw: pd.DataFrame, path: Path, problems: list[str], require_labels: bool) -> pd.DataFrame:
    table = pd.DataFrame({"id": words(raw["id"]).str.strip()})
    blank = (table["id"] == "").to_numpy(dtype=bool)
    repeated = list(table["id"][table["id"].duplicated() & ~blank].unique())
    if repeated:
        problems.append(f"{repeated_ids(repeated)}. Give each clip its own. {altered(repeated, ())}".rstrip())
    if blank.any():
        rows = some(np.asarray(raw.attrs["rows"])[blank].tolist(), quoted=False)
        where = f"row{'s' if blank.sum() > 1 else ''} {rows}"
        problems.append(f"{clips(int(blank.sum()), ('has', 'have'))} no id ({where}). Give each one its own.")
    ids = list(table["id"])
    table["label"] = _numbers(raw, "label", ids, problems) if "label" in raw else np.nan
    table[TEXT] = words(raw[TEXT]) if TEXT in raw else pd.Series([None] * len(raw), dtype=object)
    video = words(raw["video"]).str.strip() if "video" in raw else pd.Series([""] * len(raw))
    table["video"] = [own or clip_id.split(SEPARATOR, 1)[0] for own, clip_id in zip(video, ids, strict=True)]
    if "path" in raw:
        table["path"] = words(raw["path"])
    for column in [column for column in raw.columns if column in _FIGURES or column.startswith("label_")]:
        wrong: list[str] = []
        values = _numbers(raw, column, ids, wrong)
        if (
            column in _FIGURES or not wrong or np.isinf(values).any()
        ):  # a column label_<name> of words means something else
            table[column] = values
            problems += wrong
    problems += _wrong_times(table)
    if "split" in raw:
        table["split"] = _splits(words(raw["split"]), ids, problems, require_labels)
    return table


def _numbers(raw: pd.DataFrame, column: str, ids: Sequence[str], problems: list[str]) -> npt.NDArray[np.float64]:
    cells = words(raw[column]).map(rating_cell)
    values: npt.NDArray[np.float64] = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values) & (cells != "").to_numpy(dtype=bool)
    if wrong.any():
        named = [f"{word} ({clip_id})" for word, clip_id, bad in zip(cells, ids, wrong, strict=True) if bad]
        what = "seconds" if column in _TIMES else "numbers"
        problems.append(
            f"column {column}: {clips(int(wrong.sum()), ('has', 'have'))} a value that is not a finite number: "
            f"{some(named)}. Write {what}, with a point for decimals; leave the cell empty if the number is unknown."
        )
    return values


def _wrong_times(table: pd.DataFrame) -> list[str]:
    start, end = (table.get(name, pd.Series(np.nan, index=table.index)) for name in _TIMES)
    wrong = (start < 0) | (end <= start.fillna(0))
    if not wrong.any():
        return []
    named = [
        f"{row.id} ({row.start:g} to {row.end:g} s)" for row in table.assign(start=start, end=end)[wrong].itertuples()
    ]
    return [
        f"{clips(int(wrong.sum()), ('has', 'have'))} impossible times: {some(named)}. Write the seconds in the "
        "recording where each one starts and ends; both may be empty."
    ]


def _suspicious(table: pd.DataFrame) -> list[str]:
    """Return notes on ids and words that may not mean what they say."""
    notes = []
    alike: dict[str, list[str]] = {}
    for clip_id in table["id"]:
        alike.setdefault(plain_id(clip_id), []).append(clip_id)
    if twins := [", ".join(ids) for ids in alike.values() if len(ids) > 1]:
        notes.append(
            f"ids differ only in capitals, blanks or stored accents: {some(twins)}. They count as different clips."
        )
    unknown = [word for word in table[TEXT] if word and is_unknown(word) and not word.islower()]
    if unknown:
        notes.append(
            f"{clips(len(unknown), ('has', 'have'))} the words {some(list(dict.fromkeys(unknown)))}. If nothing was "
            "said there, empty the cell."
        )
    return notes


def _splits(column: pd.Series, ids: Sequence[str], problems: list[str], required: bool) -> list[str]:
    lower = [word.strip().lower() or ("" if required else "test") for word in column]
    named = [SPLIT_WORDS.get(word, word) for word in lower]
    without = [clip_id for clip_id, split in zip(ids, named, strict=True) if not split]
    if without:
        problems.append(
            f"{clips(len(without), ('has', 'have'))} no split ({some(without)}). Give each one a split, or remove the "
            "column to have selfmm split the clips."
        )
    unknown = sorted(set(named) - {"", "train", "valid", "test"})
    if unknown:
        problems.append(f"the splits {some(unknown)} are unknown. Name them train, valid and test.")
    return named


def _frames(
    files: Sequence[FeatureFile],
    table: pd.DataFrame,
    text: Form | None,
    tokenizer: str | None,
    non_finite: NonFinite,
    problems: list[str],
    notes: list[str],
) -> dict[str, Frames]:
    ids = list(table["id"])
    frames: dict[str, Frames | None] = {}
    if not any(file.modality == TEXT for file in files) and text in ("tokens", "features"):
        problems.append(f"`text={text!r}` needs text.npz or a folder text/ next to the table, but neither exists.")
    if text == "raw" and table[TEXT].isna().all():
        problems.append(
            "`text='raw'` needs a column text, which the table does not have. Add it, or choose another form."
        )
    for file in files:
        if file.modality != TEXT:
            frames[file.modality] = feature_frames(file, ids, non_finite, problems, notes)
            continue
        form: Form = "tokens" if is_tokens(file, len(ids)) else "features"
        if text not in (None, form) or (text is None and table[TEXT].notna().any()):
            notes.append(f"{file.path.name} was left out; to use it instead of the words, pass `text={form!r}`.")
        elif form == "tokens":
            frames[TEXT] = token_clips(file, ids, tokenizer, problems)
        else:
            frames[TEXT] = feature_frames(file, ids, non_finite, problems, notes)
    return {modality: valid for modality, valid in frames.items() if valid is not None}
