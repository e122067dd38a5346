"""The advice for a path that is not a data set never makes one onto the path itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.data.other_paths import not_a_dataset


@pytest.mark.parametrize("name", ["x.pkl", "x.CSV", "x.parquet", "x.mp4", "x.toml", "x.json"])
def test_a_missing_file_is_not_the_folder_to_make(tmp_path: Path, name: str) -> None:
    message = not_a_dataset(tmp_path / name)
    assert message.startswith(f"{tmp_path / name} does not exist. Check the path")
    assert "SOURCE" not in message


def test_a_missing_folder_can_be_made(tmp_path: Path) -> None:
    assert f"selfmm extract SOURCE {tmp_path / 'data'}" in not_a_dataset(tmp_path / "data")


@pytest.mark.parametrize("name", ["a.mp4", "B.MOV", "ann/c.WAV"])
def test_a_folder_of_recordings_is_extracted(tmp_path: Path, name: str) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / name).write_bytes(b"")
    message = not_a_dataset(tmp_path)
    assert f"Make one with: selfmm extract {tmp_path} DST" in message
    assert "import" not in message


def test_a_pickle_that_is_there_is_imported_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"")
    assert not_a_dataset(tmp_path / "x.pkl").endswith(f"Make one with: selfmm import {tmp_path / 'x.pkl'} DST")


def test_commands_quote_what_a_shell_would_read(tmp_path: Path) -> None:
    assert f"selfmm extract SOURCE '{tmp_path / 'my data'}'" in not_a_dataset(tmp_path / "my data")
    (tmp_path / "a & b.mp4").write_bytes(b"")
    assert f"selfmm extract '{tmp_path / 'a & b.mp4'}' DST" in not_a_dataset(tmp_path / "a & b.mp4")
