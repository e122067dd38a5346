"""Parts of the graph: the LSTM against PyTorch's packed one, names that clash, the tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from selfmm.core.errors import ExportError
from selfmm.data.manifest import Modality
from selfmm.exporting import graph
from selfmm.exporting.graph import portable_tokenizer
from selfmm.exporting.network import OnnxSequenceEncoder
from selfmm.models.encoders import SequenceEncoder
from selfmm.runs.trained_model import TrainedModel


def session(module: nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str]) -> onnxruntime.InferenceSession:
    batch, longest = torch.export.Dim("batch"), torch.export.Dim("longest")
    with graph._quietly():
        program = torch.onnx.export(
            module,
            inputs,
            input_names=names,
            dynamic_shapes=({0: batch, 1: longest}, {0: batch}),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    graph._rename_clashes(model)
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_lstm_equals_the_packed_one(layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    original = SequenceEncoder(3, 5, 4, layers=layers, bidirectional=bidirectional, dropout=0.3).eval()
    original.standardise(torch.randn(3), torch.rand(3) + 0.5)
    module = OnnxSequenceEncoder(original).eval()
    # "div" is what the exporter calls the standardised frames.
    names = ["div", "lengths"]
    run = session(module, (torch.zeros(2, 4, 3), torch.tensor([4, 2])), names)
    for lengths in ([1], [4, 1, 6], [2, 2], [0, 3], [0], [200, 7, 1]):
        values = torch.randn(len(lengths), max(*lengths, 1), 3)
        ends = torch.tensor(lengths)
        expected = original(values, ends).detach().numpy()
        for row, length in enumerate(lengths):
            values[row, max(length, 1) :] = torch.nan  # padding is never read
        (got,) = run.run(None, {"div": values.numpy(), "lengths": ends.numpy()})
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.slow
def test_lengths_beyond_the_values_are_refused() -> None:
    module = OnnxSequenceEncoder(SequenceEncoder(2, 3, 3)).eval()
    run = session(module, (torch.zeros(2, 4, 2), torch.tensor([4, 2])), ["values", "lengths"])
    with pytest.raises(Exception, match="sequence_lens"):
        run.run(None, {"values": np.zeros((1, 2, 2), np.float32), "lengths": np.array([3])})


def test_modalities_whose_names_clash(trained: TrainedModel) -> None:
    frames = Modality(kind="frames", dim=3)
    for names in (("audio", "audio_lengths"), ("score", "audio"), ("score_audio", "audio")):
        info = trained.info.model_copy(update={"modalities": dict.fromkeys(names, frames)})
        with pytest.raises(ExportError, match="two tensors named"):
            graph.check_exportable(replace(trained, info=info))


class Tokenizer:
    """Adds in Python what its fast part knows nothing of."""

    def __init__(self, real: Any) -> None:
        self.backend_tokenizer = real.backend_tokenizer
        self.real = real

    def __call__(self, texts: list[str], **options: Any) -> Any:
        return self.real([f"{text} wonderful" for text in texts], **options)


def test_tokenizer(trained: TrainedModel, exported: Path) -> None:
    from tokenizers import Tokenizer as Fast

    pretrained = trained.assembly.pretrained
    assert pretrained is not None
    alone = Fast.from_str(portable_tokenizer(pretrained.tokenizer, 6))
    text = "the plot was wonderful and the acting was dreadful"
    assert alone.encode(text).ids == pretrained.tokenizer(text, truncation=True, max_length=6)["input_ids"]
    with pytest.raises(ExportError, match="differently without transformers"):
        portable_tokenizer(Tokenizer(pretrained.tokenizer), 20)
    with pytest.raises(ExportError, match="is written in Python"):
        portable_tokenizer(object(), 20)
