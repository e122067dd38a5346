"""MFM, the Multimodal Factorization Model: one factor of all modalities, which gives the score, and one factor of each
modality alone; both together reconstruct the modality.

Tsai, Liang, Zadeh, Morency, Salakhutdinov: Learning Factorized Multimodal Representations, ICLR 2019,
https://arxiv.org/abs/1806.06176.

Deviations from the published code: the mean over the prior has a closed form here, while the code samples; only real
steps count in the reconstruction, and all clips have the same weight; a clip without a modality does not take part in
the terms of that modality.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import Needs, Range, Space
from selfmm.models.mfn import MEMORY_SEARCH, MemoryFusion, two_layers, view_sizes
from selfmm.models.mfn import Options as MFNOptions
from selfmm.models.sequences import Sequence, SequenceModel


class Options(MFNOptions):
    """MFM's own settings; the defaults are the sizes published for MOSI, those of vision for all frames."""

    text_hidden: int = Field(88, ge=1, le=65536, description="LSTM units for words; frames: stream.NAME.hidden")
    memory: int = Field(64, ge=1, le=65536, description="size of the memory")
    attention: int = Field(128, ge=1, le=65536, description="units of the attention over the cells")
    attention_dropout: float = Field(0.5, ge=0, lt=1, description="dropout in it")
    proposal: int = Field(128, ge=1, le=65536, description="units of the network that proposes new content")
    proposal_dropout: float = Field(0.5, ge=0, lt=1, description="dropout in it")
    retain: int = Field(128, ge=1, le=65536, description="units of the gate that keeps the memory")
    retain_dropout: float = Field(0.5, ge=0, lt=1, description="dropout in it")
    update: int = Field(128, ge=1, le=65536, description="units of the gate that writes to it")
    label_code: int = Field(32, ge=1, le=65536, description="size of z_y, the code of all modalities")
    label_factor: int = Field(16, ge=1, le=65536, description="size of F_y, from which the score is computed")
    label_dropout: float = Field(0.0, ge=0, lt=1, description="dropout between z_y and F_y")
    text_code: int = Field(32, ge=1, le=65536, description="size of z_s of text")
    text_factor: int = Field(88, ge=1, le=65536, description="size of F_s of text")
    code: int = Field(80, ge=1, le=65536, description="size of z_s of every other modality")
    factor: int = Field(8, ge=1, le=65536, description="size of F_s of every other modality")
    factor_dropout: float = Field(0.2, ge=0, lt=1, description="dropout between z_s and F_s")
    prior: float = Field(1.0, ge=0, description="weight of the codes' distance from their prior")
    text_again: float = Field(1.0, ge=0, description="weight of the reconstruction loss of text")
    again: float = Field(0.5, ge=0, description="weight of the reconstruction loss of every other modality")


def distance_from_prior(codes: Tensor, counts: Tensor) -> Tensor:
    """Return MMD^2 = E k(z, z') - 2 E k(z, e) + E k(e, e'), with z of the codes and e of N(0, I) (paper, equation 4).

    The kernel is the published one, k(x, y) = exp(-|x - y|^2 / d^2). Its mean over e is known: (1 + 2/d^2)^(-d/2)
    exp(-|z|^2 / (d^2 + 2)), and over both e (1 + 4/d^2)^(-d/2).

    Args:
        codes: (B, d).
        counts: (B,) bool, which codes count.

    Returns:
        () at least 0, up to rounding; 0 if none counts.
    """
    size = codes.shape[1]
    wide = float(size**2)
    share = (counts / counts.sum().clamp(min=1)).to(codes.dtype)
    distances = (codes[:, None] - codes[None]).square().sum(dim=-1)
    within = share @ (-distances / wide).exp() @ share
    across = (1 + 2 / wide) ** (-size / 2) * (share @ (-codes.square().sum(dim=1) / (wide + 2)).exp())
    distance: Tensor = within - 2 * across + (1 + 4 / wide) ** (-size / 2)
    return distance * counts.any()


class Decoder(nn.Module):
    """x^_t = W h_t, h_t = LSTM(h_(t-1)), which reads the factors first and then its own states.

    Input: factors (B, H) and the number of steps L. Output: (B, L, ``dim``).
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(size, size)
        self.linear = nn.Linear(size, dim)

    def forward(self, factors: Tensor, steps: int) -> Tensor:
        cell = self.cell
        # A cell with its own state as input has the sum of both weights: an LSTM without input.
        weights: list[Tensor] = [cell.weight_ih, cell.weight_ih + cell.weight_hh, cell.bias_ih, cell.bias_hh]
        first = functional.pad(factors[:, None], (0, 0, 0, steps - 1))
        start = factors.new_zeros(1, *factors.shape)
        # biases, one layer, no dropout, one direction, batch first
        states, _, _ = torch.lstm(first, (start, start), weights, True, 1, 0.0, self.training, False, True)
        reconstructed: Tensor = self.linear(states)
        return reconstructed


class Generator(nn.Module):
    """One modality's code z_s = W LSTM(x_s)_T, its factor F_s, computed from z_s, and x^_s, computed from [F_y; F_s].

    Args:
        dim, code, factor, shared: sizes of the modality's steps, of z_s, of F_s and of F_y.
        dropout: between z_s and F_s.
    """

    def __init__(self, dim: int, code: int, factor: int, shared: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, code, batch_first=True)
        self.linear = nn.Linear(code, code)
        self.factor = two_layers(code, factor, factor, dropout)
        self.decoder = Decoder(shared + factor, dim)

    def code(self, sequence: Sequence) -> Tensor:
        """Return z_s (B, ``code``)."""
        states, _ = self.lstm(sequence.values)
        code: Tensor = self.linear(sequence.last(states))
        return code

    def error(self, code: Tensor, shared: Tensor, sequence: Sequence) -> Tensor:
        """Return the mean of (x^_s - x_s)^2 over each clip's real steps and features, (B,)."""
        # The target is a constant: otherwise a trainable text encoder would learn outputs that are easy to predict.
        target = sequence.values.detach()
        reconstructed = self.decoder(torch.cat([shared, self.factor(code).relu()], dim=-1), target.shape[1])
        errors: Tensor = (reconstructed - target).square().mean(dim=-1) * sequence.real
        return errors.sum(dim=1) / sequence.lengths


class MFM(SequenceModel):
    """z_y = W MFN(x) (B, d_y), F_y = ReLU(D_y(z_y)); z_s, F_s = ReLU(D_s(z_s)) of each modality s alone.

    F_m* = ReLU(W F_y) (B, D), y^_m = W' F_m* (B,). Terms of the loss: ``again``, the mean squared reconstruction error
    of each x_s from [F_y; F_s], and ``prior``, the MMD^2 between each code z and N(0, I). A modality's own
    representation is h_T of its LSTM in the MFN, not F_s, which should hold what the label does not need.
    """

    paper: ClassVar[str] = "Tsai et al., ICLR 2019"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(aligned=True)
    joins_clips: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Space]] = {
        **MEMORY_SEARCH,
        "options.label_factor": (8, 16, 32, 64),
        "options.prior": Range(1e-2, 1e2, log=True),
        "options.text_again": Range(1e-2, 1e1, log=True),
        "options.again": Range(1e-2, 1e1, log=True),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        options = self.options
        hidden = view_sizes(modalities, settings, options.text_hidden)
        self.heads = self.make_heads(hidden)
        self.views = MemoryFusion(self.dims, hidden, options)
        self.to_code = nn.Linear(self.views.dim, options.label_code)
        self.label_factor = two_layers(
            options.label_code, options.label_factor, options.label_factor, options.label_dropout
        )
        self.generators = nn.ModuleDict({name: self._generator(name, dim) for name, dim in self.dims.items()})
        self.fusion = self.fusion_head(options.label_factor)
        self.fusion_dim = self.fusion.dim

    def _generator(self, name: str, dim: int) -> Generator:
        options = self.options
        sizes = (options.text_code, options.text_factor) if name == TEXT else (options.code, options.factor)
        return Generator(dim, *sizes, options.label_factor, options.factor_dropout)

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        ends, memory = self.views(sequences)
        code = self.to_code(torch.cat([*ends.values(), memory], dim=-1))
        factor = self.label_factor(code).relu()
        terms = self._terms(code, factor, sequences, batch)
        return self.output(batch, self.fusion(factor), ends, self.means(sequences), terms)

    def _terms(
        self, label_code: Tensor, label_factor: Tensor, sequences: Mapping[str, Sequence], batch: Batch
    ) -> dict[str, Tensor]:
        """The two terms of the loss, weighted, (B,) each."""
        prior = distance_from_prior(label_code, label_code.new_ones(len(label_code)).bool())
        again = label_code.new_zeros(len(label_code))
        for name, sequence in sequences.items():
            generator: Generator = self.generators[name]  # type: ignore[assignment]
            present = batch.streams[name].present
            code = generator.code(sequence)
            weight = self.options.text_again if name == TEXT else self.options.again
            again = again + weight * generator.error(code, label_factor, sequence) * present
            prior = prior + distance_from_prior(code, present)
        return {"again": again, "prior": (self.options.prior * prior).expand(len(again))}
