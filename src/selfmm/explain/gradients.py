"""Integrated gradients of a score (Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from selfmm.explain.words import blank_id, special_places
from selfmm.models.encoders import Standardised
from selfmm.models.text import Pretrained, TransformerEncoder

_ROWS = 1 << 16  # computed at once, for all points on the path; limits the memory for an hour-long clip
_HALVINGS = 6


def integrated_gradients(
    function: Callable[[Tensor], Tensor], inputs: Tensor, baseline: Tensor, *, steps: int, tolerance: float
) -> Tensor:
    """Return how much each input changes ``function`` along the straight line from ``baseline`` to ``inputs``.

    The values should sum to ``function(inputs) - function(baseline)``, and so on every section of the line. A section
    with a wrong sum is halved and computed again. Recurrent networks need this: some change abruptly within a hundredth
    of the line.

    Args:
        function: a function (K, L, d) to (K,), each row independent of the others.
        inputs, baseline: (L, d).
        steps: points per section at which the gradient is taken (Gauss-Legendre).
        tolerance: largest error of the sum over a section; the shortest section is 1/64 of the line.

    Returns:
        (L, d) float64 on the CPU.
    """
    total = torch.zeros(inputs.shape, dtype=torch.float64)
    sections = [(0.0, 1.0)]
    while sections:
        start, end = sections.pop()
        shares, rise = _section(function, inputs, baseline, start, end, steps)
        if abs(float(shares.sum()) - rise) > tolerance and end - start > 2.0**-_HALVINGS:
            middle = (start + end) / 2
            sections += [(middle, end), (start, middle)]
        else:
            total += shares
    return total


def _section(
    function: Callable[[Tensor], Tensor], inputs: Tensor, baseline: Tensor, start: float, end: float, steps: int
) -> tuple[Tensor, float]:
    """Return the shares (L, d) of a section of the line, and the rise of the function on it."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    # The ends have weight 0; they are only needed for the rise.
    places = start + (end - start) * (np.concatenate([[-1.0], nodes, [1.0]]) + 1) / 2
    weights = (end - start) * np.concatenate([[0.0], weights, [0.0]]) / 2
    way, total, values = inputs - baseline, torch.zeros(inputs.shape, dtype=torch.float64), []
    at_once = max(1, _ROWS // len(inputs))
    # cuDNN has no backward pass for an LSTM in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for first in range(0, len(places), at_once):
            place, weight = (
                torch.from_numpy(part[first : first + at_once]).to(inputs)[:, None, None] for part in (places, weights)
            )
            path = (baseline + place * way).detach().requires_grad_()
            value = function(path)
            (gradient,) = torch.autograd.grad(value.sum(), path)
            total += (weight * gradient * way.detach()).sum(0).cpu()
            values += value.tolist()
    return total, values[-1] - values[0]


@dataclass(frozen=True)
class Inputs:
    """The input of an encoder for one modality of a clip, and a neutral baseline.

    Attributes:
        values: (L, d) embeddings of the tokens, or frames.
        baseline: (L, d) the same for a neutral input.
        encode: a function (K, L, d) to (K, d'), each row independent of the others.
    """

    values: Tensor
    baseline: Tensor
    encode: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, values: Tensor, encoder: nn.Module, pretrained: Pretrained | None) -> Inputs:
        """Return the inputs for (L,) token ids or (L, d) frames, as the encoder reads them."""
        if isinstance(encoder, Standardised):
            return cls._of_frames(values, encoder)
        if not isinstance(encoder, TransformerEncoder) or pretrained is None:
            raise TypeError(f"the input of a {type(encoder).__name__} cannot be interpolated")
        return cls._of_tokens(values, encoder, pretrained.tokenizer)

    @classmethod
    def _of_tokens(cls, ids: Tensor, encoder: TransformerEncoder, tokenizer: Any) -> Inputs:
        """Return inputs with a baseline of padding instead of the clip's words.

        Special tokens stay, since every text has them, and so does the context: the clip is explained, not the words
        before it.
        """
        embedding: nn.Embedding = encoder.model.get_input_embeddings()  # type: ignore[operator]
        own = encoder.own(ids[None], torch.tensor([len(ids)], device=ids.device))
        stays = torch.tensor(special_places(tokenizer, ids.tolist()), device=ids.device)
        if own is not None:
            stays |= ~own[0]
        blank = embedding(torch.full_like(ids, blank_id(tokenizer)))
        words = embedding(ids)

        def encode(path: Tensor) -> Tensor:
            mask = torch.ones(path.shape[:2], dtype=torch.long, device=path.device)
            return encoder.plain(mask.sum(dim=1), own, inputs_embeds=path, attention_mask=mask).float()

        return cls(words, words.where(stays[:, None], blank), encode)

    @classmethod
    def _of_frames(cls, frames: Tensor, encoder: Standardised) -> Inputs:
        """Return inputs with the training mean as the baseline, which the encoder also reads in place of gaps."""
        mean = encoder.mean.expand_as(frames)

        def encode(path: Tensor) -> Tensor:
            lengths = torch.full((len(path),), path.shape[1], device=path.device)
            encoded: Tensor = encoder(path, lengths)
            return encoded

        return cls(frames.where(frames.isfinite(), mean), mean, encode)

    def shares(self, score: Callable[[Tensor], Tensor], *, steps: int, tolerance: float) -> Tensor:
        """Return (L, d) how much each number changes ``score``, a function (K, d') to (K,) of the encoding."""
        return integrated_gradients(
            lambda path: score(self.encode(path)), self.values, self.baseline, steps=steps, tolerance=tolerance
        )

    def total(self, score: Callable[[Tensor], Tensor]) -> float:
        """Return how much all numbers together change ``score``: the sum of exact shares."""
        at_values, at_baseline = score(self.encode(torch.stack([self.values, self.baseline]))).tolist()
        return float(at_values - at_baseline)
