"""The generator for unordered classes against its slow oracle, its laws, planted truth, and data without evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles.classes import SlowClasses
from oracles.worlds import Step
from selfmm.core.errors import SettingsError
from selfmm.labels import Outcome, UnimodalClassLabelGenerator
from selfmm.labels.classes.posterior import EM_STEPS, ClassFit, fit_distances, posterior

WIDTHS = {"text": 4, "type": 2}


@dataclass(frozen=True)
class World:
    """A random run whose features lie around the centre of a class: that of the m-class, or sometimes of another."""

    seed: int
    clips: int = 24
    count: int = 3
    batch: int = 7
    epochs: int = 4
    rough: bool = False  # repeated clips, missing streams, NaN and infinite features

    @property
    def classes(self) -> Tensor:
        return torch.randint(self.count, (self.clips,), generator=self._random(0))

    def steps(self) -> Iterator[Step]:
        random, classes = self._random(1), self.classes
        lacking = {name: torch.rand(self.clips, generator=random) < 0.2 * self.rough for name in WIDTHS}
        own = torch.rand(self.clips, generator=random) < 0.25
        says = torch.where(own, torch.randint(self.count, (self.clips,), generator=random), classes)
        centres = {name: 1.5 * torch.randn(self.count, dim, generator=random) for name, dim in WIDTHS.items()}
        for epoch in range(1, self.epochs + 1):
            for index in torch.split(torch.randperm(self.clips, generator=random), self.batch):
                if self.rough:
                    index = torch.cat([index, index[:2], index[1:3], index[:1]])
                rows = {name: self._hurt(centre[says[index]], epoch, random) for name, centre in centres.items()}
                fusion = self._hurt(torch.zeros(len(index), 1), epoch, random)
                yield Step(fusion, rows, index, epoch, {name: ~mask[index] for name, mask in lacking.items()})

    def _hurt(self, rows: Tensor, epoch: int, random: torch.Generator) -> Tensor:
        rows = rows + torch.randn(rows.shape, generator=random) + 0.1 * epoch
        hurt = torch.rand(len(rows), generator=random) * self.rough
        rows[hurt > 0.94, 0] = torch.nan
        rows[(hurt > 0) & (hurt < 0.05), 0] = torch.inf
        return rows.double()

    def _random(self, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed(1000 * self.seed + stream)


def build(world: World, classes: Tensor | None = None) -> UnimodalClassLabelGenerator:
    classes = world.classes if classes is None else classes
    kinds = {"label_dtype": torch.float64, "bank_dtype": torch.float64}
    return UnimodalClassLabelGenerator(classes, world.count, WIDTHS, **kinds)


def apply(gen: UnimodalClassLabelGenerator, step: Step) -> None:
    gen.update(step.fusion, step.features, step.index, step.epoch, present=step.present)


def run(
    world: World, gen: UnimodalClassLabelGenerator | None = None, change: Callable[[Step], Step] = lambda step: step
) -> UnimodalClassLabelGenerator:
    gen = build(world) if gen is None else gen
    for _, steps in groupby(world.steps(), key=lambda step: step.epoch):
        for step in steps:
            apply(gen, change(step))
        gen.resync()
    return gen


WORLDS = [
    *(World(seed, count=2 + seed % 4, rough=seed % 2 == 1) for seed in range(6)),
    World(20, clips=3, batch=1, epochs=3),
    World(21, clips=40, batch=40, count=5, epochs=6),
    World(22, clips=9, count=8, rough=True),
]


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_equals_the_oracle(world: World) -> None:
    gen, slow = build(world), SlowClasses(world.classes.tolist(), world.count, list(WIDTHS))
    updated = 0
    for _, steps in groupby(world.steps(), key=lambda step: step.epoch):
        for step in steps:
            apply(gen, step)
            features = {name: rows.numpy() for name, rows in step.features.items()}
            present = {name: mask.tolist() for name, mask in step.present.items()}
            slow.update(step.fusion.numpy(), features, step.index.tolist(), step.epoch, present)
            for name, labels in gen.labels.items():
                np.testing.assert_allclose(labels, slow.labels[name], rtol=1e-9, atol=1e-9)
                centres = [slow.centre(name, k) for k in range(world.count)]
                expected = np.array([np.full(WIDTHS[name], np.nan) if c is None else c for c in centres])
                np.testing.assert_allclose(gen.centres(name), expected, rtol=1e-9, atol=1e-9)
        for name, outcomes in gen.outcomes.items():
            assert [Outcome(code).word for code in outcomes.tolist()] == slow.outcomes[name]
            updated += slow.outcomes[name].count("updated")
        gen.resync()
        slow.resync()
        for name in WIDTHS:
            np.testing.assert_allclose([*gen.figures(name).values()], slow.fits[name], rtol=1e-8, atol=1e-9)
    assert updated > 0 or world.clips < 10


lawful = settings(deadline=None, derandomize=True, max_examples=12)
calm_worlds = st.builds(
    World,
    seed=st.integers(0, 9999),
    clips=st.integers(1, 30),
    count=st.integers(2, 6),
    batch=st.integers(1, 9),
    epochs=st.integers(1, 4),
)
worlds = st.builds(replace, calm_worlds, rough=st.booleans())


@pytest.mark.slow
@lawful
@given(worlds)
def test_labels_stay_on_the_simplex_and_weights_in_bounds(world: World) -> None:
    gen = run(world)
    for name, labels in gen.labels.items():
        assert labels.min() >= 0
        torch.testing.assert_close(labels.sum(-1), torch.ones(world.clips).double(), rtol=0, atol=1e-12)
        weights = gen.weights(torch.arange(world.clips))[name]
        assert weights.min() >= 0
        assert weights.max() <= 1
        given = torch.nn.functional.one_hot(world.classes, world.count)
        torch.testing.assert_close(weights, (labels - given).abs().sum(-1) / 2)
    assert all(buffer.isfinite().all() for buffer in gen.state_dict().values())


@pytest.mark.slow
@lawful
@given(calm_worlds)
def test_the_order_of_clips_and_the_names_of_classes_do_not_matter(world: World) -> None:
    renamed = torch.randperm(world.count, generator=torch.Generator().manual_seed(world.seed))

    def backwards(step: Step) -> Step:
        rows = {name: rows.flip(0) for name, rows in reversed(step.features.items())}
        return replace(step, fusion=step.fusion.flip(0), features=rows, index=(world.clips - 1 - step.index).flip(0))

    plain = run(world)
    moved = run(world, build(world, renamed[world.classes].flip(0)), backwards)
    for name, labels in plain.labels.items():
        torch.testing.assert_close(moved.labels[name].flip(0)[:, renamed], labels, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@lawful
@given(calm_worlds, st.integers(1, 7))
def test_a_first_epoch_gives_the_same_state_however_it_is_split(world: World, batch: int) -> None:
    whole, split = build(world), build(world)
    for step in replace(world, epochs=1, batch=world.clips).steps():
        apply(whole, step)
        for part in torch.split(torch.arange(world.clips), batch):
            rows = {name: rows[part] for name, rows in step.features.items()}
            split.update(step.fusion[part], rows, step.index[part], 1)
    for gen in (whole, split):
        before = [gen.centres(name) for name in WIDTHS]
        gen.resync()
        for name, centre in zip(WIDTHS, before, strict=True):
            torch.testing.assert_close(gen.centres(name), centre, equal_nan=True, rtol=1e-12, atol=1e-12)
    for a, b in zip(whole.state_dict().values(), split.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_a_run_stopped_anywhere_continues_bit_for_bit() -> None:
    world = World(5, rough=True)
    gen, steps = run(replace(world, epochs=2)), list(world.steps())
    other = build(world, torch.zeros_like(world.classes))
    other.load_state_dict(gen.state_dict())
    for step in steps[-5:]:
        for generator in (gen, other):
            apply(generator, step)
            generator.resync()
    for (key, buffer), same in zip(gen.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(buffer, same), key


@dataclass(frozen=True)
class Planted:
    """Five classes; in a share of the clips the modality shows one of the four others."""

    seed: int
    share: float = 0.2
    noise: float = 1.0
    clips: int = 800

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """m-classes, the classes of the modality, its features, and the best guess with knowledge of the true model."""
        random = torch.Generator().manual_seed(self.seed)
        m = torch.randint(5, (self.clips,), generator=random)
        own = torch.rand(self.clips, generator=random) < self.share
        truth = torch.where(own, (m + torch.randint(1, 5, m.shape, generator=random)) % 5, m)
        centres = torch.randn(5, 8, generator=random)
        rows = centres[truth] + self.noise * torch.randn(self.clips, 8, generator=random)
        given = torch.nn.functional.one_hot(m, 5)
        logits = -torch.cdist(rows, centres).square() / (2 * self.noise**2)
        best = logits + (given * (1 - self.share) + (1 - given) * self.share / 4).log()
        return m, truth, rows, best.argmax(-1)


def trained(m: Tensor, rows: Tensor, epochs: int = 5) -> UnimodalClassLabelGenerator:
    gen = UnimodalClassLabelGenerator(m, 5, {"text": rows.shape[1]})
    for epoch in range(1, epochs + 1):
        for index in torch.split(torch.arange(len(m)), 100):
            gen.update(torch.zeros(len(index), 1), {"text": rows[index]}, index, epoch)
        gen.resync()
    return gen


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 1.0, 1.5])
def test_planted_contradictions_are_recovered_nearly_as_well_as_can_be(noise: float) -> None:
    for seed in range(3):
        m, truth, rows, best = Planted(seed, noise=noise).draw()
        gen = trained(m, rows)
        predicted = gen.labels["text"].argmax(-1)
        right, given, possible = ((guess == truth).double().mean() for guess in (predicted, m, best))
        assert right > given + 0.02
        assert right > possible - 0.03
        assert (predicted != truth)[m == truth].double().mean() < 0.02
        assert gen.figures("text")["share"] == pytest.approx(0.25, abs=0.07)  # 20 % of 4/5: never its own m-class


@pytest.mark.slow
def test_where_all_agree_nothing_is_made_up() -> None:
    for noise in (0.5, 1.5):
        m, _, rows, _ = Planted(4, share=0.0, noise=noise).draw()
        gen = trained(m, rows)
        assert gen.weights(torch.arange(len(m)))["text"].mean() < 0.005
        assert torch.equal(gen.labels["text"].argmax(-1), m)


@pytest.mark.slow
def test_a_dead_modality_keeps_its_m_classes() -> None:
    for seed in range(5):
        m, _, rows, _ = Planted(seed).draw()
        gen = trained(m, rows[torch.randperm(len(m), generator=torch.Generator().manual_seed(seed))])
        assert gen.weights(torch.arange(len(m)))["text"].max() < 0.1
        assert torch.equal(gen.labels["text"].argmax(-1), m)


def test_memorised_classes_are_no_evidence_against_themselves() -> None:
    m, _, rows, _ = Planted(6).draw()
    gen = trained(m, torch.cat([rows, 20.0 * torch.nn.functional.one_hot(m, 5)], dim=1))
    assert gen.weights(torch.arange(len(m)))["text"].max() < 1e-3


def test_the_fit_is_the_most_likely_one_and_em_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    m = torch.randint(3, (500,), generator=random)
    centres = torch.randn(3, 4, generator=random).double()
    says = torch.where(torch.rand(500, generator=random) < 0.2, torch.randint(3, (500,), generator=random), m)
    rows = centres[says] + torch.randn(500, 4, generator=random)
    distances, prior = torch.cdist(rows, centres).square(), torch.full((3,), 1 / 3).double()
    fit = fit_distances(m, distances, prior, torch.tensor(0.1))

    def likelihood(sharpness: Tensor, share: Tensor) -> Tensor:
        agreeing = (prior.log() - sharpness * distances).softmax(-1)[torch.arange(500), m]
        return ((1 - share) * agreeing + share * prior[m]).log().sum()

    best = likelihood(fit.sharpness, fit.share)
    grid = [(b, p) for b in torch.linspace(0.05, 3, 60).double() for p in torch.linspace(0.01, 0.9, 60).double()]
    assert all(likelihood(b, p) < best for b, p in grid)
    assert 0.1 < fit.share < 0.3
    monkeypatch.setattr("selfmm.labels.classes.posterior.EM_STEPS", 4 * EM_STEPS)
    torch.testing.assert_close(fit_distances(m, distances, prior, torch.tensor(0.1)), fit, rtol=1e-6, atol=1e-9)


def test_with_two_classes_the_evidence_is_self_mms_difference_of_distances() -> None:
    fit = ClassFit(*torch.tensor([0.7, 0.3, 1.0]).double())
    prior, m = torch.tensor([0.4, 0.6]).double(), torch.ones(4, dtype=torch.long)
    distances = torch.tensor([[1.0, 3.0], [2.0, 2.0], [5.0, 1.0], [0.0, 9.0]]).double()
    u = posterior(m, distances, prior, fit)
    anchor = torch.log((0.7 + 0.3 * prior[1]) / (0.3 * prior[0]))
    expected = anchor + 0.7 * (distances[:, 0] - distances[:, 1])
    torch.testing.assert_close(torch.log(u[:, 1] / u[:, 0]), expected)


@pytest.mark.parametrize(
    ("classes", "rows", "why"),
    [
        ([2], torch.randn(1, 3), "one_class"),
        ([1] * 6, torch.randn(6, 3), "one_class"),
        ([0, 1, 2, 0, 1, 2], torch.full((6, 3), 7.0), "coincide"),
        ([0, 1, 2, 0, 1, 2], torch.full((6, 3), torch.nan), "not_finite"),
        ([0, 1, 2, 3, 4], torch.randn(5, 3), "one_class"),
    ],
    ids=["one clip", "one class", "constant", "not finite", "a clip per class"],
)
def test_without_evidence_labels_stay_the_m_classes(classes: list[int], rows: Tensor, why: str) -> None:
    gen = trained(torch.tensor(classes), rows)
    assert torch.equal(gen.labels["text"], torch.nn.functional.one_hot(torch.tensor(classes), 5).float())
    assert gen.counts() == {"text": {why: len(rows)}}


def test_without_resync_labels_stay_the_m_classes() -> None:
    world = World(1)
    gen = build(world)
    for step in world.steps():
        apply(gen, step)
    given = torch.nn.functional.one_hot(world.classes, world.count).double()
    assert all(torch.equal(labels, given) for labels in gen.labels.values())


def test_update_never_waits_for_the_device_and_half_keeps_the_types() -> None:
    world = World(0, rough=True)
    gen = run(world)
    kinds = [buffer.dtype for buffer in gen.half().state_dict().values()]
    assert kinds == [buffer.dtype for buffer in build(world).state_dict().values()]
    gen.to("meta")
    for step in list(world.steps())[-2:]:
        features = {name: rows.to("meta") for name, rows in step.features.items()}
        present = {name: mask.to("meta") for name, mask in step.present.items()}
        gen.update(step.fusion.to("meta"), features, step.index.to("meta"), step.epoch, present=present)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(SettingsError) as error:
        UnimodalClassLabelGenerator(torch.tensor([0, 3]), 3, {"a.b": 0}, label_dtype=torch.float16)
    for part in ("run from 0 to 3", "without '.'", "dims['a.b'] is 0", "label_dtype"):
        assert part in str(error.value)
    with pytest.raises(SettingsError, match="whole number >= 2"):
        UnimodalClassLabelGenerator(torch.tensor([0]), 1, {"text": 2})
    with pytest.raises(SettingsError, match="bank_dtype"):
        UnimodalClassLabelGenerator(torch.tensor([0, 1]), 2, {"text": 2}, bank_dtype=torch.int64)
    with pytest.raises(SettingsError, match="1-D tensor"):
        UnimodalClassLabelGenerator(torch.tensor(1), 2, {"text": 2})
    gen = build(World(0))
    rows = {name: torch.zeros(2, dim) for name, dim in WIDTHS.items()}
    index = torch.arange(2)
    with pytest.raises(ValueError, match="text features are"):
        gen.update(torch.zeros(2, 1), {**rows, "text": torch.zeros(2, 9)}, index, 1)
    with pytest.raises(ValueError, match="fusion features are"):
        gen.update(torch.zeros(3, 1), rows, index, 1)
    with pytest.raises(ValueError, match="no features for"):
        gen.update(torch.zeros(2, 1), {"text": rows["text"]}, index, 1)
    with pytest.raises(ValueError, match="positions from 0 to 23"):
        gen.weights(torch.tensor([24]))
