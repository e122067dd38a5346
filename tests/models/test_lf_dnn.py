"""LF-DNN against its equations, and with tasks of its own: Self-MM's network, weight for weight."""

from __future__ import annotations

import pytest
import torch

from models.worlds import MODALITIES, make_batch, make_model
from selfmm.data.types import Output
from selfmm.models.late_fusion import ConcatenationFusion
from selfmm.models.lf_dnn import LFDNN
from selfmm.models.self_mm import SelfMM

LENGTHS = {"text": [4, 2, 0], "audio": [3, 0, 5], "vision": [1, 6, 2]}


@pytest.mark.parametrize("extra_layer", [False, True])
def test_equations(extra_layer: bool) -> None:
    """F_m* = ReLU(W [F_t; F_a; F_v]), y^_m = W' F_m*, with one more layer between as the settings say."""
    model = make_model("lf_dnn", f"fusion.extra_layer={str(extra_layer).lower()}")
    assert isinstance(model, LFDNN)
    assert isinstance(model.fusion, ConcatenationFusion)
    weights = [parameter.detach() for parameter in model.fusion.parameters()]
    output: Output = model(make_batch(LENGTHS, aligned=False))
    for clip in range(3):
        joined = [v for name in MODALITIES for v in output.encoded[name][clip].tolist()]
        feature = (weights[0] @ torch.tensor(joined) + weights[1]).clamp(min=0)
        hidden = (weights[2] @ feature + weights[3]).clamp(min=0) if extra_layer else feature
        torch.testing.assert_close(output.fusion_feature[clip], feature, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.fusion[clip], (weights[-2] @ hidden + weights[-1])[0], atol=1e-5, rtol=1e-5)


def test_a_clip_that_lacks_a_stream_is_fused_with_the_stand_in() -> None:
    model = make_model("lf_dnn")
    encoded = model(make_batch(LENGTHS, aligned=False)).encoded
    for name, lengths in LENGTHS.items():
        for clip, length in enumerate(lengths):
            assert torch.equal(encoded[name][clip], model.missing[name]) == (length == 0)


def test_it_has_no_task_but_the_fused_one() -> None:
    model = make_model("lf_dnn")
    assert model.tasks == ()
    assert model(make_batch(LENGTHS, aligned=False)).unimodal == {}


@pytest.mark.parametrize("source", ["generated", "human", "none"])
def test_with_labels_it_is_the_network_of_self_mm(source: str) -> None:
    """The same weights of one seed, and the same numbers: what they learn from is not the model's business."""
    ours = make_model("lf_dnn", f"labels.source={source}", seed=3)
    theirs = make_model("self_mm", f"labels.source={source}", seed=3)
    assert isinstance(theirs, SelfMM)
    weights = theirs.state_dict()
    assert ours.state_dict().keys() == weights.keys()
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=0)
    batch = make_batch(LENGTHS, aligned=False)
    mine, other = ours(batch), theirs(batch)
    assert torch.equal(mine.fusion, other.fusion)
    assert mine.unimodal.keys() == other.unimodal.keys()
    assert bool(mine.unimodal) == (source != "none")
    assert all(torch.equal(mine.unimodal[name], other.unimodal[name]) for name in mine.unimodal)
