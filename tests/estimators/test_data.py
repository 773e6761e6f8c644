from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Settings
from tests.estimators.designs import connected, cross_section, panel


def test_rows_come_in_the_order_wanted_and_may_repeat():
    data = panel(units=4, periods=3)
    index = np.array([5, 0, 5, 11])
    found = data.rows(index)
    assert found.n == 4
    for name in ("y", "treatment", "covariates", "unit", "time", "row_key"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name)[index])
    np.testing.assert_array_equal(found.time_values, data.time_values)
    assert found.names == data.names


def test_every_array_by_row_follows():
    n = 6
    # One-dimensional arrays of n values; matrices have a column.
    by_row = (
        "y", "treatment", "pscore", "unit", "time", "post", "cohort", "weights", "running", "dose", "action",
        "in_source", "neighbor_exposure", "cost",
    )  # fmt: skip
    matrices = ("covariates", "propensity_covariates", "instruments", "mediators", "target_policy", "location",
                "proxy_treatment", "proxy_outcome")  # fmt: skip
    values = {name: np.arange(n) + 100 * place for place, name in enumerate(by_row)}
    values |= {name: (np.arange(n) + 1e4 * (place + 1))[:, None] for place, name in enumerate(matrices)}
    codes = (np.arange(n), np.arange(n)[::-1].copy())
    data = Data(n=n, row_key=np.arange(n, dtype=np.uint64), clusters=codes, fixed_effects=codes[:1], **values)
    index = np.array([4, 1])
    found = data.rows(index)
    for name, value in values.items():
        np.testing.assert_array_equal(getattr(found, name), value[index])
    assert [each.tolist() for each in found.clusters] == [[4, 1], [1, 4]]
    assert found.fixed_effects[0].tolist() == [4, 1]
    assert found.row_key.tolist() == [4, 1]


def test_roles_that_share_an_array_still_share_it_and_roles_without_one_stay_empty():
    found = cross_section(n=20).rows(np.arange(5))
    assert found.covariates is found.propensity_covariates
    assert found.instruments.shape[1] == 0
    assert found.location is None
    assert found.clusters == ()


def test_edges_connect_the_rows_that_stay_at_their_new_positions():
    data = replace(connected(6), edges=np.array([[0, 1], [1, 0], [2, 5], [4, 2]]))
    assert data.rows(np.array([5, 2, 0])).edges.tolist() == [[1, 0]]
    assert data.rows(np.array([1, 0, 3])).edges.tolist() == [[1, 0], [0, 1]]
    assert data.rows(np.array([3])).edges.shape == (0, 2)
    # Of several copies of a row the last has the edges.
    assert data.rows(np.array([0, 1, 0])).edges.tolist() == [[2, 1], [1, 2]]


def test_no_rows_are_data_of_no_rows():
    found = cross_section(n=20).rows(np.array([], dtype=np.intp))
    assert found.n == len(found.y) == len(found.covariates) == len(found.row_key) == 0


def test_settings_are_the_options_of_a_request_with_how_they_are_computed():
    settings = Settings(folds=3)
    assert (settings.folds, settings.threads, settings.named) == (3, 1, frozenset())
    with pytest.raises(ValueError, match="folds"):
        Settings(folds=0)
