from dataclasses import replace

import numpy as np
import pytest

from tests.estimators.by_moments.tables_of import both, same, study

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
