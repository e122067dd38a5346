"""The words that are said in subtitles.

Rolling captions show a line two or three times, while it moves up. Captions for the deaf also describe sounds and
name speakers; some files thank their makers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from selfmm.features.words.cue_files import Cue  # needs pysubs2, which a transcript without times does not

_PAUSE = 1.0  # seconds; a line that comes again later is said again
_FLASH = 0.05  # seconds; too short to say anything
_FEW = 3  # lines that are shown twice
_TWO = 2

_NOTES = "[♩♪♫♬\U0001f3b5\U0001f3b6]"
_SUNG = re.compile(rf"(?:{_NOTES}\s*)+[^{_NOTES[1:-1]}]*(?:{_NOTES}\s*)+|^# .*? #$", re.MULTILINE)
_IN_BRACKETS = re.compile(r"\[[^\[\]]*\]|［[^［］]*］|【[^【】]*】|〔[^〔〕]*〕|\*[^*]+\*|\(([^()]*)\)|（[^（）]*）")
_FILLER = re.compile(r"u+h*m*|h+m+|e+r+m*|a+h+|o+h+|m+h*m+", re.IGNORECASE)  # (umm) is said
_CHANGE = re.compile(r"^([ –—-]*)(?:>|&gt;|»){2,3}", re.MULTILINE)  # of the speaker
_NAME = re.compile(r"^([ –—-]*(?:(?:>|&gt;|»){2,3})?)\s*([^\W\d_][\w .'#&-]{0,30}?)\s*:(?=\s|$)(.*)", re.MULTILINE)
_THANKS = re.compile(
    r"(?:subtitl\w+|caption\w*|transcri\w+|sync\w*)\b[^.?!]{0,30}\bby\b.*"
    r"|(?=.*(?:www\.|\.(?:com|org|net)\b)).*\b(?:subtitl|caption|transcri|translat|sync|download)\w*.*",
    re.IGNORECASE | re.DOTALL,
)


class Spoken(NamedTuple):
    """Subtitles with the words that are said, and what was left out.

    Attributes:
        cues: in the order of their starts, each with a text that holds a letter or a digit.
        descriptions: the start (seconds) and the text of each part that nobody says.
        rolling: whether lines were shown several times.
    """

    cues: list[Cue]
    descriptions: list[tuple[float, str]]
    rolling: bool


def spoken(cues: Sequence[Cue]) -> Spoken:
    """Return what is said in subtitles in the order of their starts; their texts have lines."""
    cues = list(dict.fromkeys(cues))  # files with effects have the same text in several layers
    once = _shown_once(cues)
    descriptions: list[tuple[float, str]] = []
    said = []
    sings = False  # whether a song goes on in the next subtitle
    named = _names_speakers([cue.text for cue in once or cues])
    for cue in once or cues:
        text, parts, sings = _said(cue.text, sings, named)
        descriptions += [(cue.start, part) for part in parts]
        if any(map(str.isalnum, text)):
            said.append(cue._replace(text=text))
    return Spoken(said, descriptions, once is not None)


def in_two_languages(cues: Sequence[Cue]) -> bool:
    """Return whether most subtitles are there twice, in two languages: in two scripts, or at the same times."""
    cues = [cue for cue in cues if not cue.text.startswith("[")]  # signs and songs
    two_scripts = sum(len({_script(line) for line in cue.text.split("\n")} - {""}) > 1 for cue in cues)
    starts = Counter(cue.start for cue in dict.fromkeys(cues))
    twice = sum(number == _TWO for number in starts.values())
    return (two_scripts >= _TWO and 2 * two_scripts >= len(cues)) or (twice >= _FEW and 2 * twice >= len(starts))


def _script(line: str) -> str:
    """Return the script of the first letter of a line, such as ``LATIN``; empty if it has none."""
    letter = next(filter(str.isalpha, line), "")
    script = unicodedata.name(letter, "").partition(" ")[0] if letter else ""
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HALFWIDTH", "FULLWIDTH") else script


def spoken_lines(lines: Sequence[str]) -> tuple[str, list[str]]:
    """Return what is said in the lines of a transcript, with single blanks, and the other parts."""
    sings, named = False, _names_speakers(lines)
    texts, others = [], []
    for line in lines:
        text, parts, sings = _said(line, sings, named)
        texts.append(text)
        others += parts
    return " ".join(" ".join(texts).split()), others


def _shown_once(cues: Sequence[Cue]) -> list[Cue] | None:
    """Return the subtitles without the lines that the one before shows too; None if they do not roll.

    One repetition can be said. In rolling captions at least half of the subtitles begin with lines of the one before,
    and go on with others.
    """
    new: list[Cue] = [*cues[:1]]
    for before, cue in pairwise(cues):
        number = _repeated(before, cue)
        new.append(cue._replace(text=" ".join(cue.text.split()[number:])) if number else cue)
    again = [(cue, rest) for cue, rest in zip(cues, new, strict=True) if cue is not rest]
    grows = any(rest.text for _, rest in again)
    doubled = len(again) >= _FEW and len({cue.text for cue in cues}) >= _FEW
    flashes = any(cue.end - cue.start <= _FLASH for cue, _ in again)
    rolls = (grows or doubled or flashes) and 2 * len(again) >= len(cues) - 1
    return [cue for cue in new if cue.text] if rolls else None


def _repeated(before: Cue, cue: Cue) -> int:
    """Return the number of words at the beginning of a subtitle that are the last lines of the one before."""
    if cue.start - before.end > _PAUSE:
        return 0
    lines, words = before.text.split("\n"), cue.text.split()
    for place in range(len(lines)):
        shown = " ".join(lines[place:]).split()
        if shown == words[: len(shown)]:
            return len(shown)
    return 0


def _names_speakers(texts: Sequence[str]) -> bool:
    """Return whether most texts begin with a name, as in the transcripts of meetings: ``Ann Lee: Hello.``"""
    names = [match.group(2) for text in texts if (match := _NAME.match(text)) and _is_name(match.group(2))]
    return len(names) > 1 and 2 * len(names) >= len(texts)


def _is_name(words: str) -> bool:
    return words[0].isupper() and all(word[0].isupper() or word.isdigit() for word in words.split())  # Speaker 2


def _said(text: str, sings: bool, named: bool) -> tuple[str, list[str], bool]:
    """Return the words that are said, the other parts, and whether a song goes on after the text.

    Args:
        text: the lines of a subtitle.
        sings: whether a song goes on from the one before.
        named: whether names before a colon are those of speakers, however they are written.
    """
    if _THANKS.fullmatch(text):
        return "", [text], False
    parts: list[str] = []

    def leave_out(match: re.Match[str]) -> str:
        parts.append(match.group())
        return " "

    text = _SUNG.sub(leave_out, text)
    text, goes_on = _without_song(text, sings, parts)
    text = _IN_BRACKETS.sub(_unless_filler(leave_out), text)
    text = re.sub(r"^\s*:", "", text, flags=re.MULTILINE)  # after a name in brackets

    def unnamed(match: re.Match[str]) -> str:
        mark, name, rest = match.groups()
        # In captions in capitals alone, a word before a colon can be said.
        capitals = name.isupper() and (not rest.strip() or not rest.isupper())
        if not capitals and not ((named or mark.strip(" –—-")) and _is_name(name)):
            return match.group()
        parts.append(f"{name}:")
        return f"{mark}{rest}"

    return _CHANGE.sub(r"\1", _NAME.sub(unnamed, text)).strip(), parts, goes_on


def _without_song(text: str, sings: bool, parts: list[str]) -> tuple[str, bool]:
    """Leave out a song that began before or goes on after the text; return also whether it goes on."""
    note = re.search(_NOTES, text)
    if note is None:
        return text, False
    before, after = text[: note.start()].strip(), text[note.end() :].strip()
    if after:
        parts.append(text[note.start() :])
        return before, True
    parts.append(text if sings else note.group())
    return "" if sings else before, False


def _unless_filler(leave_out: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        inside = (match.group(1) or "").strip()
        return inside if _FILLER.fullmatch(inside) else leave_out(match)

    return replaced
