"""The fair split against the textbook's definition: the mean over all orders of arrival."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.worlds import make_model
from selfmm.config.settings import load_settings
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.explain.contributions import Sharing
from selfmm.explain.gradients import Inputs
from selfmm.models import MODELS, find_model
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
        vectors = {other: encoded[other] if other in there else model.missing[other] for other in model.modalities}
        return float(model.fusion({other: vector[None] for other, vector in vectors.items()})[1])

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


@pytest.mark.parametrize("name", [name for name in MODELS if issubclass(find_model(name), LateFusion)])
def test_of_every_late_fusion_all_streams_together_give_the_score(name: str) -> None:
    """And of each stream its frames can be faded in."""
    modalities = {key: Modality(kind="frames", dim=dim) for key, dim in (("text", 4), ("audio", 3), ("vision", 2))}
    model = make_model(name, modalities=modalities)
    assert isinstance(model, LateFusion)
    streams = {}
    for length, (key, what) in enumerate(modalities.items(), start=2):
        frames = torch.randn(1, length, what.dim or 0, generator=torch.Generator().manual_seed(length))
        streams[key] = Stream(frames, torch.tensor([length]), torch.tensor([True]))
    output = model(Batch(torch.zeros(1).long(), torch.zeros(1), streams))
    encoded = {key: said[0] for key, said in output.encoded.items()}
    torch.testing.assert_close(Sharing(model, encoded).score(encoded), output.fusion)
    for key, stream in streams.items():
        inputs = Inputs.of(stream.values[0], model.encoders[key], None)
        torch.testing.assert_close(inputs.encode(inputs.values[None])[0], encoded[key])
