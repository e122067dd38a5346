"""Linear heads and their precision-weighted mean."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from models.worlds import MODALITIES, make_batch, settings_for, tiny_transformer
from selfmm.core.errors import SettingsError
from selfmm.models import find_model
from selfmm.models.starter import FrameMean, LinearHead, PrecisionMean, Starter

ERRORS, SPREAD = (0.5, 2.0), 2.25


def mean_of(errors: tuple[float, float] = ERRORS) -> PrecisionMean:
    """Two heads that return the first number of the encoding."""
    heads = nn.ModuleDict({name: LinearHead(2) for name in ("text", "vision")})
    fusion = PrecisionMean(heads)
    for name, weights in heads.named_parameters():
        weights.data = torch.zeros(1) if name.endswith("bias") else torch.tensor([[1.0, 0.0]])
    fusion.errors.copy_(torch.tensor(errors))
    fusion.spread.fill_(SPREAD)
    return fusion


def fused(fusion: PrecisionMean, text: float | None, vision: float | None) -> float:
    """The second number of an encoding is 1, so that a score of 0 is not a missing modality."""
    given = {"text": text, "vision": vision}
    vectors = {k: torch.tensor([[0.0, 0.0] if v is None else [v, 1.0]]) for k, v in given.items()}
    with torch.no_grad():
        return float(fusion(vectors)[1])


def posterior_mean(scores: list[tuple[float, float]]) -> float:
    """By integration: the prior of m times, per modality, the likelihood that turns it into N(score, error)."""
    m = np.linspace(-40, 40, 400_001)
    log = -(m**2) / (2 * SPREAD)
    for score, error in scores:
        log += -((m - score) ** 2) / (2 * error) + m**2 / (2 * SPREAD)
    density = np.exp(log - log.max())
    return float((m * density).sum() / density.sum())


@pytest.mark.parametrize(("text", "vision"), [*product([None, -1.2, 0.0, 2.5], repeat=2)])
def test_the_mean_is_that_of_the_posterior(text: float | None, vision: float | None) -> None:
    scores = [(score, error) for score, error in zip((text, vision), ERRORS, strict=True) if score is not None]
    assert fused(mean_of(), text, vision) == pytest.approx(posterior_mean(scores), abs=1e-4)


def test_one_modality_is_its_score_and_none_is_neutral() -> None:
    assert fused(mean_of(), 1.3, None) == pytest.approx(1.3)
    assert fused(mean_of(), None, -0.4) == pytest.approx(-0.4)
    assert fused(mean_of(), None, None) == 0


def test_a_modality_that_says_nothing_changes_nothing() -> None:
    assert fused(mean_of((0.5, SPREAD)), 1.3, 0.0) == pytest.approx(1.3)


def test_the_mean_of_frames_counts_those_that_were_measured() -> None:
    encoder = FrameMean(2)
    encoder.mean.copy_(torch.tensor([1.0, 0.0]))
    nan = float("nan")
    frames = torch.tensor([[[3.0, 1], [nan, nan], [5, 2], [9, 9]], [[nan, nan]] * 4, [[1.0, 0]] * 4, [[7.0, 7]] * 4])
    encoded = encoder(frames, torch.tensor([3, 4, 4, 0]))
    assert encoded.tolist() == [[3.0, 1.5, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_a_whole_network_scores_clips_that_lack_modalities() -> None:
    settings = settings_for("starter", "text.finetune=false", "text.pooling=mean", "labels.source=none")
    model = Starter(MODALITIES, settings, tiny_transformer()).eval()
    assert model.tasks == ("text", "audio", "vision")
    assert [name for name in model.state_dict() if "score.weight" in name] == [
        f"heads.{name}.score.weight" for name in MODALITIES
    ]
    batch = make_batch({"text": [4, 3, 0], "audio": [5, 0, 0], "vision": [2, 0, 3]}, aligned=False)
    with torch.no_grad():
        output = model(batch)
    assert torch.isfinite(output.fusion).all()
    assert float(output.fusion[1]) == pytest.approx(float(output.unimodal["text"][1]))
    assert float(output.fusion[2]) == pytest.approx(float(output.unimodal["vision"][2]))


def test_it_is_found_for_runs_but_no_setting_trains_it() -> None:
    assert find_model("starter", fitted=True) is Starter
    with pytest.raises(SettingsError, match="cannot be trained; `selfmm predict starter` uses it"):
        find_model("starter")
