"""MulT: its size as published, and the score of a clip by the paper's equations, step by step."""

from __future__ import annotations

import pytest
import torch

from models.worlds import MODALITIES, MOSI, core_size, make_batch, make_model, sequence_of, shake
from oracles import attention as oracle
from selfmm.config.settings import load_settings
from selfmm.models.attention import TransformerOptions
from selfmm.models.mult import Crossmodal, MulT, Options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 1_557_961),
        (["dim=50", "text_kernel=5", "kernel=5"], 2_571_551),
    ],
)
def test_published_size(options: list[str], expected: int) -> None:
    """Of features as MOSI's: with the paper's settings, as a toolkit's log counts them, and with that toolkit's own."""
    settings = load_settings(None, ["model=mult", *(f"options.{option}" for option in options)])
    assert core_size(MulT(MOSI, settings, None)) == expected


def test_crossmodal_against_loops() -> None:
    """Who attends to whom, in which order they are joined, and that each clip is as if alone."""
    lengths = {"text": [3, 1], "audio": [5, 2], "vision": [2, 4]}
    options = TransformerOptions(dim=4, heads=2)
    model = Crossmodal(tuple(lengths), options, layers=1, memory_layers=2).eval()
    weights = shake(model)
    streams = {name: sequence_of(ends, 4, seed=k, padding=k) for k, (name, ends) in enumerate(lengths.items())}
    found = model(streams)
    assert found.shape == (2, model.dim) == (2, 24)
    for clip in range(2):
        x = {name: stream.values[clip, : lengths[name][clip]] for name, stream in streams.items()}
        last = []
        for target in lengths:
            read = [
                oracle.transformer(x[target], x[source], oracle.under(weights, f"pairs.{target} from {source}"), 2)
                for source in lengths
                if source != target
            ]
            joined = torch.cat(read, dim=1)
            last.append(oracle.transformer(joined, None, oracle.under(weights, f"memories.{target}"), 2)[-1])
        torch.testing.assert_close(found[clip], torch.cat(last), atol=1e-4, rtol=1e-4)


def test_the_score_against_loops() -> None:
    """F_m* = z + W_2 ReLU(W_1 z), y^_m = W F_m*, on what the convolutions make of two modalities."""
    names = ("audio", "vision")
    modalities = {name: MODALITIES[name] for name in names}
    model = make_model("mult", "options.dim=4", "options.heads=2", "options.layers=1", modalities=modalities)
    assert isinstance(model, MulT)
    weights = shake(model)
    streams = {name: sequence_of([4, 2], model.dims[name], padding=k) for k, name in enumerate(names)}
    output = model.combine(streams, make_batch({name: [4, 2] for name in names}, aligned=True))
    kernels = {name: weights[f"projections.{name}.conv.weight"] for name in names}
    for clip, end in enumerate([4, 2]):
        x = {name: oracle.convolve(streams[name].values[clip, :end], kernels[name]) for name in names}
        last = []
        for target, source in (names, names[::-1]):
            pair = oracle.under(weights, f"crossmodal.pairs.{target} from {source}")
            memory = oracle.under(weights, f"crossmodal.memories.{target}")
            last.append(oracle.transformer(oracle.transformer(x[target], x[source], pair, 2), None, memory, 2)[-1])
        z = torch.cat(last)
        feature = z + oracle.linear(oracle.relu(oracle.linear(z, weights, "residual.0")), weights, "residual.3")
        torch.testing.assert_close(output.fusion_feature[clip], feature, atol=1e-4, rtol=1e-4)
        score = oracle.linear(feature, weights, "score")[0]
        torch.testing.assert_close(output.fusion[clip], score, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("layers", "joined"), [(1, 3), (5, 5)])
def test_joined_streams_have_three_blocks_at_least(layers: int, joined: int) -> None:
    modalities = {name: MODALITIES[name] for name in ("audio", "vision")}
    model = make_model("mult", f"options.layers={layers}", modalities=modalities)
    assert isinstance(model, MulT)
    assert {len(each.blocks) for each in model.crossmodal.pairs.values()} == {layers}  # type: ignore[arg-type]
    assert {len(each.blocks) for each in model.crossmodal.memories.values()} == {joined}  # type: ignore[arg-type]


def test_only_text_has_the_dropout_of_tokens() -> None:
    chosen = [f"options.{name}=0" for name in Options.model_fields if name.endswith("dropout")]
    chosen += ["options.text_dropout=0.9", "text.finetune=false"]
    lengths = {"audio": [3], "vision": [2]}
    model = make_model("mult", *chosen, modalities={name: MODALITIES[name] for name in lengths}).train()
    batch = make_batch(lengths, aligned=False)
    assert torch.equal(model(batch).fusion, model(batch).fusion)
    model = make_model("mult", *chosen).train()
    batch = make_batch({"text": [4], **lengths}, aligned=False)
    assert not torch.equal(model(batch).fusion, model(batch).fusion)
