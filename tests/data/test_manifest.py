"""The description of a data set: which names, ranges and modalities are valid."""

from __future__ import annotations

import pytest

from selfmm.data.manifest import Manifest, Modality, check_modality_name


@pytest.mark.parametrize("name", ["", "Audio", "a b", "../x", "a/b", "1a", "x" * 33, "samples", "dataset", "audio.npy"])
def test_names_that_are_no_modality(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a modality"):
        check_modality_name(name)
    assert check_modality_name("gaze_2") == "gaze_2"


def test_an_infinite_range_is_refused() -> None:
    with pytest.raises(ValueError, match="two finite numbers"):
        Manifest(name="x", label_range=(0, float("inf")), modalities={"text": Modality(kind="text")})


def test_what_a_step_of_each_kind_holds() -> None:
    sizes = [Modality(kind="text").size, Modality(kind="tokens").size, Modality(kind="frames", dim=5).size]
    assert sizes == ["words", "token ids", "5 features"]


def test_feature_names_must_be_as_many_as_features() -> None:
    with pytest.raises(ValueError, match="1 different names for 2 features"):
        Modality(kind="frames", dim=2, columns=("a", "a"))
