"""Random runs of a label generator: what it is shown, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from selfmm.labels import UnimodalLabelGenerator

WIDTHS = {"text": 5, "audio": 3, "vision": 4, "type": 2, "fusion": 1}
FUSION_DIM = 6


@dataclass(frozen=True)
class Step:
    fusion: Tensor
    features: dict[str, Tensor]
    index: Tensor
    epoch: int
    present: dict[str, Tensor]


@dataclass(frozen=True)
class World:
    """A random run: labels with ties and zeros, features that follow the label and drift over epochs."""

    seed: int
    clips: int = 23
    modalities: int = 3
    batch: int = 6
    epochs: int = 5
    equal: bool = False  # every feature as wide as the fusion's
    rough: bool = False  # repeated clips, missing streams, NaN and infinite features

    @property
    def dims(self) -> dict[str, int]:
        widths = dict.fromkeys(WIDTHS, FUSION_DIM) if self.equal else WIDTHS
        return dict(list(widths.items())[: self.modalities])

    @property
    def labels(self) -> Tensor:
        return torch.randint(-5, 6, (self.clips,), generator=self._random(0)).double() * 0.6

    def steps(self) -> Iterator[Step]:
        random = self._random(1)
        lacking = {name: torch.rand(self.clips, generator=random) < 0.2 * self.rough for name in self.dims}
        for epoch in range(1, self.epochs + 1):
            for index in torch.split(torch.randperm(self.clips, generator=random), self.batch):
                if self.rough:
                    index = torch.cat([index, index[:2], index[1:3], index[:1]])
                features = {name: self._draw(index, dim, epoch, random) for name, dim in self.dims.items()}
                fusion = self._draw(index, FUSION_DIM, epoch, random)
                yield Step(fusion, features, index, epoch, {name: ~mask[index] for name, mask in lacking.items()})

    def _draw(self, index: Tensor, dim: int, epoch: int, random: torch.Generator) -> Tensor:
        """Float32 numbers in float64, so that every bank wider than float16 stores them exactly."""
        rows = torch.randn(len(index), dim, generator=random) + 0.4 * self.labels[index, None].float() + 0.1 * epoch
        if self.rough:
            hurt = torch.rand(len(index), generator=random)
            rows[hurt < 0.06, 0] = torch.inf
            rows[hurt > 0.94, 0] = torch.nan
        return rows.double()

    def _random(self, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed(1000 * self.seed + stream)


def build(world: World, labels: Tensor | None = None, **options: object) -> UnimodalLabelGenerator:
    given: dict[str, object] = {"bound": 3.0, "bank_dtype": torch.float64, **options}
    labels = world.labels if labels is None else labels
    return UnimodalLabelGenerator(labels, world.dims, FUSION_DIM, **given)  # type: ignore[arg-type]


def apply(gen: UnimodalLabelGenerator, step: Step) -> None:
    gen.update(step.fusion, step.features, step.index, step.epoch, present=step.present)
