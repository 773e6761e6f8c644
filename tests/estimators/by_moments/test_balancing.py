from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, run
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.moments import Column
from tests.estimators.by_moments.tables_of import ESTIMATORS, both, encoded, replaced, same, study

NAMES = ["entropy_balancing_ate", "entropy_balancing_att"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))


@pytest.mark.parametrize("name", NAMES)
def test_columns_on_a_high_level_and_of_a_tiny_scale_keep_their_digits(name: str) -> None:
    data = study(missing=False)
    x = data.covariates.copy()
    x[:, 0], x[:, 1] = x[:, 0] + 1e6, x[:, 1] * 1e-9
    same(*both(name, replace(data, covariates=x, propensity_covariates=x, y=data.y + 1e6)))


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_zero_belong_to_no_arm(name: str) -> None:
    data = study(weights=True)
    assert data.weights is not None
    same(*both(name, replace(data, weights=np.where(np.arange(data.n) % 5 == 0, 0.0, data.weights))))


@pytest.mark.parametrize("name", NAMES)
def test_means_that_no_weights_meet_are_refused_as_in_memory(name: str) -> None:
    data = study()
    x = data.covariates.copy()
    x[:, 3] = data.treatment * 8 + np.abs(x[:, 3])
    data = replace(data, covariates=x, propensity_covariates=x)
    memory, moments = both(name, data)
    assert isinstance(moments, Exception)
    assert str(moments) == str(memory.reason)


def with_covariates(data: Data, x: np.ndarray) -> Data:
    x, names = np.asfortranarray(x), tuple(f"x{column}" for column in range(x.shape[1]))
    words = {**data.names, "covariates": names, "propensity_covariates": names}
    return replaced(data, covariates=x, propensity_covariates=x, names=words)


@pytest.mark.parametrize("name", NAMES)
def test_levels_of_a_factor_are_balanced(name: str) -> None:
    data, rng = study(), np.random.default_rng(3)
    levels = rng.integers(0, 8, data.n)[:, None] == np.arange(1, 8)
    same(*both(name, with_covariates(data, np.column_stack([data.covariates, levels]))))


@pytest.mark.parametrize("name", NAMES)
def test_covariates_of_the_treatment_are_balanced_and_not_those_of_the_outcome(name: str) -> None:
    data = study()
    few = np.asfortranarray(data.covariates[:, :2])
    data = replaced(data, covariates=few, names={**data.names, "covariates": ("x0", "x1")})
    x = tuple(Column(f"x{column}") for column in range(4))
    roles = encoded(replaced(data, covariates=data.propensity_covariates))
    assert roles.propensity_covariates == x
    made = Tables(replace(roles, covariates=x[:2]), Plan(data.rows(np.arange(0, data.n, 2)), Settings()))
    found = run_rounds(made, {name: partial(BY_MOMENTS[name], made)})[name]
    same(run(ESTIMATORS[name], Plan(data, Settings())), found)


@pytest.mark.parametrize("name", NAMES)
def test_an_error_by_name_says_what_it_is(name: str) -> None:
    same(*both(name, study(clusters=80), Settings(se="HC1")))


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_with_few_rows_is_left_to_the_sample(name: str) -> None:
    data = study()
    treatment = (np.random.default_rng(4).random(data.n) < 0.02).astype(float)
    _, found = both(name, replaced(data, treatment=treatment))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.few-rows"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("slope", "skewed"), [(0.6, False), (4.0, False), (1.0, True)])
def test_a_sample_that_cannot_be_balanced_does_not_matter(name: str, slope: float, skewed: bool) -> None:
    data, rng = study(), np.random.default_rng(5)
    x = data.covariates.copy()
    line = np.nan_to_num(x[:, 0])
    drawn = rng.random(data.n) < 1 / (1 + np.exp(-slope * line))
    # The sample is every second row: there the arms are separated.
    treatment = np.where(np.arange(data.n) % 2 == 0, line > 0, drawn).astype(float)
    if skewed:
        x[:, 0] = np.exp(1.5 * x[:, 0])
    same(*both(name, replaced(data, treatment=treatment, covariates=x, propensity_covariates=x)))
