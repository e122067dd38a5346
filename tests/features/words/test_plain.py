"""Transcripts without times, as other programs export them: what is said, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.features.words.plain import read_words
from selfmm.features.words.subtitles import read_subtitles


def words(folder: Path, content: str) -> tuple[str, list[str]]:
    path = folder / "a.txt"
    path.write_text(content, newline="")
    return read_words(path)


@pytest.mark.parametrize(
    ("content", "said", "parts"),
    [
        ("so\r\n  good\r\n", "so good", []),
        ("", "", []),
        ("I woke at 7:30\nand left\n8:15 was the train\n", "I woke at 7:30 and left 8:15 was the train", []),
        ("as John 3:16\nsays", "as John 3:16 says", []),
        ("[MUSIC]\nSo (laughs) good (umm)\n>> JOHN: yes", "So good umm yes", ["[MUSIC]", "(laughs)", "JOHN:"]),
        ("Ann Lee: Hello.\nSpeaker 2: Note: late\n", "Hello. Note: late", ["Ann Lee:", "Speaker 2:"]),
        ("The plan: stay.\nI like it.\nAnd you?", "The plan: stay. I like it. And you?", []),
        ("[so they say] it {was} good", "it {was} good", ["[so they say]"]),
    ],
)
def test_what_is_said(tmp_path: Path, content: str, said: str, parts: list[str]) -> None:
    assert words(tmp_path, content) == (said, parts)


@pytest.mark.parametrize(
    "content",
    [
        "John Smith  0:01\nHello there.\n\nAnna  1:00:05\nBye\n",  # Otter, Teams
        "00:00:01:00 - 00:00:02:12\nUnknown\nHello\n",  # Premiere
        "0:01\nhello there\n0:03\ngood bye\n",  # YouTube, copied
        "0:01 hello there\n0:03 good bye\n",
        "0:00:01.000,0:00:02.000\nHello\n",  # .sbv
        "[00:01.00]Hello\n[00:03.00]Bye\n",  # .lrc
        "[ti:Song]\n[00:01.00]Hello\n[00:03.00]Bye\n",
        "00:01:02\tJohn : hello\n",  # Zoom's chat
    ],
)
def test_times_are_not_said(tmp_path: Path, content: str) -> None:
    with pytest.raises(SourceError, match=r"a\.txt holds times \('.*'\), not words alone. Export it as .srt"):
        words(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{\\rtf1\\ansi Hello}", "a document"),
        ('{"text": "Hello", "segments": []}', "JSON"),
        ('[\n {"text": "Hello"}]', "JSON"),
        ('<?xml version="1.0"?><tt/>', "a web page or XML"),
        ("start\tend\ttext\n0\t2000\tHello\n", "a table of Whisper"),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(SourceError, match=rf"a\.txt is {what}.*, not words alone"):
        words(tmp_path, content)


def test_read_as_subtitles_it_warns(tmp_path: Path) -> None:
    words(tmp_path, "[laughs] so good")
    transcript = read_subtitles(tmp_path / "a.txt")
    assert (transcript.text, transcript.words) == ("so good", ())
    assert transcript.warnings == ("the subtitles hold what nobody says, which was left out: '[laughs]'",)
