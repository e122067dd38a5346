"""ALMT: its size next to the published one, and each of its parts by the paper's equations, step by step."""

from __future__ import annotations

import torch

from models.worlds import MOSI, core_size, make_batch, make_model, sequence_of, shake
from oracles import attention as oracle
from selfmm.config.settings import load_settings
from selfmm.models.almt import ALMT, Embedding, HyperLayer, HyperModality, Options

SMALL = Options(dim=4, heads=2, tokens=3, hidden=5, scales=3)


def all_seen(i: int, j: int) -> bool:
    return True


def test_published_size() -> None:
    """The published code has 2,504,449 with 50 steps a modality and without BERT; the rest is done otherwise."""
    # Positions of steps are sinusoids here, and those of tokens are one with the tokens.
    positions = 3 * (50 + 8) * 128
    # Each of text and hyper-modality has a position for its empty token, to which the code adds one more token.
    empty = 128
    # No LayerNorm of the hyper-modality itself.
    norms = 3 * 2 * 128
    # A block has one LayerNorm and biases, instead of three and none.
    blocks = 3 + 2 + 2
    linears = blocks * (3 * 512 - 2 * 2 * 128)
    model = ALMT(MOSI, load_settings(None, ["model=almt"]), None)
    assert core_size(model) == 2_504_449 - positions - empty - norms + linears


def test_tokens_attend_to_a_modality_and_each_other() -> None:
    model = Embedding(6, SMALL).eval()
    weights = shake(model)
    sequence = sequence_of([4, 1], 6, padding=2)
    found = model(sequence)
    assert found.shape == (2, 3, 4)
    for clip, end in enumerate([4, 1]):
        steps = oracle.linear(sequence.values[clip, :end], weights, "project") + oracle.sinusoids(end, 4)
        tokens = weights["tokens"]
        keys = torch.cat([tokens, steps])
        expected = oracle.block(tokens, keys, oracle.under(weights, "block"), 2, all_seen, oracle.gelu)
        torch.testing.assert_close(found[clip], expected, atol=1e-5, rtol=1e-5)


def slow_layer(weights: oracle.Weights, text: torch.Tensor, others: dict[str, torch.Tensor]) -> torch.Tensor:
    """What one layer adds to the hyper-modality (T, d)."""
    query = oracle.linear(oracle.layer_norm(text, weights, "text_norm"), weights, "query")
    picked = torch.zeros_like(query)
    for name, tokens in others.items():
        normed = oracle.layer_norm(tokens, weights, f"norms.{name}")
        key, value = (oracle.linear(normed, weights, f"{part}.{name}") for part in ("keys", "values"))
        picked += oracle.attend(query, key, value, 2, all_seen)
    return oracle.linear(picked, weights, "out.0")


def test_a_layer_adds_what_the_text_picks() -> None:
    model = HyperLayer(("audio", "vision"), SMALL).eval()
    weights = shake(model)
    text, audio, vision, hyper = torch.randn(4, 2, 3, 4)
    found = model(text, {"audio": audio, "vision": vision}, hyper)
    for clip in range(2):
        added = slow_layer(weights, text[clip], {"audio": audio[clip], "vision": vision[clip]})
        torch.testing.assert_close(found[clip], hyper[clip] + added, atol=1e-5, rtol=1e-5)


def test_each_scale_of_the_text_guides_one_layer() -> None:
    model = HyperModality(("audio", "vision"), SMALL).eval()
    weights = shake(model)
    tokens = dict(zip(("audio", "text", "vision"), torch.randn(3, 2, 3, 4), strict=True))
    found_text, found_hyper = model(tokens)
    for clip in range(2):
        others = {name: tokens[name][clip] for name in ("audio", "vision")}
        text, hyper = tokens["text"][clip] + weights["places"], weights["start"]
        for scale in range(3):
            if scale:
                text = oracle.block(text, text, oracle.under(weights, f"scales.{scale - 1}"), 2, all_seen, oracle.gelu)
            hyper = hyper + slow_layer(oracle.under(weights, f"layers.{scale}"), text, others)
        torch.testing.assert_close(found_text[clip], text, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found_hyper[clip], hyper, atol=1e-5, rtol=1e-5)


def test_the_score_is_read_from_a_token_of_its_own() -> None:
    sizes = [f"options.{name}={value}" for name, value in SMALL.model_dump().items()]
    model = make_model("almt", *sizes, "labels.source=human")
    assert isinstance(model, ALMT)
    weights = shake(model)
    lengths = {"text": [3, 1], "audio": [2, 5], "vision": [4, 1]}
    streams = {name: sequence_of(ends, model.dims[name], seed=k) for k, (name, ends) in enumerate(lengths.items())}
    output = model.combine(streams, make_batch(lengths, aligned=False)).detach()
    tokens = {name: model.embeddings[name](stream).detach() for name, stream in streams.items()}
    texts, hypers = (each.detach() for each in model.hyper(tokens))
    for clip in range(2):
        text, hyper = (torch.cat([torch.zeros(1, 4), each[clip]]) for each in (texts, hypers))
        text, hyper = text + weights["text_places"], hyper + weights["hyper_places"]
        for layer in range(2):
            text = oracle.block(text, hyper, oracle.under(weights, f"fusion.{layer}"), 2, all_seen, oracle.gelu)
        torch.testing.assert_close(output.fusion_feature[clip], text[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            output.fusion[clip], oracle.linear(text[:1], weights, "score")[0, 0], atol=1e-5, rtol=1e-5
        )
        mean = sum(tokens["audio"][clip]) / 3
        torch.testing.assert_close(
            output.features["audio"][clip], model.heads["audio"](mean[None])[0][0], atol=1e-5, rtol=1e-5
        )
