"""Subtitles: SubRip (.srt) and WebVTT (.vtt, https://www.w3.org/TR/webvtt1/) in, SubRip out."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from selfmm.core.errors import SourceError
from selfmm.features.streams import Transcript, Word
from selfmm.features.words.times import split_words, spread

SUFFIXES = (".srt", ".vtt", ".txt")

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


def read_subtitles(path: Path, start: float | None = None, end: float | None = None) -> Transcript:
    """What is said in a clip, by a file of subtitles.

    A cue's time is shared among its words by their letters; where the next cue begins, a cue ends.

    Args:
        path: .srt or .vtt; or .txt, a transcript without times, which is taken whole.
        start, end: of the clip in the recording, seconds; None: its beginning, its end.

    Returns:
        the words whose middle lies in the clip, with times from the clip's beginning.

    Raises:
        SourceError: the file cannot be read, is not UTF-8, or holds something else; it names the line.
    """
    if path.suffix.lower() == ".txt":
        return Transcript(" ".join(_read(path).split()))
    first, last = start or 0.0, math.inf if end is None else end
    pieces: list[str] = []
    words: list[Word] = []
    for cue in _one_after_another(read_cues(path)):
        texts = split_words(cue.text)
        texts[0] = f" {texts[0]}"  # a blank goes between cues
        for text, (a, b) in zip(texts, spread(texts, (cue.start, cue.end)), strict=True):
            if first <= (a + b) / 2 < last:
                pieces.append(text)
                a, b = max(a, first) - first, min(b, last) - first
                words.append(Word(text.strip(), round(a, 3), round(b, 3)))
    return Transcript("".join(pieces).strip(), tuple(words), source="subtitles")


def read_cues(path: Path) -> tuple[Cue, ...]:
    """The subtitles of an .srt or .vtt file in the order of their starts; those without text are left out.

    Raises:
        SourceError: as for ``read_subtitles``.
    """
    text = _read(path)
    web = text.startswith("WEBVTT")
    if path.suffix.lower() == ".vtt" and not web:
        raise SourceError(f"{path}: a .vtt file begins with WEBVTT, this one with {text[:20]!r}.")
    cues: list[Cue] = []
    for number, lines in _blocks(text):
        begins = [place for place in range(len(lines)) if _begins_cue(lines, place, web)]
        if begins:
            cues += _cues(path, number, lines, begins)
        elif cues and not web:  # a blank line inside a subtitle
            cues[-1] = cues[-1]._replace(text="\n".join([cues[-1].text, *lines]))
        elif not web:  # WebVTT has blocks of other kinds: NOTE, STYLE, REGION
            raise SourceError(f"{path}, line {number}: expected {_EXAMPLE}, found {lines[0][:60]!r}.")
    cleaned = (cue._replace(text=_clean(cue.text, web)) for cue in cues)
    return tuple(sorted((cue for cue in cleaned if cue.text), key=lambda cue: cue.start))


def to_srt(cues: Iterable[tuple[float, float, str]]) -> str:
    """Text of an .srt file.

    Args:
        cues: start and end in seconds, 0 <= start <= end, and text; those without text are left out.

    Raises:
        ValueError: times that no subtitle can have.

    >>> print(to_srt([(0.5, 2.25, "Hello")]), end="")
    1
    00:00:00,500 --> 00:00:02,250
    Hello
    """
    blocks: list[str] = []
    for start, end, text in cues:
        if not 0 <= start <= end < math.inf:
            raise ValueError(f"a subtitle cannot last from {start} s to {end} s")
        # What ends a subtitle, or begins one, must not stand in its text.
        lines = [line.strip() for line in text.replace("-->", "→").splitlines()]
        if any(lines):
            body = "\n".join(filter(None, lines))
            blocks.append(f"{len(blocks) + 1}\n{_stamp(start)} --> {_stamp(end)}\n{body}\n")
    return "\n".join(blocks)


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8, for example with: "
            f"iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """What blank lines separate, with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _begins_cue(lines: list[str], place: int, web: bool) -> bool:
    # In SubRip text too may hold an arrow: a time begins like one, or stands below the number of a block.
    if "-->" not in lines[place]:
        return False
    return web or bool(_BEGINS_LIKE_TIMING.match(lines[place])) or (place == 1 and lines[0].strip().isdigit())


def _cues(path: Path, number: int, lines: list[str], begins: list[int]) -> Iterator[Cue]:
    """The cues of a block: one, or several where the blank lines between them were lost."""
    for begin, after in zip(begins, [*begins[1:], len(lines) + 1], strict=True):
        body = lines[begin + 1 : after]
        if after <= len(lines) and body and body[-1].strip().isdigit():
            body = body[:-1]  # the number of the next one
        yield Cue(*_times(path, number + begin, lines[begin]), "\n".join(body))


def _times(path: Path, number: int, line: str) -> tuple[float, float]:
    found = _TIMING.match(line)
    if found is None:
        raise SourceError(f"{path}, line {number}: expected {_EXAMPLE}, found {line.strip()[:60]!r}.")
    start, end = (_seconds(found.groups()[place : place + 5]) for place in (0, 5))
    if start is None or end is None:
        raise SourceError(f"{path}, line {number}: {line.strip()[:60]!r} is no time of a recording.")
    if end < start:
        raise SourceError(f"{path}, line {number}: the subtitle ends at {end} s before it starts at {start} s.")
    return start, end


def _seconds(groups: Sequence[str | None]) -> float | None:
    sign, hours, minutes, seconds, fraction = groups
    if sign or int(minutes or 0) > 59 or int(seconds or 0) > 59:
        return None
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return (whole * 1000 + int((fraction or "").ljust(3, "0"))) / 1000


def _stamp(seconds: float) -> str:
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    rest, second = divmod(rest, 60)
    hour, minute = divmod(rest, 60)
    return f"{hour:02}:{minute:02}:{second:02},{milliseconds:03}"


def _clean(text: str, web: bool) -> str:
    text = _TAGS.sub("", text)
    return " ".join((html.unescape(text) if web else text).split())


def _one_after_another(cues: Sequence[Cue]) -> list[Cue]:
    """Cues that do not overlap: those that start together become one, others end where the next one starts."""
    apart: list[Cue] = []
    for cue in cues:
        if apart and apart[-1].start == cue.start:
            apart[-1] = Cue(cue.start, max(apart[-1].end, cue.end), f"{apart[-1].text} {cue.text}")
            continue
        if apart:
            apart[-1] = apart[-1]._replace(end=min(apart[-1].end, cue.start))
        apart.append(cue)
    return apart
