"""The objective of a run: labels generated, by people or none, for any model; and a share of the clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import selfmm
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.core.errors import RunError, SelfmmError, SettingsError, TrainingError
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.models.assembly import check_needs
from selfmm.training.objective import human_labels

STREAMS = (*QUICK, "modalities=audio,vision", "training.max_epochs=2")


def unlabelled(dataset: Dataset) -> Dataset:
    dropped = dataset.samples.drop(columns=["label_text", "label_audio", "label_vision"])
    return Dataset(dataset.path, dataset.manifest, dropped, dataset.matrices)


@pytest.mark.parametrize(
    ("overrides", "source", "tasks"),
    [
        (("model=lf_dnn",), "none", ()),
        (("model=lf_dnn", "labels.source=generated"), "generated", ("audio", "vision")),
        (("model=lf_dnn", "labels.source=human"), "human", ("audio", "vision")),
        (("labels.source=human",), "human", ("audio", "vision")),
        (("labels.source=none",), "none", ()),
        (("labels.tasks=vision",), "generated", ("vision",)),
    ],
)
def test_labels_of_any_source_for_any_model(
    planted: Dataset, tmp_path: Path, overrides: tuple[str, ...], source: str, tasks: tuple[str, ...]
) -> None:
    run = selfmm.train(planted, overrides=[*STREAMS, *overrides], out=tmp_path / "run")
    assert run.info.labels == source
    assert (run.folder.path / "labels.parquet").exists() == (source == "generated")
    scores = {name for name in run.predictions if str(name).startswith("score_")}
    assert scores == {f"score_{name}" for name in tasks}
    assert set(run.metrics["splits"]["test"]) == {"fusion", *tasks, *(f"{name}_human" for name in tasks)}
    assert 0 < run.info.trained_parameters <= run.info.parameters
    parameters = run.assembly.model.parameters()
    assert run.info.parameters == sum(parameter.numel() for parameter in parameters)
    if source == "generated":
        assert set(run.labels["modality"]) == set(tasks)
    else:
        with pytest.raises(RunError, match=f"no generated labels .*`labels='{source}'`.*`labels='generated'`"):
            run.folder.labels()


@pytest.mark.slow
def test_people_know_more_than_the_generator(planted: Dataset, tmp_path: Path) -> None:
    """On planted data a head that learns the truth of its modality ends nearer to it."""
    errors = {}
    for source in ("human", "generated"):
        overrides = [*STREAMS, "training.max_epochs=6", f"labels.source={source}"]
        run = selfmm.train(planted, overrides=overrides, out=tmp_path / source)
        errors[source] = run.metrics["splits"]["test"]["audio_human"]["values"]["mae"]
    assert errors["human"] < errors["generated"]


def test_labels_by_people_must_be_there(planted: Dataset) -> None:
    settings = load_settings(None, ["model=self_mm", "labels.source=human"])
    rows = planted.rows("train")
    found = human_labels(planted, settings, ("audio",), rows)["audio"].numpy()
    np.testing.assert_allclose(found, planted.samples["label_audio"].to_numpy()[rows], rtol=1e-6)
    with pytest.raises(TrainingError, match=r"label_text, label_audio.*selfmm annotate.*`labels='generated'`"):
        human_labels(unlabelled(planted), settings, ("text", "audio"), rows)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("model=ef_lstm", "align=stored"), r"together step by step.*align=pool"),
        (("labels.source=human",), r"no training clip.*label_audio"),
        (("model=mult", "labels.source=human"), r"no representation of a single modality"),
    ],
)
def test_missing_data_are_reported_before_a_folder_is_made(
    planted: Dataset, tmp_path: Path, overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SelfmmError, match=says):
        selfmm.train(unlabelled(planted), overrides=[*STREAMS, *overrides], out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_share_of_the_clips_is_a_part_of_a_larger_share(planted: Dataset) -> None:
    everything = set(planted.rows("train").tolist())
    rows = {
        share: set(training_rows(planted, load_settings(None, [f"training.share={share}", "seed=3"])).tolist())
        for share in (0.001, 0.25, 0.5, 1.0)
    }
    assert rows[0.001] < rows[0.25] < rows[0.5] < rows[1.0] == everything
    assert len(rows[0.001]) == 1
    assert len(rows[0.25]) == round(0.25 * len(everything))
    other = training_rows(planted, load_settings(None, ["training.share=0.25", "seed=4"]))
    assert set(other.tolist()) != rows[0.25]


def test_a_run_on_a_share(planted: Dataset, tmp_path: Path) -> None:
    run = selfmm.train(planted, overrides=[*STREAMS, "training.share=0.5"], out=tmp_path / "run")
    used = round(0.5 * len(planted.rows("train")))
    assert run.labels["id"].nunique() == used
    assert run.metrics["splits"]["train"]["fusion"]["count"] == used


def test_unmet_needs_say_what_to_do(planted: Dataset) -> None:
    from selfmm.models.base import Model, Needs

    class Demanding(Model):
        needs = Needs(modalities=2, text=True, inside=True)

    settings = load_settings(None, ["model=demanding"])
    audio = {"audio": planted.modalities["audio"]}
    with pytest.raises(SettingsError, match=r"at least 2 modalities.*have audio[\s\S]*needs text.*import a text"):
        check_needs(Demanding, audio, settings)
    read = {"text": planted.modalities["audio"], **audio}
    with pytest.raises(SettingsError, match=r"inside the text encoder.*import the raw text"):
        check_needs(Demanding, read, settings)
    check_needs(Demanding, dict(planted.modalities), settings)
