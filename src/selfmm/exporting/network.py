"""The trained network in a form that ONNX supports: padded tensors and lengths in, scores out."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor, nn

from selfmm.data.manifest import TEXT
from selfmm.data.types import Batch, Stream
from selfmm.models.base import Model
from selfmm.models.encoders import SequenceEncoder
from selfmm.models.ensemble import Ensemble, with_states
from selfmm.models.late_fusion import LateFusion, as_late_fusion
from selfmm.models.text import TransformerEncoder


class OnnxSequenceEncoder(nn.Module):
    """``SequenceEncoder`` for ONNX: its LSTM operator takes padded sequences and their lengths.

    PyTorch's exporter (2.13) often fixes the input length of an ``nn.LSTM``, so this module names the operator itself.
    It can only be exported; it computes nothing in PyTorch.

    Input: values (B, L, ``input_dim``) float32, L >= 1, and lengths (B,) int64 from 0 to L. Output: (B, ``dim``), as
    from the original in evaluation mode; for a length of 0, the output for one frame.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, original: SequenceEncoder) -> None:
        super().__init__()
        self.dim, self.directions = original.dim, original.directions
        self.hidden, self.layers = original.lstm.hidden_size, original.lstm.num_layers
        self.linear = original.linear
        self.register_buffer("mean", original.mean)
        self.register_buffer("scale", original.scale)
        for layer in range(self.layers):
            for name, weights in zip("WRB", _onnx_weights(original.lstm, layer), strict=True):
                self.register_buffer(f"{name}{layer}", weights)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        frames = torch.where(values.isnan(), 0.0, (values - self.mean) / self.scale)
        frames = frames.transpose(0, 1)  # the operator expects time first
        end = frames
        for layer in range(self.layers):
            frames, end = self._layer(layer, frames, lengths.clamp(min=1).int())
        return self.linear(end.transpose(0, 1).flatten(1))  # type: ignore[no-any-return]

    def _layer(self, layer: int, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(L, B, d) -> outputs (L, B, directions * hidden) and end states (directions, B, hidden)."""
        steps, clips, _ = frames.shape
        weights = [getattr(self, f"{name}{layer}") for name in "WRB"]
        outputs, end = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            [frames, *weights, lengths],
            {"hidden_size": self.hidden, "direction": "bidirectional" if self.directions == 2 else "forward"},
            dtypes=(frames.dtype, frames.dtype),
            shapes=([steps, self.directions, clips, self.hidden], [self.directions, clips, self.hidden]),
        )
        return outputs.transpose(1, 2).flatten(2), end


def _onnx_weights(lstm: nn.LSTM, layer: int) -> list[Tensor]:
    """Return W, R and B of one layer, with a first axis for the direction; ONNX joins both biases."""
    suffixes = [f"l{layer}", f"l{layer}_reverse"][: 2 if lstm.bidirectional else 1]

    def gates(part: str) -> Tensor:
        return torch.stack([_reordered(getattr(lstm, f"{part}_{suffix}").detach()) for suffix in suffixes])

    return [gates("weight_ih"), gates("weight_hh"), torch.cat([gates("bias_ih"), gates("bias_hh")], dim=1)]


def _reordered(weights: Tensor) -> Tensor:
    """Change PyTorch's order of the gates (input, forget, cell, output) to ONNX's (input, output, forget, cell)."""
    i, f, c, o = weights.chunk(4)
    return torch.cat([i, o, f, c])


class OnnxTextEncoder(nn.Module):
    """``TransformerEncoder`` for ONNX: the plain forward pass with a mask.

    Input: token ids (B, L) int64 and lengths (B,) int64 from 0 to L; or the output of ``states``, (B, 1, ``width``).
    Output: (B, ``dim``).
    """

    def __init__(self, original: TransformerEncoder) -> None:
        super().__init__()
        original.complete()
        self.dim, self.original = original.dim, original

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        if values.is_floating_point():
            return self.original(values, lengths)  # type: ignore[no-any-return]
        return self.original.plain(**_masked(values, lengths))

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, ``width``) as :meth:`TransformerEncoder.states` does."""
        return self.original.plain_states(**_masked(ids, lengths))


def _masked(ids: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    lengths = lengths.clamp(min=1)
    mask = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
    return {"lengths": lengths, "input_ids": ids, "attention_mask": mask.long()}


class ScoreNetwork(nn.Module):
    """A trained model as a function of plain tensors.

    Input: for each modality, in the model's order, its values (B, L, d) float32 or (B, L) int64 and its lengths (B,)
    int64, 0 if a clip lacks the modality. Output: (B,) the fused score, then (B,) the score of each modality that has
    its own, NaN if the clip lacks it; for an ensemble, then (B,) the deviation of its members' fused scores. All are on
    the scale of the labels.

    Args:
        model: late-fusion models, or an ensemble of them, on the CPU; it is not changed.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        members = [_onnx_model(member) for member in as_late_fusion(model, "an ONNX file")]
        self.model: Model = Ensemble(members) if isinstance(model, Ensemble) else members[0]
        shared = model.shared if isinstance(model, Ensemble) else None
        self.shared = None if shared is None else OnnxTextEncoder(shared)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        streams = {
            name: Stream(values, lengths, lengths > 0)
            for name, values, lengths in zip(self.model.modalities, inputs[::2], inputs[1::2], strict=True)
        }
        unused = inputs[1]  # scores depend on neither a clip's number nor its label
        batch = Batch(unused, unused, streams)
        if self.shared is not None:
            states = self.shared.states(streams[TEXT].values, streams[TEXT].lengths)
            batch = with_states(batch, self.shared.original, states)
        output = self.model(batch)
        nan = output.fusion.new_full((), float("nan"))
        alone = (torch.where(streams[name].present, score, nan) for name, score in output.unimodal.items())
        return (output.fusion, *alone, *([] if output.deviation is None else [output.deviation]))


def _onnx_model(model: LateFusion) -> LateFusion:
    """Return a copy with encoders that can be exported; it shares all other parts."""
    result = copy(model)
    result._modules = dict(model._modules)
    result.encoders = nn.ModuleDict({name: _onnx_encoder(part) for name, part in model.encoders.items()})
    return result


def _onnx_encoder(encoder: nn.Module) -> nn.Module:
    if isinstance(encoder, SequenceEncoder):
        return OnnxSequenceEncoder(encoder)
    if isinstance(encoder, TransformerEncoder):
        return OnnxTextEncoder(encoder)
    return encoder
