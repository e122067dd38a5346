"""Pretrained text encoders: loading them from a hub name, a folder or the offline weights, and tokenising."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from selfmm.core import weights
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.core.pretrained import first_line, load_named, load_transformer
from selfmm.models.encoders import Encoder
from selfmm.models.packed import FAMILIES, all_tokens, can_pack, embeddings, first_of_embedded, first_tokens


@dataclass(frozen=True)
class Pretrained:
    """A transformer with its tokenizer.

    Attributes:
        model: maps (input_ids, attention_mask) to an output with ``last_hidden_state`` (B, L, D).
        tokenizer: a transformers tokenizer.
    """

    model: Any
    tokenizer: Any

    @property
    def dim(self) -> int:
        return int(self.model.config.hidden_size)

    def save(self, folder: Path) -> None:
        """Writes configuration and tokenizer, not the weights: a run keeps those with its own."""
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_pretrained(name: str) -> Pretrained:
    """Loads a text encoder with its weights.

    Args:
        name: ``minilm`` (offline weights), a local folder, or a hub name. Only a hub name may use the network.

    Raises:
        WeightsError: it is not there, cannot be reached, or is stored as a pickle instead of safetensors.
    """
    if name in weights.KNOWN:
        _check_use(name)
        return _load(str(weights.locate(name)))
    return _load(name)


def _check_use(name: str) -> None:
    if weights.KNOWN[name].use != "text":
        known = ", ".join(one for one, entry in weights.KNOWN.items() if entry.use == "text")
        raise WeightsError(
            f"the weights {name!r} ({weights.KNOWN[name].about}) are no text encoder. Choose {known}, a local folder "
            "or a hub name."
        )


def load_architecture(folder: Path) -> Pretrained:
    """A text encoder as ``Pretrained.save`` left it, with random weights that the caller replaces."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    _refuse_code(folder)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        return Pretrained(_without_pooler(AutoModel.from_config(config, trust_remote_code=False)), tokenizer)
    except Exception as error:  # a damaged configuration fails in as many ways as there are settings
        raise WeightsError(f"cannot read the text encoder in {folder}: {first_line(error)}") from error


def _refuse_code(folder: Path) -> None:
    """A run folder may be a stranger's: its text encoder may not bring or fetch code of its own."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise WeightsError(
                f"cannot read {folder / name}: {first_line(error)}. The folder is incomplete."
            ) from error
        if not isinstance(content, dict):
            raise WeightsError(f"{folder / name} is not a JSON object. The folder is damaged.")
        asks = [key for key in ("auto_map", "custom_pipelines") if key in content]
        asks += [key for key in ("attn_implementation", "_attn_implementation") if "/" in str(content.get(key))]
        if asks:
            raise WeightsError(
                f"{folder / name} asks for code of its own ({', '.join(asks)}). It was not run. "
                "Use a text encoder that transformers knows by itself."
            )


def _load(name: str) -> Pretrained:
    from transformers import AutoTokenizer

    def load(place: str, local: bool) -> Pretrained:
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=local, trust_remote_code=False)
        return Pretrained(_without_pooler(load_transformer(place, local)), tokenizer)

    return load_named(
        name,
        "text encoder",
        holds="config.json, a tokenizer and model.safetensors (pickled .bin weights are refused)",
        instead="pass --text-encoder minilm or a local folder",
        load=load,
    )


def _without_pooler(model: Any) -> Any:
    # The pooler does not take part in the first token's last layer: it would be saved and never trained.
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def tokenise(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Token ids of each text with its special tokens, cut to ``max_tokens``; none at all for a blank text."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False)["input_ids"]
    blank = np.empty(0, dtype=np.int64)
    return [
        np.asarray(ids, dtype=np.int64) if text.strip() else blank for ids, text in zip(encoded, texts, strict=True)
    ]


def words_of_tokens(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Per text the number of each token's word, by the blanks between words; tokens as ``tokenise`` makes them.

    Tokens that stand for no word, at the beginning and end, have the nearest one's.

    Raises:
        SettingsError: the tokenizer does not tell where in the text its tokens are.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise SettingsError(["text.encoder: its tokenizer does not tell which word a token is of; use align=pool"])
    if not texts:
        return []
    found = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    spans = [np.array(each, dtype=np.int64).reshape(-1, 2) for each in found]
    return [_words(text, each) for text, each in zip(texts, spans, strict=True)]


def _words(text: str, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if not text.strip():
        return np.empty(0, dtype=np.int64)
    begins = np.array([found.start() for found in re.finditer(r"\S+", text)])
    # By its last letter: some tokenizers count the blank before a word to it.
    words = np.searchsorted(begins, spans[:, 1] - 1, side="right") - 1
    real = np.flatnonzero(spans[:, 1] > spans[:, 0])
    if not len(real):
        return np.zeros(len(spans), dtype=np.int64)
    nearest = real[np.abs(np.arange(len(spans))[:, None] - real).argmin(axis=1)]
    return words[nearest].clip(0)  # type: ignore[no-any-return]


class TransformerEncoder(Encoder):
    """F_t: the first token of the last layer of a pretrained transformer, or all of its tokens.

    Input: token ids (B, L) int64 and lengths (B,) int64; padding is masked. Output: (B, ``dim``), or with ``tokens``
    (B, L, ``dim``) with zeros beyond the lengths. Where the encoder was asked before, its answer (B, L, ``dim``) float,
    L = 1 without ``tokens``, goes in instead of ids and comes out.

    Args:
        model: the transformer.
        finetune: train it; otherwise it stays as it is, in evaluation mode.
        recompute: save memory in training by computing each layer a second time for the backward pass.
        tokens: give all tokens instead of the first.
        inside: ``embed`` and ``read`` are used too, with something to learn between them.

    Raises:
        SettingsError: this transformer cannot be recomputed, or has an inside that is not known here.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        finetune: bool,
        recompute: bool = False,
        tokens: bool = False,
        inside: bool = False,
    ) -> None:
        super().__init__()
        config: Any = model.config
        self.model, self.dim = model, int(config.hidden_size)
        self.tokens = tokens
        self.finetune = finetune
        self._learns = finetune or inside  # a gradient passes through, whether or not it stops there
        self.recompute = recompute and self._learns
        self.model.requires_grad_(finetune)
        self._packs = can_pack(model)
        if inside and not self._packs:
            self._refuse_inside()
        if self.recompute and not self._packs:
            self._let_it_recompute()

    def train(self, mode: bool = True) -> TransformerEncoder:
        super().train(mode)
        if not self.finetune:
            self.model.eval()
        return self

    def kept_bytes(self, length: int) -> int:
        """About what one clip of so many tokens leaves in memory for the gradient."""
        if not self._learns:
            return 0
        config: Any = self.model.config
        wide, heads = int(config.hidden_size), int(getattr(config, "num_attention_heads", 1))
        between = int(getattr(config, "intermediate_size", 4 * wide))
        # Inputs of the Linears, LayerNorms, dropouts and the activation; and of the attention, twice.
        layer = length * (12 * wide + 3 * between) + 3 * heads * length**2
        layers = int(getattr(config, "num_hidden_layers", 12))
        return 4 * (layers * length * wide + layer if self.recompute else layers * layer)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        if values.is_floating_point():
            return values if self.tokens else values[:, 0]
        ids = values
        # A clip without words still has one position open, or attention would divide by nothing.
        lengths = lengths.clamp(min=1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.finetune):
            if self._packs:
                self._spare_rare_words(ids.device)
                outputs = all_tokens if self.tokens else first_tokens
                return outputs(self.model, ids, lengths, recompute=self.recompute and self.training)
            mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
            hidden = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return hidden * mask[:, :, None] if self.tokens else hidden[:, 0]  # type: ignore[no-any-return]

    def embed(self, ids: Tensor) -> Tensor:
        """What the first layer reads: (B, L, ``dim``) of token ids (B, L), of the padding too."""
        self._spare_rare_words(ids.device)
        return embeddings(self.model, ids)

    def read(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """F_t (B, ``dim``) where the first layer reads ``embedded`` (B, L, ``dim``), which ``embed`` gave and others
        changed; ``lengths`` (B,) int64. Trained or not, it lets gradients through."""
        recompute = self.recompute and self.training
        return first_of_embedded(self.model, embedded, lengths.clamp(min=1), recompute=recompute)

    def _spare_rare_words(self, device: torch.device) -> None:
        # A dense gradient would be zeros for every word that this batch does not have, filled in at each pass.
        if device.type == "cpu":
            self.model.embeddings.word_embeddings.sparse = True  # type: ignore[union-attr]

    def _refuse_inside(self) -> None:
        kind = self.model.config.model_type  # type: ignore[union-attr]
        raise SettingsError(
            [
                f"text.encoder: this model works inside the text encoder, which can be one of {FAMILIES} with plain "
                f"positions, and this one is {kind}; choose minilm or another of these, or another model"
            ]
        )

    def _let_it_recompute(self) -> None:
        if not getattr(self.model, "supports_gradient_checkpointing", False):
            raise SettingsError(["text.recompute = true: this text encoder cannot compute its layers a second time"])
        enable: Any = self.model.gradient_checkpointing_enable
        enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def check_max_tokens(model: Any, max_tokens: int) -> None:
    """Raises ``SettingsError`` where ``max_tokens`` is more than the encoder has positions for."""
    limit = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > limit:
        raise SettingsError([f"text.max_tokens = {max_tokens}: this text encoder reads {limit} at most"])
