"""The network compared with the paper's equations, and the same score whatever the other clips of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.config.settings import Settings, load_settings
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.models.self_mm import SelfMM
from selfmm.runs.trained_model import TrainedModel

MODALITIES = {"words": Modality(kind="frames", dim=4), "voice": Modality(kind="frames", dim=3)}


def small_settings(extra_layer: bool) -> Settings:
    stream = "stream.{}.hidden=5 stream.{}.out=6 stream.{}.projection={}"
    words = stream.format("words", "words", "words", 7).split() + stream.format("voice", "voice", "voice", 3).split()
    return load_settings(None, [*words, "fusion.projection=8", f"fusion.extra_layer={str(extra_layer).lower()}"])


def batch_of(lengths: dict[str, list[int]], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    streams = {}
    for name, values in lengths.items():
        ends = torch.tensor(values)
        frames = torch.randn(len(values), max(1, *values), MODALITIES[name].dim or 0, generator=generator)
        streams[name] = Stream(frames, ends, ends > 0)
    n = len(next(iter(lengths.values())))
    return Batch(torch.arange(n), torch.zeros(n), streams)


@pytest.mark.parametrize("extra_layer", [False, True])
def test_equations(extra_layer: bool) -> None:
    """F_m* = ReLU(W [F_t; F_a]), y_m = W F_m*; F_s* = ReLU(W F_s), y_s = W F_s* (extra layer between, as coded)."""
    torch.manual_seed(0)
    model = SelfMM(MODALITIES, small_settings(extra_layer), None).eval()
    batch = batch_of({"words": [3, 1], "voice": [2, 5]})
    output = model(batch)

    def task(head: torch.nn.Module, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parameters = list(head.parameters())
        feature = (encoded @ parameters[0].T + parameters[1]).clamp(min=0)
        hidden = feature
        if extra_layer:
            hidden = (feature @ parameters[2].T + parameters[3]).clamp(min=0)
        return feature, (hidden @ parameters[-2].T + parameters[-1])[:, 0]

    encoded = {name: model.encoders[name](s.values, s.lengths) for name, s in batch.streams.items()}
    feature, score = task(model.fusion, torch.cat([encoded["words"], encoded["voice"]], dim=1))
    torch.testing.assert_close(output.fusion_feature, feature)
    torch.testing.assert_close(output.fusion, score)
    for name in MODALITIES:
        feature, score = task(model.heads[name], encoded[name])
        torch.testing.assert_close(output.features[name], feature)
        torch.testing.assert_close(output.unimodal[name], score)
    assert output.features["words"].shape == (2, 7)
    assert output.fusion_feature.shape == (2, 8)


def test_a_missing_stream_is_replaced_by_the_learned_vector() -> None:
    model = SelfMM(MODALITIES, small_settings(True), None).eval()
    with torch.no_grad():
        model.missing["voice"].fill_(0.5)
    output = model(batch_of({"words": [3, 2], "voice": [0, 4]}))
    assert output.present["voice"].tolist() == [False, True]
    assert (output.encoded["voice"][0] == 0.5).all()
    assert (output.encoded["voice"][1] != 0.5).any()
    output.fusion.sum().backward()
    assert model.missing["voice"].grad is not None
    assert model.missing["voice"].grad.abs().sum() > 0


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6))
def test_a_clip_scores_the_same_alone_and_in_a_batch(lengths: list[tuple[int, int]]) -> None:
    model = SelfMM(MODALITIES, small_settings(True), None).eval()
    batch = batch_of({"words": [a for a, _ in lengths], "voice": [b for _, b in lengths]}, seed=len(lengths))
    together = model(batch).fusion
    for row, pair in enumerate(lengths):
        streams = {}
        for (name, stream), length in zip(batch.streams.items(), pair, strict=True):
            ends = torch.tensor([length])
            streams[name] = Stream(stream.values[row : row + 1, : max(length, 1)], ends, ends > 0)
        alone = model(Batch(torch.tensor([row]), torch.zeros(1), streams)).fusion
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)


def test_a_trained_models_score_does_not_depend_on_company(trained: TrainedModel) -> None:
    """The same with words through the transformer: alone, padded and in any batch within 1e-5."""
    from selfmm.data.store import open_dataset

    maker = trained.assembly.maker(open_dataset(trained.info.dataset_path), np.arange(40))
    model = trained.assembly.model
    with torch.inference_mode():
        together = model(maker.make(np.arange(40))).fusion
        for position in range(0, 40, 7):
            alone = model(maker.make(np.array([position]))).fusion
            torch.testing.assert_close(alone[0], together[position], atol=1e-5, rtol=0)
