import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, discontinuity, rows

ENTRIES = {entry.name: entry for entry in catalog() if entry.family == "discontinuity"}


def answer(data: Data, name: str = "rd_local_linear", **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(data: Data, name: str = "rd_local_linear") -> str:
    result = run(ENTRIES[name], Plan(data, Settings()))
    assert result.status == "skipped"
    return str(result.reason)


def bare(**changes: object) -> Data:
    return discontinuity(covariates=False, **changes)


def same(left: Estimate, right: Estimate, *, factor: float = 1.0, rtol: float = 1e-9) -> None:
    assert right.estimate == pytest.approx(factor * left.estimate, rel=rtol)
    assert right.standard_error == pytest.approx(abs(factor) * left.standard_error, rel=rtol)
    assert right.p_value == pytest.approx(left.p_value, rel=1e-5, abs=1e-12)


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


SCORES = {
    "plain": lambda rng, n: rng.normal(0.3, 2, n),
    "far to one side": lambda rng, n: rng.exponential(2, n) - 0.2,
    "uniform": lambda rng, n: rng.uniform(-1, 3, n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "some ties": lambda rng, n: np.round(rng.normal(0.3, 2, n), 2),
    "mass points": lambda rng, n: np.round(rng.normal(0.3, 2, n), 1),
    "whole numbers": lambda rng, n: np.round(rng.normal(0.3, 20, n)),
    "heaped at tens": lambda rng, n: np.where(rng.random(n) < 0.3, np.round(v := rng.normal(3, 20, n), -1), v),
}


def scored(kind: str, n: int, seed: int, cutoff: float) -> Data:
    rng = np.random.default_rng(seed)
    score = SCORES[kind](rng, n)
    y = np.sin(score / score.std()) + (score >= cutoff) * 0.7 + rng.standard_normal(n) * 0.5
    return Data(
        n=n, y=y, running=score, cutoff=cutoff, row_key=np.arange(n, dtype=np.uint64),
        names={"y": ("y",), "running": ("score",)},
    )  # fmt: skip


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


def test_a_score_of_too_few_values_for_an_order_is_refused() -> None:
    data = bare()
    few = replace(data, running=np.where(data.running < 0.5, np.round(data.running * 10) / 10, data.running))
    assert answer(few, rd_order=1).estimate is not None
    assert run(ENTRIES["rd_local_linear"], Plan(few, Settings(rd_order=8))).status == "skipped"


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


def clustered(*, nested: bool, covariates: bool = False) -> Data:
    data = discontinuity(1200, covariates=covariates)
    codes = np.random.default_rng(3).integers(0, 60, data.n)
    if nested:
        codes = codes + 60 * (data.running >= data.cutoff)
    return replace(data, clusters=(codes,))


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


def test_errors_that_a_cluster_shares_across_the_cutoff_cancel_in_the_jump() -> None:
    data = clustered(nested=False)
    shared = np.random.default_rng(4).standard_normal(60)[data.clusters[0]]
    noisy = replace(data, y=data.y + 5 * shared)
    result = answer(noisy)
    apart = result.diagnostics["standard_errors"]["CCT robust (CRV1, clusters end at the cutoff)"]
    assert result.standard_error < 0.8 * apart


def test_rows_in_no_cluster_of_their_own_are_clustered_by_unit() -> None:
    data = bare()
    result = answer(replace(data, unit=np.arange(data.n) // 3))
    assert result.se_method == "CCT robust (CRV1) by unit"
    assert answer(replace(data, unit=np.arange(data.n) // 3), se="HC1").se_method == "CCT robust (HC1)"


def test_a_score_that_runs_the_other_way_changes_the_sign() -> None:
    data = bare()
    mirrored = replace(data, running=-data.running, cutoff=-data.cutoff)
    same(answer(data), answer(mirrored), factor=-1.0)


def test_the_unit_of_the_score_changes_nothing() -> None:
    data = bare()
    for factor in (1e-120, 3.0, 1e120):
        scaled = replace(data, running=data.running * factor, cutoff=data.cutoff * factor)
        same(answer(data), answer(scaled))
        assert answer(scaled).diagnostics["h"] == pytest.approx(factor * answer(data).diagnostics["h"], rel=1e-9)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_a_treatment_that_the_cutoff_decides_is_sharp_in_its_own_direction(below: bool, strict: bool) -> None:
    data = scored("whole numbers", 2000, 5, 3.0)
    above = data.running > 3.0 if strict else data.running >= 3.0
    treated = replace(
        data,
        treatment=(above != below).astype(float),
        treatment_kind="binary",
        names={**data.names, "treatment": ("t",)},
    )
    plain = replace(data, cutoff=3.5) if strict else data
    result = answer(treated)
    if not strict:
        same(answer(plain), result, factor=-1.0 if below else 1.0)
    assert result.estimate * (-1 if below else 1) > 0
    sign = {(False, False): ">=", (False, True): ">", (True, False): "<", (True, True): "<="}[below, strict]
    assert f"All rows with score {sign} 3 are treated." in result.diagnostics["notes"]
    assert "see rd_local_linear" in refused(treated, "rd_fuzzy")


def test_imperfect_compliance_is_fuzzy_and_says_so() -> None:
    data = discontinuity(2000, fuzzy=True)
    assert "rd_fuzzy" in refused(data)
    assert "agrees with the side for 8" in refused(data)
    result = answer(data, "rd_fuzzy")
    assert result.estimand == "LATE at the cutoff"
    reported = result.diagnostics
    jump = reported["outcome_jump"]["estimate"] / reported["treatment_jump"]
    assert result.estimate == pytest.approx(jump, rel=1e-9)
    assert reported["first_stage_f"] > 50
    (low, high), = reported["anderson_rubin_robust"]["intervals"]  # fmt: skip
    assert low < EFFECT < high
    assert abs(low - result.ci_lower) < 0.3 * result.standard_error


def test_a_treatment_that_does_not_jump_is_called_weak_and_its_set_unbounded() -> None:
    data = discontinuity(1500, fuzzy=True)
    random = replace(data, treatment=(np.random.default_rng(6).random(data.n) < 0.5).astype(float))
    result = answer(random, "rd_fuzzy")
    assert result.status == "warning"
    assert any("hardly jumps" in warning for warning in result.warnings)
    assert result.diagnostics["anderson_rubin_robust"]["kind"] in ("whole line", "two rays")


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


def test_the_estimate_and_its_interval_say_that_they_have_different_centres() -> None:
    result = answer(bare())
    reported = result.diagnostics
    assert (result.ci_lower + result.ci_upper) / 2 == pytest.approx(reported["bias_corrected"])
    assert sum(reported["conventional_ci"]) / 2 == pytest.approx(result.estimate)
    assert any("need not be centred" in note for note in reported["notes"])
    lines = reported["lines"]
    assert lines["above"]["at_cutoff"] - lines["below"]["at_cutoff"] == pytest.approx(result.estimate)


def test_the_lines_are_those_of_weighted_least_squares() -> None:
    import statsmodels.api as sm

    data = bare()
    reported = answer(data).diagnostics
    away = data.running - data.cutoff
    kernel = np.maximum(1 - np.abs(away) / reported["h"], 0)
    for name, side in (("below", away < 0), ("above", away >= 0)):
        fit = sm.WLS(data.y[side], sm.add_constant(away[side]), weights=kernel[side]).fit()
        assert list(reported["lines"][name].values()) == pytest.approx(list(fit.params), rel=1e-8)


def test_sides_without_enough_values_are_named() -> None:
    data = bare()
    assert "No row has 'score' at or above the cutoff 9" in refused(replace(data, cutoff=9.0))
    few = replace(data, running=np.where(data.running < 0.5, 0.0, data.running))
    assert "1 distinct value below the cutoff 0.5" in refused(few)
    assert "Only 12 rows" in refused(rows(data, np.arange(12)))
    effects = replace(data, fixed_effects=(np.arange(data.n) % 5,), names={**data.names, "fixed_effects": ("g",)})
    assert "fixed effects" in refused(effects)


def test_few_values_near_the_cutoff_lead_to_a_warning() -> None:
    rng = np.random.default_rng(9)
    age = rng.integers(0, 12, 4000).astype(float)
    data = replace(bare(n=4000), running=age, cutoff=6.0)
    data = replace(data, y=age / 5 + (age >= 6) + rng.standard_normal(4000))
    result = answer(data)
    assert result.status == "warning"
    assert any("mass points (12 distinct values" in note for note in result.diagnostics["notes"])
    assert any("extrapolation between few points" in warning for warning in result.warnings)
    assert result.ci_lower < 1.0 < result.ci_upper


def test_mass_points_are_no_warning_where_the_bandwidth_holds_many_of_them() -> None:
    data = bare()
    result = answer(replace(data, running=np.round(data.running, 2)))
    assert min(result.diagnostics["distinct_h"]) >= 10
    assert any("mass points" in note for note in result.diagnostics["notes"])
    assert (result.status, result.warnings) == ("ok", ())


def test_an_outcome_that_jumps_without_error_has_no_made_up_certainty() -> None:
    data = bare()
    result = answer(replace(data, y=1.0 + 2.0 * (data.running >= data.cutoff)))
    assert result.estimate == pytest.approx(2.0, abs=1e-9)
    assert result.standard_error is None or result.standard_error < 1e-6


def test_standard_errors_without_meaning_here_are_replaced_and_said() -> None:
    data = bare()
    for asked in ("iid", "CRV1", "CRV3"):
        result = answer(data, se=asked)
        same(answer(data), result)
        assert any(asked in note for note in result.diagnostics["notes"])
    assert any("CRV3" in note for note in answer(clustered(nested=False), se="CRV3").diagnostics["notes"])


def test_few_clusters_lead_to_a_warning_and_one_has_no_error() -> None:
    data = bare()
    few = answer(replace(data, clusters=(np.arange(data.n) % 12,)))
    assert any("12 clusters within the bandwidth" in warning for warning in few.warnings)
    one = answer(replace(data, clusters=(np.zeros(data.n, dtype=np.int64),)))
    assert one.status == "warning"
    assert (one.standard_error, one.ci_lower, one.p_value) == (None, None, None)
