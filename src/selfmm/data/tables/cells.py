"""The cells of a table file as they stand there, before anything is made of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfmm.core.errors import SourceError


def read_cells(path: Path) -> pd.DataFrame:
    """A .csv or .tsv as words, or a .parquet as it is.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            # A row with more fields than the header would else lose the last ones.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            look: Any = {
                "sep": "\t" if path.suffix.lower() == ".tsv" else ",",
                "dtype": str,
                "keep_default_na": False,
                "encoding": "utf-8-sig",
            }
            table: pd.DataFrame = pd.read_csv(path, index_col=False, **look)
            # pandas calls the second of two equal names "name.1"; those who look for columns should see what is there.
            header = pd.read_csv(path, header=None, nrows=1, **look).iloc[0]
            table.columns = pd.Index([own if own.strip() else old for own, old in zip(header, table, strict=True)])
            return table
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except pd.errors.ParserWarning as error:
        raise SourceError(
            f"{path} has rows longer than its header. Fields are separated by commas (semicolons are none), decimals "
            "have a point, and texts with commas need quotes around them."
        ) from error
    except (OSError, ValueError, OverflowError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise SourceError(f"cannot read {path}: {str(error)[:300]}. Check that it is a proper table.") from error


def words(column: pd.Series) -> pd.Series:
    """Every cell as a word, a blank one as the empty word."""
    return pd.Series(["" if _is_blank(value) else _word(value) for value in column], dtype=object)


def _is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _word(value: object) -> str:
    # Parquet files of other tools hold words as bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
