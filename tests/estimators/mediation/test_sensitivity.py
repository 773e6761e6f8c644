from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Matrix, Plan, Settings, Vector
from cqox.estimators.mediation.delta_method import Fitted
from cqox.estimators.mediation.equations import fit_equations, mediation_frame, row_moves
from cqox.estimators.mediation.sensitivity import correlated_errors, interaction
from tests.estimators.designs import mediated
from tests.estimators.mediation.peers import answer, peer_fits, sandwich


def test_the_curve_of_sensitivity_finds_the_effect_at_the_true_correlation():
    data = mediated(40_000, confounding=0.5)
    found = answer(data)
    curve = {row["rho"]: row for row in found.diagnostics["sensitivity"]["curve"]}
    assert abs(found.estimate - 0.4) > 0.1
    assert curve[0.5]["acme"] == pytest.approx(0.4, abs=0.03)
    assert curve[0.5]["ci_lower"] < 0.4 < curve[0.5]["ci_upper"]
    assert curve[0.0]["acme"] == pytest.approx(found.estimate, rel=1e-9)


def test_the_correlation_that_leaves_no_mediated_effect_is_that_of_the_residuals():
    data = mediated()
    base = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    left = [v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (data.y, data.mediators[:, 0])]
    rho = np.corrcoef(*left)[0, 1]
    reported = answer(data).diagnostics["sensitivity"]
    assert reported["rho_at_zero"] == pytest.approx(rho, rel=1e-9)
    shares = [np.var(e) / np.var(v) for e, v in zip(left, (data.y, data.mediators[:, 0]), strict=True)]
    assert reported["r2_product_of_total_variance_at_zero"] == pytest.approx(rho**2 * np.prod(shares), rel=1e-9)
    signs = [row["acme"] > 0 for row in reported["curve"]]
    assert signs == [row["rho"] < rho for row in reported["curve"]]


def test_intervals_of_the_curve_are_those_of_the_stacked_equations():
    data = mediated(600, confounding=0.3)
    base = np.column_stack([np.ones(data.n), data.covariates / [2.0, 30.0] - [2.5, 10 / 3], data.treatment])
    pair = np.column_stack([data.y, data.mediators])
    fits = np.linalg.lstsq(base, pair, rcond=None)[0]

    def squares(left: Matrix) -> Matrix:
        return np.column_stack([left[:, 0] ** 2, left[:, 0] * left[:, 1], left[:, 1] ** 2])

    theta = np.concatenate([fits.T.ravel(), squares(pair - base @ fits).mean(0)])

    def equations(theta: Vector) -> Matrix:
        left = pair - base @ theta[:8].reshape(2, 4).T
        return np.column_stack([base * left[:, :1], base * left[:, 1:], squares(left) - theta[8:]])

    stats = pytest.importorskip("scipy.stats")
    found = answer(data, se="HC0")
    for row in found.diagnostics["sensitivity"]["curve"][::6]:
        r = row["rho"] / np.sqrt(1 - row["rho"] ** 2)

        def value(theta: Vector, r: float = r) -> float:
            s11, s12, s22 = theta[8:]
            return theta[7] * (s12 - r * np.sqrt(s11 * s22 - s12**2)) / s22

        assert row["acme"] == pytest.approx(value(theta), rel=1e-8)
        half = stats.t.ppf(0.975, data.n - 5) * sandwich(equations, theta, value)
        assert row["ci_upper"] - row["acme"] == pytest.approx(half, rel=1e-5)


@pytest.mark.parametrize("se", ["auto", "iid", "HC0", "HC1", "HC2", "CRV1", "CRV3"])
@pytest.mark.parametrize("clusters", [0, 9])
def test_the_curve_without_correlation_and_the_only_path_have_the_error_of_the_effect(se: str, clusters: int):
    data = mediated(90)
    data = replace(data, clusters=(np.arange(90) % clusters,)) if clusters else data
    found = answer(data, se=se)
    assert found.diagnostics["paths"][0]["standard_error"] == pytest.approx(found.standard_error, rel=1e-9)
    (row,) = [row for row in found.diagnostics["sensitivity"]["curve"] if row["rho"] == 0]
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((found.ci_lower, found.ci_upper), rel=1e-9)


def test_an_effect_without_an_error_has_a_curve_without_intervals():
    data = mediated(90)
    cluster = np.where(data.treatment > 0, 0, 1 + np.arange(90) % 7)
    found = answer(replace(data, clusters=(cluster,)))
    assert found.standard_error is None
    assert found.diagnostics["paths"][0]["standard_error"] is None
    reported = found.diagnostics["sensitivity"]
    assert {row["ci_lower"] for row in reported["curve"]} == {None}
    assert reported["smallest_rho_with_zero_inside"] is None
    assert "no standard errors" in found.diagnostics["interaction"]["reason"]


def test_one_product_is_tested_by_t_and_several_by_hotelling():
    stats = pytest.importorskip("scipy.stats")
    for mediators in (1, 3):
        data = mediated(80, mediators=mediators, product=0.2)
        _, second = peer_fits(data, product=True)
        robust = second.get_robustcov_results("HC3")
        d, covariance = robust.params[-mediators:], robust.cov_params()[-mediators:, -mediators:]
        rest = second.df_resid - mediators + 1
        wald = d @ np.linalg.solve(covariance, d) * rest / second.df_resid / mediators
        reported = answer(data).diagnostics["interaction"]
        assert reported["coefficients"] == pytest.approx(list(d), rel=1e-8)
        assert reported["p_value"] == pytest.approx(stats.f.sf(wald, mediators, rest), rel=1e-7)
        if mediators == 1:
            assert reported["p_value"] == pytest.approx(robust.pvalues[-1], rel=1e-7)


def test_the_test_of_products_leaves_out_each_cluster_where_they_are_few():
    stats = pytest.importorskip("scipy.stats")
    data = mediated(240, mediators=2, product=0.2)
    codes = np.arange(240) % 12

    def products(kept: np.ndarray) -> np.ndarray:
        base = np.column_stack([np.ones(kept.sum()), data.covariates[kept], data.treatment[kept]])
        m = data.mediators[kept]
        outer = np.column_stack([base, m, m * data.treatment[kept, None]])
        return np.linalg.lstsq(outer, data.y[kept], rcond=None)[0][-2:]

    d = products(np.ones(240, dtype=bool))
    off = np.stack([products(codes != code) for code in range(12)]) - d
    wald = d @ np.linalg.solve(off.T @ off * 11 / 12, d)
    reported = answer(replace(data, clusters=(codes,))).diagnostics["interaction"]
    assert reported["p_value"] == pytest.approx(stats.f.sf(wald * 10 / (11 * 2), 2, 10), rel=1e-6)


def fitted(data: Data, **settings: object) -> Fitted:
    plan = Plan(data, Settings(**settings))
    sample = plan.sample("y", "treatment", "mediator", "covariates")
    frame = mediation_frame(plan, sample)
    fit = fit_equations(frame, frame.products, data.mediators.shape[1], interacted=False)
    return Fitted(frame=frame, fit=fit, moves=row_moves(frame, fit), clusters=plan.clusters(sample),
                  settings=plan.settings, arm_codes=plan.treated(sample))  # fmt: skip


def test_the_curve_is_for_one_mediator_without_an_interaction():
    for shared in (fitted(mediated(90, mediators=2)), fitted(mediated(90), mediation_interaction=True)):
        assert correlated_errors(shared)["reason"].code == "mediation.one-mediator-only"


def test_an_outcome_that_the_mediator_determines_leaves_no_correlation():
    data = mediated(90)
    exact = replace(data, y=data.mediators[:, 0] + data.treatment)
    assert correlated_errors(fitted(exact))["reason"].code == "mediation.exact-fit"


def test_the_smallest_correlation_is_that_whose_interval_first_holds_zero():
    found = correlated_errors(fitted(mediated(300)))
    inside = [row["rho"] for row in found["curve"] if row["ci_lower"] <= 0 <= row["ci_upper"]]
    assert found["smallest_rho_with_zero_inside"] == min(inside, key=abs)
    assert 0 < found["smallest_rho_with_zero_inside"] < found["rho_at_zero"] + 0.05
    assert [row["rho"] for row in found["curve"]] == [round(-0.95 + 0.05 * k, 2) for k in range(39)]


def test_an_interaction_that_cannot_be_tested_has_a_reason():
    data = mediated(90)
    reasons = {
        "mediation.products-collinear": replace(data, mediators=data.treatment[:, None] * (np.arange(90)[:, None] % 7)),
        "mediation.equations-fit-exactly": replace(data, y=data.mediators[:, 0] + data.treatment),
        "mediation.too-few-rows-to-test": mediated(7),
        "mediation.too-few-clusters-to-test": replace(data, clusters=(np.arange(90) % 2,)),
    }
    for code, each in reasons.items():
        assert interaction(fitted(each))["reason"].code == code
