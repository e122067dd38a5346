"""Text that is mostly capitals, as some transcripts are: encoders that tell capitals from small letters misread it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORTH_SAYING = 0.05
"""Least fraction of the clips for a message about capitals: every data set has a few texts like "OK" or "TV"."""


def mostly_capitals(text: str) -> bool:
    """Return whether more than half of the letters of a text are capitals; letters without case count as small.

    >>> mostly_capitals("I LOVED it"), mostly_capitals("I loved IT"), mostly_capitals("我喜欢 KTV 的歌")
    (True, False, False)
    """
    return 2 * sum(map(str.isupper, text)) > sum(map(str.isalpha, text))


def in_capitals(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the positions of the texts that are mostly capitals; none if they are too few to mention."""
    positions = np.flatnonzero([mostly_capitals(text) for text in texts])
    return positions if len(positions) >= max(1, WORTH_SAYING * len(texts)) else positions[:0]


def lower_capitals(text: str) -> str:
    """Return a text that is mostly capitals in lower case, and others as they are. The length does not change.

    >>> lower_capitals("IT WAS NOT BAD"), lower_capitals("It was NOT bad")
    ('it was not bad', 'It was NOT bad')
    """
    if not mostly_capitals(text):
        return text
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # A few capitals have two small characters; they stay, so that words keep their places in the text.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)
