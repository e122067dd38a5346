"""MFM's two terms compared with slow versions: the distance from the prior and the reconstruction loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.worlds import MODALITIES, core_size, make_batch, make_model, part_of
from oracles.prior import mmd
from oracles.recurrent import lstm, network
from selfmm.config.settings import load_settings
from selfmm.data.manifest import Modality
from selfmm.models.mfm import MFM, Decoder, Generator, distance_from_prior
from selfmm.models.sequences import Sequence

LENGTHS = {"text": [4, 7, 3, 0], "audio": [9, 2, 0, 6], "vision": [1, 5, 4, 0]}


def codes_of(count: int, size: int, seed: int) -> Tensor:
    return 1.5 * torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(size=st.integers(1, 4), there=st.lists(st.booleans(), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_distance_from_the_prior(size: int, there: list[bool], seed: int) -> None:
    codes = codes_of(len(there), size, seed)
    found = float(distance_from_prior(codes, torch.tensor(there)))
    slow = mmd([code for code, counts in zip(codes.tolist(), there, strict=True) if counts])
    assert found == pytest.approx(slow, abs=1e-6)
    assert found >= -1e-9


def test_the_distance_is_small_for_the_prior_itself_and_grows_from_it() -> None:
    everywhere = torch.ones(400, dtype=torch.bool)
    prior = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    at, near, narrow, far = (
        float(distance_from_prior(codes, everywhere)) for codes in (prior, prior + 0.5, prior / 4, prior + 3)
    )
    assert at < 0.005 < near < far
    assert at < narrow


def test_the_distance_draws_codes_to_the_prior() -> None:
    """A step against the gradient makes it smaller; a clip that does not count is not moved."""
    codes = codes_of(5, 3, 0).add(2).requires_grad_()
    there = torch.tensor([True, True, True, True, False])
    before = distance_from_prior(codes, there)
    (gradient,) = torch.autograd.grad(before, codes)
    assert distance_from_prior(codes - 0.1 * gradient, there) < before
    assert gradient[4].tolist() == [0, 0, 0]


def test_the_decoder_reads_the_factors_and_then_its_own_states() -> None:
    torch.manual_seed(0)
    decoder, factors = Decoder(4, 3), torch.randn(2, 4)
    made = decoder(factors, 5)
    h = c = torch.zeros(2, 4)
    read = factors
    for t in range(5):
        h, c = decoder.cell(read, (h, c))
        read = h
        torch.testing.assert_close(made[:, t], decoder.linear(h))
    torch.testing.assert_close(decoder(factors, 2), made[:, :2])


def sequence_of(ends: list[int], padding: int = 0) -> Sequence:
    lengths = torch.tensor(ends)
    real = torch.arange(max(ends) + padding) < lengths[:, None]
    values = torch.randn(len(ends), max(ends) + padding, 3, generator=torch.Generator().manual_seed(0))
    return Sequence(torch.where(real[:, :, None], values, 0.0), lengths, real)


@pytest.mark.parametrize("padding", [0, 3])
def test_a_generator(padding: int) -> None:
    """Code, factor and error of each clip, over its real steps alone."""
    torch.manual_seed(1)
    generator, ends = Generator(3, 4, 2, 5, 0.3).eval(), [4, 1, 2]
    sequence, shared = sequence_of(ends, padding), torch.randn(3, 5)
    code = generator.code(sequence)
    error = generator.error(code, shared, sequence)
    for clip, end in enumerate(ends):
        steps = sequence.values[clip, :end].tolist()
        hs, _ = lstm(dict(generator.lstm.named_parameters()), steps, "_l0")
        slow_code = network(generator.linear, hs[-1])
        torch.testing.assert_close(code[clip], torch.tensor(slow_code))
        factor = [max(v, 0.0) for v in network(generator.factor, slow_code)]
        made = generator.decoder(torch.tensor([shared[clip].tolist() + factor]), end)[0].tolist()
        squares = [(m - v) ** 2 for a, b in zip(made, steps, strict=True) for m, v in zip(a, b, strict=True)]
        assert float(error[clip].detach()) == pytest.approx(sum(squares) / len(squares), abs=1e-5)


def test_what_is_to_be_made_again_is_given() -> None:
    """A trainable text encoder gets no gradient from the target: it would learn outputs that are easy to predict."""
    generator, sequence = Generator(3, 4, 2, 5, 0.0), sequence_of([4, 2])
    sequence.values.requires_grad_()
    error = generator.error(torch.randn(2, 4), torch.randn(2, 5), sequence).sum()
    (gradient,) = torch.autograd.grad(error, sequence.values, allow_unused=True)
    assert gradient is None


def test_the_terms() -> None:
    """``again`` of a clip is that of the clip alone, of the streams that it has; ``prior`` is of all clips together."""
    model = make_model("mfm", "options.text_again=2", "options.again=3", "options.prior=7")
    assert isinstance(model, MFM)
    batch = make_batch(LENGTHS, aligned=True)
    terms = model(batch).terms
    assert len(set(terms["prior"].tolist())) == 1
    for clip in range(4):
        alone = model(part_of(batch, clip)).terms["again"]
        torch.testing.assert_close(alone, terms["again"][clip : clip + 1], atol=1e-5, rtol=1e-4)
    weighted = make_model("mfm", "options.text_again=4", "options.again=6", "options.prior=14")(batch).terms
    for name, values in weighted.items():
        torch.testing.assert_close(values, 2 * terms[name])
    without = make_model("mfm", "options.text_again=0", "options.again=0", "options.prior=0")(batch).terms
    assert all(values.tolist() == [0] * 4 for values in without.values())


def test_the_prior_is_of_the_codes_of_what_clips_have() -> None:
    """z_y of all clips, and z_s of those that have the stream: a stand-in's code need not be like the prior."""
    model = make_model("mfm")
    assert isinstance(model, MFM)
    codes: dict[nn.Module, list[list[float]]] = {}
    for part in (model.to_code, *(generator.linear for generator in model.generators.values())):
        assert isinstance(part, nn.Module)
        part.register_forward_hook(lambda module, _, made: codes.update({module: made.tolist()}))
    found = model(make_batch(LENGTHS, aligned=True)).terms["prior"]
    label, *others = codes.values()
    expected = mmd(label)
    for name, code in zip(model.generators, others, strict=True):
        expected += mmd([z for z, length in zip(code, LENGTHS[name], strict=True) if length])
    assert found.tolist() == pytest.approx([expected] * 4, abs=1e-5)


def test_a_clip_without_any_stream_is_made_again_of_nothing() -> None:
    model = make_model("mfm")
    nothing = model(make_batch({name: [0, 0] for name in MODALITIES}, aligned=True))
    assert nothing.terms["again"].tolist() == [0, 0]
    assert nothing.terms["prior"].isfinite().all()


def test_as_many_parameters_as_published() -> None:
    """As the published code has at its best sizes for MOSI, but for the audio's, which are here those of vision."""
    sizes, hidden = {"text": 300, "audio": 5, "vision": 20}, {"text": 88, "audio": 64, "vision": 48}
    modalities = {name: Modality(kind="frames", dim=dim) for name, dim in sizes.items()}
    settings = ["model=mfm", "fusion.projection=16", "fusion.extra_layer=false"]
    settings += [f"stream.{name}.hidden={size}" for name, size in hidden.items()]
    cells, memory, codes, factors = 200, 64, (32, 80, 80), (88, 8, 8)
    pairs = [(2 * cells, 128, 2 * cells), (2 * cells, 128, memory), (2 * cells + memory, 128, memory)]
    pairs += [(2 * cells + memory, 128, memory), (32, 16, 16), (16, 16, 1)]
    pairs += [(code, factor, factor) for code, factor in zip(codes, factors, strict=True)]
    published = nn.ModuleList([nn.LSTMCell(sizes[name], hidden[name]) for name in sizes])
    published += [nn.Linear(cells + memory, 32)]
    published += [nn.Sequential(nn.Linear(a, b), nn.Linear(b, c)) for a, b, c in pairs]
    for dim, code, factor in zip(sizes.values(), codes, factors, strict=True):
        published += [nn.LSTMCell(dim, code), nn.Linear(code, code)]
        published += [nn.LSTMCell(16 + factor, 16 + factor), nn.Linear(16 + factor, dim)]
    count = core_size(MFM(modalities, load_settings(None, settings), None))
    assert count == sum(p.numel() for p in published.parameters()) == 735_038
