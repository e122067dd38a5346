"""What heads and encoders learn under each ``labels.weighting``, against plain autograd: one loss for each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.worlds import MODALITIES, make_batch, make_model, part_of
from selfmm.data.types import Batch, Output
from selfmm.labels import FixedLabels, Outcome
from selfmm.models import MODELS, find_model
from selfmm.models.base import Model
from selfmm.training.objectives.self_mm import SelfMMObjective
from selfmm.training.objectives.weighting import Weighting

LENGTHS = {"text": [4, 7, 3, 5], "audio": [9, 2, 0, 6], "vision": [1, 5, 4, 0]}
COUNT = 4
REPRESENTED = [name for name in MODELS if name not in ("ef_lstm", "mult", "mag_bert", "adapt")]
WEIGHTINGS: tuple[Weighting, Weighting] = ("encoder", "published")
Gradients = dict[str, Tensor]


@dataclass
class KnownLabels:
    """What the objective needs of a generator, with any labels and weights."""

    labels: dict[str, Tensor]
    table: dict[str, Tensor]
    m_labels: Tensor
    fixed: dict[str, FixedLabels] = field(default_factory=dict)
    unit: float = 1.0

    @property
    def outcomes(self) -> dict[str, Tensor]:
        codes = {name: torch.full((COUNT,), int(Outcome.UPDATED), dtype=torch.uint8) for name in self.labels}
        for name, known in self.fixed.items():
            codes[name][known.index] = int(Outcome.FIXED)
        return codes

    def weights(self, index: Tensor) -> dict[str, Tensor]:
        return {name: weights[index] for name, weights in self.table.items()}


def known_labels(weights: dict[str, Tensor]) -> KnownLabels:
    random = torch.Generator().manual_seed(7)
    labels = {name: 3 * torch.randn(COUNT, generator=random) for name in MODALITIES}
    return KnownLabels(labels, weights, torch.zeros(COUNT))


def objective(generator: KnownLabels, weighting: Weighting, **fixed: FixedLabels) -> SelfMMObjective:
    return SelfMMObjective(replace(generator, fixed=fixed), weighting=weighting)  # type: ignore[arg-type]


def gradients(model: Model, loss: Tensor) -> Gradients:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    named = {name: p.grad for name, p in model.named_parameters()}
    return {name: torch.zeros(()) if grad is None else grad.to_dense().clone() for name, grad in named.items()}


def slow_gradients(model: Model, batch: Batch, generator: KnownLabels, trust: dict[str, list[float]]) -> Gradients:
    """Each clip alone, each parameter from the loss it is said to learn: heads from the plain error (times the trust in
    a fixed label), everything else from the published loss. ``trust`` is NaN where a label is not fixed."""
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for clip in range(len(batch)):
        alone = part_of(batch, clip)
        for of_heads in (True, False):
            output: Output = model(alone)
            loss = (output.fusion - alone.labels).abs().sum() + sum(term.sum() for term in output.terms.values())
            for name in model.tasks:
                if not batch.streams[name].present[clip]:
                    continue
                error = (output.unimodal[name] - generator.labels[name][clip]).abs().sum()
                fixed = trust[name][clip]
                known = fixed == fixed  # not NaN
                loss = loss + error * ((fixed if known else 1.0) if of_heads else float(generator.table[name][clip]))
            for name, gradient in gradients(model, loss).items():
                if name.startswith("heads.") == of_heads:
                    total[name] += gradient
    return total


share = st.sampled_from([0.0, 0.001, 0.3, 1.0])


@given(data=st.data(), seed=st.integers(0, 5))
def test_heads_learn_with_weight_1_and_encoders_as_published(data: Any, seed: int) -> None:
    model = make_model("self_mm", seed=seed)
    batch = make_batch(LENGTHS, aligned=False, seed=seed)
    trust = {name: [data.draw(st.sampled_from([float("nan")] * 3 + [0.0, 0.5, 1.0]))] * COUNT for name in MODALITIES}
    weights = {name: torch.tensor([data.draw(share) for _ in range(COUNT)]) for name in MODALITIES}
    fixed = {}
    for name in MODALITIES:
        trust[name][1:] = [float("nan")] * (COUNT - 1)
        if trust[name][0] == trust[name][0]:
            weights[name][0] = trust[name][0]  # a generator gives fixed labels their own weights
            fixed[name] = FixedLabels(torch.tensor([0]), torch.tensor([1.0]), torch.tensor([trust[name][0]]))
    generator = known_labels(weights)
    expected = slow_gradients(model, batch, generator, trust)
    loss = objective(generator, "encoder", **fixed)(model(batch), batch)
    for name, gradient in gradients(model, loss.per_clip.sum()).items():
        torch.testing.assert_close(gradient.expand_as(expected[name]), expected[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("name", REPRESENTED)
def test_for_every_model_only_the_heads_differ_from_the_published_loss(name: str) -> None:
    model = make_model(name, "labels.source=generated")
    batch = make_batch(LENGTHS, aligned=find_model(name).needs.aligned)
    generator = known_labels({modality: torch.linspace(0, 0.9, COUNT) for modality in MODALITIES})
    found: dict[str, Gradients] = {}
    for weighting in WEIGHTINGS:
        loss = objective(generator, weighting)(model(batch), batch)
        found[weighting] = gradients(model, loss.per_clip.mean())
    plain = known_labels({modality: torch.ones(COUNT) for modality in MODALITIES})
    found["plain"] = gradients(model, objective(plain, "published")(model(batch), batch).per_clip.mean())
    for key, gradient in found["encoder"].items():
        expected = found["plain" if key.startswith("heads.") else "published"][key]
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4, msg=key)
    assert any(gradient.any() for key, gradient in found["encoder"].items() if key.startswith("heads."))


def test_a_modality_that_a_clip_lacks_teaches_neither_head_nor_encoder() -> None:
    model = make_model("self_mm", "stream.vision.projection=16")
    batch = make_batch({"text": [4, 3], "audio": [0, 0], "vision": [2, 5]}, aligned=False)
    generator = known_labels({name: torch.ones(COUNT) for name in MODALITIES})
    output: Output = model(batch)
    loss = objective(generator, "encoder")(output, batch)
    assert not loss.tasks["audio"].any()
    assert not loss.head_weights["audio"].any()
    found = gradients(model, (loss.per_clip - (output.fusion - batch.labels).abs()).sum())
    for key, gradient in found.items():
        if "audio" in key:
            assert not gradient.any(), key
    assert any(gradient.any() for key, gradient in found.items() if key.startswith("heads.vision"))


def test_losses_that_are_reported() -> None:
    """Under ``encoder`` the plain errors; ``head_weights`` say with what the heads learned."""
    model, batch = make_model("self_mm"), make_batch(LENGTHS, aligned=False)
    generator = known_labels({name: torch.full((COUNT,), 0.25) for name in MODALITIES})
    output: Output = model(batch)
    error = (output.unimodal["audio"] - generator.labels["audio"]).abs().detach() * output.present["audio"]
    for weighting, weight in zip(WEIGHTINGS, (1.0, 0.25), strict=True):
        loss = objective(generator, weighting)(output, batch)
        torch.testing.assert_close(loss.tasks["audio"], weight * error)
        assert torch.equal(loss.head_weights["audio"], weight * output.present["audio"].float())
        assert not any(part.any() for part in loss.nothing().head_weights.values())


def test_without_gradients_and_with_frozen_inputs_there_is_nothing_to_weight() -> None:
    model, batch = make_model("self_mm"), make_batch(LENGTHS, aligned=False)
    loss = objective(known_labels({name: torch.ones(COUNT) for name in MODALITIES}), "encoder")
    with torch.no_grad():
        assert loss(model(batch), batch).per_clip.isfinite().all()
    for part in (model.encoders, model.missing):
        part.requires_grad_(False)
    found = gradients(model, loss(model(batch), batch).per_clip.sum())
    assert any(gradient.any() for key, gradient in found.items() if key.startswith("heads.audio"))


def test_a_model_that_hides_what_its_heads_read_is_refused() -> None:
    model, batch = make_model("self_mm"), make_batch(LENGTHS, aligned=False)
    generator = known_labels({name: torch.ones(COUNT) for name in MODALITIES})
    output = replace(model(batch), head_inputs={})
    assert objective(generator, "published")(output, batch).per_clip.isfinite().all()
    with pytest.raises(ValueError, match=r"no head_inputs for 'text'.*Model\.output\(\).*labels\.weighting"):
        objective(generator, "encoder")(output, batch)


def test_what_heads_read_is_not_kept_beyond_a_step() -> None:
    """It would keep the whole graph in memory."""
    output: Output = make_model("self_mm")(make_batch(LENGTHS, aligned=False))
    assert set(output.head_inputs) == set(MODALITIES)
    assert not output.detach().head_inputs
    assert not output.part(slice(0, 2)).head_inputs


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recompute", [True, False])
def test_recomputed_layers_and_low_precision_change_nothing(recompute: bool, precision: torch.dtype) -> None:
    """The published gradient of the encoders, also where layers are computed again or in bf16."""
    model = make_model("self_mm", f"text.recompute={recompute}").train()
    batch = make_batch(LENGTHS, aligned=False)
    generator = known_labels({name: torch.linspace(0.1, 0.9, COUNT) for name in MODALITIES})
    found = []
    for weighting in WEIGHTINGS:
        torch.manual_seed(5)  # the same dropout
        with torch.autocast("cpu", dtype=precision, enabled=precision == torch.bfloat16):
            output: Output = model(batch)
        found.append(gradients(model, objective(generator, weighting)(output, batch).per_clip.mean()))
    for key, gradient in found[0].items():
        if not key.startswith("heads."):
            torch.testing.assert_close(gradient, found[1][key], atol=1e-4, rtol=1e-3, msg=key)
    assert found[0]["encoders.text.model.encoder.layer.0.output.dense.weight"].any()
