"""MLF-DNN: LF-DNN with people's labels, and the loss that it is trained for."""

from __future__ import annotations

import torch

from models.worlds import check_peoples_labels, make_batch, make_model
from selfmm.training.objectives.fused import HumanObjective


def test_it_is_lf_dnn_with_peoples_labels() -> None:
    check_peoples_labels("mlf_dnn", "lf_dnn")


def test_its_loss_is_the_sum_of_all_errors() -> None:
    """A clip that lacks a modality or its label does not take part in that modality's task."""
    model = make_model("mlf_dnn")
    batch = make_batch({"text": [4, 2, 5], "audio": [3, 0, 2], "vision": [1, 6, 2]}, aligned=False)
    said = {"text": [1.0, -1.0, torch.nan], "audio": [0.5, 2.0, 0.0], "vision": [torch.nan, 0.3, -2.0]}
    objective = HumanObjective({name: torch.tensor(labels) for name, labels in said.items()}, 1.0)
    output = model(batch)
    loss = objective(output, batch)
    for clip in range(3):
        total = abs(float(output.fusion[clip].detach()) - float(batch.labels[clip]))
        for name, labels in said.items():
            if labels[clip] == labels[clip] and batch.streams[name].present[clip]:
                total += abs(float(output.unimodal[name][clip].detach()) - labels[clip])
        torch.testing.assert_close(loss.per_clip[clip].detach(), torch.tensor(total), atol=1e-5, rtol=1e-5)
