"""Mediation by linear equations, against statsmodels and against truth."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Matrix, Plan, Settings, Vector, run
from tests.estimators.designs import mediated
from tests.estimators.mediation.peers import BY_NAME, answer, peer_fits, sandwich
from tests.validation import Validated, half_width, record

EFFECTS = ("acme", "ade", "total")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
def test_it_is_the_product_of_two_regressions_coefficients(weighted: bool, continuous: bool):
    data = mediated(continuous=continuous)
    data = replace(data, weights=np.random.default_rng(1).uniform(0.5, 2.0, data.n) if weighted else None)
    (first,), second = peer_fits(data)
    a, b = first.params[3], second.params[4]
    found = answer(data, se="iid")
    assert found.estimate == pytest.approx(a * b, rel=1e-9)
    sobel = np.sqrt(a**2 * second.bse[4] ** 2 + b**2 * first.bse[3] ** 2)
    assert found.standard_error == pytest.approx(sobel, rel=1e-9)
    ade = answer(data, "ade")
    robust = second.get_robustcov_results("HC1")
    assert (ade.estimate, ade.standard_error) == pytest.approx((robust.params[3], robust.bse[3]), rel=1e-9)


def test_direct_and_mediated_effects_add_up_to_the_regression_without_mediators():
    sm = pytest.importorskip("statsmodels.api")
    for mediators in (1, 3):
        data = mediated(mediators=mediators)
        base = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
        parts = {effect: answer(data, effect) for effect in EFFECTS}
        fit = sm.OLS(data.y, base).fit(cov_type="HC0")
        assert parts["total"].estimate == pytest.approx(fit.params[3], rel=1e-9)
        assert parts["acme"].estimate + parts["ade"].estimate == pytest.approx(fit.params[3], rel=1e-9)
        # The moves of both equations sum to those of the reduced one.
        assert answer(data, "total", se="HC0").standard_error == pytest.approx(fit.bse[3], rel=1e-9)


def test_several_mediators_are_the_sum_of_their_paths():
    data = mediated(mediators=3)
    firsts, second = peer_fits(data)
    found = answer(data)
    products = [fit.params[3] * second.params[4 + place] for place, fit in enumerate(firsts)]
    assert [path["through_it"] for path in found.diagnostics["paths"]] == pytest.approx(products, rel=1e-9)
    assert found.estimate == pytest.approx(sum(products), rel=1e-9)
    single = answer(mediated(), se="HC0")
    assert single.diagnostics["paths"][0]["standard_error"] == pytest.approx(single.standard_error, rel=1e-9)


def test_effects_with_an_interaction_are_those_of_mediation():
    data = mediated(product=0.6)
    (first,), second = peer_fits(data, product=True)
    a, (c, b, d) = first.params[3], second.params[3:]
    untreated = np.column_stack([np.ones(data.n), data.covariates, np.zeros(data.n)]) @ first.params
    acme, ade, total = (answer(data, effect, mediation_interaction=True) for effect in EFFECTS)
    assert acme.diagnostics["acme_untreated"]["estimate"] == pytest.approx(a * b, rel=1e-9)
    assert acme.diagnostics["acme_treated"]["estimate"] == pytest.approx(a * (b + d), rel=1e-9)
    assert ade.diagnostics["ade_untreated"]["estimate"] == pytest.approx(c + d * untreated.mean(), rel=1e-9)
    assert ade.diagnostics["ade_treated"]["estimate"] == pytest.approx(c + d * (untreated.mean() + a), rel=1e-9)
    assert acme.estimate == pytest.approx(a * (b + d / 2), rel=1e-9)
    assert acme.estimate + ade.estimate == pytest.approx(total.estimate, rel=1e-12)


def test_the_quasi_bayesian_interval_is_that_of_statsmodels():
    statsmodels = pytest.importorskip("statsmodels.stats.mediation")
    sm = pytest.importorskip("statsmodels.api")
    data = mediated(3_000, product=0.5)
    names = ["const", "x0", "x1", "t"]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        np.column_stack([np.ones(data.n), data.covariates, data.treatment, data.mediators, data.y]),
        columns=[*names, "m", "y"],
    )
    outcome = sm.OLS.from_formula("y ~ x0 + x1 + t * m", frame)
    mediator = sm.OLS.from_formula("m ~ x0 + x1 + t", frame)
    peer = statsmodels.Mediation(outcome, mediator, "t", "m").fit(n_rep=150, rng=np.random.default_rng(1))
    table = peer.summary()
    for effect, row in (("acme", "ACME (average)"), ("ade", "ADE (average)"), ("total", "Total effect")):
        found = answer(data, effect, mediation_interaction=True)
        drawn = found.diagnostics["quasi_bayesian"]
        width = found.standard_error
        ends = table.loc[row, ["Lower CI bound", "Upper CI bound"]]
        assert [drawn["ci_lower"], drawn["ci_upper"]] == pytest.approx(list(ends), abs=0.6 * width)
        assert found.estimate == pytest.approx(table.loc[row, "Estimate"], abs=0.25 * width)


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_with_an_interaction_are_those_of_the_stacked_equations(weighted: bool):
    data = mediated(800, product=0.6)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, data.n) if weighted else np.ones(data.n)
    data = replace(data, weights=weights if weighted else None)
    (first,), second = peer_fits(data, product=True)
    x = data.covariates - np.average(data.covariates, axis=0, weights=weights)
    base = np.column_stack([np.ones(data.n), x, data.treatment])
    outer = np.column_stack([base, data.mediators, data.mediators * data.treatment[:, None]])
    shift = np.average(data.covariates, axis=0, weights=weights)
    theta = np.concatenate([first.params, second.params, [0.0]])
    theta[0] += shift @ first.params[1:3]
    theta[4] += shift @ second.params[1:3]
    theta[-1] = theta[0]

    def equations(theta: Vector) -> Matrix:
        of_mediator = data.mediators[:, 0] - base @ theta[:4]
        untreated = base[:, :3] @ theta[:3] - theta[-1]
        parts = [base * of_mediator[:, None], outer * (data.y - outer @ theta[4:-1])[:, None], untreated[:, None]]
        return np.column_stack(parts) * weights[:, None]

    def acme(theta: Vector) -> float:
        return theta[3] * (theta[8] + theta[9] / 2)

    def ade(theta: Vector) -> float:
        return theta[7] + theta[9] * (theta[-1] + theta[3] / 2)

    for effect, value in (("acme", acme), ("ade", ade), ("total", lambda theta: acme(theta) + ade(theta))):
        found = answer(data, effect, mediation_interaction=True, se="HC0")
        assert found.estimate == pytest.approx(value(theta), rel=1e-8)
        assert found.standard_error == pytest.approx(sandwich(equations, theta, value), rel=1e-5)


def test_an_interaction_that_is_left_out_is_a_warning():
    assert any("differs by treatment" in warning for warning in answer(mediated(product=0.6)).warnings)
    assert answer(mediated()).status == "ok"
    assert answer(mediated(product=0.6), mediation_interaction=True).status == "ok"


def test_a_mediator_that_the_covariates_determine_is_refused():
    data = mediated()
    result = answer(replace(data, mediators=data.covariates[:, :1] * 2 + 1))
    assert result.status == "skipped"
    assert "covariates are collinear" in result.reason
    flat = answer(replace(data, mediators=np.ones((data.n, 1))))
    assert "'m0' never varies" in flat.reason


def test_an_interaction_is_for_two_arms():
    result = answer(mediated(continuous=True), mediation_interaction=True)
    assert result.status == "skipped"
    assert "binary treatment" in result.reason


def test_clusters_and_the_jackknife_over_them_agree_where_there_are_many():
    data = replace(mediated(2000), clusters=(np.arange(2000) // 20,))
    one, three = answer(data), answer(data, se="CRV3")
    assert (one.se_method, three.se_method) == ("CRV1", "CRV3")
    assert three.standard_error == pytest.approx(one.standard_error, rel=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_cover_each_part_of_the_effect(capsys: pytest.CaptureFixture[str]):
    replications, rows, mean = 1_000, 1_000, 0.2
    truth = {"acme": 0.5 * (0.8 + 0.5 * 0.4), "ade": 1.0 + 0.4 * (mean + 0.5 * 0.5)}
    truth["total"] = truth["acme"] + truth["ade"]
    found = {effect: np.empty((replications, 6)) for effect in EFFECTS}
    for replication in range(replications):
        plan = Plan(mediated(rows, 20_240 + replication, product=0.4), Settings(mediation_interaction=True))
        for effect in EFFECTS:
            each = run(BY_NAME[f"mediation_{effect}"], plan)
            drawn = each.diagnostics["quasi_bayesian"]
            found[effect][replication] = (
                each.estimate, each.standard_error, each.ci_lower, each.ci_upper, drawn["ci_lower"], drawn["ci_upper"],
            )  # fmt: skip
    for effect, table in found.items():
        estimates, errors, lower, upper, low, high = table.T
        sd, bias = float(estimates.std(ddof=1)), float(estimates.mean() - truth[effect])
        ratio = float(errors.mean() / sd)
        rates = [float(np.mean((a <= truth[effect]) & (truth[effect] <= b))) for a, b in ((lower, upper), (low, high))]
        with capsys.disabled():
            print(f"\n{effect:6} coverage {rates[0]:.3f}, quasi-Bayesian {rates[1]:.3f} bias {bias:+.4f} sd {sd:.4f} "
                  f"se/sd {ratio:.3f}")  # fmt: skip
        record(
            Validated(
                design="Mediator with an interaction", estimator=f"mediation_{effect}", replications=replications,
                rows=rows, truth=truth[effect], bias=bias, sd=sd, se_ratio=ratio, coverage=rates[0],
                note=f"quasi-Bayesian intervals: {rates[1]:.3f}",
            )
        )  # fmt: skip
        for rate in rates:
            half = half_width(rate, replications)
            assert rate + half >= 0.93, effect
            assert rate - half <= 0.97, effect
        assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd
        assert ratio == pytest.approx(1.0, abs=0.07)


@pytest.mark.slow
def test_an_interaction_that_is_left_out_is_found_as_often_as_it_should_be(capsys: pytest.CaptureFixture[str]):
    replications = 200
    fired = {
        product: sum(
            any(
                "differs by treatment" in warning
                for warning in answer(mediated(1_000, 900 + each, product=product)).warnings
            )
            for each in range(replications)
        )
        for product in (0.0, 0.4)
    }
    with capsys.disabled():
        print(f"\ninteraction found in {fired[0.4]} of {replications}, where there is none in {fired[0.0]}")
    record(
        Validated(
            design="Mediator with an interaction left out of the equations", estimator="mediation_acme",
            replications=replications, rows=1_000,
            note=f"the warning fires in {fired[0.4]} of {replications}, and where there is none in {fired[0.0]}",
        )
    )  # fmt: skip
    assert fired[0.4] >= 0.9 * replications
    assert fired[0.0] <= 0.05 * replications


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rows", "clusters", "mediators"), [(60, 0, 1), (60, 0, 3), (240, 12, 3)])
def test_few_rows_or_clusters_find_no_interaction_that_is_not_there(
    rows: int, clusters: int, mediators: int, capsys: pytest.CaptureFixture[str]
):
    replications, rejected = 1_000, 0
    for replication in range(replications):
        rng = np.random.default_rng(20_240 + replication)
        codes = np.arange(rows) % max(clusters, 1)
        shared = 0.5 * rng.standard_normal((2, max(clusters, 1)))[:, codes] * (clusters > 0)
        data = replace(mediated(rows, 20_240 + replication, mediators=mediators), weights=None)
        m = data.mediators + shared[:1].T
        y = data.y + m.sum(axis=1) * 0.2 + shared[1] + rng.standard_normal(rows) * np.abs(m[:, 0])
        data = replace(data, y=y, mediators=m, clusters=(codes,) if clusters else ())
        rejected += answer(data).diagnostics["interaction"]["p_value"] < 0.05
    rate = rejected / replications
    with capsys.disabled():
        print(f"\n{rows} rows, {clusters} clusters, {mediators} mediators: an interaction is found in {rate:.3f}")
    record(
        Validated(
            design=f"No interaction with {mediators} mediators" + (f", {clusters} clusters" if clusters else ""),
            estimator="mediation_acme", replications=replications, rows=rows,
            note=f"the test of the interaction rejects {rate:.3f} at 5%",
        )
    )  # fmt: skip
    assert rate - half_width(rate, replications) <= 0.07
