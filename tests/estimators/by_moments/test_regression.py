import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from tests.estimators.by_moments.tables_of import both, replaced, same, study

NAMES = ["difference_in_means", "ols_adjustment", "lin_interacted", "g_computation_ate", "g_computation_att"]
DESIGNS = {
    "plain": {},
    "weighted": {"weights": True},
    "many clusters": {"clusters": 300},
    "few clusters": {"clusters": 20},
    "few weighted clusters": {"clusters": 20, "weights": True},
    "collinear": {"collinear": True},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("design", DESIGNS)
def test_the_numbers_are_those_of_the_rows_in_memory(design: str, name: str) -> None:
    same(*both(name, study(**DESIGNS[design])))


@pytest.mark.parametrize("se", ["iid", "HC0", "HC1", "CRV1"])
@pytest.mark.parametrize("name", NAMES)
def test_an_error_by_name_is_that_of_the_rows_in_memory(name: str, se: str) -> None:
    same(*both(name, study(clusters=80), Settings(se=se)))


def test_an_amount_is_regressed_on() -> None:
    same(*both("ols_adjustment", study(amount=True)))


@pytest.mark.parametrize("name", NAMES[1:])
def test_arms_with_few_rows_are_left_to_the_sample(name: str) -> None:
    data = study(600)
    treatment = np.where(np.arange(600) < 40, 1.0, 0.0)
    _, found = both(name, replaced(data, treatment=treatment))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.few-rows"


def test_an_error_by_leverages_is_left_to_the_sample() -> None:
    _, found = both("ols_adjustment", study(), Settings(se="HC3"))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.leverages"


def test_a_treatment_that_is_a_covariate_is_refused_as_in_memory() -> None:
    data = study(missing=False)
    x, names = np.column_stack([data.covariates, data.treatment]), (*data.names["covariates"], "copy")
    names = {**data.names, "covariates": names, "propensity_covariates": names}
    data = replaced(data, covariates=x, propensity_covariates=x, names=names)
    memory, found = both("ols_adjustment", data)
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail
