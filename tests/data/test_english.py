"""English utterances look English however they are drawn, and sentences of other languages never do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from spoken_languages import SENTENCES

from selfmm.data.english import looks_english


@pytest.mark.parametrize("language", SENTENCES)
def test_ten_sentences_tell(language: str) -> None:
    assert looks_english(SENTENCES[language]) == (language == "en")


def test_a_few_words_do_not_tell() -> None:
    assert looks_english([]) is None
    assert looks_english(["Wunderbar!", "Na ja."]) is None


def test_real_utterances_look_english(mosi_pickle: object) -> None:
    texts = pd.read_pickle(mosi_pickle)["train"]["raw_text"]
    rng = np.random.default_rng(0)
    assert all(looks_english(map(str, rng.choice(texts, 10))) is not False for _ in range(200))
