"""Frames in which nothing could be measured: rows of NaN that a modality must be allowed to have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from selfmm.core.errors import DatasetError
from selfmm.data.batches import BatchMaker, frame_statistics
from selfmm.data.inspect import inspect_dataset
from selfmm.data.manifest import Modality
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset
from selfmm.models.encoders import SequenceEncoder

LENGTHS = np.array([4, 3, 5])
DIM = 2


def clips() -> list[npt.NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.normal(3, 2, (length, DIM)).astype(np.float32) for length in LENGTHS]


def dataset(path: Path, frames: list[npt.NDArray[np.float32]], *, gaps: bool) -> Dataset:
    ids = ["a", "b", "c"]
    table = pd.DataFrame({"id": ids, "split": "train", "label": 1.0, "text": None, "video": ids})
    modality = Modality(kind="frames", dim=DIM, columns=("brow", "jaw"), gaps=gaps)
    source = Source(table, {"vision": Frames(modality, LENGTHS, frames.__getitem__)}, "some", (-3.0, 3.0))
    return write_dataset(source, path)


def with_gaps() -> list[npt.NDArray[np.float32]]:
    frames = clips()
    frames[0][1] = np.nan
    frames[2][:3] = np.nan
    return frames


def test_statistics_leave_gaps_out(tmp_path: Path) -> None:
    frames = with_gaps()
    mean, deviation = frame_statistics(dataset(tmp_path / "d", frames, gaps=True), np.arange(3), "vision")
    seen = np.concatenate(frames).astype(np.float64)
    seen = seen[np.isfinite(seen).all(axis=1)]
    assert len(seen) == LENGTHS.sum() - 4
    np.testing.assert_allclose(mean.numpy(), seen.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation.numpy(), seen.std(axis=0), rtol=1e-6)


def test_a_gap_is_read_as_the_mean() -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(DIM, 4, 3).eval()
    encoder.standardise(torch.tensor([3.0, -1.0]), torch.tensor([2.0, 0.5]))
    values = torch.randn(2, 5, DIM)
    filled = values.clone()
    values[0, 2], filled[0, 2] = torch.nan, encoder.mean
    lengths = torch.tensor([5, 3])
    torch.testing.assert_close(encoder(values, lengths), encoder(filled, lengths), rtol=0, atol=0)


def test_batches_let_gaps_through_and_nothing_else(tmp_path: Path) -> None:
    frames = with_gaps()
    modality = {"vision": Modality(kind="frames", dim=DIM, gaps=True)}
    maker = BatchMaker(dataset(tmp_path / "good", frames, gaps=True), np.arange(3), modality)
    values = maker.make(np.arange(3)).streams["vision"].values
    assert int(values.isnan().all(-1).sum()) == 4
    with pytest.raises(DatasetError, match="'a' hold NaN"):
        BatchMaker(dataset(tmp_path / "no", frames, gaps=False), np.arange(3), modality).make(np.arange(3))
    for number, wrong in enumerate((np.nan, np.inf)):
        frames = clips()
        frames[1][0, 0] = wrong  # half a row is a mistake, and so is infinity
        maker = BatchMaker(dataset(tmp_path / f"bad{number}", frames, gaps=True), np.arange(3), modality)
        with pytest.raises(DatasetError, match="'b' hold NaN"):
            maker.make(np.arange(3))


def test_inspection_counts_gaps(tmp_path: Path) -> None:
    inspection = inspect_dataset(dataset(tmp_path / "d", with_gaps(), gaps=True))
    assert inspection.modalities["vision"].gaps == 4
    assert not inspection.modalities["vision"].non_finite.count
    assert any("4 of its frames (33%)" in note for note in inspection.notes)
    inspection = inspect_dataset(dataset(tmp_path / "e", with_gaps(), gaps=False))
    assert inspection.modalities["vision"].gaps == 0
    assert inspection.modalities["vision"].non_finite.count == 2


def test_names_must_fit() -> None:
    assert Modality(kind="frames", dim=2, columns=("a", "b")).columns == ("a", "b")
    for columns in (("a",), ("a", "a"), ("a", "b", "c")):
        with pytest.raises(ValidationError, match="names for 2 features"):
            Modality(kind="frames", dim=2, columns=columns)


def test_other_names_are_no_fit(tmp_path: Path) -> None:
    from selfmm.models.assembly import _check_fit

    data = dataset(tmp_path / "d", clips(), gaps=True)
    _check_fit(data, {"vision": Modality(kind="frames", dim=DIM)})
    swapped = replace(data).modalities["vision"].model_copy(update={"columns": ("jaw", "brow")})
    with pytest.raises(DatasetError, match="'brow' instead of 'jaw'"):
        _check_fit(data, {"vision": swapped})
