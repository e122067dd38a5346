"""Which pieces belong to which word, in any script and for any tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.explain.words import printable, read, words_in


def wordpiece(folder: Path, *words: str) -> object:
    from transformers import BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return BertTokenizerFast(str(folder / "vocab.txt"))


@given(st.text(max_size=60))
def test_every_sign_is_in_one_word_or_blank(text: str) -> None:
    spans = words_in(text)
    covered = [place for start, end in spans for place in range(start, end)]
    assert covered == sorted(set(covered))
    assert {place for place, sign in enumerate(text) if not sign.isspace()} >= set(covered)
    assert all(text[place].isspace() for place in range(len(text)) if place not in set(covered))
    assert len(printable(text)) == len(text)
    assert printable(text).isprintable() or {"\u200c", "\u200d"} & set(text)


def test_pieces_are_merged_to_words(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path, "won", "##der", "##ful", "don", "'", "t", "miss", "!", "it")
    text = "Wonderful!  don't miss zebra it"
    ids = tokenizer(text)["input_ids"]  # type: ignore[operator]
    found = read(tokenizer, ids, text)
    assert [text[start:end] for start, end in found.spans] == ["Wonderful", "!", "don't", "miss", "zebra", "it"]
    assert found.word_of == (None, 0, 0, 0, 1, 2, 2, 2, 3, 4, 5, None)


def test_a_text_that_was_cut_has_the_words_that_were_read(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path, "a", "b", "c", "d")
    text = "a b c d"
    ids = tokenizer(text, truncation=True, max_length=4)["input_ids"]  # type: ignore[operator]
    found = read(tokenizer, ids, text)
    assert found.spans == ((0, 1), (2, 3))


def test_chinese_signs_stand_for_themselves(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path, "很", "好", "看", "film")
    text = "很好看，film"
    found = read(tokenizer, tokenizer(text)["input_ids"], text)  # type: ignore[operator]
    assert [text[start:end] for start, end in found.spans] == ["很", "好", "看", "，", "film"]


def test_a_piece_over_several_signs_makes_them_one_word() -> None:
    """As SentencePiece has them, with the blank before a word counted in."""

    class Tokenizer:
        is_fast = True

        def __call__(self, text: str, **_: object) -> dict[str, list[object]]:
            return {
                "input_ids": [0, 7, 8, 9, 1],
                "offset_mapping": [(0, 0), (0, 2), (2, 3), (3, 6), (0, 0)],
                "special_tokens_mask": [1, 0, 0, 0, 1],
            }

    text = "很好看 ok"
    found = read(Tokenizer(), [0, 7, 8, 9, 1], text)
    assert [text[start:end] for start, end in found.spans] == ["很好", "看", "ok"]
    assert found.word_of == (None, 0, 1, 2, None)


@pytest.mark.parametrize("text", ["", "something else entirely"])
def test_without_the_text_words_are_put_together_from_pieces(tmp_path: Path, text: str) -> None:
    tokenizer = wordpiece(tmp_path, "won", "##der", "good")
    ids = [2, 5, 6, 1, 7, 3, 0]
    found = read(tokenizer, ids, text)
    assert found.text == "wonder [UNK] good"
    assert [found.text[start:end] for start, end in found.spans] == ["wonder", "[UNK]", "good"]
    assert found.word_of == (None, 0, 0, 1, 2, None, None)
