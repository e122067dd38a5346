"""Tiny text encoders of every family, as transformers saves them: random weights, and a tokenizer of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDS = (
    *("the", "a", "plot", "acting", "was", "great", "awful", "dull", "wonderful", "film"),
    *("i", "you", "not", "very", "so", "good", "bad", "and", "but", ",", ".", "!"),
)
TEXTS = ("the plot was great", "the acting was awful, dull and very very bad!", "wonderful")

_IDS: dict[str, Any] = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    **_IDS,
}
_BOTH: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "decoder_start_token_id": 2,
    **_IDS,
}
_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 1, **_IDS}

FAMILIES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    # name: class of the configuration, its values, where the tokenizer puts <s> and </s>, the natural pooling
    "bert": ("BertConfig", SIZES, "around", "first"),
    "bert_decoder": ("BertConfig", {**SIZES, "is_decoder": True}, "around", "last"),
    "roberta": ("RobertaConfig", {**SIZES, "max_position_embeddings": 50}, "around", "first"),
    "electra": ("ElectraConfig", {**SIZES, "embedding_size": 16}, "around", "first"),
    "albert": ("AlbertConfig", {**SIZES, "embedding_size": 16}, "around", "first"),
    "distilbert": (
        "DistilBertConfig",
        {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, **_IDS},
        "around",
        "first",
    ),
    "mpnet": ("MPNetConfig", {**SIZES, "max_position_embeddings": 50}, "around", "first"),
    "deberta": (
        "DebertaV2Config",
        {**SIZES, "relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]},
        "around",
        "first",
    ),
    "modernbert": (
        "ModernBertConfig",
        {**SIZES, "global_attn_every_n_layers": 2, "cls_token_id": 0, "sep_token_id": 2},
        "around",
        "first",
    ),
    "xlnet": ("XLNetConfig", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, **_IDS}, "behind", "last"),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128, **_IDS}, "", "last"),
    "llama": ("LlamaConfig", {**SIZES, "num_key_value_heads": 2}, "before", "last"),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 2, **_IDS}, "", "last"),
    "t5": ("T5Config", _T5, "after", "mean"),
    "mt5": ("MT5Config", _T5, "after", "mean"),
    "bart": ("BartConfig", _BOTH, "around", "mean"),
    "pegasus": ("PegasusConfig", _BOTH, "after", "mean"),
}


def tokenizer(marks: str = "around", words: tuple[str, ...] = WORDS) -> Any:
    """Return a tokenizer of ``words`` with special tokens ``around``, ``before``, ``after`` or ``behind`` a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend: Any = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate((*SPECIAL, *words))}, unk_token="<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    template = {"around": "<s> $A </s>", "before": "<s> $A", "after": "$A </s>", "behind": "$A </s> <s>"}.get(marks)
    if template:
        backend.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    if marks in ("around", "behind"):
        names |= {"cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def model(family: str, **changes: Any) -> Any:
    """Return a transformer of a family with random weights, always the same ones."""
    import transformers

    name, values, *_ = FAMILIES[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModel.from_config(getattr(transformers, name)(**{**values, **changes}))


def write(folder: Path, family: str, **changes: Any) -> Path:
    """Write an encoder of a family, with ``changes`` to its configuration; return the folder."""
    model(family, **changes).save_pretrained(folder)
    tokenizer(FAMILIES[family][2]).save_pretrained(folder)
    return folder
