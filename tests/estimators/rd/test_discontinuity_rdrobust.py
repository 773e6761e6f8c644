"""Estimates at a cutoff equal those of rdrobust."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, run
from tests.estimators.designs import discontinuity
from tests.estimators.rd.cutoffs import ENTRIES, SCORES, answer, bare, clustered, same, scored


def peer(data: Data, **options: object) -> dict[str, object]:
    from rdrobust import rdrobust

    with contextlib.redirect_stdout(io.StringIO()):
        found = rdrobust(data.y, data.running, c=data.cutoff, **options)
    return {
        "estimate": found.coef.values[0, 0],
        "bias_corrected": found.coef.values[1, 0],
        "se_conventional": found.se.values[0, 0],
        "se_robust": found.se.values[2, 0],
        "ci": found.ci.values[2],
        "p_value": found.pv.values[2, 0],
        "h": found.bws.values[0, 0],
        "b": found.bws.values[1, 0],
        "N_h": list(found.N_h),
    }


def assert_equal(result: Estimate, theirs: dict[str, object]) -> None:
    reported = result.diagnostics
    assert result.estimate == pytest.approx(theirs["estimate"], rel=1e-6)
    for name in ("bias_corrected", "se_conventional", "se_robust", "h", "b"):
        assert reported[name] == pytest.approx(theirs[name], rel=1e-6), name
    assert reported["N_h"] == theirs["N_h"]
    np.testing.assert_allclose(reported["robust_ci"], theirs["ci"], rtol=1e-5, atol=1e-7)
    assert result.p_value == pytest.approx(theirs["p_value"], rel=1e-4, abs=1e-12)
    assert (result.ci_lower, result.ci_upper) == tuple(reported["robust_ci"])


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize(("n", "seed", "cutoff"), [(300, 1, 0.0), (1000, 2, 0.5), (4000, 3, 1.0)])
def test_a_sharp_design_equals_rdrobust(kind: str, n: int, seed: int, cutoff: float) -> None:
    data = scored(kind, n, seed, cutoff)
    assert_equal(answer(data), peer(data))


def test_a_large_sample_equals_rdrobust() -> None:
    data = scored("plain", 60_000, 4, -0.25)
    assert_equal(answer(data), peer(data))


def test_the_farthest_row_of_a_small_sample_weighs_as_in_rdrobust() -> None:
    data = scored("plain", 60, 2, 0.0)
    reported, theirs = answer(data).diagnostics, peer(data)
    assert (reported["h"], reported["b"]) == pytest.approx((theirs["h"], theirs["b"]), rel=1e-9)


@pytest.mark.parametrize("se", ["HC0", "HC1", "HC2", "HC3"])
def test_variances_from_residuals_equal_rdrobust(se: str) -> None:
    data = bare()
    result = answer(data, se=se)
    assert_equal(result, peer(data, vce=se.lower()))
    assert result.se_method == f"CCT robust ({se})"


def test_a_bandwidth_that_is_given_is_used_for_the_bias_too() -> None:
    data = bare()
    result = answer(data, rd_bandwidth=0.25)
    assert_equal(result, peer(data, h=0.25))
    assert result.diagnostics["bandwidth"] == "given"
    ratio = discontinuity(fuzzy=True)
    assert_equal(
        answer(ratio, "rd_fuzzy", rd_bandwidth=0.3), peer(ratio, fuzzy=ratio.treatment, covs=ratio.covariates, h=0.3)
    )
    assert "at least 2 distinct values" in str(
        run(ENTRIES["rd_local_linear"], Plan(data, Settings(rd_bandwidth=1e-6))).reason
    )


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("kind", "n", "seed"), [("plain", 1000, 2), ("mass points", 4000, 3)])
def test_every_kernel_and_order_equals_rdrobust(kernel: str, order: int, kind: str, n: int, seed: int) -> None:
    data = scored(kind, n, seed, 0.5)
    result = answer(data, rd_kernel=kernel, rd_order=order)
    assert_equal(result, peer(data, kernel=kernel, p=order))
    assert (result.diagnostics["kernel"], result.diagnostics["order"]) == (kernel, order)


@pytest.mark.parametrize("kernel", ["epanechnikov", "uniform"])
@pytest.mark.parametrize("se", ["HC1", "HC3"])
def test_residuals_of_kernels_and_orders_equal_rdrobust(kernel: str, se: str) -> None:
    data = bare()
    result = answer(data, rd_kernel=kernel, rd_order=2, se=se)
    assert_equal(result, peer(data, kernel=kernel, p=2, vce=se.lower()))


def test_kernels_and_orders_of_a_fuzzy_design_equal_rdrobust() -> None:
    data = discontinuity(2500, fuzzy=True)
    result = answer(data, "rd_fuzzy", rd_kernel="uniform", rd_order=2, rd_bandwidth=0.5, rd_bias_bandwidth=0.7)
    theirs = peer(data, fuzzy=data.treatment, covs=data.covariates, kernel="uniform", p=2, h=0.5, b=0.7)
    assert_equal(result, theirs)


def test_an_order_of_two_counts_its_coefficients_where_clusters_end_at_the_cutoff() -> None:
    data = clustered(nested=True)
    result = answer(data, rd_order=2, rd_kernel="epanechnikov")
    theirs = peer(data, cluster=data.clusters[0], p=2, kernel="epanechnikov")
    apart = result.diagnostics["standard_errors"]["CCT robust (CRV1, clusters end at the cutoff)"]
    assert apart == pytest.approx(theirs["se_robust"], rel=1e-6)


@pytest.mark.parametrize("bias", [0.2, 0.4])
def test_a_bias_bandwidth_that_is_given_equals_rdrobust(bias: float) -> None:
    data = bare()
    result = answer(data, rd_bandwidth=0.25, rd_bias_bandwidth=bias)
    assert_equal(result, peer(data, h=0.25, b=bias))
    chosen = answer(data, rd_bias_bandwidth=bias)
    own = answer(data).diagnostics["h"]
    assert (chosen.diagnostics["h"], chosen.diagnostics["b"]) == pytest.approx((own, bias))
    assert_equal(chosen, peer(data, h=own, b=bias))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_global_polynomial_is_least_squares_on_all_rows(order: int) -> None:
    import statsmodels.api as sm

    data = bare()
    result = answer(data, rd_bandwidth="all", rd_order=order, se="HC1")
    away = data.running - data.cutoff
    above = (away >= 0)[:, None]

    def powers(highest: int) -> np.ndarray:
        each = np.vander(away, highest + 1, increasing=True)
        return np.column_stack([above * each, each])

    plain, corrected = (sm.OLS(data.y, powers(highest)).fit().params[0] for highest in (order, order + 1))
    assert result.estimate == pytest.approx(plain, rel=1e-8)
    assert result.diagnostics["bias_corrected"] == pytest.approx(corrected, rel=1e-8)
    assert sum(result.diagnostics["N_h"]) == data.n
    assert_equal_but_for_bandwidths(result, peer(data, h=1e3, kernel="uniform", p=order, vce="hc1"))
    assert any("Global polynomials" in warning for warning in result.warnings) == (order >= 3)


def assert_equal_but_for_bandwidths(result: Estimate, theirs: dict[str, object]) -> None:
    reported = result.diagnostics
    assert_equal(result, {**theirs, "h": reported["h"], "b": reported["b"]})


def test_sampling_weights_equal_rdrobust() -> None:
    data = bare()
    data = replace(data, weights=np.random.default_rng(1).uniform(0.2, 3, data.n))
    assert_equal(answer(data), peer(data, weights=data.weights))


def test_covariates_equal_rdrobust_and_narrow_the_interval() -> None:
    data = discontinuity()
    result = answer(data)
    assert_equal(result, peer(data, covs=data.covariates))
    assert result.standard_error < 0.9 * answer(bare()).standard_error


@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_fuzzy_design_equals_rdrobust_at_the_same_bandwidths(covariates: bool, seed: int) -> None:
    data = discontinuity(1500, seed, fuzzy=True, covariates=covariates)
    extra = {"covs": data.covariates} if covariates else {}
    result = answer(data, "rd_fuzzy")
    reported = result.diagnostics
    assert_equal(result, peer(data, fuzzy=data.treatment, h=reported["h"], b=reported["b"], **extra))
    own = peer(data, fuzzy=data.treatment, **extra)
    assert reported["b"] == pytest.approx(own["b"], rel=1e-6)
    assert reported["h"] == pytest.approx(own["h"], rel=0.1)


def test_a_ratio_of_jumps_does_not_know_the_level_of_the_outcome() -> None:
    data = discontinuity(1500, fuzzy=True)
    raised = replace(data, y=data.y + 1000.0)
    same(answer(data, "rd_fuzzy"), answer(raised, "rd_fuzzy"), rtol=1e-8)
    assert peer(data, fuzzy=data.treatment)["h"] != pytest.approx(peer(raised, fuzzy=data.treatment)["h"], rel=1e-5)


def test_a_fuzzy_design_with_nobody_treated_below_equals_rdrobust() -> None:
    data = discontinuity(1500, fuzzy=True, covariates=False)
    data = replace(data, treatment=data.treatment * (data.running >= data.cutoff))
    assert_equal(answer(data, "rd_fuzzy"), peer(data, fuzzy=data.treatment))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("covariates", [False, True])
def test_clusters_that_end_at_the_cutoff_equal_rdrobust(nested: bool, covariates: bool) -> None:
    data = clustered(nested=nested, covariates=covariates)
    theirs = peer(data, cluster=data.clusters[0], **({"covs": data.covariates} if covariates else {}))
    result = answer(data)
    reported = result.diagnostics
    assert (result.estimate, reported["h"], reported["b"]) == pytest.approx(
        (theirs["estimate"], theirs["h"], theirs["b"]), rel=1e-6
    )
    apart = reported["standard_errors"]["CCT robust (CRV1, clusters end at the cutoff)"]
    assert apart == pytest.approx(theirs["se_robust"], rel=1e-6)
    assert result.se_method == "CCT robust (CRV1)"
    assert reported["degrees_of_freedom"] == (119 if nested else 59)
    if nested:
        assert result.standard_error == pytest.approx(apart, rel=0.01)


def test_a_dose_that_jumps_is_divided_by() -> None:
    data = bare(n=3000)
    rng = np.random.default_rng(8)
    dose = 3.0 * (data.running >= data.cutoff) + rng.standard_normal(data.n)
    treated = replace(
        data, y=0.5 * dose + rng.standard_normal(data.n), treatment=dose, treatment_kind="continuous",
        names={**data.names, "treatment": ("dose",)},
    )  # fmt: skip
    result = answer(treated, "rd_fuzzy")
    assert result.ci_lower < 0.5 < result.ci_upper
    reported = result.diagnostics
    assert_equal(result, peer(treated, fuzzy=dose, h=reported["h"], b=reported["b"]))
