"""Text encoders of every family: read rightly, or refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import selfmm
from models.foreign import FAMILIES, SIZES, TEXTS, WORDS, model, tokenizer, write
from selfmm.config.settings import TextSettings
from selfmm.core.errors import SelfmmError, SettingsError, WeightsError
from selfmm.core.tensors import load_tensors, save_tensors
from selfmm.data.store import Dataset
from selfmm.models.encoder_check import most_tokens
from selfmm.models.text import Pretrained, TransformerEncoder, load_architecture, text_encoder


def loaded(folder: Path, **settings: Any) -> Pretrained:
    return text_encoder(TextSettings(encoder=str(folder), **{"max_tokens": 40, **settings}))


def vectors(pretrained: Pretrained, texts: tuple[str, ...]) -> Tensor:
    """The vectors of texts in one batch, padded as in training: with zeros."""
    ids = [torch.from_numpy(each) for each in pretrained.tokenise(texts, 40)]
    lengths = torch.tensor([len(each) for each in ids])
    encoder = TransformerEncoder(pretrained.model, finetune=False, pooling=pretrained.rules.pooling).eval()
    pooled: Tensor = encoder(torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), lengths)
    return pooled


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_pooled_as_its_architecture_asks(family: str, tmp_path: Path) -> None:
    pretrained = loaded(write(tmp_path / "encoder", family))
    assert pretrained.rules.pooling == FAMILIES[family][3]
    together = vectors(pretrained, TEXTS)
    assert together.shape == (3, 32)
    for number, text in enumerate(TEXTS):
        torch.testing.assert_close(vectors(pretrained, (text,))[0], together[number], atol=1e-5, rtol=1e-4)
    for others in (("a plot was great",), ("the plot was awful",), ("the film was great",)):
        assert not torch.allclose(vectors(pretrained, others)[0], together[0], atol=1e-4), "each word counts"


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_the_same_after_a_round_trip(family: str, tmp_path: Path) -> None:
    """Saved without shared tensors, loaded without a random number, in particular without ModernBERT's endless ones."""
    pretrained = loaded(write(tmp_path / "encoder", family))
    pretrained.save(tmp_path)
    save_tensors(tmp_path / "stored.safetensors", pretrained.model.state_dict())
    before = torch.get_rng_state()
    again = load_architecture(tmp_path, load_tensors(tmp_path / "stored.safetensors"))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.rules == pretrained.rules
    torch.testing.assert_close(vectors(again, TEXTS), vectors(pretrained, TEXTS), atol=1e-6, rtol=1e-5)
    empty = load_architecture(tmp_path)
    empty.model.load_state_dict(load_tensors(tmp_path / "stored.safetensors"))
    torch.testing.assert_close(vectors(empty, TEXTS), vectors(pretrained, TEXTS), atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["modernbert", "gpt2", "t5", "xlnet"])
def test_a_run_of_a_foreign_family(family: str, planted: Dataset, tmp_path: Path) -> None:
    folder = write(tmp_path / "encoder", family)
    overrides = ["training.max_epochs=1", "text.max_tokens=40", "model=lf_dnn"]
    run = selfmm.train(planted, text_encoder=str(folder), overrides=overrides, out=tmp_path / "run")
    assert run.assembly.pretrained is not None
    assert run.assembly.pretrained.rules.pooling == FAMILIES[family][3]
    one, other = (float(run.predict(text=text)["score"][0]) for text in ("the plot was great", "the plot was awful"))
    assert one != other


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def with_strange_words(folder: Path) -> None:
    """Its entries can never be found: the text is lower-cased first."""
    content = json.loads((folder / "tokenizer.json").read_text())
    content["normalizer"] = {"type": "Lowercase"}
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {w if w.startswith("<") else w.upper(): n for w, n in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def with_more_words(folder: Path) -> None:
    tokenizer(words=(*WORDS, *(f"word{n}" for n in range(50)))).save_pretrained(folder)


def with_weights(change: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    def write_them(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_tensors(path, {name: change(value) for name, value in load_tensors(path).items()})

    return write_them


def with_a_layer_more(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "num_hidden_layers": 3}))


def with_a_damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_tokenizer, r"knows no words: it has 5 entries.*must hold the tokenizer"),
        (with_strange_words, r"knows no words: it has 27 entries"),
        (with_more_words, r"its ids go up to 76 \('word49'\), and the weights have rows for 27 words"),
        (with_weights(torch.zeros_like), r"\(a bert model\).*gives different sentences the same states"),
        (with_weights(lambda value: value * torch.nan), r"states that are not finite"),
        (
            with_a_layer_more,
            r"16 of the 53 tensors.* are missing or have another size, the first is 'encoder\.layer\.2\.",
        ),
        (with_a_damaged_tokenizer, r"cannot read the tokenizer of the text encoder"),
    ],
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else "",
)
def test_a_folder_that_does_not_read_words(change: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "encoder", "bert")
    change(folder)
    with pytest.raises(WeightsError, match=says):
        loaded(folder)


def test_a_text_encoder_that_reads_padding(tmp_path: Path) -> None:
    """FNet mixes all positions, those of padding too."""
    from transformers import FNetConfig, FNetModel

    config = FNetConfig(vocab_size=27, hidden_size=32, num_hidden_layers=2, intermediate_size=64, pad_token_id=1)
    FNetModel(config).save_pretrained(tmp_path / "encoder")
    tokenizer().save_pretrained(tmp_path / "encoder")
    with pytest.raises(WeightsError, match=r"\(a fnet model\) cannot be used as a text encoder"):
        loaded(tmp_path / "encoder")


@pytest.mark.parametrize("kind", ["ViT", "Wav2Vec2", "Whisper", "CLIP"])
def test_a_model_that_reads_something_else(kind: str, tmp_path: Path) -> None:
    import transformers

    small: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    sizes: dict[str, dict[str, Any]] = {
        "ViT": {**small, "image_size": 32, "patch_size": 16},
        "Wav2Vec2": {**small, "num_conv_pos_embedding_groups": 2, "num_conv_pos_embeddings": 4},
        "Whisper": {
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "vocab_size": 60,
            "num_mel_bins": 8,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "pad_token_id": 1,
            "bos_token_id": 1,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        "CLIP": {"text_config": small, "vision_config": {**small, "image_size": 32, "patch_size": 16}},
    }
    config = getattr(transformers, f"{kind}Config")(**sizes[kind])
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path / "encoder")
    tokenizer().save_pretrained(tmp_path / "encoder")
    with pytest.raises(WeightsError, match=r"cannot be used as a text encoder: it (cannot read|gives)"):
        loaded(tmp_path / "encoder")


def test_a_weights_file_of_the_encoder_alone(tmp_path: Path) -> None:
    """T5 without its decoder, as T5EncoderModel saves it: the decoder is not used, so it is not missed."""
    from transformers import T5EncoderModel

    folder = write(tmp_path / "encoder", "t5")
    whole = loaded(folder)
    T5EncoderModel.from_pretrained(folder).save_pretrained(folder)
    torch.testing.assert_close(vectors(loaded(folder), TEXTS), vectors(whole, TEXTS))


@pytest.mark.parametrize(("family", "most"), [("roberta", 48), ("mpnet", 48), ("gpt2", 128), ("bart", 128)])
def test_as_many_tokens_as_there_are_positions(family: str, most: int, tmp_path: Path) -> None:
    folder = write(tmp_path / "encoder", family)
    pretrained = loaded(folder, max_tokens=most)
    states = TransformerEncoder(pretrained.model, finetune=False).eval()(torch.full((1, most), 7), torch.tensor([most]))
    assert states.isfinite().all()
    with pytest.raises(SettingsError, match=f"max_tokens = {most + 1}: this text encoder reads {most} tokens at most"):
        loaded(folder, max_tokens=most + 1)


@pytest.mark.parametrize("family", ["xlnet", "t5", "bloom"])
def test_no_limit_where_positions_are_relative(family: str, tmp_path: Path) -> None:
    assert most_tokens(model(family)) is None
    loaded(write(tmp_path / "encoder", family), max_tokens=2000)


def test_a_limit_that_only_trying_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfmm.models.text.most_tokens", lambda _: None)
    with pytest.raises(SettingsError, match=r"max_tokens = 60: the text encoder .* reads 48 tokens at most"):
        loaded(write(tmp_path / "encoder", "roberta"), max_tokens=60)


def test_the_first_token_of_a_causal_encoder_says_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "encoder", "gpt2")
    with pytest.raises(SettingsError, match=r"text\.pooling = 'first': .*use auto, last or mean"):
        loaded(folder, pooling="first")
    assert loaded(folder, pooling="mean").rules.pooling == "mean"


def test_a_run_of_another_version_is_not_continued_in_another_way(planted: Dataset, tmp_path: Path) -> None:
    folder = write(tmp_path / "encoder", "gpt2")
    overrides = ["training.max_epochs=1", "text.max_tokens=40", "model=lf_dnn", "modalities=text"]
    out = tmp_path / "run"
    selfmm.train(planted, text_encoder=str(folder), overrides=overrides, out=out)
    info = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**info, "status": "training"}))
    rules = out / "text_encoder" / "reading.json"
    rules.write_text(rules.read_text().replace("last", "first"))
    with pytest.raises(SelfmmError, match=r"reads the first token of this text encoder, and this one reads the last"):
        selfmm.train(planted, text_encoder=str(folder), overrides=overrides, out=out, resume=True)


@pytest.mark.parametrize("kind", ["SqueezeBert", "LayoutLM"])
def test_a_transformer_that_always_calls_its_pooler(kind: str, tmp_path: Path) -> None:
    import transformers

    sizes = {**SIZES, "embedding_size": 32} if kind == "SqueezeBert" else SIZES
    getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes)).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    pretrained = loaded(tmp_path)
    assert not [name for name in pretrained.model.state_dict() if "pooler" in name]
    assert vectors(pretrained, TEXTS).shape == (3, 32)


def test_a_tokenizer_that_drops_most_words(tmp_path: Path) -> None:
    """Two words are known, which is enough to tell sentences apart; the others are dropped or unknown."""
    folder = write(tmp_path / "encoder", "bert")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["normalizer"] = {"type": "Replace", "pattern": {"Regex": "[b-z]"}, "content": ""}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"(reads only \d+ of \d+ words of its own vocabulary|knows no words)"):
        loaded(folder)
