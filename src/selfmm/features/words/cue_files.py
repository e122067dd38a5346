"""Files of subtitles, read by pysubs2: .srt, .vtt (https://www.w3.org/TR/webvtt1/), .ass and .ssa.

pysubs2 skips what it does not understand, and takes the names and notes of WebVTT for text. So .srt and .vtt files are
checked here first, line by line, and only the subtitles in them are handed on.
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

_EXAMPLE = "a time like 00:00:01,000 --> 00:00:02,500"
_TIME = r"(-?)(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_BEGINS_LIKE_TIMING = re.compile(r"\s*-?\d+:[\d:.,]+\s*-->")
_TAGS = re.compile(r"</?[A-Za-z][^<>]*>|</>|<[\d:.]+>|\{\\[^{}]*\}")  # <i>, <v Name>, <00:01.500>, {\an8}


class Cue(NamedTuple):
    """One subtitle: seconds in the recording, and its text without tags."""

    start: float
    end: float
    text: str


class _Checked(SubripFormat):
    """Reads .srt whose times are marked. By itself pysubs2 takes any line with two times for a timing."""

    TIMESTAMP = re.compile(r"\0(\d+):(\d+):(\d+),(\d+)")


class _Subtitle(NamedTuple):
    """What the file says of a subtitle: the number of the line with its times, these times, and the lines below."""

    number: int
    timing: str
    lines: list[str]


def read_ass(path: Path, text: str) -> Iterator[Cue]:
    """Yield the dialogue of an .ass or .ssa file, without comments and drawings.

    Raises:
        SourceError: if the text is something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about margins and alignments, which do not matter here
            events = [event for event in SSAFile.from_string(text) if event.is_text]
    except Exception as error:  # whatever its conversions raise
        raise SourceError(
            f"{path} cannot be read as .ass or .ssa subtitles ({error}). Save it again in a subtitle editor."
        ) from error
    for number, event in enumerate(events, start=1):
        start, end = event.start / 1000, event.end / 1000
        if not 0 <= start <= end:
            raise SourceError(f"{path}, dialogue {number}: a subtitle cannot last from {start} s to {end} s.")
        yield Cue(start, end, " ".join(event.plaintext.split()))


def read_srt(path: Path, text: str) -> Iterator[Cue]:
    """Yield the subtitles of an .srt or .vtt file.

    Raises:
        SourceError: if a line is not what it should be; names it.
    """
    web = text.startswith("WEBVTT")
    subtitles = _subtitles(path, text, web)
    file = SSAFile()
    # The number after each subtitle is for pysubs2 to take away: without one it would take the last line of the text.
    srt = "".join(f"{timing}\n{' '.join(lines)}\n0\n" for _, timing, lines in subtitles)
    _Checked.from_file(file, StringIO(srt), "srt", keep_html_tags=True)
    for (number, _, _), event in zip(subtitles, file, strict=True):
        start, end = event.start / 1000, event.end / 1000
        if end < start:
            raise SourceError(f"{path}, line {number}: the subtitle ends at {end} s before it starts at {start} s.")
        words = _TAGS.sub("", event.text)
        yield Cue(start, end, " ".join((html.unescape(words) if web else words).split()))


def _subtitles(path: Path, text: str, web: bool) -> list[_Subtitle]:
    subtitles: list[_Subtitle] = []
    for number, lines in _blocks(text.replace("\0", " ")):
        timings = [place for place in range(len(lines)) if _is_timing(lines, place, web)]
        # One in a block; several where the blank lines between them were lost.
        for timing, after in pairwise([*timings, len(lines) + 1]):
            below = lines[timing + 1 : after]
            if after <= len(lines) and below and below[-1].strip().isdigit():
                below = below[:-1]  # the number of the next one
            subtitles.append(_Subtitle(number + timing, _marked(path, number + timing, lines[timing]), below))
        if not timings and not web:  # WebVTT has blocks of other kinds: NOTE, STYLE, REGION
            if not subtitles:
                raise SourceError(f"{path}, line {number}: expected {_EXAMPLE}, found {lines[0][:60]!r}.")
            subtitles[-1].lines.extend(lines)  # a blank line inside a subtitle
    return subtitles


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield what blank lines separate, with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _is_timing(lines: list[str], place: int, web: bool) -> bool:
    # In SubRip the text may hold an arrow too: a timing begins like a time, or is below the number of a block.
    if "-->" not in lines[place]:
        return False
    return web or bool(_BEGINS_LIKE_TIMING.match(lines[place])) or (place == 1 and lines[0].strip().isdigit())


def _marked(path: Path, number: int, line: str) -> str:
    """Return the times of a line in the form of ``_Checked``."""
    match = _TIMING.match(line)
    if match is None:
        raise SourceError(f"{path}, line {number}: expected {_EXAMPLE}, found {line.strip()[:60]!r}.")
    times = match.groups()
    for sign, _, minutes, seconds, _ in (times[:5], times[5:]):
        if sign or int(minutes) > 59 or int(seconds) > 59:
            raise SourceError(f"{path}, line {number}: {line.strip()[:60]!r} is not a time of a recording.")
    return " --> ".join("\0{}:{}:{},{}".format(*(part or 0 for part in each[1:])) for each in (times[:5], times[5:]))
