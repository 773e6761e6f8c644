from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators import Codes, Data, Plan, Settings
from cqox.estimators.inference.least_squares import (
    ACROSS_CLUSTERS,
    check_identified,
    focus,
    leverages,
    regress,
    residual_pass,
)
from cqox.estimators.inference.standard_errors import UNIDENTIFIED, Linear
from cqox.estimators.numerics.frame import Frame
from tests.estimators.designs import cross_section, panel, with_covariates

LABEL = Message("inference.the-treatment")


def framed(data: Data, effects: tuple[Codes, ...] = ()) -> Frame:
    plan = Plan(data, Settings())
    return plan.frame("xty", plan.outcome_sample(), effects)


def of_treatment(frame: Frame, **given: object) -> Linear:
    regressors = focus(frame, "t", LABEL)
    return regress(frame, regressors, np.eye(len(regressors))[-1], **given)


def design(data: Data) -> tuple[np.ndarray, np.ndarray]:
    weights = np.ones(data.n) if data.weights is None else data.weights / data.weights.mean()
    return np.column_stack([np.ones(data.n), data.covariates, data.treatment]), weights


def coefficients(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(x * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_coefficient_and_the_parts_of_its_errors_are_those_of_weighted_least_squares(weighted: bool):
    data = cross_section(n=200, weights=weighted)
    x, w = design(data)
    fit = of_treatment(framed(data))
    beta, inverse = coefficients(x, data.y, w), np.linalg.inv((x * w[:, None]).T @ x)
    residual = data.y - x @ beta
    assert fit.value == pytest.approx(beta[-1], rel=1e-9)
    np.testing.assert_allclose(fit.contributions, (x @ inverse)[:, -1] * w * residual, rtol=1e-7, atol=1e-11)
    assert fit.iid_variance == pytest.approx(inverse[-1, -1] * (w @ residual**2) / (200 - 6), rel=1e-8)
    np.testing.assert_allclose(fit.leverage(), w * np.einsum("ij,jk,ik->i", x, inverse, x), rtol=1e-8)
    assert fit.parameters == fit.parameters_not_nested == 6


@pytest.mark.parametrize("weighted", [False, True])
def test_the_jackknife_fits_again_without_each_cluster(weighted: bool):
    data = cross_section(n=200, weights=weighted)
    x, w = design(data)
    codes = np.arange(200) % 9
    found = of_treatment(framed(data)).jackknife(codes, 9)
    expected = [coefficients(x[codes != c], data.y[codes != c], w[codes != c])[-1] for c in range(9)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_treatment_in_one_cluster_alone_is_not_identified_without_it():
    data = cross_section(n=200, weights=False)
    codes = np.arange(200) % 9
    data = replace(data, treatment=((codes == 4) & (np.arange(200) % 2 == 0)).astype(float))
    assert of_treatment(framed(data)).jackknife(codes, 9) == UNIDENTIFIED


def test_leverages_sum_to_the_number_of_coefficients():
    frame = framed(cross_section(n=150))
    regressors = focus(frame, "t", LABEL)
    inverse = np.linalg.inv(frame.products[np.ix_(regressors, regressors)])
    assert leverages(frame, regressors, inverse).sum() == pytest.approx(6)


def test_coefficients_with_an_error_are_refined_to_the_exact_ones():
    frame = framed(cross_section(n=150))
    regressors, y = focus(frame, "t", LABEL), frame.column("y")
    products = frame.products[np.ix_(regressors, regressors)]
    inverse, exact = np.linalg.inv(products), np.linalg.solve(products, frame.products[regressors, y])
    _, squares, found = residual_pass(frame, regressors, y, exact + 1e-4, inverse, inverse[-1])
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-12)
    expected = frame.products[y, y] - frame.products[regressors, y] @ exact
    assert squares == pytest.approx(expected, rel=1e-9)


def test_a_treatment_that_the_covariates_determine_is_refused_by_name():
    data = cross_section(n=100, weights=False)
    collinear = with_covariates(data, np.column_stack([data.covariates, 3 * data.treatment + data.covariates[:, 0]]))
    with pytest.raises(UnusableData) as caught:
        focus(framed(collinear), "t", LABEL)
    assert caught.value.detail.code == "inference.collinear"
    by_unit = replace(panel(units=10), treatment=(panel(units=10).unit < 4).astype(float))
    with pytest.raises(UnusableData) as caught:
        focus(framed(by_unit, (by_unit.unit,)), "t", LABEL)
    assert caught.value.detail.code == "inference.collinear-within-effects"


def test_as_many_coefficients_as_rows_are_refused():
    frame = framed(cross_section(n=40, weights=False))
    check_identified(replace(frame, n=7), np.arange(6), LABEL)
    with pytest.raises(UnusableData) as caught:
        check_identified(replace(frame, n=6), np.arange(6), LABEL)
    assert caught.value.detail.code == "inference.too-few-rows"


def test_absorbed_effects_count_as_coefficients_unless_they_are_nested_in_the_clusters():
    data = panel(units=20, periods=5)
    effects = (data.unit, data.time)
    fit = of_treatment(framed(data, effects), clusters=(data.unit,))
    dummies = np.column_stack([np.eye(20)[data.unit], np.eye(5)[data.time][:, 1:], data.covariates, data.treatment])
    assert fit.value == pytest.approx(coefficients(dummies, data.y, np.ones(100))[-1], rel=1e-8)
    assert (fit.parameters, fit.parameters_not_nested) == (26, 7)
    assert fit.leverage is None
    assert fit.jackknife(data.unit, 20) == ACROSS_CLUSTERS
