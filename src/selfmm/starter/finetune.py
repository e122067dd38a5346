"""The rated texts as a data set, and how ``selfmm starter --finetune`` trains a text encoder on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.weights import cache_folder
from selfmm.data.manifest import MANIFEST
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import Source, write_dataset
from selfmm.starter.texts import LABEL_RANGE, PACKAGE, RatedTexts, rated_texts

HELD_OUT = "amazonReviewSnippets"
"""The collection that is the test split: what a score is worth on texts of a kind that it was not trained on."""

_VALID = 0.1  # of the other documents
_COMMON = (
    *("model=lf_dnn", "labels.source=none", "text.pooling=mean"),
    "fusion.projection=32",  # so that its head fits into those of words in other trainings
    *("training.schedule=linear", "training.accumulation=2"),
)
_OWN = {
    "minilm": ("text.lr=5e-5", "training.max_epochs=3"),
    "e5": ("text.lr=5e-5", "training.max_epochs=2"),
    "mpnet": ("text.lr=3e-5", "training.max_epochs=1"),
}
_OTHERS = ("text.lr=2e-5", "training.max_epochs=1")


def recipe_for(encoder: str) -> tuple[str, ...]:
    """Return the settings of the training for a text encoder."""
    return _COMMON + _OWN.get(encoder, _OTHERS)


def rated_dataset(archive: str | Path | None = None) -> Dataset:
    """Return the data set ``rated_texts`` in the cache folder; write it if it is missing, or if ``archive`` is given.

    Raises:
        SourceError: if ``archive`` is not the archive, or pip cannot get it.
        OutputError: if the data set cannot be written.
        DatasetError: if it is damaged.
    """
    folder = cache_folder() / "rated_texts"
    if archive is None and (folder / MANIFEST).is_file():
        return open_dataset(folder)
    return write_dataset(rated_source(rated_texts(archive)), folder, force=True)


def rated_source(texts: RatedTexts) -> Source:
    """Return the data set, with a column ``collection``: ``HELD_OUT`` is its test split, a tenth of the other documents
    the validation split."""
    table = pd.DataFrame({"text": texts.texts, "label": texts.labels, "collection": texts.collections})
    numbers = table.groupby("collection").cumcount() + 1
    documents, number = np.unique(texts.documents.astype(str), return_inverse=True)
    valid = np.random.default_rng(0).random(len(documents)) < _VALID
    table = table.assign(
        id=table["collection"] + "_" + numbers.astype(str),
        video=texts.documents,
        split=np.where(table["collection"] == HELD_OUT, "test", np.where(valid[number], "valid", "train")),
    )
    provenance = {
        "source": f"source archive of {PACKAGE}, MIT License",
        "to cite": "Hutto and Gilbert, ICWSM 2014, https://doi.org/10.1609/icwsm.v8i1.14550",
    }
    return Source(table, {}, "rated_texts", LABEL_RANGE, language="en", provenance=provenance)
