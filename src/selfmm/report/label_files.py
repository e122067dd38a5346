"""Write a table of labels and its data card, both or neither."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from selfmm.core.files import atomic_file
from selfmm.core.spreadsheets import write_spreadsheet
from selfmm.data.tables.cells import as_text


def write_labels(path: Path, table: pd.DataFrame, card: Path, text: str) -> None:
    """Write the table as .csv, .parquet or .xlsx, by its ending, and the text of its card.

    Texts that look like formulas stay text: in .csv a ' stands before them.

    Raises:
        OutputError: if one of them cannot be written; both files are then as they were.
    """
    with atomic_file(card) as of_card:
        of_card.write_text(text, encoding="utf-8")
        with atomic_file(path) as of_table:
            if path.suffix == ".xlsx":
                write_spreadsheet(of_table, table)
            elif path.suffix == ".parquet":
                table.to_parquet(of_table, index=False)
            else:
                texts = {str(name): table[name].map(as_text) for name in table.select_dtypes(exclude="number")}
                table.assign(**texts).to_csv(of_table, index=False)
