"""How texts are read: pooling against transformers' padded forward, layers, and capitals for cased encoders only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

import selfmm
from models.test_packed import SMALL, batch, small
from models.worlds import as_on_an_accelerator
from selfmm.api import train
from selfmm.config.settings import TextSettings
from selfmm.core import weights
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.models.reading import ReadingRules, is_cased
from selfmm.models.text import TransformerEncoder, load_architecture, load_pretrained, text_encoder

QUICK = ["training.max_epochs=1", "training.device=cpu", "training.patience=1"]


def mean(model: Any, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Clip by clip, without any padding."""
    return torch.stack(
        [
            model(input_ids=row[None, :length]).last_hidden_state[0].mean(dim=0)
            for row, length in zip(ids, lengths.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_mean_over_the_tokens_and_its_gradients(
    layout: str, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if layout == "padded":
        as_on_an_accelerator(monkeypatch)
    ids, lengths = batch()
    gradients = []
    for ours in (True, False):
        model = small("Bert").eval()
        encoder = TransformerEncoder(model, finetune=True, recompute=recompute, pooling="mean").train()
        model.eval()
        out = encoder(ids, lengths) if ours else mean(model, ids, lengths)
        (out * torch.arange(24)).sum().backward()
        gradients.append([out.detach(), *(p.grad.to_dense() for p in model.parameters() if p.grad is not None)])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_other_families_have_the_same_mean() -> None:
    model = small("DebertaV2").eval()
    ids, lengths = batch()
    encoder = TransformerEncoder(model, finetune=True, pooling="mean").eval()
    torch.testing.assert_close(encoder(ids, lengths), mean(model, ids, lengths), atol=1e-5, rtol=1e-5)
    frozen = TransformerEncoder(model, finetune=False, pooling="mean").eval()
    torch.testing.assert_close(frozen(ids, lengths), mean(model, ids, lengths), atol=1e-5, rtol=1e-5)


def test_a_model_inside_the_encoder_gets_the_mean() -> None:
    ids, lengths = batch()
    encoder = TransformerEncoder(small("Bert"), finetune=False, inside=True, pooling="mean").eval()
    torch.testing.assert_close(
        encoder.read(encoder.embed(ids), lengths), mean(encoder.model, ids, lengths), atol=1e-5, rtol=1e-5
    )


def test_a_layer_is_the_hidden_state_after_it(tmp_path: Path) -> None:
    model = small("Bert").eval()
    folder = saved(tmp_path / "encoder", model)
    ids, lengths = batch()
    states = model(ids[2:3], output_hidden_states=True).hidden_states
    for layer in (1, 2, 3):
        pretrained = text_encoder(TextSettings(encoder=folder, layer=layer, max_tokens=20))
        encoder = TransformerEncoder(pretrained.model, finetune=False, tokens=True).eval()
        torch.testing.assert_close(encoder(ids[2:3], lengths[2:3]), states[layer], atol=1e-5, rtol=1e-5)
        run = tmp_path / f"run{layer}"
        run.mkdir()
        pretrained.save(run)
        again = load_architecture(run).model.state_dict()
        assert again.keys() == pretrained.model.state_dict().keys()
    with pytest.raises(SettingsError, match="this text encoder has 3 layers"):
        text_encoder(TextSettings(encoder=folder, layer=4, max_tokens=20))


def test_an_encoder_whose_layers_are_not_a_list(tmp_path: Path) -> None:
    config = transformers.AlbertConfig(**SMALL, embedding_size=12)
    folder = saved(tmp_path / "encoder", transformers.AlbertModel(config))
    with pytest.raises(SettingsError, match="layers of a albert cannot be removed"):
        text_encoder(TextSettings(encoder=folder, layer=1, max_tokens=20))


def saved(folder: Path, model: Any, *, lower: bool = True) -> str:
    """Save a model with a tokenizer whose words are in both cases."""
    model.save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "The", "plot", "was", "great", "GREAT", "!"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=lower).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def cased(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("cased") / "encoder", small("Bert"), lower=False)


def test_the_tokenizer_tells_whether_it_is_cased(cased: str, tiny_encoder: str) -> None:
    assert is_cased(load_pretrained(cased).tokenizer)
    assert not is_cased(load_pretrained(tiny_encoder).tokenizer)


@pytest.mark.parametrize("name", ["minilm", "mpnet"])
def test_the_english_encoders_read_as_before(name: str) -> None:
    if weights.find(name) is None:
        pytest.skip(f"the weights {name} are not on this machine: selfmm weights get {name}")
    assert text_encoder(TextSettings(encoder=name)).rules == ReadingRules("first", "keep")


def test_text_in_capitals_is_lower_case_for_a_cased_encoder(cased: str) -> None:
    shouted, plain = "THE PLOT WAS GREAT!", "the plot was great!"
    pretrained = text_encoder(TextSettings(encoder=cased, max_tokens=20))
    assert ids(pretrained, shouted) == ids(pretrained, plain)
    assert ids(pretrained, "The plot was GREAT!") != ids(pretrained, plain)
    assert pretrained.words_of_tokens([shouted], 20)[0].tolist() == [0, 0, 1, 2, 3, 3, 3]
    kept = text_encoder(TextSettings(encoder=cased, max_tokens=20, capitals="keep"))
    assert ids(kept, shouted) != ids(kept, plain)


def test_an_uncased_encoder_reads_capitals_as_they_are(tiny_encoder: str) -> None:
    pretrained = text_encoder(TextSettings(encoder=tiny_encoder, max_tokens=20))
    assert pretrained.rules.capitals == "keep"
    assert ids(pretrained, "THE PLOT WAS GREAT!") == ids(pretrained, "the plot was great!")


def ids(pretrained: Any, text: str) -> list[int]:
    found: list[int] = pretrained.tokenise([text], 20)[0].tolist()
    return found


def test_a_folder_without_rules_is_read_as_ever(cased: str, tmp_path: Path) -> None:
    pretrained = text_encoder(TextSettings(encoder=cased, max_tokens=20, pooling="mean"))
    pretrained.save(tmp_path)
    assert load_architecture(tmp_path).rules == ReadingRules("mean", "lower") == pretrained.rules
    (tmp_path / "reading.json").unlink()
    assert load_architecture(tmp_path).rules == ReadingRules("first", "keep")
    (tmp_path / "reading.json").write_text('{"pooling": "median"}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"cannot read .*reading\.json.*damaged"):
        load_architecture(tmp_path)


@pytest.fixture(scope="module")
def shouted(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The planted clips with all texts in capitals."""
    folder = tmp_path_factory.mktemp("shouted") / "data"
    shutil.copytree(planted.path, folder)
    table = pd.read_parquet(folder / "samples.parquet")
    table["text"] = table["text"].str.upper()
    table.to_parquet(folder / "samples.parquet", index=False)
    return selfmm.open_dataset(folder)


@pytest.mark.parametrize("finetune", [True, False])
def test_a_run_on_capitals_scores_as_one_on_small_letters(
    finetune: bool, planted: Dataset, shouted: Dataset, cased_planted: str, tmp_path: Path
) -> None:
    chosen = [*QUICK, f"text.finetune={str(finetune).lower()}", "text.pooling=mean", "text.max_tokens=30"]
    small_letters = replace(planted, samples=planted.samples.assign(text=planted.samples["text"].str.lower()))
    run = train(shouted, text_encoder=cased_planted, overrides=chosen, out=tmp_path / "run")
    ours, theirs = run.score(shouted)["score"], run.score(small_letters)["score"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    [note] = [note for note in run.notes if "capitals" in note]
    assert note.startswith("The text of 150 clips of 150 is mostly capitals.")
    again = selfmm.load(tmp_path / "run")
    np.testing.assert_allclose(again.score(shouted)["score"], ours, atol=1e-5)
    other = train(
        shouted, text_encoder=cased_planted, overrides=[*chosen, "text.capitals=keep"], out=tmp_path / "other"
    )
    assert not [note for note in other.notes if "capitals" in note]
    assert not np.allclose(other.score(small_letters)["score"], ours, atol=1e-3)


@pytest.fixture(scope="module")
def cased_planted(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny encoder with a tokenizer that tells capitals from small letters."""
    folder = tmp_path_factory.mktemp("cased_planted") / "encoder"
    shutil.copytree(tiny_encoder, folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    return str(folder)


def test_the_explanation_shows_the_text_as_it_is(shouted: Dataset, cased_planted: str, tmp_path: Path) -> None:
    overrides = [*QUICK, "text.pooling=mean", "text.max_tokens=30"]
    run = train(shouted, text_encoder=cased_planted, overrides=overrides, out=tmp_path / "run")
    explanation = explain(run, shouted, 0)
    assert explanation.text == shouted.samples["text"][0]
    assert all(word.word == word.word.upper() for word in explanation.words)
    [text] = [part for part in explanation.contributions if part.modality == "text"]
    assert abs(text.gap) < 0.02


def mixed(model: Any, ids: torch.Tensor, lengths: torch.Tensor, logits: torch.Tensor, pooling: str) -> torch.Tensor:
    """The weighted sum of all layers clip by clip, without any padding, layer by layer."""
    share = logits.exp() / logits.exp().sum()
    clips = []
    for row, length in zip(ids, lengths.tolist(), strict=True):
        layers = model(input_ids=row[None, :length], output_hidden_states=True).hidden_states
        tokens: Any = sum(float(share[number]) * states[0] for number, states in enumerate(layers))
        clips.append(tokens if pooling == "tokens" else tokens[0] if pooling == "first" else tokens.mean(dim=0))
    return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True) if pooling == "tokens" else torch.stack(clips)


@pytest.mark.parametrize("layout", ["packed", "padded", "another family"])
@pytest.mark.parametrize("pooling", ["first", "mean", "tokens"])
def test_the_weighted_sum_of_the_layers(layout: str, pooling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if layout == "padded":
        as_on_an_accelerator(monkeypatch)
    model = small("DebertaV2" if layout == "another family" else "Bert").eval()
    ids, lengths = batch()
    how: Any = {"tokens": True} if pooling == "tokens" else {"pooling": pooling}
    encoder = TransformerEncoder(model, finetune=False, weighted=True, **how).eval()
    assert encoder.mix is not None
    assert (encoder.dim, encoder.width) == (24, 4 * 24)
    for logits in (torch.zeros(4), torch.tensor([1.0, -2.0, 0.5, 0.0])):
        encoder.mix.logits.data.copy_(logits)
        expected = mixed(model, ids, lengths, logits, pooling)
        out = encoder(ids, lengths)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
        states = encoder.states(ids, lengths)  # as they are cached
        assert not states.requires_grad
        again = encoder(states if pooling == "tokens" else states[:, None], lengths)
        torch.testing.assert_close(again, out)
    out.square().sum().backward()
    assert encoder.mix.logits.grad is not None
    assert encoder.mix.logits.grad.abs().min() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_inside_the_encoder_gets_the_weighted_sum() -> None:
    ids, lengths = batch()
    encoder = TransformerEncoder(small("Bert"), finetune=False, inside=True, weighted=True).eval()
    torch.testing.assert_close(
        encoder.read(encoder.embed(ids), lengths),
        mixed(encoder.model, ids, lengths, torch.zeros(4), "first"),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.fixture(scope="module")
def deep(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny encoder with three layers."""
    folder = tmp_path_factory.mktemp("deep") / "encoder"
    shutil.copytree(tiny_encoder, folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = 3
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("model", "finetune"), [("lf_dnn", False), ("lf_dnn", True), ("mult", False)])
def test_a_run_learns_the_weights_of_the_layers(
    model: str, finetune: bool, planted: Dataset, deep: str, tmp_path: Path
) -> None:
    chosen = [*QUICK, f"text.finetune={str(finetune).lower()}", "text.layer=weighted", "text.max_tokens=30"]
    chosen += ["fusion.lr=0.01"]
    run = train(planted, model=model, text_encoder=deep, overrides=chosen, out=tmp_path / "run")
    mix = run.assembly.model.encoders["text"].mix
    assert len(mix.logits) == 4  # type: ignore[union-attr, arg-type]
    assert mix.logits.abs().min() > 1e-4  # type: ignore[union-attr, operator]
    again = selfmm.load(tmp_path / "run")
    np.testing.assert_allclose(again.score(planted)["score"], run.predictions["score"], atol=1e-5)


def test_an_explanation_of_weighted_layers_adds_up(planted: Dataset, deep: str, tmp_path: Path) -> None:
    chosen = [*QUICK, "text.layer=weighted", "text.max_tokens=30", "modalities=text"]
    run = train(planted, model="lf_dnn", text_encoder=deep, overrides=chosen, out=tmp_path / "run")
    explanation = explain(run, planted, 0)
    [text] = [part for part in explanation.contributions if part.modality == "text"]
    assert abs(text.gap) < 0.02
    assert explanation.score == pytest.approx(run.score(planted)["score"][0], abs=1e-5)
