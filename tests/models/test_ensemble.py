"""The mean of several networks as one network."""

from __future__ import annotations

import torch

from models.worlds import make_batch, make_model
from selfmm.core.tensors import checksum
from selfmm.data.manifest import TEXT
from selfmm.models.base import Model
from selfmm.models.ensemble import Ensemble, members_of


def networks(*names: str) -> list[Model]:
    torch.manual_seed(0)
    return [make_model(name).eval() for name in names]


def test_it_is_the_mean_of_its_members() -> None:
    members = networks("self_mm", "self_mm", "self_mm")
    batch, network = make_batch(), Ensemble(members).eval()
    output, own = network(batch), [member(batch) for member in members]
    torch.testing.assert_close(output.fusion, sum(part.fusion for part in own) / 3)
    torch.testing.assert_close(output.deviation, torch.stack([part.fusion for part in own]).std(dim=0))
    assert output.fusion_feature.shape == (len(batch), 3)
    assert network.tasks == members[0].tasks == tuple(output.unimodal)
    for name in network.tasks:
        torch.testing.assert_close(output.unimodal[name], sum(part.unimodal[name] for part in own) / 3)


def test_one_member_does_not_deviate_by_a_number() -> None:
    output = Ensemble(networks("self_mm"))(make_batch())
    assert output.deviation is not None
    assert output.deviation.isnan().all()


def test_tasks_are_those_of_all_members() -> None:
    network = Ensemble(networks("self_mm", "lf_dnn"))
    assert network.tasks == ()
    assert network(make_batch()).unimodal == {}
    assert network.modalities == network.parts[0].modalities


def test_nothing_is_stored_twice() -> None:
    members = networks("self_mm", "self_mm")
    network = Ensemble(members)
    names = list(network.state_dict())
    assert len(names) == sum(len(member.state_dict()) for member in members)
    assert all(name.startswith("members.") for name in names)
    assert network.encoders is members[0].encoders
    assert checksum(network.encoders.state_dict()) == checksum(members[0].encoders.state_dict())


def test_members() -> None:
    members = networks("self_mm", "lf_dnn")
    assert members_of(Ensemble(members)) == tuple(members)
    assert members_of(members[0]) == (members[0],)


def test_a_frozen_text_encoder_runs_once(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    first = make_model("self_mm", "text.finetune=false", words=True).eval()
    second = make_model("self_mm", "text.finetune=false", words=True).eval()
    alone = Ensemble([first, second]).eval()
    assert alone.shared is None, "these are two encoders"
    second.encoders[TEXT].model = first.encoders[TEXT].model
    both = Ensemble([first, second]).eval()
    assert both.shared is first.encoders[TEXT]
