"""The check that an exported file gives the same scores as PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from selfmm.core.errors import ExportError
from selfmm.core.messages import clips
from selfmm.data.types import Batch, Stream
from selfmm.exporting.session import OnnxModel
from selfmm.models.encoder_check import vocabulary_size
from selfmm.models.encoders import Standardised
from selfmm.models.text import TransformerEncoder
from selfmm.runs.trained_model import TrainedModel

TOLERANCE = 1e-4
"""Largest allowed difference of a score, for a label range of 6 (-3 to 3); proportional for other ranges."""

_SHAPES = ((1, 1), (1, 2), (2, 9), (5, 1), (7, 24), (16, 60))
"""Clips and longest length of the batches that are compared."""


@torch.inference_mode()
def largest_difference(trained: TrainedModel, path: Path) -> float:
    """Return the largest difference of any score from PyTorch's, on the label scale.

    The clips are random: batches of 1 to 16 clips, lengths of 1 to 60, with all, some, one or none of the modalities.

    Raises:
        ExportError: if ONNX Runtime cannot run the file, or a score is finite in only one of the two.
    """
    largest = 0.0
    model = OnnxModel(path, list(trained.info.modalities))
    for batch in _batches(trained):
        output = trained.assembly.model(batch)
        expected = [output.fusion.numpy()]
        for name, score in output.unimodal.items():
            expected.append(np.where(output.present[name].numpy(), score.numpy(), np.nan))
        names = ["fused", *output.unimodal]
        if output.deviation is not None:
            names, expected = [*names, "deviation of the"], [*expected, output.deviation.numpy()]
        for name, ours, theirs in zip(names, expected, model(batch), strict=True):
            if ours.shape != theirs.shape or (np.isfinite(ours) != np.isfinite(theirs)).any():
                raise ExportError(
                    f"the {name} scores of {clips(len(batch))} are {theirs[:4]} in the ONNX file and {ours[:4]} in "
                    "PyTorch. This text encoder, or these versions of torch and onnxruntime, are not compatible."
                )
            difference = np.abs(ours - theirs)
            largest = max(largest, float(difference.max(where=np.isfinite(difference), initial=0)))
    return largest


def check(trained: TrainedModel, path: Path) -> float:
    """Return ``largest_difference``.

    Raises:
        ExportError: if it exceeds ``TOLERANCE`` for the label range.
    """
    low, high = trained.info.label_range
    allowed = TOLERANCE * (high - low) / 6
    difference = largest_difference(trained, path)
    if not difference <= allowed:
        raise ExportError(
            f"scores of the ONNX file differ from those of PyTorch by up to {difference:.2g}; {allowed:.2g} is allowed "
            "on this label scale. This text encoder, or these versions of torch and onnxruntime, are not compatible."
        )
    return difference


def _batches(trained: TrainedModel) -> Iterator[Batch]:
    random = torch.Generator().manual_seed(0)
    names = list(trained.info.modalities)
    for count, longest in _SHAPES:
        everything = torch.ones(count, len(names), dtype=torch.bool)
        some = torch.rand(count, len(names), generator=random) < 0.5
        alone = [everything & (torch.arange(len(names)) == k) for k in range(len(names))]
        for present in (everything, some, ~everything, *alone):
            streams = {name: _stream(trained, name, present[:, k], longest, random) for k, name in enumerate(names)}
            yield Batch(torch.arange(count), torch.full((count,), torch.nan), streams)


def _stream(trained: TrainedModel, name: str, present: torch.Tensor, longest: int, random: torch.Generator) -> Stream:
    """Return random values like those that the encoder was trained on."""
    encoder, count = trained.assembly.model.encoders[name], len(present)
    if isinstance(encoder, TransformerEncoder):
        longest = min(longest, trained.assembly.settings.text.max_tokens)
    lengths = torch.randint(1, longest + 1, (count,), generator=random) * present
    lengths[:1] = longest * present[:1]
    shape = (count, max(int(lengths.max()), 1))
    if isinstance(encoder, TransformerEncoder):
        words = vocabulary_size(encoder.model) or 1
        values = torch.randint(0, words, shape, generator=random)
    else:
        assert isinstance(encoder, Standardised)
        values = torch.randn(*shape, len(encoder.mean), generator=random) * encoder.scale + encoder.mean
    return Stream(values, lengths, lengths > 0)
