"""A BERT that only scores, and its tokenizer, without importing transformers, which takes longer than a sentence does.

Both stand in for those of transformers, which they load when something else is asked of them: to explain or to export
a run. The numbers are the same, as the modules are and as :mod:`selfmm.models.packed` computes with both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from selfmm.core.errors import SelfmmError

_NEEDED = {
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
}
# What else transformers may do with a BERT; a configuration that says something else is left to it.
_PLAIN = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "quantization_config": None,
}
# Tokenizers that are no more than their tokenizer.json.
_TOKENIZERS = {"BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"}


class LightBert(nn.Module):
    """The weights of ``transformers.BertModel`` without its pooler, under the same names and in the same parts.

    They are empty: load the weights with ``load_state_dict(..., assign=True)``. The forward pass is that of
    transformers; :mod:`selfmm.models.packed` reads the parts without it.

    Args:
        config: content of config.json, for which ``is_plain`` is true.
        load: returns the model of transformers with these weights.
    """

    def __init__(self, config: Mapping[str, Any], load: Callable[[LightBert], Any]) -> None:
        super().__init__()
        self.config = SimpleNamespace(**{**_PLAIN, **config}, _attn_implementation="sdpa")
        self._load = load
        self.embeddings = _Embeddings(self.config)
        self.encoder: Any = nn.Module()
        self.encoder.layer = nn.ModuleList(_Layer(self.config) for _ in range(self.config.num_hidden_layers))

    @cached_property
    def whole(self) -> Any:
        """The model of transformers, in evaluation mode and not to be trained. Its weights are these."""
        model = self._load(self).eval().requires_grad_(False)
        return model.to(next(self.parameters()).device)

    def set_attn_implementation(self, name: str) -> None:
        self.whole.set_attn_implementation(name)
        self.config._attn_implementation = name

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.word_embeddings

    def forward(self, *values: Any, **inputs: Any) -> Any:
        return self.whole(*values, **inputs)


def is_plain(config: Mapping[str, Any]) -> bool:
    """Return whether the content of a config.json describes a model that ``LightBert`` can stand in for."""
    kind = config.get("model_type") == "bert" and config.keys() >= _NEEDED
    return kind and all(config.get(key, usual) == usual for key, usual in _PLAIN.items())


# Without numbers: drawing them takes time, and on the device "meta" torch imports its compiler for that.
class _Linear(nn.Linear):
    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, device="meta")

    def reset_parameters(self) -> None:
        pass


class _Embedding(nn.Embedding):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__(rows, width, device="meta")

    def reset_parameters(self) -> None:
        pass


class _Norm(nn.LayerNorm):
    def __init__(self, config: Any) -> None:
        super().__init__(config.hidden_size, eps=config.layer_norm_eps, device="meta")

    def reset_parameters(self) -> None:
        pass


class _Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        wide = config.hidden_size
        self.word_embeddings: nn.Module = _Embedding(config.vocab_size, wide)
        self.position_embeddings = _Embedding(config.max_position_embeddings, wide)
        self.token_type_embeddings = _Embedding(config.type_vocab_size, wide)
        self.LayerNorm = _Norm(config)

    def forward(self, input_ids: Tensor) -> Tensor:
        words: Tensor = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(words + self.position_embeddings.weight[: input_ids.shape[1]])  # type: ignore[no-any-return]


class _Layer(nn.Module):
    """The parts of a layer, which have no forward pass together; nothing is dropped out, as nothing is trained."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        wide, between = config.hidden_size, config.intermediate_size
        self.attention: Any = nn.Module()
        self.attention.self = _Attention(wide, config.num_attention_heads)
        self.attention.output = _Sum(wide, wide, config)
        self.intermediate = _Between(wide, between)
        self.output = _Sum(between, wide, config)


class _Attention(nn.Module):
    def __init__(self, wide: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (_Linear(wide, wide) for _ in range(3))
        self.num_attention_heads, self.dropout = heads, nn.Dropout(0.0)


class _Sum(nn.Module):
    def __init__(self, width: int, out: int, config: Any) -> None:
        super().__init__()
        self.dense = _Linear(width, out)
        self.LayerNorm = _Norm(config)

    def forward(self, values: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(values) + before)  # type: ignore[no-any-return]


class _Between(nn.Module):
    def __init__(self, wide: int, out: int) -> None:
        super().__init__()
        self.dense = _Linear(wide, out)

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.gelu(self.dense(values))


class LightTokenizer:
    """Returns token ids; everything else is the work of the tokenizer of transformers, loaded when it is needed.

    Args:
        backend: a ``tokenizers.Tokenizer``.
        load: returns the tokenizer of transformers.
    """

    is_fast = True

    def __init__(self, backend: Any, load: Callable[[], Any]) -> None:
        self._backend, self._load = backend, load

    @cached_property
    def whole(self) -> Any:
        return self._load()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # of Python's own protocols, such as copying
            raise AttributeError(name)
        return getattr(self.whole, name)

    def __call__(
        self,
        text: str | Sequence[str],
        *others: Any,
        truncation: bool = False,
        max_length: int | None = None,
        padding: bool = False,
        **more: Any,
    ) -> Any:
        """Return ``{"input_ids": ...}`` of one text or several, and whatever else is asked for."""
        if others or more or padding or (truncation and max_length is None):
            return self.whole(text, *others, truncation=truncation, max_length=max_length, padding=padding, **more)
        self._backend.no_padding()
        if truncation:
            self._backend.enable_truncation(max_length)
        else:
            self._backend.no_truncation()
        single = isinstance(text, str)
        ids = [encoding.ids for encoding in self._backend.encode_batch([text] if single else list(text))]
        return {"input_ids": ids[0] if single else ids}


def read_light(
    folder: Path, stored: Mapping[str, Tensor], load: Callable[[], tuple[Any, Any]]
) -> tuple[LightBert, LightTokenizer] | None:
    """Return the text encoder in ``folder`` with the weights ``stored``; None if only transformers can read it.

    Args:
        load: returns model and tokenizer of transformers.
    """
    try:
        config, about = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "tokenizer_config.json")
        )
        usual = about.get("truncation_side", "right") == "right" and not about.get("split_special_tokens", False)
        if not (is_plain(config) and usual and about.get("tokenizer_class") in _TOKENIZERS):
            return None
        from tokenizers import Tokenizer

        whole = _Once(load)
        tokenizer = LightTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")), lambda: whole.pair[1])
        model = LightBert(config, lambda _: whole.pair[0])
        model.load_state_dict(stored, assign=True)
    except SelfmmError:
        raise
    except Exception:  # whatever is wrong, the message is that of the way through transformers
        return None
    return model.eval(), tokenizer


class _Once:
    """Model and tokenizer of transformers, loaded together when one of them is needed."""

    def __init__(self, load: Callable[[], tuple[Any, Any]]) -> None:
        self._load = load

    @cached_property
    def pair(self) -> tuple[Any, Any]:
        return self._load()
