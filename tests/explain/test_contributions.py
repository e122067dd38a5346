"""The fair split against the textbook's definition: the mean over all orders of arrival."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from selfmm.config import load_settings
from selfmm.data.store import Modality
from selfmm.explain.contributions import Sharing
from selfmm.models.late_fusion import LateFusion
from selfmm.models.self_mm import SelfMM

NAMES = ("text", "audio", "vision", "pulse")


def network(seed: int = 0, count: int = 4) -> LateFusion:
    torch.manual_seed(seed)
    frames = Modality(kind="frames", dim=2)
    each = [f"stream.{name}.out=3" for name in NAMES[:count]]
    model = SelfMM(dict.fromkeys(NAMES[:count], frames), load_settings(None, [*each, "fusion.projection=8"]), None)
    for vector in model.missing.values():
        nn.init.normal_(vector)
    fusion: Any = model.fusion
    fusion.score[-1].neutral = 3.0
    return model.eval()


def encodings(*names: str) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(5)
    return {name: 2 * torch.randn(3, generator=random) for name in names}


def by_orders(model: LateFusion, encoded: dict[str, Tensor], name: str) -> float:
    def score(there: set[str]) -> float:
        parts = [encoded[other] if other in there else model.missing[other] for other in model.modalities]
        return float(model.fusion(torch.cat(parts)[None])[1])

    moves = []
    for order in permutations(encoded):
        before = set(order[: order.index(name)])
        moves.append(score(before | {name}) - score(before))
    return float(np.mean(moves))


@torch.no_grad()
@pytest.mark.parametrize("there", [NAMES, ("audio",), ("text", "pulse"), ("text", "audio", "vision")])
def test_it_is_the_mean_over_all_orders(there: tuple[str, ...]) -> None:
    model, encoded = network(), encodings(*there)
    sharing = Sharing(model, encoded)
    values = {name: sharing.value(name) for name in there}
    for name in there:
        assert values[name] == pytest.approx(by_orders(model, encoded, name), abs=1e-5)
    score = float(sharing.score(encoded))
    assert sharing.base() + sum(values.values()) == pytest.approx(score, abs=1e-5)
    assert len({round(value, 4) for value in values.values()}) == len(there)


@torch.no_grad()
def test_what_the_fusion_does_not_read_has_no_share() -> None:
    model, encoded = network(), encodings(*NAMES)
    fusion: Any = model.fusion
    fusion.project[1].weight[:, 3:6] = 0
    sharing = Sharing(model, encoded)
    assert sharing.value("audio") == pytest.approx(0, abs=1e-6)
    assert sharing.added("audio") == 0
    assert abs(sharing.value("text")) > 1e-3


@torch.no_grad()
def test_with_nothing_there_the_score_is_the_base() -> None:
    model = network(count=2)
    sharing = Sharing(model, {})
    assert sharing.base() == float(sharing.score({}))
    alone = encodings("text")
    single = Sharing(model, alone)
    assert single.value("text") == pytest.approx(single.added("text"), abs=1e-6)
