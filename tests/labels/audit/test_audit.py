from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.audit import figures
from selfmm.core.errors import RunError
from selfmm.data.planted import MODALITIES, PlantedSettings, planted_source
from selfmm.labels import Outcome
from selfmm.labels.audit.audit import DESCRIPTIONS, Audit, audit
from selfmm.labels.audit.clips import disagreement, typical
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.audit.recovery import recovery

NAN = float("nan")


def random_table(seed: int, clips: int, modalities: int, epochs: int, neutral: float = 0.0) -> pd.DataFrame:
    """Labels on a coarse grid, so that ties, neutral labels and equal labels occur, with every outcome."""
    rng = np.random.default_rng(seed)
    m_labels = rng.integers(-3, 4, clips)
    rows = []
    for epoch in range(1, epochs + 1):
        for number in range(modalities):
            u_labels = rng.integers(-6, 7, clips) / 2
            outcomes = rng.choice([outcome.word for outcome in Outcome], clips)
            for clip in range(clips):
                row = {"id": f"clip{clip}", "epoch": epoch, "modality": f"m{number}", "outcome": outcomes[clip]}
                rows.append(row | {"m_label": m_labels[clip] + neutral, "u_label": u_labels[clip] + neutral})
    return pd.DataFrame(rows).astype({"m_label": "float32", "u_label": "float32"})


def random_scores(seed: int, clips: int, modalities: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    scores = {f"score_m{number}": rng.normal(size=clips) for number in range(modalities)}
    scores["score_m0"][rng.random(clips) < 0.3] = NAN
    # In another order than the labels, and with clips of other splits.
    table = pd.DataFrame({"id": [f"clip{clip}" for clip in range(clips)], **scores}).sample(frac=1, random_state=seed)
    return pd.concat([table, pd.DataFrame({"id": ["other"]})])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    clips=st.integers(1, 12),
    modalities=st.integers(1, 5),
    epochs=st.integers(1, 4),
    neutral=st.sampled_from([0.0, 3.0]),
)
def test_every_figure_is_the_slow_ones(seed: int, clips: int, modalities: int, epochs: int, neutral: float) -> None:
    table, scores = random_table(seed, clips, modalities, epochs, neutral), random_scores(seed, clips, modalities)
    result = audit(table, neutral, scores=scores)
    rows = cast(list[dict[str, Any]], table.to_dict("records"))
    for name in result.figures.index:
        heads = scores.set_index("id")[f"score_{name}"].to_dict()
        expected = figures(rows, str(name), neutral, cast(dict[str, float], heads))
        got = result.figures.loc[name].drop("separation")
        assert list(got.index) == [key for key in DESCRIPTIONS if key != "separation"]
        pd.testing.assert_series_equal(got, pd.Series(expected)[got.index], check_names=False, rtol=1e-6)
        # A figure is NaN exactly where a reason is given.
        assert set(result.reasons[str(name)]) == set(result.figures.columns[result.figures.loc[name].isna()])


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), pieces=st.integers(1, 7))
def test_the_order_of_rows_and_the_cut_into_pieces_do_not_matter(seed: int, pieces: int) -> None:
    table, scores = random_table(seed, 9, 3, 3), random_scores(seed, 9, 3)
    whole = audit(table, scores=scores, top=4)
    mixed = table.sample(frac=1, random_state=seed)
    parts = [mixed.iloc[part] for part in np.array_split(np.arange(len(mixed)), pieces)]
    other = audit(LabelHistory.of(iter(parts)), scores=scores, top=4)
    columns = [column for column in whole.clips if not str(column).startswith(("u_", "score_"))]
    pd.testing.assert_frame_equal(whole.clips[columns], other.clips[columns])
    pd.testing.assert_frame_equal(whole.figures, other.figures.loc[whole.figures.index])


def planted_table(clips: int = 300) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Planted clips, and labels that are halfway to the truth at epoch 2 and are the truth at epoch 3."""
    truth = planted_source(PlantedSettings(clips=clips, conflict=0.3)).table
    tables = []
    for epoch, share in ((1, 0.0), (2, 0.5), (3, 1.0)):
        for name in MODALITIES:
            u_labels = truth["label"] + share * (truth[f"label_{name}"] - truth["label"])
            outcome = "start" if epoch == 1 else "updated"
            columns = {"id": truth["id"], "epoch": epoch, "modality": name, "outcome": outcome}
            tables.append(pd.DataFrame({**columns, "m_label": truth["label"], "u_label": u_labels}))
    return pd.concat(tables), truth


def test_planted_truth_comes_back_next_to_the_trivial_answer() -> None:
    table, truth = planted_table()
    result = audit(table, truth=truth, references=truth)
    assert result.recovery is not None
    np.testing.assert_allclose(result.recovery[["corr", "right"]], 1, atol=1e-6)
    trivial = recovery(truth, dict.fromkeys(MODALITIES, truth["label"]))
    np.testing.assert_allclose(result.recovery["corr_trivial"], trivial["corr"].loc[result.recovery.index], atol=1e-6)
    assert result.recovery["right_trivial"].eq(0).all()
    # All three clips of the top are planted contradictions, the third of the labels that are is named.
    top = truth.set_index("id").loc[result.clips["id"]]
    assert (top["conflict"] != "").all()
    assert result.clips["text"].tolist() == top["text"].tolist()
    assert result.clips["disagreement"].is_monotonic_decreasing
    drift = result.by_epoch.pivot(index="epoch", columns="modality", values="drift")
    assert drift.loc[1].isna().all()
    np.testing.assert_allclose(drift.loc[2], drift.loc[3], rtol=1e-4)


def test_separation_and_other_figures_of_the_history_are_taken_by_modality() -> None:
    table = random_table(0, 6, 2, 2).replace({"modality": {"m0": "a", "m1": "a_b"}})
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "labels_a_separation": [0.1, 0.2],
            "labels_a_b_separation": [None, 0.4],
            "labels_a_b_gap": 1.0,
        }
    )
    result = audit(table, history=history)
    assert result.figures["separation"].to_dict() == {"a": 0.2, "a_b": 0.4}
    by_epoch = result.by_epoch.set_index(["modality", "epoch"])
    assert by_epoch["gap"].isna().to_dict() == {("a", 1): True, ("a", 2): True, ("a_b", 1): False, ("a_b", 2): False}
    assert by_epoch["separation"].isna().to_dict()["a_b", 1]


def test_older_tables_without_outcomes() -> None:
    table = random_table(1, 10, 2, 3)
    result = audit(table.drop(columns="outcome"))
    assert result.outcomes is None
    assert "outcome" not in result.labels
    assert result.figures[["held", "clamped"]].isna().all(axis=None)
    assert "did not record outcomes" in result.reasons["m0"]["held"]
    moved = table[(table["modality"] == "m0") & (table["u_label"] != table["m_label"])]["id"].nunique()
    assert result.figures.loc["m0", "coverage"] == pytest.approx(moved / 10)


def test_outcomes_are_shares_of_the_last_epoch() -> None:
    table = random_table(2, 50, 2, 2)
    result = audit(table)
    assert result.outcomes is not None
    np.testing.assert_allclose(result.outcomes.sum(axis=1), 1)
    last = table[(table["epoch"] == 2) & (table["modality"] == "m1")]["outcome"].value_counts(normalize=True)
    for word, share in last.items():
        assert result.outcomes.loc["m1", str(word)] == pytest.approx(share)


def one_clip(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": ["a"], "epoch": [1], "modality": ["x"], "m_label": [1.0], "u_label": [1.0], **columns})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("outcome", [outcome.word for outcome in Outcome])
def test_one_clip_one_modality_one_epoch(outcome: str) -> None:
    truth = pd.DataFrame({"id": ["a"], "label": [1.0], "label_x": [NAN]})
    result = audit(one_clip(outcome=[outcome]), truth=truth, scores=pd.DataFrame({"id": ["z"], "score_x": [1.0]}))
    assert result.figures.loc["x", "clips"] == 1
    assert len(result.clips) == 0, "nothing disagrees"
    assert result.recovery is not None
    assert result.recovery["corr"].isna().all()
    assert set(result.reasons["x"]) == set(result.figures.columns[result.figures.isna().any()])


@pytest.mark.filterwarnings("error")
def test_constant_labels_and_clips_that_only_one_modality_has() -> None:
    table = pd.concat([one_clip(), one_clip(id=["b"]), one_clip(modality=["y"], u_label=[-2.0])])
    result = audit(table)
    assert result.reasons["x"]["corr_m"] == "one of the two has the same value for all clips"
    assert result.figures.loc["y", "clips"] == 1
    assert result.clips[["id", "disagreement"]].to_numpy().tolist() == [["a", 3.0]]
    assert len(result.labels) == 3


def test_disagreement_counts_the_m_label_too() -> None:
    labels = LabelHistory.of(pd.concat([one_clip(u_label=[-1.0]), one_clip(modality=["y"], u_label=[0.5])]))
    np.testing.assert_allclose(disagreement(labels), [2.0])
    assert typical(labels, 5).tolist() == [0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (one_clip().drop(columns="u_label"), r"lack the columns \['u_label'\]"),
        (one_clip(u_label=["one"]), "u_label should be numbers"),
        (one_clip(u_label=[NAN]), "without an id, a modality, or finite labels"),
        (pd.concat([one_clip(), one_clip()]), "'a' occur twice"),
        (one_clip().iloc[:0], "holds no labels"),
    ],
)
def test_damaged_tables_are_refused(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(RunError, match=message):
        audit(table)
    if len(table) > 1:
        with pytest.raises(RunError, match="occurs twice"):
            LabelHistory.of([one_clip(), one_clip()])


def test_the_audit_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit(one_clip()).epoch = 2  # type: ignore[misc]
    assert [field.name for field in dataclasses.fields(Audit)][:2] == ["epoch", "figures"]
