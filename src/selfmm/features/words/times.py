"""Find the times of the words of a given text: from recognised words, or in proportion to letters."""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Sequence

from selfmm.features.streams import Transcript, Word

Span = tuple[float, float]

# Scripts that put no blanks between words: Thai and Lao, Burmese, Khmer, kana, Chinese characters.
_NO_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def split_words(text: str) -> list[str]:
    """Return the words of a text with punctuation, and with a leading blank where one separates two words.

    In scripts without blanks each character is a word.

    >>> split_words("It's good, 很好!")
    ["It's", ' good,', ' 很', '好!']
    """
    words: list[str] = []
    for chunk in text.split():
        first, *others = _units(chunk)
        words += [f" {first}" if words else first, *others]
    return words


def spread(words: Sequence[str], span: Span) -> list[Span]:
    """Divide a span among words in order, in proportion to their letters."""
    start, end = span
    letters = [_letters(word) for word in words]
    edges, total, done = [start], sum(letters), 0
    for count in letters:
        done += count
        edges.append(start + (end - start) * done / total)
    return list(itertools.pairwise(edges))


def time_words(text: str, recognised: Transcript | None, span: Span) -> tuple[Word, ...]:
    """Return the words of a given transcript with their times.

    The text is aligned with the recognised words. Words in both get the recognised times; words that replace recognised
    ones share their time in proportion to letters; other words share the time between their neighbours. If no words are
    recognised, all words share the span.

    Args:
        text: the transcript.
        recognised: recognised words of the same sound; None: no words.
        span: start and end of the clip, on the clock of ``recognised``.

    Returns:
        The words of ``split_words(text)``. Their times increase and are within the span.
    """
    words = split_words(text)
    known, spans = _recognised_units(recognised.words if recognised else (), span)
    times = _aligned(words, known, spans, span) if known else spread(words, span)
    return tuple(_in_order(words, times, span))


def _units(chunk: str) -> list[str]:
    units, unit, holds = [], "", ""
    for letter in chunk:
        mark = unicodedata.category(letter).startswith("M")  # belongs to the previous letter
        kind = "alone" if _NO_BLANKS.match(letter) and not mark else "letter" if letter.isalnum() else ""
        if "alone" in (kind, holds) and kind and holds:
            units.append(unit)
            unit, holds = letter, kind
        else:
            unit, holds = unit + letter, holds or kind
    return [*units, unit]


def _letters(word: str) -> int:
    return max(sum(letter.isalnum() for letter in word), 1)


def _key(word: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", word).casefold() if letter.isalnum())


def _recognised_units(words: Sequence[Word], span: Span) -> tuple[list[str], list[Span]]:
    # In scripts without blanks, a recognised word can hold several characters.
    keys: list[str] = []
    spans: list[Span] = []
    for word in words:
        units = [unit for unit in split_words(word.text) if _key(unit)]
        if units and word.end >= span[0] and word.start <= span[1]:
            keys += map(_key, units)
            spans += spread(units, (word.start, max(word.start, word.end)))
    return keys, spans


def _aligned(words: list[str], known: list[str], spans: list[Span], span: Span) -> list[Span]:
    # A lone dash or musical note is never recognised, and must not match another.
    keys = [_key(word) or f"\0{place}" for place, word in enumerate(words)]
    times: list[Span] = []
    for change, a, b, c, d in difflib.SequenceMatcher(None, known, keys).get_opcodes():
        if change == "equal":
            times += spans[a:b]
        elif change == "replace":
            times += spread(words[c:d], (spans[a][0], spans[b - 1][1]))
        elif change == "insert":
            before = spans[a - 1][1] if a else span[0]
            after = spans[a][0] if a < len(spans) else span[1]
            times += spread(words[c:d], (before, max(before, after)))
    return times


def _in_order(words: list[str], times: list[Span], span: Span) -> list[Word]:
    placed, time = [], span[0]
    for word, (start, end) in zip(words, times, strict=True):
        start = min(max(round(start, 3), time), span[1])
        end = min(max(round(end, 3), start), span[1])
        placed.append(Word(word.strip(), start, end))
        time = end
    return placed
