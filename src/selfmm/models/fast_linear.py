"""Linear layers in fp32 by oneDNN, where that is twice as fast as what torch calls by itself.

On a CPU, torch multiplies fp32 matrices by Intel's MKL, which does without AVX-512 on a processor of AMD. oneDNN uses
it, and torch has it too, for tensors in its layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Run = TypeVar("Run", bound=Callable[..., Tensor])


@cache
def is_faster() -> bool:
    """Return whether this processor multiplies fp32 matrices faster by oneDNN than by MKL."""
    find = getattr(torch.cpu, "get_capabilities", dict)  # since torch 2.9
    known: dict[str, Any] = find()
    by_amd = str(known.get("cpu_name", "")).startswith("AMD")
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return by_amd and bool(known.get("avx512_f")) and has_onednn


class ByOneDNN(TorchFunctionMode):
    """Within it, ``F.linear`` of fp32 matrices on the CPU is computed by oneDNN, with its gradients."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Tensor, Tensor] | None = None  # query, key and value read the same rows

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if func is not F.linear or kwargs or not _suits(args[0], args[1]):
            return func(*args, **(kwargs or {}))
        rows = args[0]
        if self._last is None or self._last[0] is not rows:
            self._last = rows, rows.to_mkldnn()
        return F.linear(self._last[1], *args[1:]).to_dense()


def fast_linear(run: Run) -> Run:
    """Compute the linear layers in ``run(layer, rows, ...)`` by oneDNN, if it is faster where ``rows`` (T, d) are.

    Elsewhere nothing is added to ``run``: within ``ByOneDNN``, every call of torch takes a detour through Python.
    """

    @wraps(run)
    def fast(layer: Any, rows: Tensor, *rest: Any) -> Tensor:
        if rows.device.type != "cpu" or torch.is_autocast_enabled("cpu") or not is_faster():
            return run(layer, rows, *rest)
        with ByOneDNN():
            return run(layer, rows, *rest)

    return fast  # type: ignore[return-value]


def _suits(rows: Tensor, weight: Tensor) -> bool:
    plain = rows.layout == torch.strided and rows.device.type == "cpu" and rows.numel() > 0
    return plain and rows.dtype == weight.dtype == torch.float32
