"""Which model is trained if the user names none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import selfmm
from selfmm.core.listener import Listener
from selfmm.core.weights import find
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset
from selfmm.training.choice import _FEW_WITHOUT_WORDS, FEW, choose_model

WORDS, TOKENS = Modality(kind="text"), Modality(kind="tokens")
FEATURES = Modality(kind="frames", dim=5)


def data(rated: int, unrated: int = 0, test: int = 0, **modalities: Modality) -> Dataset:
    """``rated`` clips of train and valid with a label, ``unrated`` without, and ``test`` clips with a label."""
    splits = ["train", "valid"] * (rated // 2) + ["train"] * (rated % 2 + unrated) + ["test"] * test
    labels = np.r_[np.ones(rated), np.full(unrated, np.nan), np.ones(test)]
    table = pd.DataFrame({"id": np.arange(len(labels)).astype(str), "split": splits, "label": labels, "video": "v"})
    manifest = Manifest(name="clips", label_range=(-3.0, 3.0), modalities=modalities or {"text": WORDS})
    return Dataset(Path(), manifest, table, {})


@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        (data(0, 50), "adapt"),
        (data(FEW - 1), "adapt"),
        (data(FEW), "self_mm"),
        (data(FEW - 1, unrated=500, test=500), "adapt"),
        (data(_FEW_WITHOUT_WORDS - 1, audio=FEATURES), "adapt"),
        (data(_FEW_WITHOUT_WORDS, audio=FEATURES), "self_mm"),
        (data(_FEW_WITHOUT_WORDS, text=FEATURES, audio=FEATURES), "self_mm"),
        (data(_FEW_WITHOUT_WORDS, text=TOKENS), "self_mm"),
        (data(_FEW_WITHOUT_WORDS, text=WORDS, audio=FEATURES), "adapt"),
    ],
)
def test_the_number_of_rated_clips_chooses(dataset: Dataset, model: str) -> None:
    chosen, start, reason, settings = choose_model(dataset, [])
    assert chosen == model
    assert reason.startswith(f"model: {model}")
    rated = np.isfinite(dataset.labels()) & (dataset.samples["split"] != "test")
    assert f"{rated.sum():,} clips are rated" in reason
    words = dataset.modalities.get("text") == WORDS
    assert (start == "starter") == (words and model == "self_mm" and find("e5") is not None)
    assert ("starting from the starter" in reason) == (start is not None) == bool(settings)


def test_a_named_start_is_for_a_model_that_learns_by_steps() -> None:
    assert choose_model(data(10), [], start=True)[:2] == ("self_mm", None)
    assert choose_model(data(10), ["start=starter"])[:2] == ("self_mm", None)


@pytest.mark.skipif(find("e5") is None, reason="needs the weights e5")
@pytest.mark.parametrize(
    ("override", "starts"),
    [
        *[("seed=2", True), ("text.encoder=e5", True), ("text.max_tokens=64", True)],
        *[("text.encoder=minilm", False), ("text.layer=3", False), ("text.capitals=keep", False)],
        ("modalities=audio", False),
    ],
)
def test_many_clips_start_from_the_starter_only_where_words_are_read_as_it_reads_them(
    override: str, starts: bool
) -> None:
    """Otherwise training would stop with an error about a start that the user did not ask for."""
    chosen = choose_model(data(FEW, text=WORDS, audio=FEATURES), [override])
    assert (chosen.model, chosen.start) == ("self_mm", "starter" if starts else None)
    assert ("starting from the starter" in chosen.reason) == starts
    assert bool(chosen.settings) == starts


def test_without_words_to_read_fewer_clips_are_enough() -> None:
    dataset = data(_FEW_WITHOUT_WORDS, text=WORDS, audio=FEATURES)
    assert choose_model(dataset, ["modalities=audio"]).model == "self_mm"


def test_a_single_setting_may_be_a_string() -> None:
    assert choose_model(data(10), "training.max_epochs=3").model == "self_mm"


def test_one_clip_is_rated() -> None:
    assert "because 1 clip is rated" in choose_model(data(1), []).reason


@pytest.mark.parametrize(
    "override",
    [
        *("training.max_epochs=3", "training.batch_size = 4", "fusion.lr=1e-3", "stream.audio.lr=1e-3"),
        *("text.finetune=true", "text.lr=1e-5", "text.pooling=first", "labels.source=none", "options.depth=2"),
        "align=pool",
    ],
)
def test_a_setting_of_models_that_learn_by_steps_chooses_such_a_model(override: str) -> None:
    assert choose_model(data(10), ["seed=1", override])[:2] == ("self_mm", None)


@pytest.mark.parametrize(
    "override",
    [
        *("seed=2", "modalities=text", "training.device=cpu", "training.share=0.5", "options.unrated=ignore"),
        *("text.encoder=minilm", "text.layer=3", "text.capitals=keep", "text.max_tokens=64"),
        "text.context=2",
    ],
)
def test_other_settings_do_not(override: str) -> None:
    assert choose_model(data(10), [override])[0] == "adapt"


def test_several_seeds_say_what_one_training_would_take(planted: Dataset, tmp_path: Path) -> None:
    class Heard(Listener):
        def chose(self, reason: str) -> None:
            raise ChosenError(reason)

    with pytest.raises(ChosenError, match=r"^model: self_mm for each seed.*takes adapt"):
        selfmm.train_seeds(planted, seeds="1,2", out=tmp_path / "seeds", listener=Heard())


class ChosenError(Exception):
    pass
