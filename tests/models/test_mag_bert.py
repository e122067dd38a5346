"""MAG-BERT's gate: how far it moves a word, compared with its equations in loops; and clips without words."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.worlds import bytes_kept, make_batch, make_model, sequence_of, shake, tiny_transformer
from oracles.recurrent import network
from selfmm.data.types import Batch, Output, Stream
from selfmm.models.mag_bert import AdaptationGate, MAGBert, Options, displacement, steps_of_words

VECTOR = st.lists(st.sampled_from([0.0, 0.0, 1e-30, -0.5, 1.0, 3.0, -40.0, 1e12]), min_size=3, max_size=3)


def moved_by(word: list[float], move: list[float], beta: float) -> list[float]:
    """alpha H of one word, alpha = min(beta |Z| / |H|, 1)."""
    long, wanted = math.hypot(*word), math.hypot(*move)
    alpha = 1.0 if wanted == 0 else min(beta * long / wanted, 1.0)
    return [alpha * part for part in move]


@given(word=VECTOR, move=VECTOR, beta=st.sampled_from([0.0, 1e-3, 0.5, 1.0]))
def test_displacement(word: list[float], move: list[float], beta: float) -> None:
    """As the equation says; no further than beta |Z|, and never NaN in value or gradient, zeros included."""
    z = torch.tensor(word, dtype=torch.float64, requires_grad=True)
    h = torch.tensor(move, dtype=torch.float64, requires_grad=True)
    found = displacement(z, h, beta)
    expected = torch.tensor(moved_by(word, move, beta), dtype=torch.float64)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-9, atol=0)
    assert math.hypot(*found.tolist()) <= beta * math.hypot(*word) * (1 + 1e-9) or not any(move)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert h.grad is not None
    assert z.grad.isfinite().all()
    assert h.grad.isfinite().all()


def test_a_short_move_is_made_in_full_and_a_long_one_is_cut() -> None:
    word = torch.tensor([3.0, 4.0])
    assert displacement(word, torch.tensor([0.3, 0.4]), 0.5).tolist() == pytest.approx([0.3, 0.4])
    assert displacement(word, torch.tensor([30.0, 40.0]), 0.5).tolist() == pytest.approx([1.5, 2.0])


@pytest.mark.parametrize("beta", [0.1, 10.0])
def test_the_gate_against_loops(beta: float) -> None:
    """With a beta that cuts every move, and one that cuts none."""
    gate = AdaptationGate(4, {"audio": 3, "vision": 2}, Options(beta=beta)).eval()
    shake(gate)
    words, frames = torch.randn(2, 3, 4), {"audio": torch.randn(2, 3, 3), "vision": torch.randn(2, 3, 2)}
    found = gate(words, frames)
    for clip in range(2):
        for step in range(3):
            z, h = words[clip, step].tolist(), [0.0] * 4
            for name in frames:
                a = frames[name][clip, step].tolist()
                opened = [max(v, 0.0) for v in network(gate.gates[name], a + z)]
                h = [x + g * w for x, g, w in zip(h, opened, network(gate.moves[name], a), strict=True)]
            new = [a + b for a, b in zip(z, moved_by(z, h, beta), strict=True)]
            mean = sum(new) / 4
            scale = math.sqrt(sum((v - mean) ** 2 for v in new) / 4 + gate.norm.eps)
            normed = torch.tensor([(v - mean) / scale for v in new]) * gate.norm.weight + gate.norm.bias
            torch.testing.assert_close(found[clip, step], normed, atol=1e-4, rtol=1e-4)


def test_published_size() -> None:
    """Of MOSI's 47 visual and 74 acoustic features, from the Linears of the published code."""
    dim, sizes = 768, {"audio": 74, "vision": 47}
    gate = AdaptationGate(dim, sizes, Options())
    expected = sum((size + dim + 1) * dim + (size + 1) * dim for size in sizes.values()) + 2 * dim
    assert sum(each.numel() for each in gate.parameters()) == expected == 1_370_112


def test_no_move_but_the_norm_is_the_transformer_itself() -> None:
    """beta = 0 leaves the words as they are; with a LayerNorm that does nothing, audio and vision do not matter."""
    model = make_model("mag_bert", "options.beta=0")
    assert isinstance(model, MAGBert)
    model.gate.norm = torch.nn.Identity()  # type: ignore[assignment]
    lengths = {"text": [4, 7], "audio": [4, 7], "vision": [4, 7]}
    batch = make_batch(lengths, aligned=True)
    text = batch.streams["text"]
    torch.manual_seed(0)  # as in make_model
    mask = torch.arange(7) < text.lengths[:, None]
    first = tiny_transformer().eval()(input_ids=text.values, attention_mask=mask.long()).last_hidden_state[:, 0]
    torch.testing.assert_close(model(batch).fusion, model.fusion(first)[1], atol=1e-5, rtol=1e-5)


def test_a_clip_without_words_is_one_step_with_the_mean_of_the_rest() -> None:
    model = make_model("mag_bert")
    frames = torch.randn(1, 5, 5), torch.randn(1, 5, 4)
    mean = [each.mean(dim=1, keepdim=True) for each in frames]

    def score(audio: torch.Tensor, vision: torch.Tensor) -> torch.Tensor:
        end = torch.tensor([audio.shape[1]])
        streams = {
            "text": Stream(torch.zeros(1, 3, dtype=torch.int64), end - end, end < 0),
            "audio": Stream(audio, end, end > 0),
            "vision": Stream(vision, end, end > 0),
        }
        output: Output = model(Batch(torch.arange(1), torch.zeros(1), streams))
        return output.fusion

    torch.testing.assert_close(score(*frames), score(mean[0], mean[1]), atol=1e-5, rtol=1e-5)
    assert (score(*frames) - score(mean[0] + 1, mean[1])).abs() > 1e-6


def test_steps_of_words() -> None:
    sequence = sequence_of([2, 4], 3)
    ends = torch.tensor([2, 0])
    found = steps_of_words(sequence, Stream(torch.zeros(2, 3, dtype=torch.int64), ends, ends > 0))
    torch.testing.assert_close(found[0], sequence.values[0, :3])
    torch.testing.assert_close(found[1, 0], sequence.values[1].mean(dim=0))


@pytest.mark.parametrize("finetune", ["true", "false"])
def test_the_gate_learns_through_the_transformer(finetune: str) -> None:
    """The same gradient whether the transformer learns or not: the score is taken behind it."""
    model = make_model("mag_bert", f"text.finetune={finetune}", "options.dropout=0")
    batch = make_batch({"text": [4, 2], "audio": [4, 2], "vision": [4, 2]}, aligned=True)
    model(batch).fusion.sum().backward()
    learnt = [p for p in model.encoders["text"].parameters() if p.grad is not None]
    assert bool(learnt) == (finetune == "true")
    assert isinstance(model, MAGBert)
    gradients = [parameter.grad for parameter in model.gate.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    other = make_model("mag_bert", "options.dropout=0", f"text.finetune={'false' if finetune == 'true' else 'true'}")
    assert isinstance(other, MAGBert)
    other(batch).fusion.sum().backward()
    for gradient, parameter in zip(gradients, other.gate.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_bytes_that_are_kept_grow_with_the_words() -> None:
    """In about the measure of what a pass leaves, as it decides how many clips go through at once."""
    model = make_model("mag_bert", "text.finetune=false").train()
    lengths = dict.fromkeys(("text", "audio", "vision"), [12] * 4)
    kept = bytes_kept(model, lambda: model(make_batch(lengths, aligned=True)))
    assert 0.4 < 4 * model.kept_bytes(dict.fromkeys(lengths, 12)) / kept < 2.5
