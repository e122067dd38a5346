"""Read the words of a transcript without times, .txt: what is said, without the names and times of other programs."""

from __future__ import annotations

import re
from pathlib import Path

from selfmm.core.encodings import read_text
from selfmm.core.errors import SourceError
from selfmm.features.words.spoken import spoken_lines

_ARROW = re.compile(r"^\s*\[?(?:\d+:)*\d+:\d+(?:[.,]\d+)?\s*-->")
_TIME = r"(?:\d{1,3}:)?\d{1,3}:\d\d(?:[.,:;]\d{1,3})?"
_CERTAIN = re.compile(
    rf"[\[(<]?{_TIME}[\])>]?(?:\s*(?:-|–|—|,|to)\s*{_TIME})?$"  # a line of its own: YouTube, Premiere, .sbv
    rf"|[\[<]{_TIME}[\]>]|{_TIME}\t|.*(?:\t| {{2,}}){_TIME}$"  # .lrc and Descript, Zoom's chat, Otter and Teams
)
_PROBABLE = re.compile(rf"{_TIME}\s")
_OTHER_FORMATS = {
    r"\{\\rtf": "a document (RTF)",
    r'\{\s*"|\[\s*[{"]': "JSON",
    r"<(?:\?xml|!doctype|html|tt|transcript)\b": "a web page or XML",
    r"start\tend\ttext\n": "a table of Whisper",
    r"%PDF-": "a PDF",
}


def read_words(path: Path) -> tuple[str, list[str]]:
    """Return what is said in a transcript, and the other parts, such as ``[laughs]`` and ``JOHN:``.

    Raises:
        SourceError: if the file cannot be read, is not Unicode, has times, or is in another format.
    """
    lines = [line for part in read_text(path).splitlines() if (line := part.strip())]
    if any(map(_ARROW.match, lines)):
        raise SourceError(f"{path.name} holds subtitles with times, not words alone. Name it {path.stem}.srt.")
    for begin, what in _OTHER_FORMATS.items():
        if re.match(begin, "\n".join(lines[:3]), re.IGNORECASE):
            raise SourceError(f"{path.name} is {what}, not words alone. Save the words as plain text, or as .srt.")
    certain = [line for line in lines if _CERTAIN.match(line)]
    probable = [line for line in lines if _PROBABLE.match(line)]
    timed = certain if certain[:1] == lines[:1] or len(certain) > 1 else probable
    if timed and (timed is certain or (len(timed) > 1 and 2 * len(timed) >= len(lines))):
        raise SourceError(
            f"{path.name} holds times ({timed[0][:40]!r}), not words alone. Export it as .srt or .vtt; or remove the "
            "times and the names of speakers."
        )
    return spoken_lines(lines)
