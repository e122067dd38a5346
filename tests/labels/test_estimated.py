"""Labels that were estimated before training: what becomes of each, how it was made, and what training gets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selfmm.labels import EstimatedLabels, FixedLabels, ModalityEstimate, Outcome
from selfmm.labels.estimated import MADE, ClipLabels

NAN = float("nan")


def estimate(labels: list[float], correlation: float = 0.5) -> ModalityEstimate:
    values = np.array(labels)
    error = np.where(np.isnan(values), NAN, 0.5)
    return ModalityEstimate(values, error, error / 2, values, error / 5, correlation, 0.8, 0.1, 0.2)


def test_every_way_in_which_a_label_is_made() -> None:
    #            moved  at the end  lacks it  no m-label  known  not of the fit
    m = np.array([1.0, 2.0, -1.0, NAN, 0.5, -2.0])
    known = FixedLabels(torch.tensor([4]), torch.tensor([-1.5]), torch.tensor([0.75]))
    fit = np.array([True, True, True, True, True, False])
    labels = ClipLabels.of(estimate([0.5, 3.0, NAN, NAN, 0.0, -2.2]), m, fit, (-3.0, 3.0), known)
    assert labels.made.tolist() == ["left out", "left out", "missing", "", "person", "held out"]
    assert set(labels.made) - {""} <= set(MADE)
    np.testing.assert_allclose(labels.u_label, [0.5, 3.0, -1.0, NAN, -1.5, -2.2], rtol=1e-6)
    np.testing.assert_allclose(labels.weight, [1, 1, 0, NAN, 0.75, 1])
    assert [Outcome(code) for code in labels.outcome[[0, 1, 2, 4, 5]]] == [
        Outcome.UPDATED,
        Outcome.CLAMPED,
        Outcome.MISSING,
        Outcome.FIXED,
        Outcome.UPDATED,
    ]
    np.testing.assert_allclose(labels.expected_error, [0.5, 0.5, NAN, NAN, 0.0, 0.5])
    np.testing.assert_allclose(labels.trust, [0.25, 0.25, NAN, NAN, 1.0, 0.25])


def test_labels_of_a_modality_that_learned_nothing_are_the_m_labels() -> None:
    m = np.array([1.0, -3.0, NAN])
    labels = ClipLabels.of(estimate([1.0, -3.0, NAN], correlation=0.0), m, np.ones(3, dtype=bool), (-3.0, 3.0))
    assert labels.made.tolist() == ["m-label", "m-label", ""]
    assert labels.outcome[:2].tolist() == [Outcome.NO_EVIDENCE] * 2
    assert labels.weight[:2].tolist() == [0.0, 0.0]


def test_some_clips_of_many() -> None:
    m = np.array([1.0, 2.0, 3.0])
    labels = ClipLabels.of(estimate([0.1, 0.2, 0.3]), m, np.ones(3, dtype=bool), (-3.0, 3.0))
    some = labels.rows(np.array([2, 0]))
    np.testing.assert_allclose(some.u_label, [0.3, 0.1], rtol=1e-6)
    assert some.made.tolist() == ["left out", "left out"]


@pytest.mark.parametrize("name", ["type", "to", "text"])
def test_training_gets_them_as_from_a_generator(name: str) -> None:
    m = torch.tensor([1.0, -1.0])
    own = ClipLabels.of(estimate([0.0, -1.0]), m.double().numpy(), np.ones(2, dtype=bool), (-3.0, 3.0))
    labels = EstimatedLabels(m, {name: own}, 1.0)
    torch.testing.assert_close(labels.labels[name], torch.tensor([0.0, -1.0]))
    torch.testing.assert_close(labels.weights(torch.tensor([1, 0]))[name], torch.ones(2))
    assert labels.outcomes[name].tolist() == [1, 1]
    assert labels.table is None
    assert set(labels.state_dict()) == {"m_labels", f"labels_of_{name}", f"weights_of_{name}", f"outcome_of_{name}"}
    labels.labels[name].zero_()
    assert own.u_label.tolist() == [0.0, -1.0], "the arrays are copied"
