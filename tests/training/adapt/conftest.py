"""A starter with the tiny encoder, in place of the one that comes with selfmm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfmm.config.settings import load_settings
from selfmm.models.reading import ReadingRules
from selfmm.models.text import Pretrained, load_pretrained
from selfmm.starter import fit
from selfmm.starter.texts import RatedTexts
from training.adapt.sentences import sentences


@pytest.fixture(scope="session")
def tiny_words(tiny_encoder: str) -> Pretrained:
    return replace(load_pretrained(tiny_encoder), rules=ReadingRules("mean", "lower"))


@pytest.fixture(scope="session")
def starter_folder(tiny_words: Pretrained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a starter that knows a few words."""
    labels = np.random.default_rng(9).uniform(-3, 3, 400)
    kinds = np.array(["tweets", "movieReviewSnippets"], dtype=object)[np.arange(400) % 2]
    texts = RatedTexts(sentences(labels), labels, kinds, np.arange(400).astype(str))
    settings = load_settings(None, ["text.encoder=e5", "text.finetune=false", "labels.source=none"], model="adapt")
    out = tmp_path_factory.mktemp("starter") / "starter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_STRENGTHS", np.array([1e-3]))  # a random encoder's states take large weights otherwise
        fit.write(fit.fit_words(fit.states_of(texts, settings, tiny_words), texts), texts, settings, out)
    return out


@pytest.fixture(scope="module")
def small_starter(tiny_words: Pretrained, starter_folder: Path) -> Iterator[Path]:
    """That folder; while a module uses it, ``e5`` is the tiny encoder, and runs start from this starter."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("selfmm.models.assembly", "selfmm.runs.trained_model"):
            patch.setattr(f"{module}.text_encoder", lambda settings, compact=False: tiny_words)
        for module in ("selfmm.runs.folder", "selfmm.training.start"):
            patch.setattr(f"{module}.STARTERS", {"e5": starter_folder})
        yield starter_folder
