from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.nuisance.cross_fitting import (
    INFLUENCE,
    REMAINING,
    arm_coefficients,
    check_folds,
    over_splits,
    own_fold,
    partialled_out,
)
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.sample import ARMS
from tests.estimators.designs import cross_section

DATA = cross_section(n=300, weights=False)
X = np.column_stack([np.ones(300), DATA.covariates])


def framed() -> tuple[Plan, Frame]:
    plan = Plan(DATA, Settings(folds=3))
    return plan, plan.frame("xty", plan.outcome_sample())


def without(train: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    return X[at] @ np.linalg.lstsq(X[train], values[train], rcond=None)[0]


def test_arm_coefficients_predict_each_fold_from_the_arms_rows_of_the_others():
    plan, frame = framed()
    folds, y = plan.folds(1), frame.column("y")
    found = own_fold(frame.matrix, arm_coefficients(plan, frame, 1), folds) * frame.scale[y] + frame.centre[y]
    for fold in range(3):
        for arm in (0, 1):
            own, train = folds == fold, (folds != fold) & (DATA.treatment == arm)
            np.testing.assert_allclose(found[arm, own], without(train, own, DATA.y), rtol=1e-8, atol=1e-8)


def test_partialled_out_columns_are_residuals_of_fits_without_the_fold():
    plan, frame = framed()
    t, y = frame.column("t"), frame.column("y")
    folds = plan.folds(0)
    combine, products = partialled_out(plan, frame, 0, (t, y))
    found = own_fold(frame.matrix, combine, folds) * frame.scale[[t, y], None]
    for fold in range(3):
        own = folds == fold
        for row, values in enumerate((DATA.treatment, DATA.y)):
            expected = values[own] - without(~own, own, values)
            np.testing.assert_allclose(found[row, own], expected, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(products[fold], frame.matrix[:, own] @ frame.matrix[:, own].T, atol=1e-9)


def test_own_fold_takes_each_rows_combination_and_no_other():
    rng = np.random.default_rng(1)
    block, combine, folds = rng.standard_normal((4, 9)), rng.standard_normal((3, 2, 4)), np.arange(9) % 3
    expected = np.column_stack([combine[folds[row]] @ block[:, row] for row in range(9)])
    np.testing.assert_allclose(own_fold(block, combine, folds), expected, rtol=1e-12)


def test_a_fold_that_leaves_no_more_rows_than_coefficients_is_named():
    _, frame = framed()
    check_folds(np.array([[4.0, 4.0], [3.0, 3.0], [3.0, 3.0]]), frame, ARMS)
    with pytest.raises(UnusableData) as caught:
        check_folds(np.array([[4.0, 4.0], [3.0, 4.0], [3.0, 1.0]]), frame, ARMS)
    detail = caught.value.detail
    assert detail.code == "nuisance.too-few-rows-without-fold"
    assert (detail.params["fold"], detail.params["rows"]) == (1, 5)
    assert detail.params["arm"].code == "estimators.treated"
    with pytest.raises(UnusableData) as caught:
        check_folds(np.array([[3.0], [2.0]]), frame, (REMAINING,))
    assert caught.value.detail.params["arm"].code == REMAINING.code


def test_several_splits_have_the_median_and_its_spread_in_the_error():
    plan = Plan(DATA, Settings(repetitions=3))
    sample = plan.outcome_sample()
    own = np.random.default_rng(3).standard_normal((3, 300)) * [[1.0], [2.0], [3.0]]
    values = [10.0, 0.0, 30.0]
    value, contributions, found, details = over_splits(plan, sample, lambda split: (values[split], own[split]))
    assert value == 10.0
    np.testing.assert_allclose(contributions, own.mean(axis=0))
    variances = (own**2).sum(axis=1) + np.square(np.array(values) - 10.0)
    assert found.standard_error == pytest.approx(np.sqrt(np.median(variances)), rel=1e-12)
    assert found.method == INFLUENCE
    assert details == {"folds": 5, "repetitions": 3, "estimates_by_split": values}


def test_a_single_split_is_reported_as_it_is():
    plan = Plan(DATA, Settings())
    own = np.random.default_rng(3).standard_normal(300)
    value, _, found, details = over_splits(plan, plan.outcome_sample(), lambda split: (1.5, own))
    assert value == 1.5
    assert found.standard_error == pytest.approx(np.sqrt(own @ own))
    assert "estimates_by_split" not in details


def test_of_several_splits_the_error_and_its_degrees_of_freedom_are_those_in_the_middle():
    data = cross_section(n=400, seed=5)
    codes = np.arange(400) % 20
    data = replace(data, clusters=(codes,), treatment=(codes < 4).astype(float))
    plan = Plan(data, Settings(repetitions=3))
    sample = plan.outcome_sample()
    rng = np.random.default_rng(2)
    own = {
        split: rng.standard_normal(400) * np.where(codes < 4, treated, untreated) / 400
        for split, (treated, untreated) in enumerate([(1.0, 9.0), (5.0, 1.0), (1.0, 1.0)])
    }
    each = [
        influence_se(own[split], plan.clusters(sample), plan.settings, name="", arm_codes=plan.treated(sample))
        for split in own
    ]
    errors = [found.standard_error for found in each]
    middle = each[int(np.argsort(errors)[1])]
    assert len({round(found.degrees, 6) for found in each}) == 3
    for order in permutations(own):
        _, _, found, _ = over_splits(plan, sample, lambda split, order=order: (0.0, own[order[split]]))
        assert (found.degrees, found.notes) == (middle.degrees, middle.notes)
        assert found.standard_error == pytest.approx(np.median(errors), rel=1e-12)
    _, _, none, _ = over_splits(plan, sample, lambda split: (0.0, own[split] * (split != 1)))
    assert none.standard_error is None
    assert none.warnings
