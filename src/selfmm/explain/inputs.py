"""What an encoder reads of one stream, as numbers that can be faded in bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from selfmm.explain.gradients import integrated_gradients
from selfmm.explain.words import blank_id, special_ids
from selfmm.models.encoders import Standardised
from selfmm.models.text import Pretrained, TransformerEncoder


@dataclass(frozen=True)
class Inputs:
    """One stream of one clip.

    Attributes:
        values: (L, d) embeddings of the tokens, or frames.
        baseline: (L, d) the same of a stream that says nothing.
        encode: (K, L, d) to (K, d'), each row for itself.
    """

    values: Tensor
    baseline: Tensor
    encode: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, values: Tensor, encoder: nn.Module, pretrained: Pretrained | None) -> Inputs:
        """Of (L,) token ids or (L, d) frames, as the encoder gets them."""
        if isinstance(encoder, Standardised):
            return cls._of_frames(values, encoder)
        if not isinstance(encoder, TransformerEncoder) or pretrained is None:
            raise TypeError(f"no way is known to fade in what a {type(encoder).__name__} reads")
        return cls._of_tokens(values, encoder.model, pretrained.tokenizer)

    @classmethod
    def _of_tokens(cls, ids: Tensor, model: nn.Module, tokenizer: Any) -> Inputs:
        """Padding in the place of every word; special tokens stay, since every text has them."""
        embedding: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
        special = special_ids(tokenizer)
        kept = torch.tensor([number in special for number in ids.tolist()], device=ids.device)
        blank = embedding(torch.full_like(ids, blank_id(tokenizer)))
        words = embedding(ids)

        def encode(path: Tensor) -> Tensor:
            mask = torch.ones(path.shape[:2], dtype=torch.long, device=path.device)
            said: Tensor = model(inputs_embeds=path, attention_mask=mask).last_hidden_state
            return said[:, 0].float()

        return cls(words, words.where(kept[:, None], blank), encode)

    @classmethod
    def _of_frames(cls, frames: Tensor, encoder: Standardised) -> Inputs:
        """The training split's mean in every frame: what the encoder also reads where nothing was measured."""
        mean = encoder.mean.expand_as(frames)

        def encode(path: Tensor) -> Tensor:
            lengths = torch.full((len(path),), path.shape[1], device=path.device)
            said: Tensor = encoder(path, lengths)
            return said

        return cls(frames.where(frames.isfinite(), mean), mean, encode)

    def shares(self, score: Callable[[Tensor], Tensor], *, steps: int, tolerance: float) -> Tensor:
        """(L, d) what each number does to ``score``, a function (K, d') to (K,) of the encoding."""

        def along(path: Tensor) -> Tensor:
            return score(self.encode(path))

        return integrated_gradients(along, self.values, self.baseline, steps=steps, tolerance=tolerance)

    def total(self, score: Callable[[Tensor], Tensor]) -> float:
        """What all of them together do to ``score``: what the shares would sum to, were the integral exact."""
        there, away = score(self.encode(torch.stack([self.values, self.baseline]))).tolist()
        return float(there - away)
