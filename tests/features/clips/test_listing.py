"""Clips from files, folders and tables. Nothing is decoded here, so empty files do for recordings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.core.errors import SourceError
from selfmm.features.clips.clip import Clip, ClipList
from selfmm.features.clips.listing import read_clips
from selfmm.features.clips.tables import overlap_notes


def make(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text({".txt": "well said", ".srt": "1\n", ".vtt": "WEBVTT\n"}.get(file.suffix, "media"))
    return folder


def table(folder: Path, name: str = "clips.csv", **columns: Any) -> Path:
    path = folder / name
    frame = pd.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def ids(clips: ClipList) -> list[str]:
    return [clip.id for clip in clips.clips]


def reasons(clips: ClipList) -> dict[str, str]:
    return {failure.id: failure.reason for failure in clips.failures}


def test_one_recording(tmp_path: Path) -> None:
    make(tmp_path, "a b.mp4", "a b.srt", "other.txt")
    assert read_clips(tmp_path / "a b.mp4") == ClipList(
        (Clip(tmp_path / "a b.mp4", "a b", subtitles=tmp_path / "a b.srt"),),
        notes=("the words of 1 recording come from files next to them: 'a b.srt'.",),
    )


def test_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "clip10.mp4", "clip9.MP4", "clip9.txt", "anna/1.wav", "anna/1.vtt", "bert/1.mov", "bert/deep/2.mov")
    make(tmp_path, ".hidden.mp4", "notes.txt", "face.png", "._anna.mov")
    clips = read_clips(tmp_path)
    assert ids(clips) == ["anna$_$1", "bert$_$1", "clip9", "clip10"]
    assert [clip.video for clip in clips.clips] == ["anna", "bert", "", ""]
    assert clips.clips[2].text == "well said"
    assert clips.clips[0].subtitles == tmp_path / "anna" / "1.vtt"
    assert not clips.failures


def test_same_names_in_a_folder_keep_their_endings(tmp_path: Path) -> None:
    assert ids(read_clips(make(tmp_path, "a.mp4", "a.wav", "b.mp4"))) == ["a.mp4", "a.wav", "b"]


def test_a_transcript_that_is_not_utf8_costs_one_clip(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.txt").write_bytes("schön".encode("latin-1"))
    clips = read_clips(tmp_path)
    assert ids(clips) == ["b"]
    assert reasons(clips)["a"].startswith(f"{tmp_path / 'a.txt'} is not UTF-8 text (byte 3).")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, "films/a.mp4", "films/b.mp4", "films/a.srt")
    path = table(
        tmp_path,
        f"clips{suffix}",
        ID=["one", "two", "007"],
        Path=["films/a.mp4", "films/b.mp4", str(tmp_path / "films" / "b.mp4")],
        start=[None, 1.5, 3],
        end_s=[None, 3, None],
        Text=["gut, sehr gut", "NA", " 非常好 "],
        label=[1, -0.5, None],
        label_A=[0.5, None, None],
        label_name=["Positive", "Negative", ""],
        mode=["train", "dev", ""],
        video_id=["a", "b", "b"],
        subtitles=["films/a.srt", "", ""],
        remark=["x", "y", "z"],
    )
    clips = read_clips(path)
    assert clips.failures == ()
    assert clips.notes == ()
    films = tmp_path / "films"
    assert clips.clips == (
        Clip(films / "a.mp4", "one", None, None, "gut, sehr gut", films / "a.srt", 1, "train", "a", {"audio": 0.5}),
        Clip(films / "b.mp4", "two", 1.5, 3, "NA", None, -0.5, "valid", "b"),
        Clip(films / "b.mp4", "007", 3, None, " 非常好 ", None, None, None, "b"),
    )


def test_the_only_table_of_clips_in_a_folder_counts(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    table(tmp_path, "features.csv", frame=[1], energy=[2])  # not of clips
    assert ids(read_clips(tmp_path)) == ["a", "b"]
    table(tmp_path, path=["a.mp4"], label=[1])
    assert [clip.label for clip in read_clips(tmp_path).clips] == [1]
    table(tmp_path, "more.tsv", id=["b"], label=[1])
    with pytest.raises(SourceError, match=r"2 tables of clips: clips.csv, more.tsv"):
        read_clips(tmp_path)


def test_the_layout_of_mmsa_fet(tmp_path: Path) -> None:
    make(tmp_path, "Raw/video_1/0001.mp4", "video_2/0001.mp4")
    path = table(
        tmp_path,
        "label.csv",
        video_id=["video_1", "video_2", "video_2"],
        clip_id=["0001", "0001", "0002"],
        text=["好", "不好", ""],
        label=[0.8, -1, 0],
        label_T=[1, -1, 0],
        label_A=[0.2, -1, 0],
        label_V=[0.4, -1, 0],
        annotation=["Positive", "Negative", "Neutral"],
        mode=["train", "valid", "test"],
    )
    clips = read_clips(path)
    assert ids(clips) == ["video_1$_$0001", "video_2$_$0001"]
    first = clips.clips[0]
    assert first.path == tmp_path / "Raw" / "video_1" / "0001.mp4"
    assert (first.text, first.label, first.split, first.video) == ("好", 0.8, "train", "video_1")
    assert first.labels == {"text": 1, "audio": 0.2, "vision": 0.4}
    assert "there is no recording at" in reasons(clips)["video_2$_$0002"]
    assert read_clips(tmp_path) == clips


def test_recordings_found_by_id_and_by_video(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "long.mkv")
    path = table(tmp_path, id=["a", "b", "c"], video=["", "long", "long"], start=["", 0, 5], end=["", 5, 9])
    assert [clip.path.name for clip in read_clips(path).clips] == ["a.mp4", "long.mkv", "long.mkv"]


def test_ids_never_lead_anywhere(tmp_path: Path) -> None:
    make(tmp_path, "secret.mp4", "in/a.mp4")
    path = table(tmp_path / "in", id=["../secret", "a", "..", "x\\y"], label=[1, 2, 3, 4])
    clips = read_clips(path)
    assert ids(clips) == ["a"]
    assert "Add a column path" in reasons(clips)["../secret"]


def test_paths_may_lead_anywhere(tmp_path: Path) -> None:
    make(tmp_path, "out.mp4", "in/x.txt", "root/r.mp4")
    path = table(tmp_path / "in", path=["../out.mp4", str(tmp_path / "out.mp4")], end=["1", ""], start=["", "2"])
    assert len(read_clips(path).clips) == 2
    path = table(tmp_path / "in", path=["r.mp4"])
    assert read_clips(path, media_root=tmp_path / "root").clips[0].path == tmp_path / "root" / "r.mp4"


def test_ids_are_made_of_file_names(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4", "x/c.mp4", "y/c.mp4")
    path = table(
        tmp_path,
        file=["a.mp4", "b.mp4", "b.mp4", "x/c.mp4", "y/c.mp4"],
        start=["", 0, 2, "", ""],
        end=["", 2, 3, "", ""],
    )
    assert ids(read_clips(path)) == ["a", "b_1", "b_2", "x/c", "y/c"]
    path = table(tmp_path, id=["b", ""], path=["a.mp4", "b.mp4"])
    assert ids(read_clips(path)) == ["b", "row 2"]


def test_the_column_of_the_ratings(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    path = table(tmp_path, path=["a.mp4"], Rating=[2.5], label_T=[1])
    assert read_clips(path).clips[0].label is None
    assert read_clips(path, label_column="rating").clips[0].label == 2.5
    assert read_clips(path, label_column="label_T").clips[0].label == 1
    with pytest.raises(SourceError, match=r"no column 'ratings'; did you mean 'rating'\? It has 'path', 'rating'"):
        read_clips(path, label_column="ratings")
    with pytest.raises(SourceError, match=r"no column 'label'.* It has 'path'.*`label_column="):
        read_clips(path, require_labels=True)
    with pytest.raises(SourceError, match="has no ratings"):
        read_clips(tmp_path / "a.mp4", require_labels=True)


WRONG = {
    "start": ("start", "-1", "start is -1 s; expected seconds"),
    "end": ("end", "0", "the end must be later"),
    "word": ("start", "early", "start is 'early'; expected a number"),
    "comma": ("label", "0,5", "label is '0,5'; expected a number"),
    "infinite": ("label", "inf", "label is 'inf'"),
    "nan": ("end", "nan", "end is 'nan'"),
    "audio": ("label_audio", "high", "label_audio is 'high'"),
    "split": ("split", "holdout", "split is 'holdout'; expected train, valid or test"),
    "absent": ("path", "absent.mp4", "absent.mp4 does not exist. Correct the path"),
    "folder": ("path", ".", "is a folder"),
    "blank": ("path", "", "has no path"),
    "address": ("path", "https://example.org/a.mp4", "is an address. Download"),
    "long": ("path", "x" * 5000, "cannot be read"),
    "subtitles": ("subtitles", "absent.srt", "subtitles .* do not exist"),
    "unlabelled": ("label", "", "has no label"),
}


def test_what_is_wrong_with_one_clip_costs_only_that(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    sound = {"path": "a.mp4", "start": "", "end": "", "label": "1", "label_audio": "", "split": "", "subtitles": ""}
    rows = [{"id": name} | sound | {column: cell} for name, (column, cell, _) in WRONG.items()]
    pd.DataFrame([{"id": "good"} | sound, *rows]).to_csv(tmp_path / "clips.csv", index=False)
    clips = read_clips(tmp_path / "clips.csv", require_labels=True)
    assert ids(clips) == ["good"]
    found = reasons(clips)
    assert list(found) == list(WRONG)
    for name, (_, _, message) in WRONG.items():
        assert re.search(message, found[name]), found[name]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a", "b", "a"], "path": ["a.mp4"] * 3}, "1 id occurs more than once: 'a'"),
        ({"path": []}, "has no rows"),
        ({"words": ["a"], "label": [1]}, "no column path.*it has 'words', 'label'"),
        ({"Path": ["a.mp4"], "path ": ["a.mp4"]}, "more than one column for path"),
    ],
)
def test_what_is_wrong_with_a_whole_table(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    make(tmp_path, "a.mp4")
    with pytest.raises(SourceError, match=message):
        read_clips(table(tmp_path, **columns))


def test_what_is_wrong_with_a_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        read_clips(tmp_path / "absent.csv")
    with pytest.raises(SourceError, match="holds no recording"):
        read_clips(make(tmp_path, "deep/deeper/a.mp4", "notes.txt"))


def test_a_text_next_to_a_recording_is_not_that_of_a_span(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.txt", "a.srt")
    path = table(tmp_path, path=["a.mp4", "a.mp4", "a.mp4"], start=["", 1, 1], end=["", 2, 2], text=["", "", "given"])
    whole, piece, given_ = read_clips(path).clips
    assert (whole.text, whole.subtitles) == (None, tmp_path / "a.srt")
    (tmp_path / "a.srt").rename(tmp_path / "b.srt")
    assert [clip.text for clip in read_clips(path).clips] == ["well said", None, "given"]
    assert (piece.text, piece.subtitles) == (None, tmp_path / "a.srt")
    assert (given_.text, given_.subtitles) == ("given", None)


def test_overlapping_times(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    columns: dict[str, Any] = {"path": ["a.mp4"] * 3 + ["b.mp4"], "start": [0, 2, 2.5, 0], "end": [2, 4, 3, 2]}
    (note,) = read_clips(table(tmp_path, id=list("wxyz"), **columns)).notes
    assert note.startswith("clips of one recording overlap in time: 'x' and 'y'.")
    (_, stronger) = read_clips(table(tmp_path, id=list("wxyz"), split=["train", "train", "test", ""], **columns)).notes
    assert "different splits: 'x' (train) and 'y' (test)" in stronger


SPANS = st.lists(
    st.tuples(
        st.integers(0, 20), st.integers(1, 6), st.sampled_from(["train", "valid", "test"]), st.sampled_from("ab")
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(spans=SPANS)
def test_overlaps_against_every_pair(spans: list[tuple[int, int, str, str]]) -> None:
    clips = [
        Clip(Path(file), str(place), float(start), float(start + length), split=split)
        for place, (start, length, split, file) in enumerate(spans)
    ]
    every = [
        (one, other)
        for place, one in enumerate(clips)
        for other in clips[:place]
        if one.path == other.path and max(one.start or 0, other.start or 0) < min(one.end or 0, other.end or 0)
    ]
    notes = overlap_notes(clips)
    assert any("overlap in time" in note for note in notes) == bool(every)
    assert any("different splits" in note for note in notes) == any(one.split != other.split for one, other in every)


def test_a_clip_takes_text_as_paths() -> None:
    clip = Clip("a.mp4", subtitles="a.srt")  # type: ignore[arg-type]
    assert (clip.path, clip.subtitles) == (Path("a.mp4"), Path("a.srt"))
    assert Clip.from_json(clip.to_json()).path == Path("a.mp4").absolute()


def test_an_export_of_label_studio_is_not_a_table_of_clips(tmp_path: Path) -> None:
    """Its ids are the numbers of tasks, by which the recordings of other clips would be found."""
    make(tmp_path, "3.mp4", "7.mp4")
    path = table(tmp_path, id=[3], clip=[7], label_text=[1.0], Lead_Time=[2.0])
    with pytest.raises(SourceError, match="id is the number of a task"):
        read_clips(path)


@pytest.mark.parametrize(
    ("recording", "files", "used"),
    [
        ("UPPER.wav", ["UPPER.SRT"], "UPPER.SRT"),
        ("PHONE.MP4", ["phone.srt"], "phone.srt"),
        ("talk.mp4", ["talk.en.srt"], "talk.en.srt"),
        ("talk.mp4", ["talk.en-US.vtt"], "talk.en-US.vtt"),
        ("talk.mp4", ["talk.German.ass"], "talk.German.ass"),
        ("talk.mp4", ["talk.en.sdh.srt", "talk.en.forced.srt"], "talk.en.sdh.srt"),
        ("talk.mp4", ["talk.mp4.srt"], "talk.mp4.srt"),
        ("a.b.mp4", ["a.b.en.vtt"], "a.b.en.vtt"),
        ("talk.mp4", ["talk.txt", "talk.ssa", "talk.ass", "talk.vtt", "talk.srt"], "talk.srt"),
        ("talk.mp4", ["talk.txt", "talk.ssa", "talk.ass", "talk.vtt"], "talk.vtt"),
        ("talk.mp4", ["talk.txt", "talk.SSA", "talk.ASS"], "talk.ASS"),
        ("talk.mp4", ["talk.TXT"], "talk.TXT"),
        ("talk.mp4", ["talk.vtt", "talk.en.srt", "talk.de.srt"], "talk.vtt"),  # one without a language comes first
        ("talk.mp4", ["talk.de.vtt", "talk.en-orig.vtt"], "talk.en-orig.vtt"),
        ("talk.mp4", ["talk.cut.srt", "talk2.srt"], None),
        ("talk.mp4", ["._talk.srt", "talk.srt~"], None),
    ],
)
def test_the_transcript_of_a_recording(tmp_path: Path, recording: str, files: list[str], used: str | None) -> None:
    make(tmp_path, recording, *files)
    listed = read_clips(tmp_path)
    (clip,) = listed.clips
    chosen = clip.subtitles.name if clip.subtitles else used if clip.text else None
    assert chosen == used
    assert (clip.text is not None) == (used is not None and used.lower().endswith(".txt"))
    assert [f"files next to them: '{used}'" in note for note in listed.notes] == ([True] if used else [])
    assert read_clips(tmp_path / recording).clips == listed.clips
    path = table(tmp_path, path=[recording])
    assert [clip.subtitles for clip in read_clips(path).clips] == [clip.subtitles]


def test_a_transcript_belongs_to_one_recording(tmp_path: Path) -> None:
    make(tmp_path, "talk.mp4", "talk.en.mp4", "talk.en.srt", "a.mp4", "A.mp4", "A.srt", "a.vtt")
    assert {clip.id: clip.subtitles and clip.subtitles.name for clip in read_clips(tmp_path).clips} == {
        "talk": None,
        "talk.en": "talk.en.srt",
        "a": "a.vtt",
        "A": "A.srt",
    }


def test_transcripts_in_several_languages(tmp_path: Path) -> None:
    make(tmp_path, "talk.mp4", "talk.en.srt", "talk.de.srt", "other.mp4")
    listed = read_clips(tmp_path)
    assert ids(listed) == ["other"]
    assert "several languages next to it: 'talk.de.srt', 'talk.en.srt'. Keep the one" in reasons(listed)["talk"]


@pytest.mark.parametrize("line", ["00:00:01,000 --> 00:00:02,000", "[00:01.000 --> 00:02.000]  so good"])
def test_subtitles_in_a_text_file_are_not_words(tmp_path: Path, line: str) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.txt").write_text(f"1\n{line}\nso good\n")
    assert reasons(read_clips(tmp_path)) == {"a": "a.txt holds subtitles with times, not words alone. Name it a.srt."}


def test_the_note_names_the_transcripts_that_are_not_used(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.srt", "a.txt", "b.mp4", "b.vtt", "c.mp4")
    assert read_clips(tmp_path).notes == (
        "the words of 2 recordings come from files next to them: 'a.srt', 'b.vtt'; not used: 'a.txt'.",
    )


def test_the_note_names_what_nobody_says_in_a_text_file(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    (tmp_path / "a.txt").write_text("[laughs] so good\n(applause)\n")
    listed = read_clips(tmp_path)
    assert listed.clips[0].text == "so good"
    assert listed.notes[1] == "text files hold what nobody says, which was left out: '[laughs]', '(applause)'."


STRAY_TABLES = {
    "own predictions": ("id,score,text\na,1,x\n", "its column score holds results of selfmm"),
    "own labels": ("id,path,label_text,made_text\na,a.mp4,1,fixed\n", "its column made_text holds results"),
    "own failures": ("id,path,reason\na,a.mp4,too short\n", "it lists the clips that could not be extracted"),
    "participants": ("id,age\na,34\n", "has no column path, label, text or start"),
    "others": ("id,label\nP01,3\n", "no row of it names a recording in the folder"),
    "moved": ("path,label\nelsewhere/x.mp4,3\n", "no row of it names a recording in the folder"),
    "broken": ("id,label\na,1,2\n", "rows longer than its header"),
    "empty": ("", "is empty"),
    "latin": ("id,name\na,Jos\xe9\n", "is not UTF-8"),
}


@pytest.mark.parametrize(("content", "reason"), STRAY_TABLES.values(), ids=STRAY_TABLES)
def test_any_table_does_not_stand_for_a_folder_of_recordings(tmp_path: Path, content: str, reason: str) -> None:
    make(tmp_path, "a.mp4", "anna/b.mp4")
    (tmp_path / "stray.csv").write_bytes(content.encode("latin-1"))
    listed = read_clips(tmp_path)
    assert ids(listed) == ["a", "anna$_$b"]
    (note,) = listed.notes
    assert note.startswith("stray.csv was not read: ")
    assert reason in note
    with pytest.raises(SourceError, match=r"has no ratings: .*stray\.csv was not read"):
        read_clips(tmp_path, require_labels=True)


def test_recordings_that_the_table_of_a_folder_does_not_name_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4", "c.mp4", "Thumbs.db", "~$clips.csv", ".~lock.clips.csv#", "._clips.csv")
    table(tmp_path, path=["a.mp4", "absent.mp4"], label=[1, 2])
    listed = read_clips(tmp_path)
    assert ids(listed) == ["a"]
    assert listed.notes == (
        f"clips.csv lists the clips of {tmp_path}; 2 recordings not in it left out: 'b.mp4', 'c.mp4'.",
    )
