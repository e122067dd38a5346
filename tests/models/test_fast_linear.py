"""Linear layers by oneDNN: the same numbers and gradients as without, wherever they are used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from selfmm.models import fast_linear
from selfmm.models.fast_linear import ByOneDNN, is_faster

_HAS_ONEDNN: Any = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
pytestmark = pytest.mark.skipif(not _HAS_ONEDNN, reason="this torch has no oneDNN")


@pytest.fixture(autouse=True)
def _asks_again() -> Any:
    is_faster.cache_clear()
    yield
    is_faster.cache_clear()


def linear(rows: Tensor, layer: nn.Linear) -> tuple[Tensor, ...]:
    """The output, and the gradients of rows and parameters."""
    out = F.linear(rows, layer.weight, layer.bias)
    wanted = [value for value in (rows, layer.weight, layer.bias) if value is not None]
    return out, *torch.autograd.grad(out.sin().sum(), wanted)


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    width=st.integers(1, 40),
    out=st.integers(1, 40),
    bias=st.booleans(),
)
def test_equals_the_product_in_fp64(shape: list[int], width: int, out: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(width, out, bias=bias), torch.randn(*shape, width, requires_grad=True)
    with ByOneDNN():
        found = linear(rows, layer)
    expected = linear(rows.double().detach().requires_grad_(), layer.double())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert ours.layout == torch.strided
        torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=1e-4)


def test_layers_that_read_the_same_rows_add_their_gradients() -> None:
    torch.manual_seed(0)
    query, key, rows = nn.Linear(6, 4), nn.Linear(6, 4), torch.randn(3, 6, requires_grad=True)

    def gradient() -> Tensor:
        return torch.autograd.grad((query(rows) * key(rows)).sum() + query(rows + 1).sum(), rows)[0]

    expected = gradient()
    with ByOneDNN():
        torch.testing.assert_close(gradient(), expected)


@pytest.mark.parametrize(
    "rows", [torch.zeros(0, 4), torch.ones(2, 4, dtype=torch.float64), torch.ones(2, 4, device="meta")], ids=str
)
def test_other_tensors_are_left_to_torch(rows: Tensor) -> None:
    layer = nn.Linear(4, 3, dtype=rows.dtype, device=rows.device)
    with ByOneDNN():
        out = layer(rows)
    assert (out.shape, out.dtype, out.device) == ((len(rows), 3), rows.dtype, rows.device)


@pytest.mark.parametrize(
    ("known", "faster"),
    [
        ({"cpu_name": "AMD EPYC 9004", "avx512_f": True}, True),
        ({"cpu_name": "AMD EPYC 7002", "avx512_f": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R)", "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_it_is_used_where_mkl_leaves_avx512_unused(
    known: dict[str, Any], faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert is_faster() == faster
    entered = []

    class Noted(ByOneDNN):
        def __init__(self) -> None:
            super().__init__()
            entered.append(self)

    monkeypatch.setattr(fast_linear, "ByOneDNN", Noted)

    @fast_linear.fast_linear
    def run(layer: None, rows: Tensor) -> Tensor:
        return rows.square()

    assert run(None, torch.tensor(3.0)) == 9
    assert bool(entered) == faster
    entered.clear()
    with torch.autocast("cpu", torch.bfloat16):
        run(None, torch.tensor(3.0))
    assert not entered
    run(None, torch.tensor(3.0, device="meta"))
    assert not entered, "an accelerator's rows take no detour"


def test_a_torch_that_does_not_tell_its_processor_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not is_faster()
