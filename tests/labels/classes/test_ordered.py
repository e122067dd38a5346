"""Ordered classes on the signed scale: to labels and back, and messages for wrong values."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.classes.ordered import bound, to_classes, to_labels, to_probabilities


@given(st.integers(2, 12))
def test_classes_come_back_as_they_went(count: int) -> None:
    classes = torch.arange(count)
    labels = to_labels(classes, count)
    assert torch.equal(to_classes(labels, count), classes)
    assert torch.equal(to_probabilities(labels, count), torch.eye(count))
    assert torch.equal(labels, -labels.flip(0))
    assert labels.max() == bound(count)


@given(st.integers(2, 9), st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20))
def test_probabilities_are_a_distribution_whose_mean_is_the_label(count: int, values: list[float]) -> None:
    labels = torch.tensor(values).double()
    probabilities = to_probabilities(labels, count)
    assert probabilities.min() >= 0
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(len(labels)).double())
    mean = probabilities @ (torch.arange(count).double() - bound(count))
    torch.testing.assert_close(mean, labels.clamp(-bound(count), bound(count)), rtol=1e-9, atol=1e-9)
    chosen = probabilities.gather(1, to_classes(labels, count)[:, None])[:, 0]
    torch.testing.assert_close(chosen, probabilities.max(-1).values)


def test_the_generator_takes_them() -> None:
    labels = to_labels(torch.tensor([0, 1, 2, 3]), 4)
    gen = UnimodalLabelGenerator(labels, {"text": 2}, 2, bound=bound(4))
    assert torch.equal(to_classes(gen.labels["text"], 4), torch.arange(4))


@pytest.mark.parametrize(
    ("classes", "count", "message"),
    [
        (torch.tensor([0, 5]), 5, "from 0 to 4"),
        (torch.tensor([-1]), 5, "run from -1 to -1"),
        (torch.tensor([0.5]), 5, "integers"),
        (torch.tensor([[1]]), 5, "1-D"),
        (torch.tensor([0]), 1, "whole number >= 2"),
    ],
)
def test_wrong_classes_are_named(classes: torch.Tensor, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_labels(classes, count)


@pytest.mark.parametrize("labels", [torch.tensor([torch.nan]), torch.tensor([1]), torch.zeros(2, 2)])
def test_wrong_labels_are_named(labels: torch.Tensor) -> None:
    for back in (to_classes, to_probabilities):
        with pytest.raises(ValueError, match="finite floating-point"):
            back(labels, 3)
