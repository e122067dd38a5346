"""Which inputs are recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.config.recipe import Recipe
from selfmm.core.errors import SourceError
from selfmm.recordings.inputs import find_recordings


def test_a_folder_without_tables_is_read_as_recordings_if_the_run_reads_them(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no recording \(mp4.* and no table"):
        find_recordings([tmp_path], Recipe())
    assert find_recordings([tmp_path], None) is None
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "a.mp4").touch()
    listed = find_recordings([tmp_path], Recipe())
    assert listed is not None
    assert [clip.path.name for clip in listed.clips] == ["a.mp4"]


def test_a_folder_of_features_is_not_read_as_recordings(tmp_path: Path) -> None:
    (tmp_path / "features.csv").write_text("id,label\na,1\n", encoding="utf-8")
    assert find_recordings([tmp_path], Recipe()) is None


def test_a_stray_table_does_not_make_a_folder_of_recordings_one_of_features(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "a.mp4").touch()
    (tmp_path / "survey.csv").write_text("id,age\nP01,34\n", encoding="utf-8")
    listed = find_recordings([tmp_path], Recipe())
    assert listed is not None
    assert [clip.path.name for clip in listed.clips] == ["a.mp4"]
    assert [note.partition(":")[0] for note in listed.notes] == ["survey.csv was not read"]
    (tmp_path / "audio.npz").touch()  # features, and the recordings that they are of
    assert find_recordings([tmp_path], Recipe()) is None


def test_one_note_for_the_transcripts_of_many_recordings(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.srt", "b.mp4", "b.txt"):
        (tmp_path / name).write_text("hm")
    listed = find_recordings([tmp_path / "a.mp4", tmp_path / "b.mp4"], Recipe())
    assert listed is not None
    assert listed.notes == ("the words of 2 recordings come from files next to them: 'a.srt', 'b.txt'.",)
