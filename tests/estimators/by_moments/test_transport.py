import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Settings
from tests.estimators.by_moments.tables_of import OF_POPULATIONS, both, populations, replaced, same


@pytest.mark.parametrize("name", OF_POPULATIONS)
@pytest.mark.parametrize(
    "design",
    [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}],
)
def test_the_numbers_are_those_of_the_rows_in_memory(name: str, design: dict[str, object]) -> None:
    same(*both(name, populations(**design)))


@pytest.mark.parametrize("name", OF_POPULATIONS)
@pytest.mark.parametrize("error", ["HC0", "CRV1"])
def test_levels_far_from_0_change_no_number(name: str, error: str) -> None:
    data = populations(clusters=40)
    x = data.covariates + 1e5
    far = replaced(data, y=data.y + 1e6, covariates=x, propensity_covariates=x)
    same(*both(name, far, Settings(se=error)))


@pytest.mark.parametrize("name", OF_POPULATIONS)
def test_a_target_apart_from_the_source_is_refused_as_in_memory(name: str) -> None:
    data = populations()
    apart = data.covariates.copy()
    apart[:, 0] += 100 * data.in_source
    memory, found = both(name, replaced(data, covariates=apart, propensity_covariates=apart))
    assert memory.status == "skipped"
    assert isinstance(found, UnusableData)
    assert found.detail == memory.reason


@pytest.mark.parametrize("name", OF_POPULATIONS)
def test_known_outcomes_of_the_target_change_nothing(name: str) -> None:
    data = populations(missing=False)
    _, without = both(name, data)
    whole = replaced(data, y=np.nan_to_num(data.y), treatment=np.nan_to_num(data.treatment))
    memory, found = both(name, whole)
    same(memory, found)
    same(memory, without)


def _refused(name: str, data: Data) -> None:
    memory, found = both(name, data)
    assert memory.status == "skipped"
    assert isinstance(found, UnusableData)
    assert found.detail == memory.reason


@pytest.mark.parametrize("name", OF_POPULATIONS)
def test_a_target_of_one_row_an_arm_of_one_and_a_constant_outcome_are_refused_as_in_memory(name: str) -> None:
    data = populations(missing=False)
    member = np.ones(data.n)
    member[4] = 0.0
    _refused(name, replaced(data, in_source=member, y=np.nan_to_num(data.y), treatment=np.nan_to_num(data.treatment)))
    treated = np.where(np.isnan(data.treatment), np.nan, 0.0)
    treated[np.flatnonzero(data.in_source > 0)[3]] = 1.0
    _refused(name, replaced(data, treatment=treated))
    _refused(name, replaced(data, y=np.where(np.isnan(data.y), np.nan, 0.5)))


@pytest.mark.parametrize("name", OF_POPULATIONS)
@pytest.mark.parametrize("weights", [False, True])
def test_given_probabilities_of_treatment_are_used(name: str, weights: bool) -> None:
    data = populations(weights=weights)
    chance = np.where(data.in_source > 0, np.random.default_rng(4).uniform(0.2, 0.7, data.n), np.nan)
    same(*both(name, replaced(data, pscore=chance)))
