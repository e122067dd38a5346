"""Late fusions other than Self-MM's as ONNX: what they do between encoders and score has a graph too."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from models.worlds import make_model
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.exporting.network import ScoreNetwork
from selfmm.models.late_fusion import LateFusion

THREE = {name: Modality(kind="frames", dim=dim) for name, dim in (("text", 4), ("audio", 3), ("vision", 2))}
SIZES = ("stream.text.out=5", "labels.source=human")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tfn", "iccn"])
def test_scores_of_any_number_of_clips(name: str) -> None:
    model = make_model(name, *SIZES, modalities=THREE)
    assert isinstance(model, LateFusion)
    names = [part for modality in THREE for part in (modality, f"{modality}_lengths")]
    batch = torch.export.Dim("batch")
    inputs, shapes = [], []
    for length, (modality, what) in enumerate(THREE.items(), start=3):
        inputs += [torch.zeros(2, length, what.dim or 0), torch.tensor([length, 2])]
        shapes += [{0: batch, 1: torch.export.Dim(f"{modality}_longest")}, {0: batch}]
    with torch.no_grad():
        program = torch.onnx.export(
            ScoreNetwork(model),
            tuple(inputs),
            input_names=names,
            dynamic_shapes=(tuple(shapes),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for lengths in ([[1], [1], [1]], [[4, 0, 2], [5, 3, 0], [0, 2, 1]], [[0], [0], [0]]):
        streams = {
            modality: Stream(
                torch.randn(len(ends), max(1, *ends), what.dim or 0), torch.tensor(ends), torch.tensor(ends) > 0
            )
            for (modality, what), ends in zip(THREE.items(), lengths, strict=True)
        }
        given = [part for stream in streams.values() for part in (stream.values.numpy(), stream.lengths.numpy())]
        fused, *alone = session.run(None, dict(zip(names, given, strict=True)))
        count = torch.arange(len(lengths[0]))
        expected = model(Batch(count, count, streams))
        np.testing.assert_allclose(fused, expected.fusion.detach().numpy(), atol=1e-5)
        for score, (modality, stream) in zip(alone, streams.items(), strict=True):
            present = stream.present.numpy()
            np.testing.assert_allclose(score[present], expected.unimodal[modality].detach().numpy()[present], atol=1e-5)
            assert np.isnan(score[~present]).all()
