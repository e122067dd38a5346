"""A model of your own in the one loop: gated late fusion, compared with plain late fusion on planted data.

As a part of selfmm the class would be a file `src/selfmm/models/gated.py` and a line in `selfmm.models.MODELS`; see
CONTRIBUTING.md. Run it with: python examples/add_your_model.py
"""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

import selfmm
from selfmm.config.settings import Group
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.models import MODELS
from selfmm.models.late_fusion import LateFusion


class Options(Group):
    """What can be set with `--set options.hidden=64`, and what `selfmm tune` may search."""

    hidden: int = Field(32, ge=1, le=4096, description="size of the fused feature")


class Gate(nn.Module):
    """Each modality as far as a gate opens: F_m* = ReLU(sum_s sigmoid(g_s . F)_s W_s F_s), y^_m = head(F_m*).

    Input: the concatenation F of all modalities' vectors (B, sum of ``dims``). Output: F_m* (B, ``dim``), y^_m (B,).
    """

    def __init__(self, dims: list[int], hidden: int, head: nn.Module) -> None:
        super().__init__()
        self.dims, self.dim = dims, int(head.dim)  # type: ignore[arg-type]
        self.gates = nn.Linear(sum(dims), len(dims))
        self.project = nn.ModuleList(nn.Linear(dim, hidden) for dim in dims)
        self.head = head

    def forward(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.gates(joined).sigmoid().chunk(len(self.dims), dim=-1)
        own = joined.split(self.dims, dim=-1)  # type: ignore[no-untyped-call]
        parts = zip(gates, self.project, own, strict=True)
        fused: tuple[Tensor, Tensor] = self.head(torch.stack([g * project(part) for g, project, part in parts]).sum(0))
        return fused


class Gated(LateFusion):
    """Late fusion in which a gate weighs the modalities of each clip."""

    paper: ClassVar[str] = "this example"
    Options: ClassVar[type[Group]] = Options

    def make_fusion(self) -> nn.Module:
        return Gate(list(self.dims.values()), self.options.hidden, self.fusion_head(self.options.hidden))


MODELS["gated"] = Gated

data = write_planted("data", PlantedSettings(clips=200))
quick = ["modalities=audio,vision", "training.max_epochs=10", "training.accumulation=1", "fusion.lr=3e-3"]
for model in ("lf_dnn", "gated"):
    # Labels per modality come with the skeleton: each modality gets a head of its own.
    settings = [*quick, f"model={model}", "labels.source=generated"]
    run = selfmm.train(data, overrides=settings, out=Path("runs") / model)
    figures = run.evaluate().values
    print(f"{model}: MAE {figures['mae']:.3f}, Corr {figures['corr']:.3f}, {run.info.parameters:,} parameters")
