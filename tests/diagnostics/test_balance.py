from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.balance import balance
from cqox.diagnostics.weightings import weightings
from cqox.estimators import Json, Plan, Settings
from tests.diagnostics.looking import confounded, judged, observed, reference, trial


def row(balance: Json, name: str) -> dict[str, Json]:
    assert isinstance(balance, dict)
    return next(row for row in balance["covariates"] if row["name"] == name)


def weighted_mean(x: np.ndarray, w: np.ndarray) -> float:
    return float(x @ w / w.sum())


def test_differences_are_divided_by_a_deviation_that_weighting_does_not_change() -> None:
    data = confounded(700)
    seen = judged(data)
    x, t = data.covariates[:, 0], data.treatment == 1
    e = seen.plan.propensity().e
    pooled = np.sqrt((x[t].var(ddof=1) + x[~t].var(ddof=1)) / 2)
    found = row(seen.diagnostics["balance"], "x0")
    assert found["before_ATE"] == pytest.approx((x[t].mean() - x[~t].mean()) / pooled, rel=1e-10)
    assert found["before_ATT"] == pytest.approx((x[t].mean() - x[~t].mean()) / x[t].std(ddof=1), rel=1e-10)
    after = weighted_mean(x[t], 1 / e[t]) - weighted_mean(x[~t], 1 / (1 - e[~t]))
    assert found["after_ATE"] == pytest.approx(after / pooled, abs=1e-10)
    after = x[t].mean() - weighted_mean(x[~t], e[~t] / (1 - e[~t]))
    assert found["after_ATT"] == pytest.approx(after / x[t].std(ddof=1), abs=1e-10)


def test_the_table_of_many_passes_is_that_of_one() -> None:
    data = confounded(700)
    seen = judged(data)
    table = seen.diagnostics["balance"]
    assert isinstance(table, dict)
    plan = Plan(data, Settings(chunk_rows=8))
    by_passes = balance(plan, weightings(plan, seen.estimates))
    assert by_passes["weightings"] == table["weightings"]
    for one in by_passes["covariates"]:
        other = row(table, one.pop("name"))
        assert one == pytest.approx({key: other[key] for key in one}, rel=1e-9, abs=1e-9)


def test_a_covariate_of_two_values_uses_the_deviation_of_a_share() -> None:
    data = confounded(400)
    x = np.column_stack([(data.covariates[:, 0] > 0.3).astype(float), data.covariates[:, 1]])
    seen = judged(observed(x, data.treatment))
    t = data.treatment == 1
    shares = x[t, 0].mean(), x[~t, 0].mean()
    pooled = np.sqrt(sum(share * (1 - share) for share in shares) / 2)
    found = row(seen.diagnostics["balance"], "x0")
    assert found["binary"] is True
    assert found["before_ATE"] == pytest.approx((shares[0] - shares[1]) / pooled, rel=1e-10)
    assert row(seen.diagnostics["balance"], "x1")["binary"] is False


def test_the_differences_are_those_that_cobalt_publishes_for_lalonde() -> None:
    seen = judged(reference("lalonde_ipw_ate"))
    table = seen.diagnostics["balance"]
    # Of its vignette "Using cobalt", bal.tab on the logit's weights for the treated: Diff.Un and Diff.Adj.
    for name, before, after in (
        ("age", -0.3094, 0.1188),
        ("educ", 0.0550, -0.0284),
        ("re74", -0.7211, -0.0021),
        ("re75", -0.2903, 0.0110),
    ):
        assert row(table, name)["before_ATT"] == pytest.approx(before, abs=5e-5)
        assert row(table, name)["after_ATT"] == pytest.approx(after, abs=5e-5)


def test_sampling_weights_count_on_both_sides_of_the_comparison() -> None:
    data = confounded(500)
    w = np.random.default_rng(4).integers(1, 4, data.n).astype(float)
    seen = judged(replace(data, weights=w))
    x, t = data.covariates[:, 0], data.treatment == 1
    means = weighted_mean(x[t], w[t]), weighted_mean(x[~t], w[~t])
    variances = []
    for arm, mean in ((t, means[0]), (~t, means[1])):
        share = w[arm] / w[arm].sum()
        variances.append(float(share @ (x[arm] - mean) ** 2 / (1 - share @ share)))
    found = row(seen.diagnostics["balance"], "x0")
    assert found["before_ATE"] == pytest.approx((means[0] - means[1]) / np.sqrt(np.mean(variances)), rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_covariate_far_from_zero_loses_no_digits(shift: float) -> None:
    data = confounded(500)
    moved = judged(observed(data.covariates + np.array([shift, 0.0]), data.treatment)).diagnostics["balance"]
    still = judged(data).diagnostics["balance"]
    assert row(moved, "x0")["before_ATE"] == pytest.approx(row(still, "x0")["before_ATE"], rel=1e-7)


def test_a_covariate_that_never_varies_has_no_difference_and_a_reason() -> None:
    data = trial()
    x = np.column_stack([np.full(data.n, 3.7), data.covariates])
    found = row(judged(observed(x, data.treatment)).diagnostics["balance"], "x0")
    assert found["before_ATE"] is None
    assert "constant" in str(found["reason"])


def test_the_largest_difference_is_named() -> None:
    largest = judged(confounded(900, strength=1.5)).diagnostics["balance"]["largest"]
    assert largest["before_ATE"]["name"] == "x0"
    assert largest["before_ATE"]["value"] > 0.5
    assert largest["after_ATE"]["value"] < largest["before_ATE"]["value"]


def test_without_weights_there_is_no_balance_after() -> None:
    found = judged(confounded(), only=["ols_adjustment"]).diagnostics["balance"]
    assert found["weightings"] == []
    assert "after_ATE" not in found["largest"]
    assert found["largest"]["before_ATE"]["value"] > 0.1


def test_without_covariates_there_is_a_reason() -> None:
    data = trial()
    nothing = np.empty((data.n, 0))
    names = {"y": ("y",), "treatment": ("t",)}
    found = judged(replace(data, covariates=nothing, propensity_covariates=nothing, names=names)).diagnostics["balance"]
    assert set(found) == {"reason"}


def test_covariates_of_both_models_are_compared() -> None:
    data = confounded()
    w = np.column_stack([data.covariates[:, 0], np.random.default_rng(5).standard_normal(data.n)])
    names = {**data.names, "propensity_covariates": ("a", "b")}
    table = judged(replace(data, propensity_covariates=w, names=names)).diagnostics["balance"]
    assert {found["name"] for found in table["covariates"]} == {"a", "b", "x0", "x1"}


@pytest.mark.parametrize("chunk", [7, 100, 100_000])
def test_blocks_of_rows_change_nothing(chunk: int) -> None:
    from cqox.estimators import Settings

    one = judged(confounded(400)).diagnostics["balance"]
    other = judged(confounded(400), settings=Settings(chunk_rows=chunk)).diagnostics["balance"]
    for name in ("x0", "x1"):
        for key in ("before_ATE", "after_ATE", "before_ATT", "after_ATT"):
            assert row(one, name)[key] == pytest.approx(row(other, name)[key], abs=1e-9)
