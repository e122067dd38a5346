"""Text encoders: loading, tokenising, masking, and refusing what is not safe to load."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles import alignment as slow
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.data.blank import is_blank
from selfmm.models.text import (
    TransformerEncoder,
    check_max_tokens,
    load_architecture,
    load_pretrained,
    tokenise,
    words_of_tokens,
)


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder: str) -> Any:
    return load_pretrained(tiny_encoder).tokenizer


def test_blank_text_has_no_tokens_and_long_text_is_cut(tiny_encoder: str) -> None:
    tokenizer = load_pretrained(tiny_encoder).tokenizer
    ids = tokenise(tokenizer, ["", "   ", "the plot was great", "the " * 100], 10)
    assert [len(x) for x in ids] == [0, 0, 6, 10]
    assert ids[2][0] == tokenizer.cls_token_id
    assert ids[3][-1] == tokenizer.sep_token_id
    assert tokenise(tokenizer, [], 10) == []


def test_the_word_that_a_token_is_of(tokenizer: Any) -> None:
    """Words are what stands between blanks; the marks at either end have their neighbours'."""
    texts = ["the plot, was great", "  great  ", "", "   ", "\x07", "great snark!"]
    found = words_of_tokens(tokenizer, texts, 20)
    assert [each.tolist() for each in found] == [[0, 0, 1, 1, 2, 3, 3], [0, 0, 0], [], [], [], [0, 0, 1, 1, 1]]
    (cut,) = words_of_tokens(tokenizer, ["the plot, was great"], 5)
    assert cut.tolist() == [0, 0, 1, 1, 1]
    assert words_of_tokens(tokenizer, [], 20) == []


WORDS = st.sampled_from(["the", "plot", "was", "great", "acting,", "so-so", "ünknown", "!", "...", "\x07"])
BLANKS = st.sampled_from([" ", "  ", "\n", "\t ", "\u00a0"])


@settings(max_examples=50)
@given(data=st.data(), limit=st.integers(3, 30))
def test_words_of_tokens_against_a_loop(data: st.DataObject, limit: int, tokenizer: Any) -> None:
    """As many as there are tokens, in order, and each one's word is the one that its last letter is in."""
    words = data.draw(st.lists(WORDS, max_size=6))
    text = data.draw(BLANKS).join(words) + data.draw(st.sampled_from(["", " "]))
    (found,), (tokens,) = words_of_tokens(tokenizer, [text], limit), tokenise(tokenizer, [text], limit)
    assert len(found) == len(tokens)
    if not is_blank(text):
        spans = tokenizer(text, truncation=True, max_length=limit, return_offsets_mapping=True)["offset_mapping"]
        assert found.tolist() == slow.words_of_tokens(text, spans)
        assert (np.diff(found) >= 0).all()


class Blanks:
    """A tokenizer that counts the blank before a word to its token, as some do."""

    is_fast = True

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[tuple[int, int]]]]:
        assert texts == ["so very good"]
        return {"offset_mapping": [[(0, 0), (0, 2), (2, 5), (5, 7), (7, 12), (0, 0)]]}


def test_a_blank_may_be_part_of_a_token() -> None:
    assert words_of_tokens(Blanks(), ["so very good"], 20)[0].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_tokenizer_that_does_not_tell() -> None:
    with pytest.raises(SettingsError, match="use align=pool"):
        words_of_tokens(object(), ["so good"], 20)


def test_padding_changes_nothing(tiny_encoder: str) -> None:
    pretrained = load_pretrained(tiny_encoder)
    encoder = TransformerEncoder(pretrained.model, finetune=True).eval()
    ids = torch.tensor([[2, 7, 8, 3]])
    padded = torch.cat([ids, torch.tensor([[9, 9, 9]])], dim=1)
    torch.testing.assert_close(
        encoder(padded, torch.tensor([4])), encoder(ids, torch.tensor([4])), atol=1e-6, rtol=1e-5
    )


def test_a_frozen_encoder_stays_in_evaluation_mode_and_gets_no_gradient(tiny_encoder: str) -> None:
    encoder = TransformerEncoder(load_pretrained(tiny_encoder).model, finetune=False).train()
    assert not encoder.model.training
    assert not encoder(torch.tensor([[2, 7, 3]]), torch.tensor([3])).requires_grad
    assert not any(p.requires_grad for p in encoder.parameters())


def test_architecture_and_tokenizer_survive_a_round_trip(tiny_encoder: str, tmp_path: Path) -> None:
    pretrained = load_pretrained(tiny_encoder)
    pretrained.save(tmp_path)
    again = load_architecture(tmp_path)
    assert again.dim == pretrained.dim == 32
    text = ["the acting was great, the plot less so"]
    assert tokenise(again.tokenizer, text, 20)[0].tolist() == tokenise(pretrained.tokenizer, text, 20)[0].tolist()
    assert {k: v.shape for k, v in again.model.state_dict().items()} == {
        k: v.shape for k, v in pretrained.model.state_dict().items()
    }


def test_pickled_weights_are_refused(tiny_encoder: str, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_encoder, folder)
    torch.save(load_pretrained(tiny_encoder).model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"pickled \.bin weights are refused"):
        load_pretrained(str(folder))


def test_missing_folder() -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        load_pretrained("./no/such/folder")


def test_hub_name_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="pass `text_encoder='minilm'` or a local folder"):
        load_pretrained("nobody/no-such-model")


def test_more_tokens_than_positions(tiny_encoder: str) -> None:
    pretrained = load_pretrained(tiny_encoder)
    check_max_tokens(pretrained, 64)
    with pytest.raises(SettingsError, match="reads 64 tokens at most"):
        check_max_tokens(pretrained, 65)
    with pytest.raises(SettingsError, match="adds 2 tokens to each text"):
        check_max_tokens(pretrained, 2)


@pytest.mark.parametrize("name", ["face", "tiny.en", "base"])
def test_weights_of_another_kind_are_no_text_encoder(name: str) -> None:
    with pytest.raises(WeightsError, match=r"not a text encoder\. Choose minilm, mpnet"):
        load_pretrained(name)
