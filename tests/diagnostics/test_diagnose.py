import json
from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import diagnose
from cqox.estimators import Data, Json, Plan, Settings
from tests.diagnostics.looking import confounded, judged, trial
from tests.estimators.designs import cross_section, instrumented, panel, rows, two_periods

NAMES = {
    "outcome", "design", "missing", "clusters", "overlap", "balance", "effective_rows", "weights", "instruments",
    "bad_controls", "attrition", "negative_weights", "event_means", "event_study", "pre_trends", "discontinuity",
    "donor_fit", "serial_dependence", "tails", "heterogeneity", "balance_tests", "sample_ratio",
    "negative_controls", "spillovers", "first_stages", "logged_propensities", "finer_exposure", "e_values",
    "robustness", "omitted_variables", "rosenbaum_bounds", "refutations", "agreement", "matched_leads", "feedback",
    "curvature", "series_checks",
}  # fmt: skip


def _with_gaps(data: Data) -> Data:
    rng = np.random.default_rng(6)
    y, x = data.y.copy(), data.covariates.copy()
    y[rng.random(data.n) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.05] = np.nan
    return replace(data, y=y, covariates=x, propensity_covariates=x)


DESIGNS = {
    "trial": trial(),
    "tiny": trial(9),
    "confounded": confounded(strength=4.0),
    "weighted": cross_section(300),
    "continuous": cross_section(300, continuous=True),
    "instrumented": instrumented(300),
    "panel": panel(30),
    "unbalanced": panel(30, dropped=0.2),
    "staggered": panel(40, staggered=True),
    "two periods": two_periods(300),
    "gaps": _with_gaps(confounded()),
    "fixed effects": replace(confounded(), fixed_effects=(np.arange(1000) % 40,)),
    "clusters": replace(confounded(), clusters=(np.arange(1000) % 40, np.arange(1000) % 23)),
}


@pytest.mark.parametrize("assignment", ["randomized", "unknown"])
@pytest.mark.parametrize("name", DESIGNS)
def test_every_number_is_finite_or_null_with_a_reason(name: str, assignment: str) -> None:
    found = judged(DESIGNS[name], assignment=assignment).diagnostics
    assert set(found) == NAMES
    json.dumps(found, allow_nan=False)
    for part in found.values():
        assert isinstance(part, dict)
        assert "failed" not in part, part


@pytest.mark.parametrize("name", ["trial", "confounded", "tiny"])
def test_nulls_come_with_a_reason(name: str) -> None:
    def walk(tree: Json, path: str) -> None:
        if isinstance(tree, dict):
            if any(value is None for key, value in tree.items() if key != "name"):
                assert "reason" in tree, path
            for key, value in tree.items():
                walk(value, f"{path}.{key}")
        elif isinstance(tree, list):
            for value in tree:
                walk(value, path)

    for part in ("outcome", "overlap", "balance", "effective_rows", "weights", "e_values", "robustness"):
        walk(judged(DESIGNS[name]).diagnostics[part], part)


def test_a_diagnostic_that_fails_is_reported_and_the_others_stand() -> None:
    data = trial()
    broken = replace(data, treatment=data.treatment * 3)
    found = diagnose(Plan(broken, Settings()), [])
    assert set(found) == NAMES
    assert found["missing"]["rows"] == data.n


def test_no_estimates_leave_the_design_s_own_diagnostics() -> None:
    found = diagnose(Plan(trial(), Settings()), [])
    assert found["overlap"]["rows"] == 600
    for name in ("weights", "instruments", "negative_weights", "agreement"):
        assert set(found[name]) == {"reason"}


@pytest.mark.parametrize("name", ["confounded", "weighted", "panel", "instrumented"])
def test_the_order_of_the_rows_changes_nothing(name: str) -> None:
    data = DESIGNS[name]
    shuffled = rows(data, np.random.default_rng(1).permutation(data.n))
    assert close(judged(data).diagnostics, judged(shuffled).diagnostics)


def close(one: Json, other: Json) -> bool:
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(close, one, other))
        case float(), float():
            return abs(one - other) <= 1e-6 * max(1.0, abs(one))
        case _:
            return one == other


def test_the_strength_of_the_instruments_is_reported() -> None:
    seen = judged(instrumented(500))
    reported = seen.diagnostics["instruments"]["iv_2sls"]
    assert set(seen.diagnostics["instruments"]) == {"iv_2sls", "iv_liml", "iv_fuller", "dml_pliv"}
    assert reported["effective_f"] == seen.estimate("iv_2sls").diagnostics["effective_f"]


def test_negative_weights_are_reported() -> None:
    seen = judged(panel(60, staggered=True))
    reported = seen.diagnostics["negative_weights"]
    assert reported["sum"] == seen.estimate("twfe").diagnostics["negative_weight_sum"]
