"""MISA's terms compared with their definitions in loops, which clips take part in them; its size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.worlds import MODALITIES, make_batch, make_model, part_of
from selfmm.models.misa import MISA, Options, SubspaceFusion, central_moment_discrepancy, overlap

Matrix = Sequence[Sequence[float]]
THERE = st.lists(st.booleans(), min_size=1, max_size=6)
LENGTHS = {"text": [4, 7, 3, 0], "audio": [9, 2, 0, 6], "vision": [1, 5, 4, 0]}


def rows_of(count: int, size: int, seed: int) -> Tensor:
    return torch.rand(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def counted(values: Tensor, there: Sequence[bool]) -> Matrix:
    return [row for row, counts in zip(values.tolist(), there, strict=True) if counts]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def slow_discrepancy(x: Matrix, y: Matrix) -> float:
    if not x or not y:
        return 0.0
    columns = list(zip(zip(*x, strict=True), zip(*y, strict=True), strict=True))
    total = math.sqrt(sum((mean(a) - mean(b)) ** 2 for a, b in columns))
    for k in (2, 3, 4, 5):
        moments = [(mean([(v - mean(a)) ** k for v in a]), mean([(v - mean(b)) ** k for v in b])) for a, b in columns]
        total += math.sqrt(sum((a - b) ** 2 for a, b in moments))
    return total


def slow_overlap(x: Matrix, y: Matrix) -> float:
    if not x:
        return 0.0
    size = len(x[0])

    def rows(values: Matrix) -> Matrix:
        means = [mean([row[k] for row in values]) for k in range(size)]
        apart = [[v - m for v, m in zip(row, means, strict=True)] for row in values]
        return [[v / max(math.hypot(*row), 1e-6) for v in row] for row in apart]

    a, b = rows(x), rows(y)
    products = [sum(p[i] * q[j] for p, q in zip(a, b, strict=True)) for i in range(size) for j in range(size)]
    return sum(product**2 for product in products) / size**2


@given(there=st.tuples(THERE, THERE), size=st.integers(1, 4), seed=st.integers(0, 99))
def test_central_moment_discrepancy(there: tuple[list[bool], list[bool]], size: int, seed: int) -> None:
    count = min(map(len, there))
    in_x, in_y = (each[:count] for each in there)
    x, y = rows_of(count, size, seed), rows_of(count, size, seed + 1) ** 2
    found = float(central_moment_discrepancy(x, y, torch.tensor(in_x), torch.tensor(in_y)))
    assert found == pytest.approx(slow_discrepancy(counted(x, in_x), counted(y, in_y)), abs=1e-12)


def test_the_discrepancy_sees_every_moment_up_to_the_fifth() -> None:
    """Two points and weights between them that agree in all moments but one are hard to find; scaling is enough."""
    x, everywhere = rows_of(6, 1, 0), torch.ones(6, dtype=torch.bool)
    centred = x - x.mean()
    assert central_moment_discrepancy(x, x.flip(0), everywhere, everywhere) < 1e-12
    spread = central_moment_discrepancy(centred, 2 * centred, everywhere, everywhere)
    expected = sum((2**k - 1) * abs(float((centred**k).mean())) for k in (2, 3, 4, 5))
    assert float(spread) == pytest.approx(expected)


@given(there=THERE, size=st.integers(1, 4), seed=st.integers(0, 99))
def test_overlap(there: list[bool], size: int, seed: int) -> None:
    x, y = rows_of(len(there), size, seed), rows_of(len(there), size, seed + 1)
    found = float(overlap(x, y, torch.tensor(there)))
    assert found == pytest.approx(slow_overlap(counted(x, there), counted(y, there)), abs=1e-12)


def test_overlap_is_of_directions_alone() -> None:
    """None between what lies in different columns of unrelated clips, and the same at every scale."""
    first = torch.tensor([1.0, -1.0, 1.0, -1.0])
    second = torch.tensor([1.0, 1.0, -1.0, -1.0])
    zeros, everywhere = torch.zeros(4), torch.ones(4, dtype=torch.bool)
    x, y = torch.stack([first, zeros], dim=1), torch.stack([zeros, second], dim=1)
    assert overlap(x, y, everywhere) == 0
    assert overlap(x, x, everywhere) == pytest.approx(4**2 / 2**2)
    rows = rows_of(4, 2, 0)
    torch.testing.assert_close(overlap(rows, y.double(), everywhere), overlap(9 * rows + 1, y.double(), everywhere))


@pytest.mark.parametrize("there", [[True], [False], [True, True]])
def test_gradients_are_finite_where_nothing_differs(there: list[bool]) -> None:
    """One clip, none, and clips that are all alike."""
    x = torch.full((len(there), 3), 0.5, requires_grad=True)
    mask = torch.tensor(there)
    (central_moment_discrepancy(x, 1 - x, mask, mask) + overlap(x, x.flip(1), mask)).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("term", ["similarity", "difference"])
def test_terms_of_spaces_are_of_the_clips_that_have_them(term: str) -> None:
    """The same as for these clips alone, pair by pair."""
    torch.manual_seed(0)
    names = ("text", "audio", "vision")
    fusion = SubspaceFusion(dict.fromkeys(names, 4), Options(dim=4)).double().eval()
    spaces = fusion.spaces(dict(zip(names, torch.randn(5, 12).double().chunk(3, dim=1), strict=True)))
    present = {
        name: torch.tensor(there)
        for name, there in zip(names, [[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], strict=True)
    }
    present = {name: there.bool() for name, there in present.items()}

    def rows(values: Tensor, *have: str) -> Matrix:
        return [row for i, row in enumerate(values.tolist()) if all(present[name][i] for name in have)]

    pairs = [("text", "audio"), ("text", "vision"), ("audio", "vision")]
    if term == "similarity":
        apart = [slow_discrepancy(rows(spaces.shared[a], a), rows(spaces.shared[b], b)) for a, b in pairs]
        expected, found = mean(apart), fusion.similarity(spaces, present)
    else:
        expected = sum(slow_overlap(rows(spaces.own[n], n), rows(spaces.shared[n], n)) for n in names)
        expected += sum(slow_overlap(rows(spaces.own[a], a, b), rows(spaces.own[b], a, b)) for a, b in pairs)
        found = fusion.difference(spaces, present)
    assert expected > 0
    assert float(found.detach()) == pytest.approx(expected, abs=1e-9)


def test_reconstruction_is_each_clips_own() -> None:
    model = make_model("misa")
    batch = make_batch(LENGTHS, aligned=False)
    together = model(batch).terms["reconstruction"]
    for clip in range(4):
        alone = model(part_of(batch, clip)).terms["reconstruction"]
        torch.testing.assert_close(alone, together[clip : clip + 1], atol=1e-6, rtol=1e-5)
    assert isinstance(model, MISA)
    fusion = model.fusion
    encoded = model(batch).encoded
    spaces = fusion.spaces(encoded)
    both = spaces.own["audio"][3] + spaces.shared["audio"][3]  # the only stream that this clip has
    missed = fusion.again["audio"](both) - spaces.whole["audio"][3]
    torch.testing.assert_close(together[3], missed.square().mean() / 3)


def test_weights_of_the_terms() -> None:
    batch = make_batch(LENGTHS, aligned=False)
    names = ("similarity", "difference", "reconstruction")
    plain = make_model("misa", *(f"options.{name}=1" for name in names))(batch).terms
    double = make_model("misa", *(f"options.{name}=2" for name in names))(batch).terms
    assert set(plain) == set(names)
    for name in names:
        assert plain[name].any()
        torch.testing.assert_close(double[name], 2 * plain[name])
    nothing = make_model("misa")(make_batch({name: [0, 0] for name in MODALITIES}, aligned=False)).terms
    assert all(values.tolist() == [0, 0] for values in nothing.values())


def test_published_size() -> None:
    """Behind the encoders, with their sizes as published: 768 for BERT, four times the features for the others."""
    size, dims = 128, {"text": 768, "audio": 4 * 5, "vision": 4 * 20}
    published = nn.ModuleList(
        [
            *(nn.Sequential(nn.Linear(dim, size), nn.LayerNorm(size)) for dim in dims.values()),
            *(nn.Linear(size, size) for _ in range(3 + 1 + 3)),  # own spaces, the shared one, reconstruction
            nn.TransformerEncoderLayer(size, 2),
            nn.Sequential(nn.Linear(6 * size, 3 * size), nn.Linear(3 * size, 1)),
        ]
    )
    ours = SubspaceFusion(dims, Options())
    counts = [sum(each.numel() for each in module.parameters()) for module in (ours, published)]
    assert counts[0] == counts[1] == 1_116_545
