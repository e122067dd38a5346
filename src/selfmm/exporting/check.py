"""Whether an exported file scores clips as PyTorch does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from selfmm.core.errors import ExportError
from selfmm.data.types import Batch, Stream
from selfmm.exporting.session import OnnxModel
from selfmm.models.encoders import Standardised
from selfmm.models.text import TransformerEncoder
from selfmm.runs.trained_model import TrainedModel

TOLERANCE = 1e-4
"""Largest difference of a score, on a label range of 6 (-3 to 3); in proportion on others."""

_SHAPES = ((1, 1), (1, 2), (2, 9), (5, 1), (7, 24), (16, 60))
"""Clips and longest length of the batches that are compared."""


@torch.inference_mode()
def largest_difference(trained: TrainedModel, path: Path) -> float:
    """The largest difference of any score from PyTorch's, on the label scale.

    Over made-up clips: batches of 1 to 16, lengths of 1 to 60, each stream alone, streams missing here and there, and
    none at all.

    Raises:
        ExportError: ONNX Runtime cannot run the file, or a score is finite in one of the two and not in the other.
    """
    largest = 0.0
    model = OnnxModel(path, list(trained.info.modalities))
    for batch in _batches(trained):
        output = trained.assembly.model(batch)
        expected = [output.fusion.numpy()]
        for name, score in output.unimodal.items():
            expected.append(np.where(output.present[name].numpy(), score.numpy(), np.nan))
        for name, ours, theirs in zip(["fused", *output.unimodal], expected, model(batch), strict=True):
            if ours.shape != theirs.shape or (np.isfinite(ours) != np.isfinite(theirs)).any():
                raise ExportError(
                    f"the {name} scores of {len(batch)} clips are {theirs[:4]} in the ONNX file and {ours[:4]} in "
                    "PyTorch. This text encoder or these versions of torch and onnxruntime do not go together."
                )
            difference = np.abs(ours - theirs)
            largest = max(largest, float(difference.max(where=np.isfinite(difference), initial=0)))
    return largest


def check(trained: TrainedModel, path: Path) -> float:
    """``largest_difference``, which must be below ``TOLERANCE`` for the label range.

    Raises:
        ExportError: it is not.
    """
    low, high = trained.info.label_range
    allowed = TOLERANCE * (high - low) / 6
    found = largest_difference(trained, path)
    if not found <= allowed:
        raise ExportError(
            f"the ONNX file gives scores that are up to {found:.2g} off those of PyTorch, with {allowed:.2g} allowed "
            "on this label scale. This text encoder or these versions of torch and onnxruntime do not go together."
        )
    return found


def _batches(trained: TrainedModel) -> Iterator[Batch]:
    random = torch.Generator().manual_seed(0)
    names = list(trained.info.modalities)
    for clips, longest in _SHAPES:
        everything = torch.ones(clips, len(names), dtype=torch.bool)
        some = torch.rand(clips, len(names), generator=random) < 0.5
        alone = [everything & (torch.arange(len(names)) == k) for k in range(len(names))]
        for present in (everything, some, ~everything, *alone):
            streams = {name: _stream(trained, name, present[:, k], longest, random) for k, name in enumerate(names)}
            yield Batch(torch.arange(clips), torch.full((clips,), torch.nan), streams)


def _stream(trained: TrainedModel, name: str, present: torch.Tensor, longest: int, random: torch.Generator) -> Stream:
    """Values like those the encoder was trained on, as far as it knows them."""
    encoder, clips = trained.assembly.model.encoders[name], len(present)
    if isinstance(encoder, TransformerEncoder):
        longest = min(longest, trained.assembly.settings.text.max_tokens)
    lengths = torch.randint(1, longest + 1, (clips,), generator=random) * present
    lengths[:1] = longest * present[:1]
    shape = (clips, max(int(lengths.max()), 1))
    if isinstance(encoder, TransformerEncoder):
        words = int(encoder.model.config.vocab_size)  # type: ignore[union-attr, arg-type]
        values = torch.randint(0, words, shape, generator=random)
    else:
        assert isinstance(encoder, Standardised)
        values = torch.randn(*shape, len(encoder.mean), generator=random) * encoder.scale + encoder.mean
    return Stream(values, lengths, lengths > 0)
