"""Read files of subtitles with pysubs2: .srt, .vtt (https://www.w3.org/TR/webvtt1/), .ass and .ssa.

pysubs2 skips lines that it does not understand, and treats names and notes of WebVTT as text. So .srt and .vtt files
are first checked here, line by line, and pysubs2 gets only their subtitles.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pysubs2 import SSAFile
from pysubs2.formats.subrip import SubripFormat

from selfmm.core.errors import SourceError
from selfmm.core.messages import count

_NOT_SAID = re.compile(r"sign|song|lyric|karaoke|credit|(?:^|[^a-z])(?:op|ed)(?:[^a-z]|$)", re.IGNORECASE)  # styles
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_ENTITY = re.compile(r"&#?\w{1,31};")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_EFFECTS = {"fx", "karaoke"}  # the syllables of songs, which a script has made of their lines
_COMMAS = 9  # in a dialogue, before its text
_FIELDS = {1: "start", 2: "end", 3: "style", 9: "text"}  # of a dialogue; pysubs2 knows this order only
_LINE = "\x1f"  # between the lines of a subtitle, where pysubs2 gets one line
_EXAMPLE = "a time like 00:00:01,000 --> 00:00:02,500"
_TIME = r"(-?)(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_BEGINS_LIKE_TIMING = re.compile(r"\s*-?\d+:[\d:.,]+\s*-->")
_TAGS = re.compile(
    r"</?[A-Za-z][^<>]*>|</>|<[\d:.]+>|\{(?:\\|[A-Za-z]:)[^{}]*\}"
)  # <i>, <v Name>, <00:01.500>, {\an8}, {y:i}


class Cue(NamedTuple):
    """A subtitle: its times in the recording (seconds), and the lines of its text without tags."""

    start: float
    end: float
    text: str


class _Checked(SubripFormat):
    """Reads .srt with marked times. Without marks, pysubs2 treats any line with two times as a timing."""

    TIMESTAMP = re.compile(r"\0(\d+):(\d+):(\d+),(\d+)")


class _Subtitle(NamedTuple):
    """A subtitle in the file: the number of the line with its times, these times, and the lines below."""

    number: int
    timing: str
    lines: list[str]


def read_ass(path: Path, text: str) -> Iterator[Cue]:
    """Yield the dialogue of an .ass or .ssa file, without comments and drawings.

    Raises:
        SourceError: if the text is not in this format.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about margins and alignments, which do not matter here
            every = SSAFile.from_string(text).events
    except Exception as error:  # its conversions raise all kinds of errors
        raise SourceError(
            f"{path} cannot be read as .ass or .ssa subtitles ({error}). Save it again in a subtitle editor."
        ) from error
    _check_dialogue(path, text, sum(event.type == "Dialogue" for event in every))
    for number, event in enumerate((event for event in every if event.is_text), start=1):
        start, end = event.start / 1000, event.end / 1000
        if not 0 <= start <= end:
            raise SourceError(f"{path}, dialogue {number}: a subtitle cannot last from {start} s to {end} s.")
        text = _lines(event.plaintext)
        # What is on signs is not said, nor are the songs at the beginning and the end.
        sung = _NOT_SAID.search(event.style) or event.effect.lower() in _EFFECTS
        yield Cue(start, end, f"[{text}]" if sung else text)


def _check_dialogue(path: Path, text: str, read: int) -> None:
    """Raise ``SourceError`` if pysubs2 would misread or skip lines of dialogue."""
    kinds = [line.partition(":")[::2] for line in text[text.rfind("[Events]") :].split("\n")]
    formats = [[field.strip().lower() for field in fields.split(",")] for kind, fields in kinds if kind == "Format"]
    for fields in formats:
        if len(fields) != _COMMAS + 1 or any(fields[place] != name for place, name in _FIELDS.items()):
            raise SourceError(
                f"{path} has the fields of its dialogue in another order than usual ({', '.join(fields)}). Save it "
                "again in a subtitle editor."
            )
    dialogue = [line for line in text.split("\n") if line.startswith("Dialogue:")]
    read = read if "[Events]" in text else 0  # without it, pysubs2 guesses another format
    if unread := len(dialogue) - read or sum(line.count(",") < _COMMAS for line in dialogue):
        raise SourceError(
            f"{path}: {count(unread, 'line')} of dialogue cannot be read: not below [Events], or without all fields. "
            "Save it again in a subtitle editor."
        )


def read_srt(path: Path, text: str) -> Iterator[Cue]:
    """Yield the subtitles of an .srt or .vtt file.

    Raises:
        SourceError: if a line is wrong, with its number.
    """
    web = text.startswith("WEBVTT")
    subtitles = _subtitles(path, text, web)
    file = SSAFile()
    # pysubs2 removes the number after each subtitle: without one, it might remove the last line of the text.
    srt = "".join(f"{timing}\n{_LINE.join(lines)}\n0\n" for _, timing, lines in subtitles)
    _Checked.from_file(file, StringIO(srt), "srt", keep_html_tags=True)
    for (number, _, _), event in zip(subtitles, file, strict=True):
        start, end = event.start / 1000, event.end / 1000
        if end < start:
            raise SourceError(f"{path}, line {number}: the subtitle ends at {end} s before it starts at {start} s.")
        words = _TAGS.sub("", _BREAK.sub("\n", event.text.replace(_LINE, "\n")))
        # Converted from .vtt, an .srt has its entities too.
        yield Cue(start, end, _lines(_ENTITY.sub(lambda entity: html.unescape(entity.group()), words)))


def _lines(text: str) -> str:
    """Return the lines of a text that are not blank, with one blank between words."""
    text = _INVISIBLE.sub("", text)
    return "\n".join(line for part in text.split("\n") if (line := " ".join(part.split())))


def _subtitles(path: Path, text: str, web: bool) -> list[_Subtitle]:
    subtitles: list[_Subtitle] = []
    for number, lines in _blocks(text.replace("\0", " ").replace(_LINE, " "), web):
        timings = [place for place in range(len(lines)) if _is_timing(lines, place, web)]
        if len(lines) == 1 and not web and lines[0].strip() == str(len(subtitles) + 1):
            continue  # the number of a subtitle, with a blank line below it or without a subtitle
        # A block has one timing, or several if the blank lines between subtitles were lost.
        for timing, after in pairwise([*timings, len(lines) + 1]):
            below = lines[timing + 1 : after]
            if after <= len(lines) and below and below[-1].strip().isdigit():
                below = below[:-1]  # the number of the next subtitle
            subtitles.append(_Subtitle(number + timing, _marked(path, number + timing, lines[timing]), below))
        if not timings and not web:  # WebVTT has blocks of other kinds: NOTE, STYLE, REGION
            if not subtitles:
                place = int(len(lines) > 1 and lines[0].strip().isdigit())
                raise SourceError(f"{path}, line {number + place}: expected {_EXAMPLE}, found {lines[place][:60]!r}.")
            subtitles[-1].lines.extend(lines)  # a blank line inside a subtitle
    return subtitles


def _blocks(text: str, web: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the blocks between blank lines, with the number of the first line."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line if web else line.strip():  # in WebVTT, a line of blanks is a part of the text
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _is_timing(lines: list[str], place: int, web: bool) -> bool:
    # In .srt, text may also hold an arrow: a timing begins like a time, or is below the number of a block.
    if "-->" not in lines[place]:
        return False
    return web or bool(_BEGINS_LIKE_TIMING.match(lines[place])) or (place == 1 and lines[0].strip().isdigit())


def _marked(path: Path, number: int, line: str) -> str:
    """Return the times of a line, marked for ``_Checked``."""
    match = _TIMING.match(line)
    if match is None:
        raise SourceError(f"{path}, line {number}: expected {_EXAMPLE}, found {line.strip()[:60]!r}.")
    groups = match.groups()
    times = (groups[:5], groups[5:])
    for sign, _, minutes, seconds, _ in times:
        if sign or int(minutes) > 59 or int(seconds) > 59:
            raise SourceError(f"{path}, line {number}: {line.strip()[:60]!r} is not a time of a recording.")
    return " --> ".join("\0{}:{}:{},{}".format(*(part or 0 for part in time[1:])) for time in times)
