"""Read the words of a recording from its subtitles, and write scores as subtitles (.srt)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.core.encodings import read_text
from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.features.streams import Transcript, Word
from selfmm.features.words.times import split_words, spread

if TYPE_CHECKING:
    from selfmm.features.words.cue_files import Cue

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Suffixes that ``read_cues`` reads. If several such files are next to a recording, the first in this order counts."""


def read_subtitles(path: Path, start: float | None = None, end: float | None = None) -> Transcript:
    """Return the words of a clip from a file of subtitles.

    The words of a cue share its time in proportion to their letters. A cue ends where the next one begins.

    Args:
        path: .srt, .vtt, .ass or .ssa; or .txt, a transcript without times, which is returned as a whole.
        start, end: seconds in the recording; None: its beginning, its end.

    Returns:
        The words with their middle in the clip, with times from the beginning of the clip.

    Raises:
        SourceError: if the file cannot be read, is not Unicode, or is not a file of subtitles; with the number of the
            wrong line.
        MissingPackageError: if pysubs2 is not installed.
    """
    if path.suffix.lower() == ".txt":
        return Transcript(" ".join(_read(path).split()))
    first, last = start or 0.0, math.inf if end is None else end
    pieces: list[str] = []
    words: list[Word] = []
    for cue in _one_after_another(read_cues(path)):
        texts = split_words(cue.text)
        texts[0] = f" {texts[0]}"  # a blank between cues
        for text, (a, b) in zip(texts, spread(texts, (cue.start, cue.end)), strict=True):
            if first <= (a + b) / 2 < last:
                pieces.append(text)
                a, b = max(a, first) - first, min(b, last) - first
                words.append(Word(text.strip(), round(a, 3), round(b, 3)))
    return Transcript("".join(pieces).strip(), tuple(words), source="subtitles")


def read_cues(path: Path) -> tuple[Cue, ...]:
    """Return the subtitles of a file that have a text, in the order of their starts.

    Raises:
        SourceError, MissingPackageError: see ``read_subtitles``.
    """
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
    return tuple(sorted((cue for cue in cues if cue.text), key=lambda cue: cue.start))


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
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n")


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
