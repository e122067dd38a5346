"""Padded batches of sequences hold what a loop over the clips would put there, wherever the sequences lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.tensors import Ragged, load_tensors, save_tensors


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    picks=st.lists(st.integers(0, 7), min_size=1, max_size=8),
    wide=st.booleans(),
    cut=st.integers(1, 7),
    packed=st.booleans(),
)
def test_equals_a_loop(lengths: list[int], picks: list[int], wide: bool, cut: int, packed: bool) -> None:
    ends = np.cumsum(lengths, dtype=np.int64)
    shape = (int(ends[-1]) + 3, 2) if wide else (int(ends[-1]) + 3,)
    rows = np.arange(np.prod(shape), dtype=np.float64).reshape(shape) + 1
    sequences = Ragged.of(rows, ends - np.array(lengths) + 3, np.array(lengths))  # with a head that belongs to nobody
    positions = np.array(picks) % len(lengths)
    if packed:
        sequences = sequences.to(torch.device("cpu"))
        assert len(sequences.rows) == ends[-1]
    values, found = sequences.padded(torch.from_numpy(positions), cut)
    expected = np.zeros((len(positions), cut, *shape[1:]))
    for at, position in enumerate(positions):
        start, length = 3 + int(ends[position]) - lengths[position], min(lengths[position], cut)
        expected[at, :length] = rows[start : start + length]
        assert int(found[at]) == length
    np.testing.assert_array_equal(values.numpy(), expected)


def test_a_mapped_file_is_read_and_never_written(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    np.save(tmp_path / "rows.npy", np.arange(6.0).reshape(3, 2))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    sequences = Ragged.of(mapped, np.array([1]), np.array([2]))
    values, _ = sequences.padded(torch.tensor([0]), 2)
    values += 1
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), np.arange(6.0).reshape(3, 2))
    assert sequences.nbytes == 2 * 2 * 8
    assert not recwarn.list


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    """As tied weights do, and parts of one tensor."""
    whole = torch.arange(6.0).view(2, 3)
    tensors = {"one": whole, "same": whole, "turned": whole.T, "row": whole[1], "empty": torch.empty(0)}
    save_tensors(tmp_path / "shared.safetensors", tensors)
    stored = load_tensors(tmp_path / "shared.safetensors")
    assert stored.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(stored[name], value)
