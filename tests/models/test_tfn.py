"""TFN: the outer product against loops, the network's size as logged, and a tensor that would be too large."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.worlds import MODALITIES, MOSI, bytes_kept, make_batch, make_model
from oracles.tensors import outer
from selfmm.config.settings import load_settings
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.models.tfn import TFN, TensorFusion, outer_product


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), clips=st.integers(1, 3), seed=st.integers(0, 99))
def test_outer_product(sizes: list[int], clips: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(clips, size, generator=generator) for size in sizes]
    found = outer_product(parts)
    for clip in range(clips):
        slow = outer([part[clip].tolist() for part in parts])
        torch.testing.assert_close(found[clip], torch.tensor(slow), atol=1e-5, rtol=1e-5)


def test_each_alone_each_two_and_all_are_in_it() -> None:
    z = [torch.tensor([[2.0, 3.0]]), torch.tensor([[5.0]]), torch.tensor([[7.0]])]
    found = outer_product(z)[0].tolist()
    assert found == [70, 10, 14, 2, 105, 15, 21, 3, 35, 5, 7, 1]


def test_equations() -> None:
    """F_m* = ReLU(W Z) and y^_m of it, z_t = W_t F_t of the transformer's vector and z of frames as it is."""
    model = make_model("tfn", "options.text=5", "fusion.extra_layer=false", "stream.audio.out=3", "stream.vision.out=2")
    batch = make_batch({"text": [4, 3, 2], "audio": [2, 0, 4], "vision": [1, 6, 3]}, aligned=False)
    output, fusion = model(batch), model.fusion
    assert isinstance(fusion, TensorFusion)
    narrow = fusion.narrow["text"]
    project = fusion.head.project[1]
    assert isinstance(narrow, torch.nn.Linear)
    assert isinstance(project, torch.nn.Linear)
    assert project.weight.shape == (8, 6 * 4 * 3)
    for clip in range(3):
        f = {name: vectors[clip] for name, vectors in output.encoded.items()}
        z = [(narrow.weight @ f["text"] + narrow.bias).tolist(), f["audio"].tolist(), f["vision"].tolist()]
        feature = (project.weight @ torch.tensor(outer(z)) + project.bias).clamp(min=0)
        torch.testing.assert_close(output.fusion_feature[clip], feature, atol=1e-5, rtol=1e-5)
        score = fusion.head.score[0]
        assert isinstance(score, torch.nn.Linear)
        torch.testing.assert_close(output.fusion[clip], (score.weight @ feature + score.bias)[0], atol=1e-5, rtol=1e-5)


def test_as_many_parameters_as_logged() -> None:
    """9,566,515 on MOSI with BERT's 768, as a toolkit's log of these sizes counts them, less 50 of two batch norms."""
    sizes = {"text.hidden": 128, "text.out": 128, "audio.hidden": 16, "audio.out": 16, "vision.hidden": 128}
    settings = [f"stream.{key}={size}" for key, size in {**sizes, "vision.out": 128}.items()]
    with torch.device("meta"):
        model = TFN(MOSI, load_settings(None, ["model=tfn", "fusion.projection=32", *settings]), None)
    norms = 2 * (5 + 20)
    own = [each.numel() for name, each in model.named_parameters() if not name.startswith("missing.")]
    assert sum(own) == 9_566_515 - norms


def test_any_number_of_modalities() -> None:
    four = {**MODALITIES, "heart": Modality(kind="frames", dim=2)}
    model = make_model("tfn", "options.text=2", "stream.heart.out=2", modalities=four)
    batch = make_batch({"text": [4], "audio": [2], "vision": [1]}, aligned=False)
    heart = Stream(torch.randn(1, 3, 2), torch.tensor([3]), torch.tensor([True]))
    score = model(Batch(batch.index, batch.labels, {**batch.streams, "heart": heart})).fusion
    heart.values.mul_(-3)
    assert model(Batch(batch.index, batch.labels, {**batch.streams, "heart": heart})).fusion != score


def test_a_tensor_that_no_machine_holds_is_refused() -> None:
    many = {f"m{number}": Modality(kind="frames", dim=2) for number in range(5)}
    with pytest.raises(SettingsError, match=r"33 x 33 x 33 x 33 x 33 = 39,135,393 numbers.*make stream\.NAME\.out"):
        TFN(many, load_settings(None, ["model=tfn"]), None)
    TFN(many, load_settings(None, ["model=tfn", *(f"stream.{name}.out=4" for name in many)]), None)


def test_a_pass_keeps_about_as_many_bytes_as_is_said() -> None:
    model = make_model("tfn", "text.finetune=false", "options.text=32", "fusion.projection_dropout=0.5").train()
    lengths = dict.fromkeys(MODALITIES, [12] * 4)
    kept = bytes_kept(model, lambda: model(make_batch(lengths, aligned=True)))
    assert 0.4 < 4 * model.kept_bytes(dict.fromkeys(lengths, 12)) / kept < 2.5
