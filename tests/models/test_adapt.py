"""Summaries of frames, linear heads and their weighted sum."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.worlds import MODALITIES, make_batch, settings_for, tiny_transformer
from selfmm.config.settings import Settings, load_settings
from selfmm.models import find_model
from selfmm.models.adapt import PERCENTILES, STATISTICS, Adapt, FrameSummary, LinearHead, Stack
from selfmm.models.base import Score

NAN = float("nan")


def summary_of(frames: np.ndarray, encoder: FrameSummary) -> np.ndarray:
    """Slow: of one clip's frames (L, d), by numpy."""
    values = (frames - encoder.mean.numpy()) / encoder.scale.numpy()
    percentiles = np.nanpercentile(values, [100 * p for p in PERCENTILES], axis=0)
    statistics = np.concatenate([np.nanmean(values, axis=0), np.nanstd(values, axis=0), *percentiles])
    scaled = (statistics - encoder.centre.numpy()) / encoder.spread.numpy()
    return np.append(np.nan_to_num(np.clip(scaled, -3, 3)), float((~np.isnan(frames)).any()))


def encoder_of(dim: int, seed: int) -> FrameSummary:
    random = torch.Generator().manual_seed(seed)
    encoder = FrameSummary(dim)
    encoder.standardise(torch.randn(dim, generator=random), 0.5 + torch.rand(dim, generator=random))
    encoder.centre.copy_(torch.randn(encoder.dim - 1, generator=random))
    encoder.spread.copy_(0.5 + torch.rand(encoder.dim - 1, generator=random))
    return encoder


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("dim", [1, 4])
def test_a_summary_is_that_of_the_measured_values(dim: int, gaps: float) -> None:
    random = np.random.default_rng(dim)
    encoder = encoder_of(dim, dim)
    for length in (1, 2, 3, 11, 40):
        frames = random.normal(0, 2, (length, dim)).astype(np.float32)
        frames[random.uniform(size=frames.shape) < gaps] = NAN
        frames[random.uniform(size=length) < gaps / 2] = NAN
        encoded = encoder(torch.from_numpy(frames)[None], torch.tensor([length]))
        assert encoded.shape == (1, encoder.dim)
        if np.isnan(frames).all():
            assert not encoded.any()
        else:
            assert encoded[0].numpy() == pytest.approx(summary_of(frames, encoder), abs=1e-4)


def test_padding_changes_nothing() -> None:
    encoder = encoder_of(3, 0)
    frames, lengths = torch.randn(4, 12, 3), torch.tensor([12, 7, 1, 0])
    frames[1, 2] = NAN
    encoded = encoder(frames, lengths)
    for content in (0.0, 99.0, NAN, float("inf")):
        padded = torch.cat([frames, torch.full((4, 5, 3), content)], dim=1)
        padded[1, 7:], padded[2, 1:], padded[3] = content, content, content
        torch.testing.assert_close(encoder(padded, lengths), encoded)


def test_a_clip_in_which_nothing_was_measured_is_zeros() -> None:
    frames = torch.full((2, 4, 3), NAN)
    frames[1, 2, 0] = 1.0  # one value of one feature
    encoded = encoder_of(3, 1)(frames, torch.tensor([4, 4]))
    assert not encoded[0].any()
    assert encoded[1, -1] == 1
    seen = encoded[1, :-1].reshape(STATISTICS, 3)
    assert not seen[:, 1:].any(), "features that were not measured are as in an average clip"
    assert seen[:, 0].any()


def test_extreme_values_are_cut_and_statistics_can_be_left_out() -> None:
    encoder = FrameSummary(1)
    encoder.spread[1] = torch.inf
    encoded = encoder(torch.tensor([[[1e6], [-1e6], [-1e6], [1e6]]]), torch.tensor([4]))
    assert encoded[0].tolist() == [0, 0, -3, 0, 3, 1]


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_gradients_are_finite(value: float) -> None:
    """Of features that do not vary, were measured in some frames or in none; for explanations."""
    encoder = FrameSummary(2)
    frames = torch.full((3, 5, 2), value)
    frames[1, 2:], frames[2] = NAN, NAN
    frames.requires_grad_()
    encoder(frames, torch.tensor([5, 5, 3])).sum().backward()
    assert frames.grad is not None
    assert frames.grad.isfinite().all()
    assert frames.grad[0].any()


def stack_of(neutral: float = 0.0, unit: float = 1.0) -> Stack:
    """Two heads that return the first number of the encoding, in units of the scale."""
    heads = nn.ModuleDict({name: LinearHead(2) for name in ("text", "vision")})
    for name, weights in heads.named_parameters():
        weights.data = torch.zeros(1) if name.endswith("bias") else torch.tensor([[1.0, 0.0]])
    for part in heads.modules():
        if isinstance(part, Score):
            part.neutral, part.unit = neutral, unit
    stack = Stack(heads)
    stack.weights.copy_(torch.tensor([[0, 0], [0.9, 0], [0, 0.8], [0.7, 0.4]]))
    stack.bias.copy_(torch.tensor([0.05, 0.1, 0.2, 0.3]))
    return stack


def fused(stack: Stack, text: float | None, vision: float | None) -> float:
    """The second number of an encoding is 1, so that a score of 0 is not a missing modality."""
    scores = {"text": text, "vision": vision}
    vectors = {k: torch.tensor([[0.0, 0.0] if v is None else [v, 1.0]]) for k, v in scores.items()}
    with torch.no_grad():
        return float(stack(vectors)[1])


@pytest.mark.parametrize(("neutral", "unit"), [(0.0, 1.0), (50.0, 20.0)])
@pytest.mark.parametrize(("text", "vision"), [*product([None, -1.2, 0.0, 2.5], repeat=2)])
def test_the_sum_has_the_weights_of_the_modalities_that_a_clip_has(
    text: float | None, vision: float | None, neutral: float, unit: float
) -> None:
    stack = stack_of(neutral, unit)
    number = (text is not None) + 2 * (vision is not None)
    bias, weights = float(stack.bias[number]), stack.weights[number].tolist()
    expected = neutral + unit * (bias + weights[0] * (text or 0) + weights[1] * (vision or 0))
    assert fused(stack, text, vision) == pytest.approx(expected, rel=1e-5)


def test_weights_are_stored_once() -> None:
    names = set(stack_of().state_dict())
    assert names == {"weights", "bias", "errors", "spread"}


def adapt() -> Adapt:
    torch.manual_seed(0)
    settings = settings_for("adapt", "text.finetune=false", "text.pooling=mean", "labels.source=none")
    return Adapt(MODALITIES, settings, tiny_transformer()).eval()


def test_a_whole_network_scores_clips_that_lack_modalities() -> None:
    model = adapt()
    assert model.tasks == ("text", "audio", "vision")
    assert isinstance(model.fusion, Stack)
    model.fusion.weights.copy_(torch.tensor([[float(k >> i & 1) for i in range(3)] for k in range(8)]))
    batch = make_batch({"text": [4, 3, 0, 0], "audio": [5, 0, 0, 0], "vision": [2, 0, 3, 0]}, aligned=False)
    with torch.no_grad():
        output = model(batch)
    unimodal = output.unimodal
    assert float(output.fusion[0]) == pytest.approx(sum(float(scores[0]) for scores in unimodal.values()), abs=1e-5)
    assert float(output.fusion[1]) == pytest.approx(float(unimodal["text"][1]))
    assert float(output.fusion[2]) == pytest.approx(float(unimodal["vision"][2]))
    assert float(output.fusion[3]) == 0


def test_clips_of_a_batch_do_not_matter_to_each_other() -> None:
    model = adapt()
    batch = make_batch({"text": [4, 3], "audio": [5, 2], "vision": [2, 6]}, aligned=False)
    padded = make_batch({"text": [4, 3], "audio": [5, 2], "vision": [2, 6]}, aligned=False, padding=4)
    scores: list[Tensor] = [model(each).unimodal["audio"] for each in (batch, padded)]
    torch.testing.assert_close(*scores)


def prepared(*overrides: str) -> Settings:
    return find_model("adapt").prepared(load_settings(None, overrides, model="adapt"))


def test_it_reads_the_mean_of_a_frozen_encoder() -> None:
    settings = prepared()
    assert (settings.text.finetune, settings.text.pooling) == (False, "mean")
    assert find_model("adapt").prepared(settings) == settings


def test_it_is_listed_and_runs_are_of_it() -> None:
    assert find_model("adapt") is Adapt
    assert Adapt.closed_form
    assert not find_model("self_mm").closed_form
