"""Token ids of a clip's words after the words before it in its recording, as a tokenizer joins two texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selfmm.core.errors import SettingsError

_Ids = npt.NDArray[np.int64]
_WORD = "a"
_ENDLESS = 2**31  # tokens


@dataclass(frozen=True)
class Pair:
    """How a tokenizer joins two texts: special tokens, the first text, ``between``, the second text, special tokens.

    Attributes:
        before: number of special tokens before a text; other words that the tokenizer puts there are among them.
        between: ids of the special tokens between two texts, at least one.
        after: number of special tokens after a text.
    """

    before: int
    between: tuple[int, ...]
    after: int

    @classmethod
    def of(cls, tokenizer: Any) -> Pair:
        """Find it out by joining two words.

        A tokenizer that is not made for two texts separates them by the tokens with which it ends a text.

        Raises:
            SettingsError: if it has no such tokens.
        """
        [bare] = _ids(tokenizer, [_WORD])
        single, pair = list(tokenizer(_WORD)["input_ids"]), list(tokenizer(_WORD, _WORD)["input_ids"])
        places = range(len(single) - len(bare) + 1)
        before = next((place for place in places if single[place : place + len(bare)] == bare), len(single))
        after = single[before + len(bare) :]
        between = pair[before + len(bare) : len(pair) - len(bare) - len(after)]
        if between and pair == [*single[:before], *bare, *between, *bare, *after]:
            return cls(before, tuple(between), len(after))
        if after:
            return cls(before, tuple(after), len(after))
        raise SettingsError(
            [
                "text.context: the tokenizer of this text encoder does not mark where a text ends, so the words of a "
                "clip could not be told from those before it; use text.context=0, or an encoder like minilm, mpnet or "
                "e5"
            ]
        )

    def join(self, context: Sequence[int], own: _Ids, limit: int | None) -> _Ids:
        """Return the ids of a clip with those of its context before them.

        Args:
            context: ids of the words before, without special tokens; the first ones are cut if there are too many.
            own: ids of the clip's words, with special tokens; if there are none, the result has none either.
            limit: the largest number of ids in the result, if ``own`` has fewer; None: any.
        """
        first, words, last = np.split(own, [self.before, max(self.before, len(own) - self.after)])
        words = words[~np.isin(words, self.between)]  # some tokenizers read these tokens in a text that spells them
        room = len(context) if limit is None else limit - len(own) - len(self.between)
        if not len(own) or not context or room < 1:
            return np.concatenate([first, words, last])
        before = np.array([*context[-room:], *self.between], dtype=np.int64)
        return np.concatenate([first, before, words, last])

    def own(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return which tokens would be there without context: those of the clip's words, and the ones around a text.

        Args:
            ids: (B, L) int64 of :meth:`join`, padded.
            lengths: (B,) int64, at least 1 each.

        Returns:
            (B, L) bool.
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        ends = (ids == self.between[-1]) & (places >= self.before) & (places < (lengths - self.after)[:, None])
        start = torch.where(ends, places + 1, 0).amax(dim=1, keepdim=True)
        return (places < lengths[:, None]) & ((places >= start) | (places < self.before))


def with_context(
    tokenizer: Any, contexts: Sequence[str], own: Sequence[_Ids], most: int, limit: int | None
) -> list[_Ids]:
    """Return the token ids of clips, each after those of the words before it.

    Args:
        contexts: the words before each clip; they may be empty.
        own: ids of each clip, with special tokens.
        most: number of tokens to which a context is cut, from the far past.
        limit: number of tokens that the encoder reads; None: any.

    Raises:
        SettingsError: if the tokenizer does not separate two texts by special tokens.
    """
    pair = Pair.of(tokenizer)
    pairs = zip(_ids(tokenizer, contexts), own, strict=True)
    return [pair.join(context[-most:], ids, limit) for context, ids in pairs]


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts, whole and without special tokens."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=_ENDLESS, padding=False)
    return list(encoded["input_ids"])
