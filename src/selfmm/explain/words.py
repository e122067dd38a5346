"""The words of a text, and the tokens that belong to each word."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Chinese and Japanese have no spaces between words, so each of their characters counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_JOINERS = "\u200c\u200d"  # of Persian words and of emoji
_RUN = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")


@dataclass(frozen=True)
class Reading:
    """A text as a model read it.

    Attributes:
        text: the text.
        spans: (start, end) of each word that was read, in order.
        word_of: the number of each token's word; None for tokens that are in no word of the text, such as special ones.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    word_of: tuple[int | None, ...]


def read(tokenizer: Any, ids: Sequence[int], text: str) -> Reading:
    """Find the words that token ids belong to.

    Args:
        tokenizer: a transformers tokenizer.
        ids: the input of the model, special tokens included.
        text: the text that they come from; empty if unknown.
    """
    if text.strip() and getattr(tokenizer, "is_fast", False):
        encoded = tokenizer(
            text, truncation=True, max_length=len(ids), return_offsets_mapping=True, return_special_tokens_mask=True
        )
        if list(encoded["input_ids"]) == list(ids):
            special = [bool(mark) for mark in encoded["special_tokens_mask"]]
            return _by_place(text, encoded["offset_mapping"], special)
    return _by_pieces(tokenizer, ids)


def special_ids(tokenizer: Any) -> set[int]:
    """Return the ids of tokens that are in every text: [CLS], [SEP], [PAD]."""
    # transformers also counts the unknown and the masked word, which are words.
    return set(tokenizer.all_special_ids) - {tokenizer.unk_token_id, tokenizer.mask_token_id}


def special_places(tokenizer: Any, ids: Sequence[int]) -> list[bool]:
    """Return which token ids are in every text: ``special_ids``, and the words that some encoders expect before it."""
    special, frame = special_ids(tokenizer), tokenizer("")["input_ids"]
    before = next((n for n, (one, other) in enumerate(zip(ids, frame, strict=False)) if one != other), len(frame))
    return [place < before or number in special for place, number in enumerate(ids)]


def blank_id(tokenizer: Any) -> int:
    """Return the id of the most neutral token: padding, or else the unknown word, or else the end of a text."""
    names = ("pad_token_id", "unk_token_id", "eos_token_id")
    return next((int(number) for name in names if (number := getattr(tokenizer, name)) is not None), 0)


def words_in(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of every word of a text; punctuation around a word counts as its own word.

    >>> text = "I don't like it..."
    >>> [text[start:end] for start, end in words_in(text)]
    ['I', "don't", 'like', 'it', '...']
    """
    return [span for run in _RUN.finditer(text) for span in _trimmed(text, run.start(), run.end())]


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    first, last = start, end
    while first < end and _is_mark(text[first]):
        first += 1
    while last > first and _is_mark(text[last - 1]):
        last -= 1
    yield from ((a, b) for a, b in ((start, first), (first, last), (last, end)) if a < b)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _by_place(text: str, offsets: Sequence[tuple[int, int]], special: Sequence[bool]) -> Reading:
    """Find words by the characters that each token covers. A token that covers several words joins them."""
    words = words_in(text)
    starts = [start for start, _ in words]
    joined = list(range(len(words)))  # for each word, the number of the first word that it was joined to
    homes: list[int | None] = []
    for (start, end), is_special in zip(offsets, special, strict=True):
        if is_special:
            homes.append(None)
            continue
        covered = text[start:end]
        start += len(covered) - len(covered.lstrip())  # some tokenizers include the blank before a word
        end = max(start + 1, start + len(covered.strip()))
        first = max(bisect_right(starts, start) - 1, 0)
        last = max(bisect_right(starts, end - 1) - 1, first)
        for number in range(first, last + 1):
            joined[number] = joined[first]
        homes.append(first)
    firsts = sorted({joined[home] for home in homes if home is not None})
    ends = {joined[number]: words[number][1] for number in range(len(words))}
    numbers = {first: number for number, first in enumerate(firsts)}
    spans = tuple((words[first][0], ends[first]) for first in firsts)
    return Reading(text, spans, tuple(None if home is None else numbers[joined[home]] for home in homes))


def _by_pieces(tokenizer: Any, ids: Sequence[int]) -> Reading:
    """Find words by the pieces alone: WordPiece marks continuations with ##; otherwise each piece is a word."""
    pieces, special = tokenizer.convert_ids_to_tokens(list(ids)), special_places(tokenizer, ids)
    words: list[str] = []
    homes: list[int | None] = []
    for number, piece, is_special in zip(ids, pieces, special, strict=True):
        if is_special:
            homes.append(None)
            continue
        if words and piece.startswith("##"):
            words[-1] += piece[2:]
        else:
            words.append(tokenizer.decode([number]).strip() or piece)
        homes.append(len(words) - 1)
    spans, end = [], -1
    for word in words:
        spans.append((end + 1, end + 1 + len(word)))
        end = spans[-1][1]
    return Reading(" ".join(words), tuple(spans), tuple(homes))


def printable(text: str) -> str:
    """Return text of the same length that is safe to show: with blanks for line ends, a sign for control characters.

    >>> printable("a\\tb\\x1b")
    'a b\ufffd'
    """
    return "".join(
        " " if char.isspace() else char if char.isprintable() or char in _JOINERS else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
