"""Labels that are estimated before training, behind the interface of a generator."""

from __future__ import annotations

import math

import torch

from selfmm.labels import EstimatedLabels, FixedLabels, Outcome

M_LABELS = torch.tensor([1.0, -2.0, 0.5, 3.0])


def make(fixed: dict[str, FixedLabels] | None = None) -> EstimatedLabels:
    labels = {
        "text": torch.tensor([0.5, -3.0, math.nan, 2.0]),
        "type": torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64),  # a name that torch reserves
    }
    return EstimatedLabels(M_LABELS, labels, 2.0, (-3.0, 3.0), fixed)


def test_a_clip_without_the_modality_keeps_its_m_label_with_weight_0() -> None:
    estimated, everybody = make(), torch.arange(4)
    assert estimated.labels["text"].tolist() == [0.5, -3.0, 0.5, 2.0]
    expected = torch.tensor([0.25, 0.5, 0.0, 0.5]).tanh()
    torch.testing.assert_close(estimated.weights(everybody)["text"], expected)
    torch.testing.assert_close(estimated.weights(torch.tensor([3, 0]))["text"], expected[[3, 0]])
    words = [Outcome(code).word for code in estimated.outcomes["text"].tolist()]
    assert words == ["updated", "clamped", "missing", "updated"]


def test_labels_equal_to_the_m_labels_have_no_weight() -> None:
    estimated = make()
    assert estimated.labels["type"].dtype == torch.float32
    assert torch.equal(estimated.labels["type"], M_LABELS)
    assert not estimated.weights(torch.arange(4))["type"].any()


def test_known_labels_replace_estimates() -> None:
    known = FixedLabels(torch.tensor([2, 0]), torch.tensor([-1.5, 2.5]), torch.tensor([1.0, 0.3]))
    estimated = make({"text": known})
    assert estimated.labels["text"].tolist() == [2.5, -3.0, -1.5, 2.0]
    weights = estimated.weights(torch.tensor([0, 2]))["text"]
    torch.testing.assert_close(weights, torch.tensor([0.3, 1.0]))
    assert [Outcome(code).word for code in estimated.outcomes["text"].tolist()] == [
        "fixed",
        "clamped",
        "fixed",
        "updated",
    ]
    assert torch.equal(estimated.labels["type"], M_LABELS)


def test_the_arguments_are_not_changed_and_the_state_restores_all() -> None:
    labels = {"text": torch.tensor([0.5, -1.0, 0.0, 2.0])}
    known = FixedLabels(torch.tensor([0]), torch.tensor([-1.5]), torch.tensor([1.0]))
    first = EstimatedLabels(M_LABELS, labels, 1.0, (-3.0, 3.0), {"text": known})
    assert labels["text"][0] == 0.5
    second = EstimatedLabels(0 * M_LABELS, {"text": 0 * labels["text"]}, 1.0, (-3.0, 3.0))
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.labels["text"], first.labels["text"])
    assert torch.equal(second.weights(torch.arange(4))["text"], first.weights(torch.arange(4))["text"])
    assert torch.equal(second.outcomes["text"], first.outcomes["text"])
    assert second.m_labels.tolist() == M_LABELS.tolist()
