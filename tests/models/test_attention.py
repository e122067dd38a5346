"""The transformers that MulT, TETFN and ALMT share, against loops over clips, heads and steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.worlds import bytes_kept, sequence_of, shake
from oracles import attention as oracle
from selfmm.config.settings import load_group
from selfmm.core.errors import SettingsError
from selfmm.models.attention import (
    Block,
    Dropouts,
    TemporalConv,
    Transformer,
    TransformerOptions,
    attend,
    sinusoids,
    visible,
)

Lengths = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), clips=st.integers(1, 3), queries=st.integers(1, 4), keys=st.integers(1, 5))
def test_attend_against_loops(data: st.DataObject, clips: int, queries: int, keys: int) -> None:
    row = st.lists(st.booleans(), min_size=keys, max_size=keys).filter(any)
    mask = torch.tensor([[data.draw(row) for _ in range(queries)] for _ in range(clips)], dtype=torch.bool)
    heads = data.draw(st.sampled_from([1, 2, 3]))
    generator = torch.Generator().manual_seed(clips * 100 + queries * 10 + keys)
    query = 3 * torch.randn(clips, queries, 6, generator=generator)
    key, value = (torch.randn(clips, keys, 6, generator=generator) for _ in range(2))
    found = attend(query, key, value, heads=heads, seen=mask[:, None])
    for clip in range(clips):
        seen = mask[clip].tolist()
        expected = oracle.attend(query[clip], key[clip], value[clip], heads, lambda i, j, seen=seen: seen[i][j])  # type: ignore[misc]
        torch.testing.assert_close(found[clip], expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(lengths=Lengths)
def test_what_a_step_sees(lengths: list[tuple[int, int]]) -> None:
    target = sequence_of([a for a, _ in lengths], 2, padding=2)
    source = sequence_of([b for _, b in lengths], 2, padding=1)
    seen = visible(target, source)
    assert seen.shape == (len(lengths), 1, target.values.shape[1], source.values.shape[1])
    for clip, (own, other) in enumerate(lengths):
        for i in range(seen.shape[2]):
            expected = [j < other and j <= i + abs(own - other) for j in range(seen.shape[3])]
            assert seen[clip, 0, i].tolist() == expected
            assert expected[0], "a row without any key would be NaN"
        assert seen[clip, 0, own - 1, :other].all(), "the last step sees all"


@pytest.mark.parametrize("dim", [1, 2, 5, 8])
def test_positions(dim: int) -> None:
    torch.testing.assert_close(sinusoids(7, dim, torch.device("cpu")), oracle.sinusoids(7, dim), atol=1e-5, rtol=0)


@pytest.mark.parametrize("crossed", [True, False])
def test_a_transformer_against_loops(crossed: bool) -> None:
    """Each clip of a padded batch, as if it were alone."""
    model = Transformer(6, 2, TransformerOptions(dim=6, heads=3)).eval()
    weights = shake(model)
    target, source = sequence_of([3, 5, 1], 6, padding=2), sequence_of([4, 1, 2], 6, seed=1)
    found = model(target, source if crossed else None)
    assert found.lengths is target.lengths
    for clip, (own, other) in enumerate(zip([3, 5, 1], [4, 1, 2], strict=True)):
        keys = source.values[clip, :other] if crossed else None
        expected = oracle.transformer(target.values[clip, :own], keys, weights, heads=3)
        torch.testing.assert_close(found.values[clip, :own], expected, atol=1e-4, rtol=1e-4)
        assert not found.values[clip, own:].any()


def test_a_block_with_its_own_widths() -> None:
    block = Block(6, 2, Dropouts(0.5, 0.5, 0.5), hidden=5, activation=nn.GELU(), wide=8).eval()
    weights = shake(block)
    x, z = torch.randn(1, 3, 6), torch.randn(1, 4, 6)
    expected = oracle.block(x[0], z[0], weights, 2, lambda i, j: True, oracle.gelu)
    torch.testing.assert_close(block(x, z, None)[0], expected, atol=1e-5, rtol=1e-5)


def test_dropout_is_for_training_alone() -> None:
    model = Transformer(6, 1, TransformerOptions(dim=6, heads=3, attention_dropout=0.5)).eval()
    target = sequence_of([4, 2], 6)
    assert torch.equal(model(target).values, model(target).values)
    model.train()
    assert not torch.equal(model(target).values, model(target).values)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_a_convolution_against_loops(kernel: int) -> None:
    """A clip may be shorter than the kernel, and what pads it is not read."""
    torch.manual_seed(0)
    conv, sequence = TemporalConv(3, 4, kernel), sequence_of([4, 1, 2], 3, padding=3)
    found = conv(sequence).values
    assert found.shape == (3, 7, 4)
    for clip, end in enumerate([4, 1, 2]):
        expected = oracle.convolve(sequence.values[clip, :end], conv.conv.weight.detach())
        torch.testing.assert_close(found[clip, :end], expected, atol=1e-5, rtol=1e-5)
        assert not found[clip, end:].any()


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("lengths", [(8, 30), (60, 10)])
def test_a_pass_keeps_about_as_many_bytes_as_is_said(dropout: float, lengths: tuple[int, int]) -> None:
    """The estimate decides how many clips go through at once, so it may not be far off."""
    model = Transformer(40, 2, TransformerOptions(attention_dropout=dropout)).train()
    kept = bytes_kept(model, lambda: model(sequence_of([lengths[0]] * 4, 40), sequence_of([lengths[1]] * 4, 40)))
    assert 0.5 < 4 * model.kept_bytes(*lengths) / kept < 2


@pytest.mark.parametrize("given", [{"heads": 7}, {"dim": 39}, {"dim": 5}])
def test_heads_that_do_not_divide_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"options\.heads = \d+: .*the heads must divide options\.dim"):
        load_group(TransformerOptions, tree=given, under="options")
