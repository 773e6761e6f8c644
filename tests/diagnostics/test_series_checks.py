"""Checks of the trend before an intervention, and of control series."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from cqox.diagnostics.series_checks import series_checks
from cqox.estimators import Data, Json, Plan, Settings, catalog, run
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import series

ENTRY = next(entry for entry in catalog() if entry.name == "interrupted_series")


def bare(data: Data, **changes: object) -> Data:
    none = np.empty((0, 0))
    return replace(data, covariates=none, propensity_covariates=none, **changes)  # type: ignore[arg-type]


def checks(data: Data) -> dict[str, Json]:
    plan = Plan(data, Settings())
    return series_checks(plan, [run(ENTRY, plan)])


def controlled(data: Data, jump: float) -> Data:
    noise = np.random.default_rng(5).standard_normal(data.n)
    control = (3 + 0.1 * data.time + noise + jump * data.post)[:, None]
    return bare(data, proxy_outcome=control, names={**data.names, "proxy_outcome": ("other",)})


def test_the_curvature_is_that_of_least_squares() -> None:
    data = bare(series(40, 20))
    time = data.time - 40.0
    fit = sm.OLS(data.y[:40], np.column_stack([np.ones(40), time[:40], time[:40] ** 2])).fit()
    found = checks(data)["curvature"]
    assert found["estimate"] == pytest.approx(fit.params[2], rel=1e-8)
    line = np.polynomial.Polynomial.fit(time[:40], time[:40] ** 2, 1)
    missed = np.mean(time[40:] ** 2 - line(time[40:]))
    assert found["bias"] == pytest.approx(fit.params[2] * missed, rel=1e-8)
    assert found["largest_bias"] > abs(found["bias"]) + 1.9 * found["standard_error"] * missed
    assert found["detectable_bias"] > 2.8 * found["standard_error"] * missed


def test_a_steady_trend_passes_and_a_curve_does_not() -> None:
    data = bare(series(60, 24, dependence=0.3))
    steady = checks(data)
    assert min(steady[name]["p_value"] for name in ("placebo_dates", "breaks", "curvature")) > 0.02
    curved = checks(replace(data, y=data.y + 12 * (data.time / 60.0) ** 2))
    assert curved["curvature"]["p_value"] < 0.005


def test_a_break_of_a_control_series_is_that_of_the_segmented_regression() -> None:
    data = controlled(series(60, 24), 0.5)
    (row,) = checks(data)["control_series"]["series"]
    result = run(ENTRY, Plan(replace(data, y=data.proxy_outcome[:, 0]), Settings()))
    assert row["estimate"] == pytest.approx(result.estimate, rel=1e-8)
    assert row["standard_error"] == pytest.approx(result.standard_error, rel=1e-8)
    assert row["p_value"] == pytest.approx(result.p_value, rel=1e-8)
    assert row["column"] == "other"


def test_a_control_series_settles_concurrent_events() -> None:
    for jump, status in ((0.0, "supported"), (5.0, "contradicted")):
        found = judged(controlled(series(60, 24, level=5.0), jump), only=("interrupted_series",)).identification
        assert found is not None
        assert found.assumptions[0].name == "no_concurrent_event"
        assert found.assumptions[0].status == status, found.assumptions[0].evidence


def test_without_a_series_or_enough_of_it_the_reason_is_given() -> None:
    judgement = judged(trial(200), only=("aipw",))
    assert judgement.diagnostics["series_checks"]["reason"].code == "diagnostics.no-time-series"
    short = checks(bare(series(5, 10)))
    assert short["reason"].code == "diagnostics.too-few-before-for-trend"
    assert short["control_series"]["reason"].code == "diagnostics.no-control-series"
    assert checks(bare(series(noise=0.0)))["reason"].code == "diagnostics.exact-trend"
    constant = controlled(series(60, 24), 0.0)
    level = checks(replace(constant, proxy_outcome=np.ones((constant.n, 1))))["control_series"]
    assert level["series"][0]["reason"].code == "diagnostics.unusable-control-series"
