"""Pretrained text encoders: load them from a hub name, a folder or the offline weights, and tokenise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from selfmm.config.settings import TextSettings
from selfmm.core import weights
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.core.messages import first_line
from selfmm.core.pretrained import load_named, load_transformer, quiet, why_offline
from selfmm.data.blank import is_blank
from selfmm.models.context import Pair, with_context
from selfmm.models.encoder_check import EncoderCheck, most_tokens
from selfmm.models.encoders import Encoder
from selfmm.models.four_bit import read_four_bit
from selfmm.models.light import LightBert, read_light
from selfmm.models.packed import (
    FAMILIES,
    all_layers,
    all_tokens,
    can_pack,
    embeddings,
    first_of_embedded,
    first_tokens,
    layers_of_embedded,
    tokens_of_embedded,
)
from selfmm.models.reading import LayerMix, Pooling, ReadingRules, is_cased, pool
from selfmm.models.word_rows import complete_word_rows, train_word_rows


@dataclass(frozen=True)
class Pretrained:
    """A transformer with its tokenizer.

    Attributes:
        model: maps (input_ids, attention_mask) to an output with ``last_hidden_state`` (B, L, D).
        tokenizer: a transformers tokenizer.
        rules: how it reads texts.
    """

    model: Any
    tokenizer: Any
    rules: ReadingRules = field(default_factory=ReadingRules)

    @property
    def dim(self) -> int:
        return int(self.model.config.hidden_size)

    def save(self, folder: Path) -> None:
        """Write configuration, tokenizer and rules, not the weights: a run keeps those with its own."""
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.rules.save(folder)

    def tokenise(
        self, texts: Sequence[str], max_tokens: int, earlier: Sequence[Sequence[str]] | None = None
    ) -> list[npt.NDArray[np.int64]]:
        """Return the token ids of each text, read by the rules; see :func:`tokenise`.

        Args:
            earlier: the texts before each text, in order. Their tokens come first, ``max_tokens`` at most, of which the
                far past is cut; see :func:`selfmm.models.context.with_context`. None: read no context.

        Raises:
            SettingsError: if the tokenizer does not separate two texts.
        """
        own = tokenise(self.tokenizer, [self.rules.prepared(text) for text in texts], max_tokens)
        if earlier is None:
            return own
        contexts = [" ".join(map(self.rules.prepared, before)) for before in earlier]
        return with_context(self.tokenizer, contexts, own, max_tokens, most_tokens(self.model))

    def words_of_tokens(self, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
        """Return the number of each token's word, for the tokens of ``self.tokenise``; see :func:`words_of_tokens`."""
        return words_of_tokens(self.tokenizer, [self.rules.prepared(text) for text in texts], max_tokens)


def text_encoder(settings: TextSettings, *, compact: bool = False) -> Pretrained:
    """Load the text encoder that the settings name, with the layers and the rules that they ask for.

    Args:
        settings: of a run.
        compact: see :func:`load_pretrained`.

    Raises:
        WeightsError: as :func:`load_pretrained`.
        SettingsError: if it does not have that layer, reads fewer tokens than ``max_tokens``, or must not be read by
            this pooling.
    """
    pretrained = load_pretrained(settings.encoder, compact=compact)
    check_max_tokens(pretrained, settings.max_tokens)
    if isinstance(settings.layer, int):
        _end_at(pretrained.model, settings.layer)
    if settings.encoder not in weights.KNOWN:  # the files of those are checked by their SHA-256
        pooling = pretrained.rules.pooling if settings.pooling == "auto" else settings.pooling
        _on_trial(settings.encoder, pretrained).check(pooling, settings.max_tokens)
    return replace(
        pretrained,
        rules=ReadingRules(
            pooling=pretrained.rules.pooling if settings.pooling == "auto" else settings.pooling,
            capitals=settings.capitals if is_cased(pretrained.tokenizer) else "keep",
        ),
    )


def _end_at(model: Any, layer: int) -> None:
    """Remove the layers after ``layer``, counted from 1."""
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise SettingsError([f"text.layer = {layer}: the layers of a {model.config.model_type} cannot be removed"])
    if layer > len(layers):
        raise SettingsError([f"text.layer = {layer}: this text encoder has {len(layers)} layers"])
    model.encoder.layer = layers[:layer]
    model.config.num_hidden_layers = layer


def load_pretrained(name: str, *, compact: bool = False) -> Pretrained:
    """Load a text encoder with its weights.

    Args:
        name: ``minilm``, ``mpnet`` or ``e5`` (offline weights), a local folder, or a hub name. Only a hub name may use
            the network.
        compact: the weights will never be trained or stored, so keep what is stored in 4 bits in less memory, and
            do without transformers where that is possible.

    Returns:
        The encoder, whose rules have the pooling that it was made for.

    Raises:
        WeightsError: if it is missing, cannot be reached, is stored as a pickle instead of safetensors, or does not
            read words.
    """
    if name not in weights.KNOWN:
        pretrained = _load(name)
        pooling = _on_trial(name, pretrained).natural_pooling(pretrained.rules.pooling)
        return replace(pretrained, rules=ReadingRules(pooling=pooling))
    if weights.KNOWN[name].use != "text":
        known = ", ".join(other for other, entry in weights.KNOWN.items() if entry.use == "text")
        raise WeightsError(
            f"the weights {name!r} ({weights.KNOWN[name].about}) are not a text encoder. Choose {known}, a local "
            "folder or a hub name."
        )
    entry, folder = weights.KNOWN[name], weights.locate(name)
    if _is_four_bit(name):
        pretrained = Pretrained(*read_four_bit(folder / next(iter(entry.files)), entry.prefix, compact=compact))
    else:
        pretrained = _load(str(folder))
    return replace(pretrained, rules=ReadingRules(pooling=entry.pooling))


def weights_to_name(settings: TextSettings) -> str:
    """Return the name of the offline weights to which a run refers instead of keeping a copy; empty if it keeps one.

    A run refers to weights in 4 bits that it does not train: its copy in float32 would be six times their size.
    """
    return settings.encoder if not settings.finetune and _is_four_bit(settings.encoder) else ""


def _is_four_bit(name: str) -> bool:
    return name in weights.KNOWN and "config.json" not in weights.KNOWN[name].files


def load_architecture(folder: Path, stored: Mapping[str, Tensor] | None = None) -> Pretrained:
    """Return a text encoder as ``Pretrained.save`` left it.

    Args:
        folder: where it was saved.
        stored: its weights, for a run that only scores: it may be a :class:`selfmm.models.light.LightBert`. Without
            them it has random ones that the caller replaces.
    """
    _refuse_code(folder)
    light = None if stored is None else read_light(folder, stored, lambda: _architecture(folder, stored))
    model, tokenizer = light or _architecture(folder, stored)
    return Pretrained(model, tokenizer, ReadingRules.load(folder))


def _architecture(folder: Path, stored: Mapping[str, Tensor] | None) -> tuple[Any, Any]:
    """Return the model and the tokenizer of transformers that a folder describes."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        if stored is None:
            model = _reader(AutoModel.from_config(config, trust_remote_code=False))
        else:
            model = _filled(config, stored)
    except Exception as error:  # a damaged configuration can fail in many ways
        raise WeightsError(f"cannot read the text encoder in {folder}: {first_line(error)}") from error
    return model, tokenizer


def _filled(config: Any, stored: Mapping[str, Tensor]) -> Any:
    """Return the transformer of a configuration with these weights, without drawing random ones first."""
    from transformers import AutoModel

    quiet()
    with torch.device("meta"):
        empty: Any = AutoModel.from_config(config, trust_remote_code=False)
    reader = _reader(empty)
    prefix = next(f"{name}." if name else "" for name, module in empty.named_modules() if module is reader)
    state = {prefix + name: value for name, value in stored.items()}
    with torch.random.fork_rng(devices=[]):  # for parts that are not stored, because selfmm does not use them
        return _reader(type(empty).from_pretrained(None, config=config, state_dict=state, ignore_mismatched_sizes=True))


def _refuse_code(folder: Path) -> None:
    """Raise ``WeightsError`` if the text encoder of a run, perhaps somebody else's, would run code of its own."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            problem = f"cannot read {folder / name}: {first_line(error)}. The folder is incomplete."
            raise WeightsError(problem) from error
        if not isinstance(content, dict):
            raise WeightsError(f"{folder / name} is not a JSON object. The folder is damaged.")
        keys = [key for key in ("auto_map", "custom_pipelines") if key in content]
        keys += [key for key in ("attn_implementation", "_attn_implementation") if "/" in str(content.get(key))]
        if keys:
            raise WeightsError(
                f"{folder / name} needs code of its own ({', '.join(keys)}). It was not run. "
                "Use a text encoder that is part of transformers."
            )


_INSTEAD = "pass `text_encoder='minilm'` or a local folder"


def check_on_hand(name: str) -> None:
    """Raise ``WeightsError`` if there is no text encoder of this name, or it would have to be fetched and cannot be."""
    if name in weights.KNOWN:
        weights.require([name])
    else:
        why_offline(name, "text encoder", _INSTEAD)


def _load(name: str) -> Pretrained:
    from transformers import AutoTokenizer

    whole = True

    def part(model: Any) -> Any:
        nonlocal whole
        reader = _reader(model)
        whole = reader is model
        return reader

    def load(place: str, local: bool) -> Pretrained:
        if (Path(place) / "adapter_config.json").is_file():
            raise WeightsError(
                f"{name!r} is an adapter (adapter_config.json), which changes another model. Merge the two "
                "(merge_and_unload of PEFT), save the result, and give its folder."
            )
        model = load_transformer(place, local, part)
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=local, trust_remote_code=False)
        except Exception as error:  # files that are missing, damaged, or of a format that needs another package
            raise WeightsError(
                f"cannot read the tokenizer of the text encoder {name!r}: {first_line(error)}. It should "
                "have a tokenizer.json; some older formats need packages: pip install sentencepiece tiktoken protobuf."
            ) from error
        # The encoder of an encoder-decoder has no token for whole texts.
        return Pretrained(model, tokenizer, ReadingRules(pooling="first" if whole else "mean"))

    holds = "config.json, a tokenizer and model.safetensors (pickled .bin weights are refused)"
    return load_named(name, "text encoder", holds=holds, instead=_INSTEAD, load=load)


def _reader(model: Any) -> Any:
    """Return what reads words in a transformer, without parts that would be saved and never trained."""
    parts = (getattr(model, "encoder", None), getattr(model, "decoder", None))
    if all(isinstance(part, nn.Module) for part in parts):  # T5, BART and others, which write text too
        model = parts[0]
    if getattr(model, "pooler", None) is not None:
        model.pooler = nn.Identity()  # not None: some transformers call theirs without asking whether they have one
    return model


def _on_trial(name: str, pretrained: Pretrained) -> EncoderCheck:
    """Return the check of a text encoder, which reads it as models that read tokens do."""
    model = pretrained.model

    def states(ids: Tensor, lengths: Tensor) -> Tensor:
        # As trainable as it was loaded: a run may be about to train it.
        return TransformerEncoder(model, finetune=True, tokens=True).eval().states(ids, lengths)

    return EncoderCheck(name, model, pretrained.tokenizer, states)


def tokenise(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Return the token ids of each text with its special tokens, cut to ``max_tokens``; none for a blank text."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False)["input_ids"]
    blank = np.empty(0, dtype=np.int64)
    return [
        blank if is_blank(text) else np.asarray(ids, dtype=np.int64) for ids, text in zip(encoded, texts, strict=True)
    ]


def words_of_tokens(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Return, per text, the number of each token's word; words are separated by blanks, tokens are as in ``tokenise``.

    Tokens that are not part of a word, at the beginning and end, get the number of the nearest word.

    Raises:
        SettingsError: if the tokenizer does not report the positions of its tokens in the text.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise SettingsError(
            ["text.encoder: its tokenizer does not report which word a token belongs to; use align=pool"]
        )
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False, return_offsets_mapping=True)
    spans = [np.array(offsets, dtype=np.int64).reshape(-1, 2) for offsets in encoded["offset_mapping"]]
    return [_words(text, offsets) for text, offsets in zip(texts, spans, strict=True)]


def _words(text: str, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if is_blank(text):
        return np.empty(0, dtype=np.int64)
    begins = np.array([match.start() for match in re.finditer(r"\S+", text)])
    # By the token's last letter: some tokenizers count the blank before a word as part of it.
    words = np.searchsorted(begins, spans[:, 1] - 1, side="right") - 1
    real = np.flatnonzero(spans[:, 1] > spans[:, 0])
    if not len(real):
        return np.zeros(len(spans), dtype=np.int64)
    nearest = real[np.abs(np.arange(len(spans))[:, None] - real).argmin(axis=1)]
    return words[nearest].clip(0)  # type: ignore[no-any-return]


class TransformerEncoder(Encoder):
    """F_t: one vector of the last layer of a pretrained transformer, or all of its tokens.

    Input: token ids (B, L) int64 and lengths (B,) int64; padding is masked. Output: (B, ``dim``), or with ``tokens``
    (B, L, ``dim``) with zeros beyond the lengths. The input may also be what ``states`` returned earlier, (B, L,
    ``width``) float with L = 1 unless ``tokens``; then the transformer does not run.

    Args:
        finetune: train the transformer; otherwise it does not change and stays in evaluation mode.
        recompute: save memory in training by computing each layer a second time for the backward pass.
        tokens: return all tokens, not one vector.
        pooling: of which tokens the one vector is made.
        weighted: read a weighted sum of all layers instead of the last one. Its weights are trained even if the
            transformer is not.
        inside: the model calls ``embed`` and ``read``, with something to learn between them.

    Attributes:
        width: size of each state: ``dim``, with ``weighted`` once for the first layer's input and each layer.
        pair: how the words before a clip precede its own in the ids, so that a mean is taken over its own; None: there
            are none.

    Raises:
        SettingsError: if this transformer does not support ``recompute``, ``inside`` or ``weighted``.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        finetune: bool,
        recompute: bool = False,
        tokens: bool = False,
        inside: bool = False,
        pooling: Pooling = "first",
        weighted: bool = False,
    ) -> None:
        super().__init__()
        config: Any = model.config
        self.model, self.dim = model, int(config.hidden_size)
        self.tokens, self.finetune, self.pooling = tokens, finetune, pooling
        self._learns = finetune or inside  # a gradient passes through, even if the encoder itself is not trained
        self.recompute = recompute and self._learns
        self.pair: Pair | None = None
        self.model.requires_grad_(finetune)
        self._packs = can_pack(model)
        self.mix = LayerMix(_layers_of(config) + 1) if weighted else None
        self.width = self.dim if self.mix is None else self.dim * len(self.mix.logits)
        if inside and not self._packs:
            self._refuse_inside()
        if self.recompute and not self._packs:
            self._let_it_recompute()

    def complete(self) -> None:
        """Use the whole model of transformers from now on, also where a part of it would do."""
        if isinstance(self.model, LightBert):
            self.model = self.model.whole

    def train(self, mode: bool = True) -> TransformerEncoder:
        super().train(mode)
        if not self.finetune:
            self.model.eval()
        return self

    def kept_bytes(self, length: int) -> int:
        if not self._learns:
            return 0
        config: Any = self.model.config
        wide, heads = int(config.hidden_size), int(getattr(config, "num_attention_heads", 1))
        between = int(getattr(config, "intermediate_size", 4 * wide))
        # The inputs of linear layers, LayerNorms, dropouts and the activation; and those of the attention, twice.
        layer = length * (12 * wide + 3 * between) + 3 * heads * length**2
        layers = int(getattr(config, "num_hidden_layers", 12))
        return 4 * (layers * length * wide + layer if self.recompute else layers * layer)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        if values.is_floating_point():
            return self._mixed(values if self.tokens else values[:, 0])
        return self._mixed(self.states(values, lengths))

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, ``width``), or with ``tokens`` (B, L, ``width``): the output before layers are weighted."""
        lengths = lengths.clamp(min=1)  # without any position, attention would divide by zero
        own = self.own(ids, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.finetune):
            if self._packs:
                first = self.pooling == "first" and not self.tokens and self.mix is None
                outputs = all_layers if self.mix is not None else first_tokens if first else all_tokens
                states = outputs(self.model, ids, lengths, recompute=self.recompute and self.training)
                return states if first or self.tokens else pool(states, lengths, self.pooling, own)
            mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
            hidden = self._hidden(input_ids=ids, attention_mask=mask.long())
            return hidden * mask[:, :, None] if self.tokens else pool(hidden, lengths, self.pooling, own)

    def own(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """Return which tokens are the clip's own, not its context's, (B, L) bool; None if all are."""
        return None if self.pair is None else self.pair.own(ids, lengths)

    def plain(self, lengths: Tensor, own: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Return F_t (B, ``dim``) for ``inputs`` of the transformer's own forward pass, which is not packed.

        For inputs that are not token ids, ``own`` is the output of :meth:`own` for the ids that they come from.
        """
        return self._mixed(self.plain_states(lengths, own, **inputs))

    def plain_states(self, lengths: Tensor, own: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Return (B, ``width``) as ``states`` does, for the arguments of ``plain``."""
        if "input_ids" in inputs:
            own = self.own(inputs["input_ids"], lengths)
        return pool(self._hidden(**inputs), lengths, self.pooling, own)

    def _hidden(self, **inputs: Tensor) -> Tensor:
        if self.mix is None:
            last: Tensor = self.model(**inputs, return_dict=True).last_hidden_state
            return last
        outputs = self.model(**inputs, return_dict=True, output_hidden_states=True)
        return torch.cat(outputs.hidden_states, dim=-1)

    def _mixed(self, states: Tensor) -> Tensor:
        return states if self.mix is None else self.mix(states)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the first layer's input (B, L, ``dim``) for token ids (B, L), padding included."""
        return embeddings(self.model, ids)

    def read(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Return F_t (B, ``dim``) if the first layer reads ``embedded`` (B, L, ``dim``), a changed output of ``embed``.

        ``lengths`` is (B,) int64. Gradients pass through, whether the encoder is trained or not.
        """
        recompute, lengths = self.recompute and self.training, lengths.clamp(min=1)
        if self.pooling == "first" and self.mix is None:
            return first_of_embedded(self.model, embedded, lengths, recompute=recompute)
        states_of = tokens_of_embedded if self.mix is None else layers_of_embedded
        states = states_of(self.model, embedded, lengths, recompute=recompute)
        return self._mixed(pool(states, lengths, self.pooling))

    def train_words(self, ids: Tensor) -> None:
        """Train the embeddings of the words of ``ids`` (n,) int64 only, until ``complete_words``; for a CPU."""
        if self._packs and self.finetune:
            train_word_rows(self.model, torch.unique(ids).long())

    def complete_words(self) -> None:
        """Put the trained embeddings back among all others."""
        complete_word_rows(self.model)

    def _refuse_inside(self) -> None:
        kind = self.model.config.model_type  # type: ignore[union-attr]
        raise SettingsError(
            [
                f"text.encoder: this model works inside the text encoder, which must be one of {FAMILIES} with "
                f"absolute positions, and this one is {kind}; choose minilm or another of these, or another model"
            ]
        )

    def _let_it_recompute(self) -> None:
        if not getattr(self.model, "supports_gradient_checkpointing", False):
            raise SettingsError(["text.recompute = true: this text encoder cannot compute its layers a second time"])
        enable: Any = self.model.gradient_checkpointing_enable
        enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _layers_of(config: Any) -> int:
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(layers, int):
        raise SettingsError([f"text.layer = weighted: a {config.model_type} does not say how many layers it has"])
    return layers


def check_max_tokens(pretrained: Pretrained, max_tokens: int) -> None:
    """Raise ``SettingsError`` if ``max_tokens`` exceeds the positions of the encoder, or leaves no room for a word."""
    marks = len(pretrained.tokenizer("")["input_ids"])
    if max_tokens <= marks:
        raise SettingsError([f"text.max_tokens = {max_tokens}: this text encoder adds {marks} tokens to each text"])
    limit = most_tokens(pretrained.model)
    if limit is not None and max_tokens > limit:
        raise SettingsError([f"text.max_tokens = {max_tokens}: this text encoder reads {limit} tokens at most"])
