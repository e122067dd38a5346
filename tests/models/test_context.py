"""Context in the token ids: before the clip's own, cut from the far past, and told from them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import selfmm
from conftest import QUICK
from selfmm.config.settings import TextSettings, load_settings
from selfmm.core.errors import DatasetError, SettingsError
from selfmm.data.context import with_earlier
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.models import MODELS, find_model
from selfmm.models.assembly import Assembly, assemble
from selfmm.models.context import Pair, with_context
from selfmm.models.text import Pretrained, TransformerEncoder, text_encoder, tokenise
from selfmm.runs.trained_model import texts_dataset

CLS, SEP, PLOT = 2, 3, "the plot was great"


@pytest.fixture(scope="module")
def pretrained(tiny_encoder: str) -> Pretrained:
    return text_encoder(TextSettings(encoder=tiny_encoder, max_tokens=20))


def words(tokenizer: Any, ids: Any) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(list(ids)))


def test_context_comes_first_and_a_clip_without_words_stays_without(pretrained: Pretrained) -> None:
    earlier = [["the cast", "", "was so bad"], [], ["the cast"], ["", " "]]
    ids = pretrained.tokenise([PLOT, PLOT, " ", PLOT], 20, earlier)
    assert words(pretrained.tokenizer, ids[0]) == "[CLS] the cast was so bad [SEP] the plot was great [SEP]"
    alone = pretrained.tokenise([PLOT], 20)[0]
    np.testing.assert_array_equal(ids[1], alone)
    np.testing.assert_array_equal(ids[3], alone)
    assert not len(ids[2])


def test_the_far_past_is_cut_and_never_the_clip(pretrained: Pretrained) -> None:
    tokenizer, own = pretrained.tokenizer, tokenise(pretrained.tokenizer, [PLOT], 6)
    [ids] = with_context(tokenizer, ["was the cast so bad"], own, 3, None)
    assert words(tokenizer, ids) == "[CLS] cast so bad [SEP] the plot was great [SEP]"
    [ids] = with_context(tokenizer, ["was the cast so bad"], own, 3, 8)
    assert words(tokenizer, ids) == "[CLS] bad [SEP] the plot was great [SEP]"
    for limit in (7, 6, 3):
        [ids] = with_context(tokenizer, ["was the cast so bad"], own, 3, limit)
        np.testing.assert_array_equal(ids, own[0])
    longest = pretrained.tokenise(["the " * 100], 40, [["plot " * 100]])[0]  # the encoder has 64 positions
    assert words(tokenizer, longest).split().count("the") == 38
    assert len(longest) == 64


def test_capitals_are_read_by_the_rules_of_each_text(pretrained: Pretrained) -> None:
    rules = replace(pretrained.rules, capitals="lower")
    shouted = replace(pretrained, rules=rules).tokenise([PLOT], 20, [["THE CAST", "was so bad"]])
    np.testing.assert_array_equal(shouted[0], pretrained.tokenise([PLOT], 20, [["the cast", "was so bad"]])[0])


@given(
    context=st.lists(st.integers(5, 20), max_size=9),
    own=st.lists(st.integers(5, 20) | st.just(SEP), max_size=9),
    limit=st.integers(2, 30) | st.none(),
    pair=st.sampled_from([Pair(1, (SEP,), 1), Pair(1, (SEP, SEP), 1), Pair(0, (SEP,), 2), Pair(3, (SEP,), 1)]),
)
def test_the_own_tokens_are_found_again(context: list[int], own: list[int], limit: int | None, pair: Pair) -> None:
    """Even if the words of the clip spell a special token."""
    first, last = [CLS] * pair.before, [SEP, CLS][: pair.after]
    ids = pair.join(context, np.array([*first, *own, *last]), limit)
    rows = torch.zeros(2, len(ids) + 4, dtype=torch.int64)
    rows[0, : len(ids)] = torch.from_numpy(ids)
    found = pair.own(rows, torch.tensor([max(len(ids), 1), 1]))
    assert rows[0, found[0]].tolist() == [*first, *(number for number in own if number != SEP), *last]
    if limit is not None and len(ids) > limit:
        assert int(found[0].sum()) == len(ids)  # then there is no context
    assert not found[0, len(ids) :].any()
    assert found[1].tolist()[1:] == [False] * (len(ids) + 3)


def test_a_tokenizer_that_does_not_mark_the_end_of_a_text_is_refused() -> None:
    def tokenizer(text: Any, pair: str = "", **_: Any) -> dict[str, Any]:
        return {"input_ids": [[7]] if isinstance(text, list) else [7, 7] if pair else [7]}

    with pytest.raises(SettingsError, match=r"text\.context: the tokenizer .* does not mark where a text ends"):
        Pair.of(tokenizer)


def test_a_tokenizer_that_is_not_made_for_two_texts() -> None:
    """As that of e5: two texts have no special tokens at all."""

    def tokenizer(text: Any, pair: str = "", **_: Any) -> dict[str, Any]:
        return {"input_ids": [[7]] if isinstance(text, list) else [7, 7] if pair else [CLS, 8, 7, SEP]}

    assert Pair.of(tokenizer) == Pair(2, (SEP,), 1)


def assembled(dataset: Dataset, encoder: str, *overrides: str) -> Assembly:
    torch.manual_seed(0)
    settings = load_settings(None, [*QUICK, f"text.encoder={encoder}", "text.context=2", *overrides])
    return assemble(dataset, settings)


@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
@pytest.mark.parametrize("layer", ["last", "weighted"])
def test_padding_and_the_frozen_encoding_change_nothing(
    planted: Dataset, tiny_encoder: str, pooling: str, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    overrides = ("text.finetune=false", f"text.pooling={pooling}", f"text.layer={layer}", "modalities=text")
    assembly = assembled(planted, tiny_encoder, *overrides)
    model, rows = assembly.model.eval(), np.arange(30)
    clips = assembly.maker(planted, rows)
    with torch.inference_mode():
        together = model(clips.make(rows)).fusion
        alone = torch.cat([model(clips.make(rows[row : row + 1])).fusion for row in rows])
        encoded = assembly.maker(planted, rows, assembly.encode_text(planted))
        frozen = model(encoded.make(rows)).fusion
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, frozen, atol=1e-5, rtol=0)


def test_the_mean_is_of_the_own_tokens_and_the_context_changes_it(planted: Dataset, tiny_encoder: str) -> None:
    assembly = assembled(planted, tiny_encoder, "text.pooling=mean", "modalities=text")
    encoder = assembly.model.encoders["text"].eval()
    assert isinstance(encoder, TransformerEncoder)
    assert encoder.pair == Pair(1, (SEP,), 1)
    clips = assembly.maker(planted, np.array([1]))
    stream = clips.stream("text", np.array([0]))
    ids = stream.values[0].tolist()
    place = ids.index(SEP)
    mask = torch.ones_like(stream.values)
    with torch.inference_mode():
        states = encoder.model(input_ids=stream.values, attention_mask=mask).last_hidden_state[0]
        own = torch.cat([states[:1], states[place + 1 :]])
        torch.testing.assert_close(encoder(stream.values, stream.lengths)[0], own.mean(dim=0), atol=1e-5, rtol=0)
        other = stream.values.clone()
        other[0, 1] = other[0, 2]
        assert not torch.allclose(encoder(other, stream.lengths), encoder(stream.values, stream.lengths), atol=1e-5)


def test_pooling_has_a_cached_encoding_of_its_own(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    assembly = assembled(planted, tiny_encoder, "text.finetune=false", "text.pooling=mean", "modalities=text")
    own = assembly.encode_text(planted)
    encoder = assembly.model.encoders["text"]
    assert isinstance(encoder, TransformerEncoder)
    encoder.pair = None
    everything = assembly.encode_text(planted)
    assert own is not None
    assert everything is not None
    assert not torch.allclose(torch.as_tensor(own.rows), torch.as_tensor(everything.rows), atol=1e-3)


@pytest.mark.parametrize("model", list(MODELS))
def test_models_that_read_token_by_token_are_refused(planted: Dataset, tiny_encoder: str, model: str) -> None:
    kind = find_model(model)
    settings = load_settings(
        None, [f"text.encoder={tiny_encoder}", "text.max_tokens=20", "text.context=1"], model=model
    )
    if kind.reads_tokens or kind.needs.aligned or kind.needs.inside:
        with pytest.raises(SettingsError, match=rf"text\.context = 1: {model} reads the text token by token"):
            assemble(planted, settings)
    else:
        assert assemble(planted, settings).settings.text.context == 1


def test_data_without_earlier_clips_or_without_an_order_are_refused(planted: Dataset, tiny_encoder: str) -> None:
    alone = replace(planted, samples=planted.samples.assign(video=planted.samples["id"]))
    with pytest.raises(SettingsError, match=r"text\.context = 2: no clip of .* has an earlier clip"):
        assembled(alone, tiny_encoder)
    unordered = replace(planted, samples=planted.samples.assign(id=planted.samples["id"] + "th"))
    with pytest.raises(DatasetError, match=r"order of the clips of 'video0000' .* is not known"):
        assembled(unordered, tiny_encoder)


def test_without_words_there_is_nothing_to_refuse(planted: Dataset) -> None:
    assert assembled(planted, "minilm", "modalities=audio").pretrained is None


@pytest.fixture(scope="module")
def run(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    overrides = [*QUICK, "training.max_epochs=1", "text.context=2", "text.pooling=mean"]
    return selfmm.train(
        planted, text_encoder=tiny_encoder, overrides=overrides, out=tmp_path_factory.mktemp("context") / "run"
    )


@pytest.mark.slow
def test_prediction_reads_as_training_does(run: Any, planted: Dataset) -> None:
    loaded = selfmm.load(run.folder.path)
    expected = run.predictions.set_index("id")["score"]
    table = loaded.predict(planted).set_index("id")
    np.testing.assert_allclose(table["score"], expected[table.index], atol=1e-5)
    test = loaded.predict(planted, "test").set_index("id")
    np.testing.assert_allclose(test["score"], expected[test.index], atol=1e-5)
    blank = replace(planted, samples=planted.samples.assign(text=planted.samples["text"].where(planted.labels() > 0)))
    assert loaded.predict(blank)["score_text"].isna().tolist() == (planted.labels() <= 0).tolist()


@pytest.mark.slow
def test_an_explanation_is_of_the_clips_own_words(run: Any, planted: Dataset) -> None:
    explanation = explain(run, planted, 5)
    assert explanation.text == planted[5].text
    assert [word.word for word in explanation.words] == (planted[5].text or "").split()
    [part] = [part for part in explanation.contributions if part.modality == "text"]
    assert sum(word.value for word in explanation.words) == pytest.approx(part.content + part.gap, abs=1e-4)
    assert abs(part.gap) < 0.01
    assert explanation.score == pytest.approx(run.predict(planted)["score"][5], abs=1e-5)


@pytest.mark.slow
def test_sentences_alone_have_no_context_and_say_so(run: Any, planted: Dataset) -> None:
    table = run.predict(text=[PLOT, "the cast was so bad"])
    assert all("scored without the words before it" in each for each in table["warnings"])
    clips = texts_dataset([PLOT, "the cast was so bad"])
    np.testing.assert_allclose(run.predict(clips)["score"], table["score"], atol=1e-6)
    after = run.predict(with_earlier(clips, [[], ["the plot was so lazy"]]))["score"]
    assert after[0] == pytest.approx(table["score"][0], abs=1e-6)
    assert after[1] != pytest.approx(table["score"][1], abs=1e-6)
