"""Whether texts are in English, judged by the most frequent English words that few other languages have."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FREQUENT = frozenset(
    [
        *("the", "and", "of", "to", "is", "it", "that", "you", "this", "with", "not", "are", "have", "they", "my"),
        *("what", "there", "but", "i'm", "it's", "don't", "she", "his", "her", "your", "would", "just", "about"),
        *("very", "when", "who", "which", "from", "because"),
    ]
)
_LEAST_SHARE = 0.05  # of the words; in English utterances it is .28, and in every sample of five at least .11
_LEAST_LETTERS = 100  # fewer do not tell
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def looks_english(texts: Iterable[str]) -> bool | None:
    """Return whether the texts together look English; None if they are too short to tell.

    >>> looks_english(["I think that this is the best film of the year, and you should see it. "] * 2)
    True
    >>> looks_english(["Ich glaube, das ist der beste Film des Jahres, und man sollte ihn gesehen haben. "] * 2)
    False
    """
    words = [word for text in texts for word in _WORD.findall(text.lower().replace("’", "'"))]
    if sum(map(len, words)) < _LEAST_LETTERS:
        return None
    return sum(word in _FREQUENT for word in words) >= _LEAST_SHARE * len(words)
