"""A linear score in a head of several layers: the same number, and everything else can still be learned."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from models.worlds import MODALITIES, settings_for, tiny_transformer
from selfmm.models import find_model
from selfmm.models.base import Head, Score
from selfmm.models.linear_start import begin_with, fits, heads_of_text, linear_layers


@pytest.mark.parametrize("extra_layer", [True, False])
@pytest.mark.parametrize("first", [0, 3])
def test_a_head_scores_as_the_linear_one(extra_layer: bool, first: int) -> None:
    torch.manual_seed(0)
    head, inputs = Head(8, 6, dropout=0.5, extra_layer=extra_layer).eval(), torch.randn(20, 8)
    score = cast(Score, head.score[-1])
    score.neutral, score.unit = 3.0, 2.0
    weights, bias = torch.randn(5), torch.tensor([0.7])
    begin_with(head, linear_layers(weights, bias), first)
    scores = head(inputs)[1]
    torch.testing.assert_close(scores, 3 + 2 * (inputs[:, first : first + 5] @ weights + 0.7), atol=1e-5, rtol=0)
    scores.square().sum().backward()
    assert score.weight.grad is not None
    assert score.weight.grad.count_nonzero() > 2  # so that the other units begin to count


@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("first", [0, 3])
def test_a_head_scores_as_a_smaller_one(between: bool, first: int) -> None:
    torch.manual_seed(0)
    small, inputs = Head(5, 4, dropout=0.0, extra_layer=between), torch.randn(20, 8)
    layers = [(layer.weight, layer.bias) for layer in small.modules() if isinstance(layer, torch.nn.Linear)]
    for units in (4, 6):
        head = Head(8, units, dropout=0.0, extra_layer=True)
        assert fits(head, layers)
        begin_with(head, layers, first)
        if first == 0 and units == 6:
            assert cast(torch.nn.Linear, head.project[1]).weight[4:].count_nonzero(), "other units keep their weights"
        torch.testing.assert_close(head(inputs)[1], small(inputs[:, first : first + 5])[1])
    assert not fits(Head(8, 3, dropout=0.0, extra_layer=True), layers)
    assert fits(Head(8, 4, dropout=0.0, extra_layer=False), layers) == (not between)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("self_mm", {"heads.text": 0, "fusion": 0}),
        ("lf_dnn", {"fusion": 0}),
        ("mlf_dnn", {"heads.text": 0, "fusion": 0}),
        ("tfn", {}),
        ("mtfn", {"heads.text": 0}),
        ("misa", {}),
        ("mult", {}),
    ],
)
def test_only_heads_that_read_the_text_encoder_can_take_it(model: str, expected: dict[str, int]) -> None:
    network = find_model(model)(MODALITIES, settings_for(model), tiny_transformer())
    assert {name: first for name, (_, first) in heads_of_text(network).items()} == expected


def test_the_text_may_be_anywhere_in_what_is_fused() -> None:
    modalities = {name: MODALITIES[name] for name in ("audio", "text")}
    network = find_model("lf_dnn")(modalities, settings_for("lf_dnn"), tiny_transformer())
    assert heads_of_text(network)["fusion"][1] == network.dims["audio"] > 0
