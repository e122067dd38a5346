"""Your own model in every command: gated late fusion, compared with plain late fusion on planted data.

The class needs no other place than this file:

    selfmm train data --model examples/add_your_model.py:Gated
    selfmm compare data --models lf_dnn,examples/add_your_model.py:Gated

Run all of it with: python examples/add_your_model.py
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

import selfmm
from selfmm.config.settings import Group
from selfmm.models.base import Head
from selfmm.models.late_fusion import Fusion, LateFusion


class Options(Group):
    """Settings for `--set options.hidden=64` and for `selfmm tune`."""

    hidden: int = Field(32, ge=1, le=4096, description="size of the fused feature")


class Gate(Fusion):
    """F_m* = head(sum over modalities s of sigmoid(g_s . F) W_s F_s), F the concatenation of all F_s.

    Input: per modality its vector F_s (B, d). Output: F_m* (B, ``dim``) and the score (B,).
    """

    def __init__(self, dims: Mapping[str, int], hidden: int, head: Head) -> None:
        super().__init__()
        self.gates = nn.Linear(sum(dims.values()), len(dims))
        self.project = nn.ModuleDict({name: nn.Linear(dim, hidden) for name, dim in dims.items()})
        self.head, self.dim = head, head.dim

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        projected = torch.stack([project(vectors[name]) for name, project in self.project.items()], dim=1)
        gates = self.gates(torch.cat([vectors[name] for name in self.project], dim=-1)).sigmoid()
        feature, score = self.head((gates[:, :, None] * projected).sum(dim=1))
        return feature, score


class Gated(LateFusion):
    """Late fusion in which a gate weighs the modalities of each clip."""

    paper: ClassVar[str] = "this example"
    Options: ClassVar[type[Group]] = Options

    def make_fusion(self) -> Gate:
        return Gate(self.dims, self.options.hidden, self.fusion_head(self.options.hidden))


if __name__ == "__main__":
    from selfmm.data.planted import PlantedSettings, write_planted

    data = write_planted("data", PlantedSettings(clips=200))
    quick = ["modalities=audio,vision", "training.max_epochs=10", "training.accumulation=1", "fusion.lr=3e-3"]
    for model in ("lf_dnn", f"{__file__}:Gated"):
        # Labels per modality come with the skeleton: each modality gets a head of its own.
        run = selfmm.train(data, overrides=[*quick, f"model={model}", "labels.source=generated"])
        figures = run.evaluate().values
        print(f"{run.info.model_name}: MAE {figures['mae']:.3f}, Corr {figures['corr']:.3f}")
