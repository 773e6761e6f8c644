import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.nuisance.arm_regressions import (
    ArmFits,
    arm_contributions,
    contrast_of_arms,
    fit_arms,
    mean_columns,
)
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import grouped_gram
from tests.estimators.designs import cross_section, with_covariates


def fitted(data: Data) -> tuple[Frame, ArmFits]:
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.outcome_sample())
    products, counts = grouped_gram(frame.rows, frame.matrix, frame.weights, data.treatment.astype(np.int64), 2)
    return frame, fit_arms(frame, products, (int(counts[0]), int(counts[1])))


def peer(data: Data, arm: int) -> np.ndarray:
    """Predictions for every row of the least-squares fit in one arm."""
    x = np.column_stack([np.ones(data.n), data.covariates])
    root = np.sqrt(np.where(data.treatment == arm, 1.0 if data.weights is None else data.weights, 0.0))
    return x @ np.linalg.lstsq(x * root[:, None], data.y * root, rcond=None)[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_each_arms_predictions_are_its_least_squares_fit_for_every_row(weighted: bool):
    data = cross_section(n=300, weights=weighted)
    _, fits = fitted(data)
    np.testing.assert_allclose(fits.control, peer(data, 0), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(fits.treated, peer(data, 1), rtol=1e-8, atol=1e-8)
    assert fits.parameters == (5, 5)
    assert not fits.warnings


def test_an_arm_with_as_many_coefficients_as_rows_is_refused_by_name():
    data = cross_section(n=60, weights=False)
    few = np.zeros(60)
    few[:5] = 1.0
    with pytest.raises(UnusableData) as caught:
        fitted(Data(n=60, y=data.y, treatment=few, treatment_kind="binary", covariates=data.covariates,
                    row_key=data.row_key))  # fmt: skip
    assert caught.value.detail.code == "nuisance.arm-too-small"
    assert caught.value.detail.params["arm"].code == "estimators.treated"


def test_a_column_that_is_constant_in_one_arm_is_a_warning_that_names_it():
    data = cross_section(n=200, weights=False)
    only = np.where(data.treatment > 0, 0.0, np.arange(200) % 3)
    _, fits = fitted(with_covariates(data, np.column_stack([data.covariates, only])))
    (warning,) = fits.warnings
    assert warning.code == "nuisance.arm-extrapolates"
    assert "x4" in warning
    assert fits.parameters == (6, 5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_contrast_at_the_mean_is_the_mean_difference_of_the_predictions(weighted: bool):
    data = cross_section(n=300, weights=weighted)
    frame, fits = fitted(data)
    weights = np.ones(300) if data.weights is None else data.weights
    difference = fits.treated - fits.control
    everyone = contrast_of_arms(fits, mean_columns(frame, None))
    assert everyone == pytest.approx(np.average(difference, weights=weights), rel=1e-9)
    treated = contrast_of_arms(fits, mean_columns(frame, data.treatment))
    assert treated == pytest.approx(np.average(difference, weights=weights * data.treatment), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_contributions_are_the_derivative_of_the_contrast_by_the_outcomes_times_the_residuals(weighted: bool):
    data = cross_section(n=120, weights=weighted)
    frame, fits = fitted(data)
    mean = mean_columns(frame, None)
    parts, squares = arm_contributions(fits, mean, data.treatment)
    at = np.append(1.0, np.average(data.covariates, axis=0, weights=data.weights))
    x = np.column_stack([np.ones(120), data.covariates])
    weights = np.ones(120) if data.weights is None else data.weights / data.weights.mean()
    residual = data.y - np.where(data.treatment > 0, peer(data, 1), peer(data, 0))
    expected = np.zeros(120)
    for arm, sign in ((0, -1), (1, 1)):
        own = data.treatment == arm
        inverse = np.linalg.inv((x[own] * weights[own, None]).T @ x[own])
        expected[own] = sign * (x[own] @ inverse @ at) * weights[own] * residual[own]
    np.testing.assert_allclose(parts, expected, rtol=1e-7, atol=1e-10)
    scale = frame.scale[frame.column("y")]
    assert squares * scale**2 == pytest.approx(weights @ residual**2, rel=1e-8)
