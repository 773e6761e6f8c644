"""Imputed effects against the regression with every weight written out, and against pyfixest."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data
from tests.estimators.designs import rows
from tests.estimators.staggering import IMPUTED, answer, staggered

pytestmark = pytest.mark.filterwarnings("ignore")


def written_out(data: Data, anticipation: int = 0) -> dict[object, tuple[float, float]]:
    """Imputation by dummies: every weight on every row, and the variance from them; overall and by event."""
    n, units = data.n, int(data.unit.max()) + 1
    w = np.ones(n) if data.weights is None else data.weights / data.weights.mean()
    first, now = np.where(np.isnan(data.cohort), 1e9, data.cohort), data.time_values[data.time]
    treated, untreated = now >= first, now < first - anticipation
    z = np.column_stack([np.eye(units)[data.unit], np.eye(6)[data.time][:, 1:]])
    if data.covariates.shape[1]:
        z = np.column_stack([z, data.covariates - data.covariates.mean(axis=0)])
    inverse = np.linalg.pinv((z[untreated] * w[untreated, None]).T @ z[untreated])
    rest = data.y - z @ (inverse @ ((z[untreated] * w[untreated, None]).T @ data.y[untreated]))
    found: dict[object, tuple[float, float]] = {}
    events = np.unique((now - first)[treated])
    for name, chosen in [("overall", treated), *((event, treated & (now - first == event)) for event in events)]:
        own = np.where(chosen, w, 0.0) / w[chosen].sum()
        weight = own.copy()
        weight[untreated] -= w[untreated] * (z[untreated] @ (inverse @ (z.T @ own)))
        around = rest.copy()
        for cohort in np.unique(first[treated]):
            for period in np.unique(now):
                cell = treated & (first == cohort) & (now == period) & (weight != 0)
                if cell.any():
                    around[cell] -= (weight[cell] ** 2 @ rest[cell]) / (weight[cell] ** 2).sum()
        sums = np.bincount(data.unit, weight * around)
        found[name] = float(own @ rest), float(np.sqrt(sums @ sums))
    return found


@pytest.mark.parametrize(
    ("design", "anticipation"),
    [
        ({"covariates": False}, 0),
        ({"covariates": False, "weights": "changing"}, 0),
        ({"moving": True}, 0),
        ({"moving": True, "weights": "fixed", "dropped": 0.1}, 0),
        ({"covariates": False, "dropped": 0.1}, 1),
    ],
)
def test_imputation_is_the_regression_with_every_weight_written_out(design: dict[str, object], anticipation: int):
    data = staggered(120, 3, **design)
    if data.covariates.shape[1]:
        data = replace(data, covariates=data.covariates[:, :1], propensity_covariates=data.covariates[:, :1])
    untreated = np.zeros(120, dtype=bool)
    untreated[data.unit[np.isnan(data.cohort) | (data.time_values[data.time] < data.cohort - anticipation)]] = True
    data = rows(data, np.flatnonzero(untreated[data.unit]))
    expected = written_out(data, anticipation)
    result = answer(IMPUTED, data, se="HC0", anticipation=anticipation)
    assert result.estimate == pytest.approx(expected["overall"][0], abs=1e-9)
    assert result.standard_error == pytest.approx(expected["overall"][1], rel=1e-8)
    for row in result.diagnostics["dynamic"]["averages"]:
        assert (row["estimate"], row["standard_error"]) == pytest.approx(expected[float(row["event"])], rel=1e-8)


def test_imputation_equals_the_two_stage_estimate_of_pyfixest():
    import pandas as pd
    from pyfixest import did2s

    data = staggered(covariates=False)
    now = data.time_values[data.time].astype(int)
    frame = pd.DataFrame(
        {"y": data.y, "id": data.unit, "t": now, "treated": now >= np.nan_to_num(data.cohort, nan=9e9)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = did2s(
            frame.assign(treated=frame.treated.astype(int)), yname="y", first_stage="~ 0 | id + t",
            second_stage="~ i(treated, ref=0)", treatment="treated", cluster="id",
        )  # fmt: skip
    result = answer(IMPUTED, data)
    assert result.estimate == pytest.approx(float(peer.coef().iloc[0]), abs=1e-6)
    assert result.standard_error == pytest.approx(float(peer.se().iloc[0]), rel=0.25)


def test_leads_are_the_regression_of_untreated_rows_on_dummies_of_the_steps_before_treatment():
    data = staggered(120, 3, covariates=False, weights="fixed")
    reported = answer(IMPUTED, data, se="HC0").diagnostics["leads"]["averages"]
    since = np.nan_to_num(data.time_values[data.time] - data.cohort, nan=-999.0)
    used = since < 0
    w = np.sqrt(data.weights[used])
    leads = [row["event"] for row in reported]
    assert leads == [-1, -2, -3, -4]
    dummies = (since[used, None] == np.asarray(leads)).astype(float)
    z = np.column_stack([dummies, np.eye(120)[data.unit[used]], np.eye(6)[data.time[used]][:, 1:]]) * w[:, None]
    inverse = np.linalg.pinv(z.T @ z)
    coefficients = inverse @ (z.T @ (data.y[used] * w))
    scores = z * (data.y[used] * w - z @ coefficients)[:, None]
    sums = np.stack([np.bincount(data.unit[used], column, 120) for column in scores.T], axis=1)
    errors = np.sqrt(np.diag(inverse @ (sums.T @ sums) @ inverse))
    for at, row in enumerate(reported):
        assert (row["estimate"], row["standard_error"]) == pytest.approx((coefficients[at], errors[at]), rel=1e-7)
