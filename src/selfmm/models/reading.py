"""How a text encoder reads texts: what happens to them before, and to its tokens' states after."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from selfmm.core.errors import WeightsError
from selfmm.core.files import to_json
from selfmm.core.messages import first_line
from selfmm.data.capitals import lower_capitals

Pooling = Literal["first", "mean", "last"]

_FILE = "reading.json"
_LETTERS = "THE Movie Was GREAT A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ReadingRules:
    """The rules by which a run reads texts. A run stores them with its text encoder; the defaults are of runs without.

    Attributes:
        pooling: how the states of the tokens become one vector: the first one, the last one, or their mean.
        capitals: whether text that is mostly capitals is put in lower case.
    """

    pooling: Pooling = "first"
    capitals: Literal["keep", "lower"] = "keep"

    def prepared(self, text: str) -> str:
        """Return what the tokenizer reads of a text; its length does not change."""
        return lower_capitals(text) if self.capitals == "lower" else text

    def save(self, folder: Path) -> None:
        content = {"pooling": self.pooling, "capitals": self.capitals}
        (folder / _FILE).write_text(to_json(content), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ReadingRules:
        """Read the rules of a run's text encoder; raise ``WeightsError`` if the file is damaged."""
        file = folder / _FILE
        if not file.exists():
            return cls()
        try:
            return TypeAdapter(cls).validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise WeightsError(f"cannot read {file}: {first_line(error)}. The folder is damaged.") from error


def is_cased(tokenizer: Any) -> bool:
    """Return whether a transformers tokenizer reads capitals differently from small letters."""
    capitals, small = (tokenizer(text)["input_ids"] for text in (_LETTERS, _LETTERS.lower()))
    return list(capitals) != list(small)


def pool(states: Tensor, lengths: Tensor, pooling: Pooling, own: Tensor | None = None) -> Tensor:
    """Return one vector per clip (B, d).

    Args:
        states: (B, L, d) of the tokens; beyond the lengths they do not count.
        lengths: (B,) int64, at least 1 each.
        own: (B, L) bool, the tokens whose mean is taken; None: all.
    """
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        return states.take_along_dim((lengths - 1)[:, None, None], dim=1)[:, 0]
    if own is None:
        own, counts = torch.arange(states.shape[1], device=states.device) < lengths[:, None], lengths
    else:
        counts = own.sum(dim=1).clamp(min=1)
    return (states * own[:, :, None]).sum(dim=1) / counts[:, None]


class LayerMix(nn.Module):
    """A weighted sum of the states of all layers, with learned weights that are positive and sum to 1.

    It begins as their mean. Peters et al., Deep Contextualized Word Representations, NAACL 2018, equation 1, without
    the factor in front of the sum: the linear layers that follow can learn it.

    Input: (..., ``layers`` * d), side by side. Output: (..., d).
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))

    def forward(self, states: Tensor) -> Tensor:
        layers = states.reshape(*states.shape[:-1], len(self.logits), -1)
        return (layers * self.logits.softmax(0)[:, None]).sum(dim=-2)
