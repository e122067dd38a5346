"""What holds for every model: padding and other clips of a batch change no score, and missing modalities work."""

from __future__ import annotations

import pytest
import torch

from models.worlds import MODALITIES, make_batch, make_model, part_of
from selfmm.config.settings import flatten
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import Modality
from selfmm.data.types import Output
from selfmm.models import MODELS, find_model
from selfmm.models.base import Score

LENGTHS = {"text": [4, 7, 3, 5, 0], "audio": [9, 2, 0, 6, 3], "vision": [1, 5, 4, 0, 2]}
NO_REPRESENTATION = ("ef_lstm", "mult", "mag_bert", "adapt")
"""Models that join their streams at each step, so that none of them speaks for itself."""
every_model = pytest.mark.parametrize("name", list(MODELS))


def outputs(name: str, *, padding: int = 0, seed: int = 0) -> Output:
    batch = make_batch(LENGTHS, aligned=find_model(name).needs.aligned, padding=padding, seed=seed)
    output: Output = make_model(name)(batch)
    return output


@every_model
def test_shapes_and_scale(name: str) -> None:
    model = make_model(name)
    assert model.paper, "`selfmm models` says who published it"
    output: Output = model(make_batch(LENGTHS, aligned=model.needs.aligned))
    count = len(LENGTHS["text"])
    assert output.fusion.shape == (count,), "one number per clip, as a `Score` of selfmm.models.base makes it"
    assert output.fusion_feature.shape == (count, model.fusion_dim)
    assert set(output.unimodal) == set(output.features) == set(model.tasks)
    for task in model.tasks:
        assert output.unimodal[task].shape == (count,)
        assert output.features[task].shape == (count, model.feature_dims[task])
    for modality in MODALITIES:
        assert output.encoded[modality].shape == (count, len(model.missing[modality]))
        assert output.present[modality].tolist() == [length > 0 for length in LENGTHS[modality]]
    for term in output.terms.values():
        assert term.shape == (count,)
    scores = [part for part in model.modules() if isinstance(part, Score)]
    assert scores, "no score would be on the scale of the labels"
    for score in scores:
        score.neutral, score.unit = 50.0, 10.0
    stretched: Output = model(make_batch(LENGTHS, aligned=model.needs.aligned))
    torch.testing.assert_close(stretched.fusion, 50 + 10 * output.fusion, atol=1e-3, rtol=1e-4)


@every_model
def test_padding_changes_nothing(name: str) -> None:
    plain, padded = outputs(name), outputs(name, padding=4)
    torch.testing.assert_close(plain.fusion, padded.fusion, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain.fusion_feature, padded.fusion_feature, atol=1e-5, rtol=1e-5)
    for modality, score in plain.unimodal.items():
        torch.testing.assert_close(score, padded.unimodal[modality], atol=1e-5, rtol=1e-5)
    for term, values in plain.terms.items():
        torch.testing.assert_close(values, padded.terms[term], atol=1e-4, rtol=1e-4)


@every_model
def test_what_lies_behind_a_clips_end_is_never_read(name: str) -> None:
    model = make_model(name)
    batch = make_batch(LENGTHS, aligned=model.needs.aligned, padding=2)
    expected = model(batch).fusion
    for stream in batch.streams.values():
        behind = torch.arange(stream.values.shape[1]) >= stream.lengths[:, None]
        stream.values[behind] = 3 if stream.values.dtype == torch.int64 else 1e3
    torch.testing.assert_close(model(batch).fusion, expected, atol=1e-5, rtol=1e-5)


@every_model
def test_a_clip_scores_the_same_alone(name: str) -> None:
    model = make_model(name)
    batch = make_batch(LENGTHS, aligned=model.needs.aligned)
    together = model(batch).fusion
    for clip in range(len(batch)):
        alone = model(part_of(batch, clip)).fusion
        torch.testing.assert_close(alone[0], together[clip], atol=1e-5, rtol=1e-4)
    assert len({round(score, 5) for score in together.tolist()}) == len(batch), "every clip has one score"


@every_model
def test_every_stream_is_read_and_may_be_missing(name: str) -> None:
    model = make_model(name)
    full = make_batch({"text": [4], "audio": [4], "vision": [4]}, aligned=True)
    score = model(full).fusion
    for modality in MODALITIES:
        lengths = {other: [0 if other == modality else 4] for other in MODALITIES}
        lacking: Output = model(make_batch(lengths, aligned=True))
        assert lacking.fusion.isfinite().all()
        assert (lacking.fusion - score).abs() > 1e-6, f"{modality} has no part in the score"
    nothing: Output = model(make_batch({modality: [0] for modality in MODALITIES}, aligned=True))
    assert nothing.fusion.isfinite().all()


@every_model
def test_a_batch_of_one_can_be_trained_on(name: str) -> None:
    """With streams missing; every parameter that a full batch moves gets a finite gradient."""
    model = make_model(name).train()
    for lengths in ({"text": [5], "audio": [3], "vision": [2]}, {"text": [0], "audio": [1], "vision": [0]}):
        output: Output = model(make_batch(lengths, aligned=model.needs.aligned))
        total = output.fusion.sum() + sum(values.sum() for values in output.terms.values())
        model.zero_grad()
        (total + sum(score.sum() for score in output.unimodal.values())).backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in map(_dense, gradients))


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient


@every_model
def test_no_parameter_is_idle(name: str) -> None:
    """In a batch in which every stream is missing once, all of them have a part in the loss."""
    model = make_model(name).train()
    lengths = {"text": [5, 3, 0, 4], "audio": [3, 0, 2, 5], "vision": [0, 2, 4, 3]}
    output: Output = model(make_batch(lengths, aligned=model.needs.aligned))
    total = output.fusion.sum() + sum(values.sum() for values in output.terms.values())
    (total + sum(score.sum() for score in output.unimodal.values())).backward()  # type: ignore[no-untyped-call]
    idle = [key for key, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not idle


@every_model
def test_other_modalities_are_joined_too(name: str) -> None:
    """Two of them, and a set without words, as far as the model takes it."""
    needs = find_model(name).needs
    two = {key: MODALITIES[key] for key in ("text", "audio")}
    batch = make_batch({key: [4, 2] for key in two}, aligned=True)
    assert make_model(name, modalities=two)(batch).fusion.isfinite().all()
    if needs.text:
        return
    frames: dict[str, Modality] = {key: MODALITIES[key] for key in ("audio", "vision")}
    batch = make_batch({key: [4, 2] for key in frames}, aligned=True)
    assert make_model(name, modalities=frames)(batch).fusion.isfinite().all()


@every_model
def test_labels_per_modality_where_there_is_a_representation(name: str) -> None:
    if name in NO_REPRESENTATION:
        with pytest.raises(SettingsError, match=r"no representation of a single modality|labels of the whole clips"):
            make_model(name, "labels.source=human")
        return
    model = make_model(name, "labels.source=human")
    assert set(model.tasks) == set(MODALITIES)
    assert make_model(name, "labels.source=none").tasks == ()
    some = make_model(name, "labels.source=human", "labels.tasks=audio")
    assert some.tasks == ("audio",)
    with pytest.raises(SettingsError, match=r"labels\.tasks names 'smell'"):
        make_model(name, "labels.source=human", "labels.tasks=smell")


@every_model
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"options.wings is not a setting"):
        make_model(name, "options.wings=2")


@pytest.mark.slow
@every_model
def test_where_to_search_is_where_settings_are(name: str) -> None:
    """Every place of the search space is a setting, and its values are allowed."""
    from selfmm.models.base import Range

    model = find_model(name)
    for key, space in model.search.items():
        for value in (space.low, space.high) if isinstance(space, Range) else space:
            setting = key.replace("*", "audio")
            assert flatten(make_model(name, f"{setting}={value}").settings)[setting] == value


def test_no_such_model() -> None:
    with pytest.raises(SettingsError, match="no such model; did you mean 'self_mm'"):
        find_model("selfmm")
