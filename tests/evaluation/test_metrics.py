from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from selfmm.core.errors import SelfmmError
from selfmm.evaluation.metrics import DESCRIPTIONS, HIGHER_IS_BETTER, evaluate, pearson, scale_for

Array = npt.NDArray[np.float64]
NAN = float("nan")


def pairs(limit: float) -> st.SearchStrategy[tuple[Array, Array]]:
    """Predictions a little beyond the range, labels on a grid inside it, so that ties and zeros are common."""
    grid = st.sampled_from([round(limit * k / 15, 4) for k in range(-15, 16)] + [0.0] * 5)
    loose = st.floats(-1.3 * limit, 1.3 * limit) | grid

    def of_size(n: int) -> st.SearchStrategy[tuple[Array, Array]]:
        return st.tuples(hnp.arrays(np.float64, n, elements=loose), hnp.arrays(np.float64, n, elements=grid))

    return st.integers(1, 40).flatmap(of_size)


def test_mosi_by_hand() -> None:
    predictions = [-1.0, 0.0, 0.4, 2.5, 3.6, -0.2]
    labels = [-1.0, 0.0, -0.4, 3.0, 3.0, 0.2]
    found = evaluate(predictions, labels, "mosi").values
    # |errors| 0, 0, .8, .5, .6, .4
    assert found["mae"] == pytest.approx(2.3 / 6)
    # >= 0:  predicted 0 1 1 1 1 0, true 0 1 0 1 1 1: 4 of 6 right.
    assert found["acc2_has0"] == pytest.approx(4 / 6)
    # Class 1: hits 3, said 4, there 4 -> F1 .75, weight 4/6. Class 0: hits 1, said 2, there 2 -> .5, weight 2/6.
    assert found["f1_has0"] == pytest.approx((4 * 0.75 + 2 * 0.5) / 6)
    # Without the label 0, > 0: predicted 0 1 1 1 0, true 0 0 1 1 1: 3 of 5 right.
    assert found["acc2_non0"] == pytest.approx(3 / 5)
    # Class 1: hits 2, said 3, there 3 -> 2/3, weight 3/5. Class 0: hits 1, said 2, there 2 -> 1/2, weight 2/5.
    assert found["f1_non0"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 5)
    # Rounded: predicted -1 0 0 2 (2.5 to even) 3 (clipped) -0, true -1 0 -0 3 3 0: all but the fourth.
    assert found["acc7"] == pytest.approx(5 / 6)
    # Clipped to +-2: predicted -1 0 0 2 2 0, true -1 0 0 2 2 0.
    assert found["acc5"] == 1.0


def test_sims_by_hand() -> None:
    predictions = [-1.4, -0.1, 0.0, 0.1, 0.7, 1.2]
    labels = [-1.0, 0.0, 0.2, 0.2, 0.8, 0.6]
    metrics = evaluate(predictions, labels, "sims")
    found = metrics.values
    # Clipped: -1 -.1 0 .1 .7 1; |errors| 0 .1 .2 .1 .1 .4
    assert found["mae"] == pytest.approx(0.9 / 6)
    assert found["corr"] == pytest.approx(np.corrcoef([-1, -0.1, 0, 0.1, 0.7, 1], labels)[0, 1])
    # (0, 1]: predicted 0 0 0 1 1 1, true 0 0 1 1 1 1: 5 of 6.
    assert found["acc2"] == pytest.approx(5 / 6)
    # Class 1: hits 3, said 3, there 4 -> 6/7, weight 4/6. Class 0: hits 2, said 3, there 2 -> 4/5, weight 2/6.
    assert found["f1"] == pytest.approx((4 * 6 / 7 + 2 * 4 / 5) / 6)
    # Cuts -.1 .1, (lo, hi]: predicted 0 0 1 1 2 2, true 0 1 2 2 2 2: 3 of 6.
    assert found["acc3"] == pytest.approx(3 / 6)
    # Cuts -.7 -.1 .1 .7: predicted 0 1 2 2 3 4, true 0 2 3 3 4 3: 1 of 6.
    assert found["acc5"] == pytest.approx(1 / 6)
    assert set(found) == {"mae", "corr", "acc2", "f1", "acc3", "acc5"}


@pytest.mark.parametrize(
    ("prediction", "label", "has0", "non0"),
    [(0.0, 0.0, 1.0, NAN), (-0.0, 0.0, 1.0, NAN), (-1e-9, 0.0, 0.0, NAN), (0.0, 0.2, 1.0, 0.0), (0.0, -0.2, 0.0, 1.0)],
)
def test_zero_is_not_negative_in_has0_and_not_positive_in_non0(
    prediction: float, label: float, has0: float, non0: float
) -> None:
    found = evaluate([prediction], [label], "mosi").values
    np.testing.assert_equal([found["acc2_has0"], found["acc2_non0"]], [has0, non0])


@pytest.mark.parametrize(("value", "cls"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (9, 3)])
def test_halves_go_to_the_even_class(value: float, cls: int) -> None:
    assert evaluate([value], [cls], "mosi").values["acc7"] == 1


@pytest.mark.parametrize("cut", [-0.7, -0.1, 0.1, 0.7])
def test_a_label_on_a_cut_is_in_the_lower_class_in_float32_as_in_float64(cut: float) -> None:
    found = evaluate([cut - 0.01, float(np.float32(cut))], [float(np.float32(cut)), cut], "sims")
    assert found.values["acc5"] == 1
    assert evaluate([cut + 0.01], [cut], "sims").values["acc5"] == 0


@given(pairs(3.0))
def test_mosi_against_scikit_learn_and_scipy(pair: tuple[Array, Array]) -> None:
    predicted, truth = pair
    found = evaluate(predicted, truth, "mosi").values
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted))
    assert_sides(found, "has0", predicted >= 0, truth >= 0)
    kept = truth != 0
    if kept.any():
        assert_sides(found, "non0", predicted[kept] > 0, truth[kept] > 0)
    for limit in (2, 3):
        # Python's own round() takes halves to even as well, without numpy.
        said, there = ([round(min(max(float(v), -limit), limit)) for v in values] for values in pair)
        assert found[f"acc{2 * limit + 1}"] == pytest.approx(accuracy_score(there, said))


def assert_sides(
    found: dict[str, float], which: str, said: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_]
) -> None:
    assert found[f"acc2_{which}"] == pytest.approx(accuracy_score(there, said))
    f1 = f1_score(there, said, average="weighted", zero_division=0)
    assert found[f"f1_{which}"] == pytest.approx(f1)


def binned(value: float, edges: list[float]) -> int:
    """The field's own loop: which (lo, hi] a float32 value is in."""
    for i in range(len(edges) - 1):
        if np.float32(edges[i]) < np.float32(value) <= np.float32(edges[i + 1]):
            return i
    raise AssertionError(value)


@given(pairs(1.0))
def test_sims_against_the_fields_loop(pair: tuple[Array, Array]) -> None:
    found = evaluate(*pair, "sims").values
    predicted, truth = np.clip(pair[0], -1, 1), pair[1]
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted))
    cuts = {
        "acc2": [-1.01, 0.0, 1.01],
        "acc3": [-1.01, -0.1, 0.1, 1.01],
        "acc5": [-1.01, -0.7, -0.1, 0.1, 0.7, 1.01],
    }
    for key, edges in cuts.items():
        said, there = ([binned(value, edges) for value in values] for values in (predicted, truth))
        assert found[key] == pytest.approx(accuracy_score(there, said))
        if key == "acc2":
            f1 = f1_score(there, said, average="weighted", zero_division=0)
            assert found["f1"] == pytest.approx(f1)


@given(pairs(3.0))
def test_correlation_against_scipy(pair: tuple[Array, Array]) -> None:
    metrics = evaluate(*pair, "general")
    if len(pair[0]) < 2 or any(values.min() == values.max() for values in pair):
        assert np.isnan(metrics.values["corr"])
        assert "corr" in metrics.reasons
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of nearly constant input
        expected = scipy.stats.pearsonr(*pair).statistic
    if np.isfinite(expected) and min(np.std(values) for values in pair) > 1e-6:
        assert metrics.values["corr"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("predictions", "labels", "reason"),
    [
        ([0.1] * 7, [1.0, -1, 2, 0, 1, 3, 2], "all predictions are equal (0.1)"),
        ([1.0, 2, 3], [0.3] * 3, "all labels are equal (0.3)"),
        ([1.0], [2.0], "a correlation needs two clips"),
    ],
)
def test_a_correlation_without_a_value_says_why(predictions: list[float], labels: list[float], reason: str) -> None:
    metrics = evaluate(predictions, labels, "mosi")
    assert np.isnan(metrics.values["corr"])
    assert metrics.reasons == {"corr": reason}


@pytest.mark.parametrize("size", [1e-300, 1e-20, 1.0, 1e200])
def test_correlation_does_not_depend_on_size(size: float) -> None:
    x = np.array([1.0, 2.0, 4.0, 3.0])
    assert pearson(x * size, x) == pytest.approx(1.0)
    assert pearson(x * size, -x) == pytest.approx(-1.0)


def test_non0_without_any_label_but_0_has_no_value() -> None:
    metrics = evaluate([1.0, -1.0], [0.0, 0.0], "mosi")
    assert np.isnan(metrics.values["acc2_non0"])
    assert metrics.reasons["f1_non0"] == "all labels are neutral, which non0 leaves out"
    assert metrics.values["acc2_has0"] == 0.5


@pytest.mark.parametrize("scale", ["mosi", "sims", "general"])
def test_nothing_labelled_gives_nan_and_reasons_for_all(scale: object) -> None:
    for predictions, labels in [([], []), ([1.0], [NAN])]:
        metrics = evaluate(predictions, labels, scale)  # type: ignore[arg-type]
        assert metrics.count == 0
        assert np.isnan(list(metrics.values.values())).all()
        assert set(metrics.reasons.values()) == {"no clip has a label"}
        assert metrics.reasons.keys() == metrics.values.keys()


def test_clips_without_a_label_are_left_out_and_counted() -> None:
    metrics = evaluate([1.0, 5.0, 2.0], [1.0, NAN, 2.0], "mosi")
    assert (metrics.count, metrics.unlabelled, metrics.values["mae"]) == (2, 1, 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_split_of_one_class(sign: int) -> None:
    found = evaluate(sign * np.array([1.0, 2.0]), sign * np.array([2.0, 3.0]), "mosi").values
    assert (found["acc2_has0"], found["f1_has0"], found["f1_non0"]) == (1, 1, 1)
    wrong = evaluate(-sign * np.array([1.0, 2.0]), sign * np.array([2.0, 3.0]), "mosi").values
    assert (wrong["acc2_has0"], wrong["f1_has0"]) == (0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate([1.0, NAN, np.inf], [1, 1, 1]), "predictions that are NaN or infinite: 2 of 3"),
        (lambda: evaluate([1.0], [np.inf]), "infinite labels: 1 of 1"),
        (lambda: evaluate([1.0, 2.0], [1.0]), r"predictions have shape \(2,\) and labels \(1,\)"),
        (lambda: evaluate([[1.0]], [[1.0]]), "one number per clip"),
        (lambda: evaluate([1.0], [1.0], "mosei"), "unknown scale 'mosei'; give one of"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(SelfmmError, match=message):
        call()


def test_values_are_plain_floats() -> None:
    for value in evaluate(np.array([1, 2, 3], dtype=np.float32), [1, 2, 2], "mosi").values.values():
        assert type(value) is float


def test_scale_and_descriptions() -> None:
    assert scale_for((-3, 3)) == "mosi"
    assert scale_for((-1.0, 1.0)) == "sims"
    assert scale_for((0, 5)) == "general"
    general = evaluate([1.0, 4.0], [2.0, 5.0], "general").values
    assert list(general) == ["mae", "corr", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0"]
    assert DESCRIPTIONS.keys() == HIGHER_IS_BETTER.keys()
    every = {key for scale in ("mosi", "sims", "general") for key in evaluate([1.0], [1.0], scale).values}
    assert every == set(DESCRIPTIONS)
    assert [key for key, higher in HIGHER_IS_BETTER.items() if not higher] == ["mae"]


@given(pairs(3.0))
def test_a_moved_scale_has_the_sides_of_its_neutral_label(pair: tuple[Array, Array]) -> None:
    predictions, labels = (np.round(values * 8) / 8 for values in pair)  # eighths: moving them rounds nothing
    plain = evaluate(predictions, labels, "general")
    moved = evaluate(predictions + 4, labels + 4, "general", neutral=4.0)
    assert moved.values == pytest.approx(plain.values, nan_ok=True, abs=1e-9)
    assert moved.reasons.keys() == plain.reasons.keys()


def test_the_neutral_label_parts_the_sides() -> None:
    predictions, labels = np.array([2.0, 4.5, 3.5, 1.0]), np.array([1.0, 5.0, 2.0, 3.0])
    figures = evaluate(predictions, labels, "general", neutral=3.0).values
    assert figures["acc2_has0"] == 0.5
    assert figures["acc2_non0"] == pytest.approx(2 / 3)
