"""TFN, Tensor Fusion Network: the outer product of all modalities contains each one alone, each pair, and all of them.

Zadeh, Chen, Poria, Cambria, Morency: Tensor Fusion Network for Multimodal Sentiment Analysis, EMNLP 2017,
https://arxiv.org/abs/1707.07250.

Deviations from the published code: the frames are standardised with the statistics of the training split, while the
code has a batch norm, which makes a clip's score depend on the other clips of its batch; words that a transformer reads
need no LSTM, but a linear layer that makes their vector short enough to be multiplied; no sigmoid squeezes the score
into the range of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, StreamSettings
from selfmm.core.errors import SettingsError
from selfmm.models.base import COMMON_SEARCH, Head, Needs, Space
from selfmm.models.encoders import Encoder, sub_network
from selfmm.models.late_fusion import Fusion, LateFusion
from selfmm.models.text import TransformerEncoder

_MOST_WEIGHTS = 2**28  # of the layer that reads the tensor: 1 GiB, and Adam needs three times that in addition


class Options(Group):
    """TFN's own settings."""

    text: int = Field(32, ge=1, le=4096, description="size of z for words; for frames it is stream.NAME.out")


def outer_product(parts: Sequence[Tensor]) -> Tensor:
    """Return [z_1; 1] x [z_2; 1] x ... for each clip (paper, section 4.2).

    Args:
        parts: (B, d_m) each.

    Returns:
        (B, (d_1 + 1) (d_2 + 1) ...), in the order of nested loops over the parts, the last one innermost.
    """
    product = torch.ones_like(parts[0][:, :1])
    for part in parts:
        extended = nn.functional.pad(part, (0, 1), value=1.0)
        product = (product[:, :, None] * extended[:, None, :]).flatten(1)
    return product


class TensorFusion(Fusion):
    """F_m* = ReLU(W dropout(Z)) and the score, where Z is the outer product of all z.

    Args:
        dims: size of each modality's vector.
        narrowed: for some modalities, a smaller size, to which a linear layer reduces the vector before the product.
        head: reads Z (B, ``tensor_size(dims, narrowed)``).
    """

    def __init__(self, dims: Mapping[str, int], narrowed: Mapping[str, int], head: Head) -> None:
        super().__init__()
        self.names, self.dim = tuple(dims), head.dim
        self.narrow = nn.ModuleDict({name: nn.Linear(dims[name], size) for name, size in narrowed.items()})
        self.head = head

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        z = [self.narrow[name](vectors[name]) if name in self.narrow else vectors[name] for name in self.names]
        return self.head(outer_product(z))  # type: ignore[no-any-return]


def tensor_size(dims: Mapping[str, int], narrowed: Mapping[str, int]) -> int:
    """Return how many numbers Z has."""
    return prod(size + 1 for size in {**dims, **narrowed}.values())


class TFN(LateFusion):
    """Z = [z_1; 1] x ... x [z_M; 1] (B, (d_1 + 1) ... (d_M + 1)), F_m* = ReLU(W Z) (B, D), y^_m = W' F_m* (B,).

    For words, z is a linear layer of the transformer's vector (B, ``text``); for text that is already features, the end
    state of an LSTM and a linear layer; for other frames, the output of a network of three layers on their mean. The
    head of a single modality reads its encoder's vector.
    """

    paper: ClassVar[str] = "Zadeh et al., EMNLP 2017"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.text": (16, 32, 64, 128),
        "stream.*.out": (8, 16, 32),
        "fusion.projection": (16, 32, 64, 128),
        "fusion.projection_dropout": (0.0, 0.2, 0.5),
    }

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> Encoder:
        return sub_network(name, dim, branch)

    def make_fusion(self) -> TensorFusion:
        size = tensor_size(self.dims, self._narrowed())
        if size * self.settings.fusion.projection > _MOST_WEIGHTS:
            factors = " x ".join(str(dim + 1) for dim in {**self.dims, **self._narrowed()}.values())
            raise SettingsError(
                [
                    f"{self.settings.model_name} multiplies {len(self.dims)} modalities into {factors} = {size:,} "
                    f"numbers, and a layer of {self.settings.fusion.projection} units would need more than "
                    f"{_MOST_WEIGHTS:,} weights to read them; make stream.NAME.out, options.text or fusion.projection "
                    "smaller, leave a modality out with `overrides=['modalities=...']`, or use lmf, which grows with "
                    "the sum of the sizes, not their product"
                ]
            )
        return TensorFusion(self.dims, self._narrowed(), self.fusion_head(size))

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        # The tensor, before and after dropout.
        return super().kept_bytes(lengths) + 2 * 4 * tensor_size(self.dims, self._narrowed())

    def _narrowed(self) -> dict[str, int]:
        words = [name for name, encoder in self.encoders.items() if isinstance(encoder, TransformerEncoder)]
        return dict.fromkeys(words, self.options.text)
