"""The mean of several networks as one network."""

from __future__ import annotations

import pytest
import torch

from models.worlds import make_batch, make_model
from selfmm.data.manifest import TEXT
from selfmm.data.types import Batch
from selfmm.models.base import Model
from selfmm.models.ensemble import Ensemble, members_of
from selfmm.models.text import TransformerEncoder


def networks(*names: str) -> list[Model]:
    return [make_model(name, seed=number) for number, name in enumerate(names)]


def clips() -> Batch:
    return make_batch({"text": [4, 2, 0], "audio": [3, 0, 2], "vision": [1, 6, 3]}, aligned=False)


def frozen(seed: int, *more: str) -> tuple[Model, TransformerEncoder]:
    model = make_model("self_mm", "text.finetune=false", *more, seed=seed)
    encoder = model.encoders[TEXT]
    assert isinstance(encoder, TransformerEncoder)
    return model, encoder


def test_it_is_the_mean_of_its_members() -> None:
    members, batch = networks("self_mm", "self_mm", "self_mm"), clips()
    network = Ensemble(members)
    output, own = network(batch), [member(batch) for member in members]
    scores = torch.stack([part.fusion for part in own])
    torch.testing.assert_close(output.fusion, scores.mean(dim=0))
    torch.testing.assert_close(output.deviation, scores.std(dim=0))
    assert torch.equal(output.fusion_feature, scores.T)
    assert network.tasks == members[0].tasks == tuple(output.unimodal)
    for name in network.tasks:
        torch.testing.assert_close(output.unimodal[name], sum(part.unimodal[name] for part in own) / 3)
        assert torch.equal(output.present[name], batch.streams[name].present)


def test_one_member_does_not_say_how_far_it_deviates() -> None:
    output = Ensemble(networks("self_mm"))(clips())
    assert output.deviation is not None
    assert output.deviation.isnan().all()


def test_tasks_are_those_of_all_members() -> None:
    network = Ensemble(networks("self_mm", "lf_dnn"))
    assert network.tasks == ()
    assert network(clips()).unimodal == {}
    assert network.modalities == network.parts[0].modalities


def test_nothing_is_stored_twice() -> None:
    members = networks("self_mm", "self_mm")
    network = Ensemble(members)
    assert len(network.state_dict()) == sum(len(member.state_dict()) for member in members)
    assert network.encoders is members[0].encoders
    network.double()
    assert next(network.encoders.parameters()).dtype == torch.float64


def test_members() -> None:
    members = networks("self_mm", "lf_dnn")
    assert members_of(Ensemble(members)) == tuple(members)
    assert members_of(members[0]) == (members[0],)


@pytest.mark.parametrize("more", [(), ("text.layer=weighted",), ("text.pooling=mean",)])
def test_a_frozen_text_encoder_runs_once(more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    (first, one), (second, other) = frozen(0, *more), frozen(1, *more)
    assert Ensemble([first, second]).shared is None, "these are two encoders"
    other.model = one.model
    network, batch = Ensemble([first, second]), clips()
    assert network.shared is one
    expected = (first(batch).fusion + second(batch).fusion) / 2
    monkeypatch.setattr(other, "states", None)  # it is not called
    torch.testing.assert_close(network(batch).fusion, expected)


def test_encoders_that_are_read_in_other_ways_run_for_each_member() -> None:
    (first, one), (second, other) = frozen(0), frozen(1, "text.pooling=mean")
    other.model = one.model
    assert Ensemble([first, second]).shared is None
