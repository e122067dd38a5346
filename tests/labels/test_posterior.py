"""The rule ``posterior`` against its slow oracle, its laws, and weak or leaking evidence."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles.posterior import held_out_predictions
from oracles.ulgm import SlowGenerator
from oracles.worlds import World, apply, build
from selfmm.labels import FixedLabels, UnimodalLabelGenerator
from selfmm.labels.leave_one_out import leave_one_out
from selfmm.labels.posterior import EM_STEPS, UNINFORMATIVE, fit_evidence, posterior_mean

WORLDS = [
    *(World(seed, modalities=1 + seed % 5, rough=seed % 2 == 1) for seed in range(10)),
    World(20, clips=2, batch=1),
    World(21, clips=60, batch=60, epochs=6),
    World(23, clips=4, modalities=2),
]


def run(world: World, labels: Tensor | None = None, sign: float = 1.0) -> UnimodalLabelGenerator:
    gen = build(world, labels, rule="posterior")
    for _, steps in groupby(world.steps(), key=lambda step: step.epoch):
        for step in steps:
            features = {name: sign * rows for name, rows in step.features.items()}
            apply(gen, replace(step, fusion=sign * step.fusion, features=features))
        gen.resync()
    return gen


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_equals_the_oracle(world: World) -> None:
    gen = build(world, rule="posterior")
    slow = SlowGenerator(world.labels.tolist(), list(world.dims), 3.0, "posterior")
    for _, steps in groupby(world.steps(), key=lambda step: step.epoch):
        for step in steps:
            apply(gen, step)
            features = {name: rows.numpy() for name, rows in step.features.items()}
            present = {name: mask.tolist() for name, mask in step.present.items()}
            slow.update(step.fusion.numpy(), features, step.index.tolist(), step.epoch, present)
            for name, labels in gen.labels.items():
                np.testing.assert_allclose(labels, slow.labels[name], rtol=1e-9, atol=1e-9)
        gen.resync()
        slow.resync()


@pytest.mark.parametrize(("clips", "width"), [(3, 2), (9, 20), (40, 6)])
def test_left_out_predictions_equal_refitted_heads(clips: int, width: int) -> None:
    random = torch.Generator().manual_seed(clips)
    rows = torch.randn(clips, width, generator=random).double() + 5
    labels = rows[:, 0] + torch.randn(clips, generator=random)
    predicted = leave_one_out(rows, labels, torch.ones(clips, dtype=torch.bool))
    slow = held_out_predictions({clip: rows[clip].numpy() for clip in range(clips)}, labels.tolist())
    np.testing.assert_allclose(predicted, [slow[clip] for clip in range(clips)], rtol=1e-9, atol=1e-9)


lawful = settings(deadline=None, derandomize=True, max_examples=12)
worlds = st.builds(
    World,
    seed=st.integers(0, 9999),
    clips=st.integers(1, 20),
    modalities=st.integers(1, 3),
    batch=st.integers(1, 9),
    epochs=st.integers(1, 4),
    rough=st.booleans(),
)


@lawful
@given(worlds)
def test_labels_are_finite_and_in_bounds(world: World) -> None:
    gen = run(world)
    assert all(labels.abs().max() <= 3.0 for labels in gen.labels.values())
    assert all(buffer.isfinite().all() for buffer in gen.state_dict().values())


@pytest.mark.slow
@lawful
@given(worlds)
def test_mirrored_labels_and_features_mirror_the_u_labels(world: World) -> None:
    plain, mirror = run(world), run(world, -world.labels, -1.0)
    for name, labels in plain.labels.items():
        torch.testing.assert_close(mirror.labels[name], -labels, rtol=1e-7, atol=1e-7)


@pytest.mark.slow
@lawful
@given(worlds.map(lambda world: replace(world, rough=False)))
def test_order_of_clips_and_modalities_does_not_matter(world: World) -> None:
    plain, moved = run(world), build(world, world.labels.flip(0), rule="posterior")
    for _, steps in groupby(world.steps(), key=lambda step: step.epoch):
        for step in steps:
            rows = {name: rows.flip(0) for name, rows in reversed(step.features.items())}
            moved.update(step.fusion.flip(0), rows, (world.clips - 1 - step.index).flip(0), step.epoch)
        moved.resync()
    for name, labels in plain.labels.items():
        torch.testing.assert_close(moved.labels[name].flip(0), labels, rtol=1e-7, atol=1e-7)


def planted(clips: int, share: float, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """m, truth and a feature that shows the truth; ``share`` of the truths are drawn again."""
    random = torch.Generator().manual_seed(clips)
    m = 1.5 * torch.randn(clips, generator=random).double()
    own = torch.rand(clips, generator=random) < share
    truth = torch.where(own, m[torch.randperm(clips, generator=random)], m)
    return m, truth, truth + noise * torch.randn(clips, generator=random).double()


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_fit_finds_the_planted_share(share: float) -> None:
    m, truth, shown = planted(4000, share, 0.4)
    fit = fit_evidence(m, shown)
    assert fit.share.item() == pytest.approx(share, rel=0.25)
    labels = posterior_mean(m, shown, fit)
    assert torch.corrcoef(torch.stack([labels, truth]))[0, 1] > torch.corrcoef(torch.stack([m, truth]))[0, 1] + 0.01


def test_evidence_from_before_the_encoder_memorised_is_kept() -> None:
    random = torch.Generator().manual_seed(1)
    m, spread, noise = (size * torch.randn(1000, generator=random).double() for size in (1.0, 0.8, 1.5))
    truth, honest, gain = m + spread, m + spread + noise, []
    gen = UnimodalLabelGenerator(m, {"text": 1}, 1, 5.0, "posterior")
    for epoch in range(1, 31):
        memory = 0.0 if epoch <= 4 else min(0.99, 0.2 * (epoch - 4))
        features = {"text": ((1 - memory) * honest + memory * m)[:, None]}
        gen.update(m[:, None], features, torch.arange(1000), epoch)
        gen.resync()
        labels = gen.labels["text"]
        gain.append(correlation(labels, truth) - correlation(m, truth))
    assert gain[4] > 0.005
    assert gain[-1] > 0.75 * gain[4]


def correlation(x: Tensor, y: Tensor) -> Tensor:
    return torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1]


def test_em_has_settled_by_its_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    m, _, shown = planted(2000, 0.1, 0.5)
    fit = fit_evidence(m, shown)
    monkeypatch.setattr("selfmm.labels.posterior.EM_STEPS", 4 * EM_STEPS)
    torch.testing.assert_close(fit_evidence(m, shown).share, fit.share, rtol=1e-3, atol=1e-4)


def test_a_memorised_label_is_no_evidence_against_itself() -> None:
    m, _, _ = planted(300, 0.1, 0.4)
    leak = posterior_mean(m, m, fit_evidence(m, m))
    torch.testing.assert_close(leak, m, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("evidence", [torch.zeros(5), torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])])
def test_evidence_that_does_not_rise_with_the_labels_is_uninformative(evidence: Tensor) -> None:
    m = torch.arange(5).double()
    fit = fit_evidence(m, evidence.double())
    assert fit == UNINFORMATIVE
    assert torch.equal(posterior_mean(m, evidence.double(), fit), m)


def test_a_dead_modality_keeps_its_m_labels_nearly() -> None:
    random = torch.Generator().manual_seed(0)
    m = torch.randn(600, generator=random).double().clamp(-3, 3)
    gen = UnimodalLabelGenerator(m, {"text": 8}, 4, rule="posterior")
    for epoch in range(1, 5):
        noise = torch.randn(600, 8, generator=random)
        gen.update(m[:, None].expand(-1, 4), {"text": noise}, torch.arange(600), epoch)
        gen.resync()
    assert (gen.labels["text"] - m).abs().max() < 0.1


@pytest.mark.slow
def test_state_continues_bit_for_bit_and_a_second_resync_changes_nothing() -> None:
    world = World(6, epochs=6, rough=True)
    gen, steps = build(world, rule="posterior"), list(world.steps())
    for step in steps[:13]:
        apply(gen, step)
        gen.resync()
    gen.resync()
    other = build(world, torch.zeros_like(world.labels), rule="posterior")
    other.load_state_dict(gen.state_dict())
    before = {key: value.clone() for key, value in gen.state_dict().items()}
    gen.resync()
    assert all(torch.equal(value, before[key]) for key, value in gen.state_dict().items())
    for step in steps[13:]:
        for generator in (gen, other):
            apply(generator, step)
            generator.resync()
    for (key, buffer), same in zip(gen.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(buffer, same), key


def test_a_state_with_the_keys_of_an_older_version_can_be_loaded() -> None:
    world, first = World(6, rough=True), torch.tensor([0])
    fixed = {"text": FixedLabels(first, torch.ones(1).double(), torch.ones(1).double())}
    gen = build(world, rule="posterior", fixed=fixed)
    for step in world.steps():
        apply(gen, step)
        gen.resync()
    other = torch.nn.ModuleDict({"generator": build(world, rule="posterior", fixed=fixed)})
    names = {".held_out.": ".testimony.", ".evidence": ".said", ".observed": ".heard", ".estimates": ".figures"}
    names[".fixed_weights"] = ".given"
    older = {}
    for key, value in gen.state_dict(prefix="generator.").items():
        for new, old in names.items():
            key = key.replace(new, old)
        older[key] = value
    assert {"generator.testimony.of_text.said", "generator.streams.of_text.given"} <= older.keys()
    other.load_state_dict(older)
    for key, value in gen.state_dict(prefix="generator.").items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=0, equal_nan=True)


def test_update_never_waits_for_the_device() -> None:
    world = World(0, rough=True)
    gen = run(world).to("meta")
    for step in list(world.steps())[-2:]:
        features = {name: rows.to("meta") for name, rows in step.features.items()}
        present = {name: mask.to("meta") for name, mask in step.present.items()}
        # A tensor on "meta" has no values: reading one raises an error.
        gen.update(step.fusion.to("meta"), features, step.index.to("meta"), step.epoch, present=present)
    assert all(labels.is_meta for labels in gen.labels.values())


def test_without_resync_labels_stay_the_m_labels() -> None:
    world = World(1)
    gen = build(world, rule="posterior")
    for step in world.steps():
        apply(gen, step)
    assert all(torch.equal(labels, world.labels) for labels in gen.labels.values())
