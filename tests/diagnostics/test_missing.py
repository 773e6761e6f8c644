from dataclasses import replace

import numpy as np

from tests.diagnostics.looking import judged, trial


def test_missing_values_are_counted_by_role_and_column() -> None:
    data = trial(200)
    y, x = data.y.copy(), data.covariates.copy()
    y[:3] = np.nan
    x[2:7, 1] = np.nan
    found = judged(replace(data, y=y, covariates=x, propensity_covariates=x)).diagnostics["missing"]
    assert (found["rows"], found["complete_rows"]) == (200, 193)
    assert found["roles"]["y"]["rows"] == 3
    assert found["roles"]["covariates"] == {"rows": 5, "columns": {"x1": 5}}
    assert found["roles"]["treatment"]["rows"] == 0


def test_complete_data_miss_nothing() -> None:
    found = judged(trial(200)).diagnostics["missing"]
    assert found["complete_share"] == 1.0
    assert all(role["rows"] == 0 for role in found["roles"].values())


def test_several_clusters_are_counted_together() -> None:
    data = trial(200)
    village, week = np.arange(200) % 7, np.arange(200) % 5
    village[:4], week[3:6] = -1, -1
    names = {**data.names, "cluster": ("village", "week")}
    found = judged(replace(data, clusters=(village, week), names=names)).diagnostics["missing"]
    assert found["roles"]["cluster"] == {"rows": 6, "columns": {"village": 4, "week": 3}}
