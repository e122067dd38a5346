"""What a list of clips leaves unread is said before the work: columns that may be ratings, and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.features.clips.listing import read_clips
from selfmm.features.extract import extract
from selfmm.features.plan import usable


def table(folder: Path, header: str, *rows: str) -> Path:
    (folder / "a.wav").write_bytes(b"")
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]))
    return path


@pytest.mark.parametrize("name", ["rating", "Sentiment_Score", "mos", "valence"])
def test_a_column_of_ratings_is_refused_before_extracting(tmp_path: Path, name: str) -> None:
    source = table(tmp_path, f"file,{name}", "a.wav,1.5")
    with pytest.raises(SourceError, match=rf"column '{name.lower()}' would not be read.*label_column='{name.lower()}'"):
        extract(source, tmp_path / "out")
    assert read_clips(source).clips, "it can be scored"
    assert read_clips(source, label_column=name).ratings == (1.5,)
    assert not read_clips(source, label_column=name).unread


def test_other_columns_of_numbers_are_named(tmp_path: Path) -> None:
    listed = usable(read_clips(table(tmp_path, "file,dur,who,start", "a.wav,1.5,ann,0")))
    assert listed.unread == ("dur",)
    assert any("columns of numbers were not read: dur" in note for note in listed.notes)


def test_an_unrated_clip_is_not_called_trainable(tmp_path: Path) -> None:
    notes = usable(read_clips(table(tmp_path, "file,label", "a.wav,"))).notes
    assert notes[0].startswith("1 clip has no rating: it can be scored, but not trained on.")


@pytest.mark.parametrize("word", ["NaN", "n/a", "#N/A", "null", " "])
def test_words_for_no_rating(tmp_path: Path, word: str) -> None:
    listed = read_clips(table(tmp_path, "file,label", f"a.wav,{word}"))
    assert (listed.clips[0].label, listed.failures) == (None, ())


def test_files_of_no_known_kind_are_named(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    for name in ("a.mp4", "b.gif", "c.WAVE", "ann/d.gif", "a.txt", "a.srt", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    [note, _] = read_clips(tmp_path).notes  # the other one names the subtitles that are read
    assert note.startswith("3 files left out, of no kind that is read as a recording: ")
    assert {name for name in ("b.gif", "c.WAVE", "d.gif") if name in note} == {"b.gif", "c.WAVE", "d.gif"}
