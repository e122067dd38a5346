"""Training only those rows of a word embedding that belong to words of the training clips."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class WordRows(nn.Module):
    """A word embedding in which some rows are one small parameter, and the others do not change.

    A word that no training clip has gets no gradient, so Adam leaves its row alone, but reads and writes it in every
    step. With a vocabulary of 250,000 words (``e5``), that is most of the memory and of the time of a step.

    Input: token ids (B, L) int64. Output: (B, L, d).

    Args:
        whole: the embedding; it becomes a part of this module, without a gradient.
        words: (n,) int64, the ids of the words to train.
    """

    place: Tensor

    def __init__(self, whole: nn.Embedding, words: Tensor) -> None:
        super().__init__()
        self.whole, self.words = whole.requires_grad_(False), words
        self.rows = nn.Parameter(whole.weight.detach()[words])
        place = torch.full((whole.num_embeddings,), -1)
        place[words] = torch.arange(len(words))
        self.register_buffer("place", place, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        place = self.place[ids]
        # A dense gradient would be mostly zeros, written in each pass for every word that is not in the batch.
        rows = F.embedding(place.clamp(min=0), self.rows, sparse=True)
        return torch.where((place >= 0)[..., None], rows, self.whole(ids))

    @torch.no_grad()
    def complete(self) -> nn.Embedding:
        """Return the embedding with the trained rows."""
        self.whole.weight[self.words] = self.rows
        return self.whole.requires_grad_(True)


def train_word_rows(model: nn.Module, words: Tensor) -> None:
    """Let training change only the embeddings of ``words``, (n,) int64 token ids, of a packed transformer.

    Nothing happens to a transformer that is not trained.
    """
    embeddings = cast(nn.Module, model.embeddings)
    whole = embeddings.word_embeddings
    if isinstance(whole, nn.Embedding) and whole.weight.requires_grad and len(words):
        blank = -1 if whole.padding_idx is None else whole.padding_idx  # it has no gradient
        embeddings.word_embeddings = WordRows(whole, words[words != blank])


def complete_word_rows(model: nn.Module) -> None:
    """Undo :func:`train_word_rows`, keeping what was trained."""
    embeddings = getattr(model, "embeddings", None)
    rows = getattr(embeddings, "word_embeddings", None)
    if isinstance(rows, WordRows):
        cast(nn.Module, embeddings).word_embeddings = rows.complete()
