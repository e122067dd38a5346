"""Read the words of a recording from its subtitles, and write scores as subtitles (.srt)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.core.encodings import read_text
from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.core.languages import language_in
from selfmm.core.messages import count, some
from selfmm.features.streams import Transcript, Word
from selfmm.features.words.plain import read_words
from selfmm.features.words.times import split_words, spread

if TYPE_CHECKING:
    from selfmm.features.words.cue_files import Cue

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Suffixes that ``read_cues`` reads. If several such files are next to a recording, the first in this order counts."""
_SCORE = re.compile(r"(?:[+-]?\d+\.\d+(?: ±[\d.]+)?|[+-]?\d+ ±\d+|no score|no information)(?: \(.* [+-]?[\d.]+\))?")


def read_subtitles(
    path: Path, start: float | None = None, end: float | None = None, *, length: float | None = None
) -> Transcript:
    """Return the words of a clip from a file of subtitles.

    The words of a cue share its time in proportion to their letters. A cue ends where the next one begins. What nobody
    says is left out, see `selfmm.features.words.spoken`; the transcript has a warning then. The language is the one in
    the name of the file, as in ``talk.de.srt``.

    Args:
        path: .srt, .vtt, .ass or .ssa; or .txt, a transcript without times, which is returned as a whole.
        start, end: seconds in the recording; None: its beginning, its end.
        length: seconds of the recording, if known. Subtitles that begin later are left out, with a warning.

    Returns:
        The words with their middle in the clip, with times from the beginning of the clip.

    Raises:
        SourceError: if the file cannot be read, is not Unicode, or is not a file of subtitles; with the number of the
            wrong line.
        MissingPackageError: if pysubs2 is not installed.
    """
    if path.suffix.lower() == ".txt":
        words_alone, parts = read_words(path)
        return Transcript(words_alone, warnings=tuple(_left_out(parts)))
    first, last = start or 0.0, math.inf if end is None else end
    cues, warnings = _spoken(path, first, last, length)
    pieces: list[str] = []
    words: list[Word] = []
    for cue in _one_after_another(cues):
        texts = split_words(cue.text)
        texts[0] = f" {texts[0]}"  # a blank between cues
        for text, (a, b) in zip(texts, spread(texts, (cue.start, cue.end)), strict=True):
            if first <= (a + b) / 2 < last:
                pieces.append(text)
                a, b = max(a, first) - first, min(b, last) - first
                words.append(Word(text.strip(), round(a, 3), round(b, 3)))
    language = language_in(path.stem)
    return Transcript("".join(pieces).strip(), tuple(words), language, "subtitles", warnings=tuple(warnings))


def _spoken(path: Path, first: float, last: float, length: float | None) -> tuple[list[Cue], list[str]]:
    """Return the cues of a recording with the words that are said, and what is odd about those in a clip."""
    cues = _read_cues(path)
    if cues and all(_SCORE.fullmatch(cue.text) for cue in cues):
        raise SourceError(
            f"{path} holds scores, as `selfmm predict --srt` writes them, not words. Move it away from the recording, "
            "or rename it."
        )
    from selfmm.features.words.spoken import in_two_languages, spoken

    said, descriptions, rolling = spoken(cues)
    warnings = []
    if in_two_languages(cues):
        warnings.append("the subtitles seem to be in two languages. Keep the lines in the one that is spoken")
    if rolling:
        warnings.append("the subtitles show lines several times (rolling captions); each line was read once")
    warnings += _left_out([part for start, part in descriptions if first <= start < last])
    if length is not None and (late := sum(max(length, first) <= cue.start < last for cue in said)):
        warnings.append(
            f"{count(late, 'subtitle')} of {path.name} left out: the recording ends before, at {length:.1f} s. Check "
            "that the file belongs to it"
        )
        said = [cue for cue in said if cue.start < length]
    if length is not None:
        said = [cue._replace(end=min(cue.end, length)) for cue in said]
    return said, warnings


def _left_out(parts: Sequence[str]) -> list[str]:
    if not parts:
        return []
    different = list(dict.fromkeys(" ".join(part.split()) for part in parts))
    return [f"the subtitles hold what nobody says, which was left out: {some(different)}"]


def read_cues(path: Path) -> tuple[Cue, ...]:
    """Return the subtitles of a file that have a text, as they are, in the order of their starts.

    Raises:
        SourceError, MissingPackageError: see ``read_subtitles``.
    """
    return tuple(cue._replace(text=" ".join(cue.text.split())) for cue in _read_cues(path))


def _read_cues(path: Path) -> list[Cue]:
    text, suffix = _read(path), path.suffix.lower()
    if suffix == ".vtt" and not text.startswith("WEBVTT"):
        raise SourceError(f"{path}: a .vtt file begins with WEBVTT, this one with {text[:20]!r}.")
    try:
        from selfmm.features.words.cue_files import read_ass, read_srt
    except ImportError as error:
        raise MissingPackageError(
            "Reading subtitles needs pysubs2. Install it with: pip install 'selfmm[video]'"
        ) from error
    cues = read_ass(path, text) if suffix in (".ass", ".ssa") else read_srt(path, text)
    return sorted((cue for cue in cues if cue.text), key=lambda cue: cue.start)


def to_srt(cues: Iterable[tuple[float, float, str]]) -> str:
    """Return the text of an .srt file.

    Args:
        cues: start and end in seconds, 0 <= start <= end, and text; cues without text are left out.

    Raises:
        ValueError: if a subtitle cannot have these times.

    >>> print(to_srt([(0.5, 2.25, "Hello")]), end="")
    1
    00:00:00,500 --> 00:00:02,250
    Hello
    """
    blocks: list[str] = []
    for start, end, text in cues:
        if not 0 <= start <= end < math.inf:
            raise ValueError(f"a subtitle cannot last from {start} s to {end} s")
        # A blank line would end the subtitle, and an arrow could begin another one.
        lines = [line.strip() for line in text.replace("-->", "→").splitlines()]
        if any(lines):
            body = "\n".join(filter(None, lines))
            blocks.append(f"{len(blocks) + 1}\n{_stamp(start)} --> {_stamp(end)}\n{body}\n")
    return "\n".join(blocks)


def _read(path: Path) -> str:
    # Written as text on Windows, "\r\n" becomes "\r\r\n"; old editors end a file with "\x1a".
    return re.sub("\r+\n|\r", "\n", read_text(path)).rstrip("\x1a")


def _stamp(seconds: float) -> str:
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    rest, second = divmod(rest, 60)
    hour, minute = divmod(rest, 60)
    return f"{hour:02}:{minute:02}:{second:02},{milliseconds:03}"


def _one_after_another(cues: Sequence[Cue]) -> list[Cue]:
    """Return cues that do not overlap: merge those that start together, and end each where the next one starts."""
    apart: list[Cue] = []
    for cue in cues:
        if apart and apart[-1].start == cue.start:
            apart[-1] = cue._replace(end=max(apart[-1].end, cue.end), text=f"{apart[-1].text} {cue.text}")
            continue
        if apart:
            apart[-1] = apart[-1]._replace(end=min(apart[-1].end, cue.start))
        apart.append(cue)
    return apart
