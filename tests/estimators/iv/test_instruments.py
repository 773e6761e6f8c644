from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, cross_section, instrumented, names_for, row_keys, rows

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def peer(data: Data, **options: object):
    from linearmodels.iv import IV2SLS

    exogenous = np.column_stack([np.ones(data.n), data.covariates])
    model = IV2SLS(data.y, exogenous, data.treatment, data.instruments, weights=data.weights)
    return model.fit(debiased=True, **options)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize(("se", "kind"), [("iid", "unadjusted"), ("HC1", "robust")])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_stage_least_squares_equals_linearmodels(m: int, se: str, kind: str, weighted: bool):
    data = instrumented(n=500, m=m)
    if weighted:
        data = replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, data.n))
    model, result = peer(data, cov_type=kind), answer("iv_2sls", data, se=se)
    assert result.estimate == pytest.approx(float(model.params.iloc[-1]), rel=1e-9)
    assert result.standard_error == pytest.approx(float(model.std_errors.iloc[-1]), rel=1e-9)


def test_the_first_stage_and_sargans_test_equal_linearmodels():
    data = instrumented(n=500, m=3)
    model, result = peer(data, cov_type="unadjusted"), answer("iv_2sls", data)
    first = model.first_stage.diagnostics.iloc[0]
    assert result.diagnostics["first_stage_f"] == pytest.approx(first["f.stat"], rel=1e-9)
    assert result.diagnostics["partial_r2"] == pytest.approx(first["partial.rsquared"], rel=1e-9)
    sargan = result.diagnostics["sargan"]
    assert sargan["statistic"] == pytest.approx(model.sargan.stat, rel=1e-9)
    assert sargan["p_value"] == pytest.approx(model.sargan.pval, rel=1e-9)


@pytest.mark.parametrize(("name", "constant"), [("iv_liml", 0), ("iv_fuller", 1)])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize(("se", "kind"), [("iid", "unadjusted"), ("HC1", "robust"), ("CRV1", "clustered")])
@pytest.mark.parametrize("weighted", [False, True])
def test_limited_information_equals_linearmodels(name: str, constant: int, m: int, se: str, kind: str, weighted: bool):
    from linearmodels.iv import IVLIML

    rng = np.random.default_rng(1)
    data = instrumented(n=500, m=m, strength=0.3)
    data = replace(data, weights=rng.uniform(0.5, 2, data.n) if weighted else None)
    clusters = rng.integers(0, 60, data.n)
    data = replace(data, clusters=(clusters,) if se == "CRV1" else ())
    exogenous = np.column_stack([np.ones(data.n), data.covariates])
    model = IVLIML(data.y, exogenous, data.treatment, data.instruments, weights=data.weights, fuller=constant)
    fit = model.fit(cov_type=kind, debiased=True, **({"clusters": clusters} if se == "CRV1" else {}))
    result = answer(name, data, se=se)
    assert result.diagnostics["kappa"] == pytest.approx(fit.kappa, rel=1e-10)
    assert result.estimate == pytest.approx(float(fit.params.iloc[-1]), rel=1e-9)
    assert result.standard_error == pytest.approx(float(fit.std_errors.iloc[-1]), rel=1e-9)


def test_limited_information_with_one_instrument_is_two_stage_least_squares():
    data = instrumented(n=500)
    left, right = answer("iv_2sls", data), answer("iv_liml", data)
    assert (left.estimate, left.standard_error) == (right.estimate, right.standard_error)


@pytest.mark.parametrize("name", ["iv_liml", "iv_fuller"])
def test_few_clusters_are_left_out_one_by_one(name: str):
    codes = np.random.default_rng(3).integers(0, 12, 600)
    data = replace(instrumented(n=600, m=3, strength=0.2), clusters=(codes,))
    result = answer(name, data)
    values = [answer(name, rows(replace(data, clusters=()), np.flatnonzero(codes != g))).estimate for g in range(12)]
    expected = np.sqrt(11 / 12 * np.sum((np.asarray(values) - result.estimate) ** 2))
    assert result.se_method == "CRV3"
    assert result.standard_error == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("kind", ["robust", "clustered"])
@pytest.mark.parametrize("weighted", [False, True])
def test_hansens_j_equals_that_of_linearmodels_two_steps(kind: str, weighted: bool):
    from linearmodels.iv import IVGMM

    rng = np.random.default_rng(5)
    data = instrumented(n=500, m=3, strength=0.3)
    data = replace(data, y=data.y + 0.1 * data.instruments[:, 0])
    data = replace(data, weights=rng.uniform(0.5, 2, data.n) if weighted else None)
    codes = rng.integers(0, 60, data.n)
    data = replace(data, clusters=(codes,) if kind == "clustered" else ())
    exogenous = np.column_stack([np.ones(data.n), data.covariates])
    clusters = {"clusters": codes} if kind == "clustered" else {}
    model = IVGMM(
        data.y, exogenous, data.treatment, data.instruments, weights=data.weights, weight_type=kind, **clusters
    )
    expected = model.fit(iter_limit=2).j_stat
    found = answer("iv_2sls", data).diagnostics["hansen_j"]
    assert found["statistic"] == pytest.approx(expected.stat, rel=1e-8)
    assert found["p_value"] == pytest.approx(expected.pval, rel=1e-8)


@pytest.mark.parametrize("name", ["iv_2sls", "iv_liml", "iv_fuller", "dml_pliv"])
def test_instruments_that_imply_different_effects_are_a_warning(name: str):
    data = instrumented(n=3000, m=2)
    valid, broken = answer(name, data), answer(name, replace(data, y=data.y + 0.4 * data.instruments[:, 0]))
    assert not any("Hansen" in warning for warning in valid.warnings)
    assert any("imply different effects (Hansen's J" in warning for warning in broken.warnings)
    assert broken.diagnostics["hansen_j"]["p_value"] < 1e-4
    assert "hansen_j" not in answer(name, instrumented(n=500, m=1)).diagnostics


def test_wu_and_hausmans_test_equals_linearmodels():
    data = instrumented(n=500, m=2, strength=0.5)
    for weights in (None, np.random.default_rng(1).uniform(0.5, 2, data.n)):
        model = peer(replace(data, weights=weights), cov_type="robust")
        result = answer("iv_2sls", replace(data, weights=weights))
        expected = model.wu_hausman()
        found, robust = result.diagnostics["wu_hausman"], result.diagnostics["endogeneity_robust"]
        assert found["statistic"] == pytest.approx(expected.stat, rel=1e-8)
        assert found["p_value"] == pytest.approx(expected.pval, rel=1e-7)
        assert robust["statistic"] ** 2 == pytest.approx(model.wooldridge_regression.stat, rel=1e-8)


def test_a_treatment_without_a_confounder_is_not_distinguished_from_one_that_needs_no_instrument():
    rng = np.random.default_rng(8)
    data = instrumented(n=2000, m=2)
    exogenous = replace(data, y=EFFECT * data.treatment + rng.standard_normal(data.n))
    assert answer("iv_2sls", exogenous).diagnostics["wu_hausman"]["p_value"] > 0.05
    assert answer("iv_2sls", data).diagnostics["wu_hausman"]["p_value"] < 1e-10


def test_every_estimate_by_instruments_reports_the_same_sets():
    data = instrumented(n=500, m=3, strength=0.2)
    sets = [answer(name, data).diagnostics["anderson_rubin_robust"] for name in ("iv_2sls", "iv_liml", "iv_fuller")]
    assert sets[0] == sets[1] == sets[2]
    assert answer("dml_pliv", data).diagnostics["anderson_rubin_robust"]["kind"] == "interval"


def anderson_rubin(data: Data, effect: float, robust: bool) -> float:
    """The F statistic by a regression on everything, as a textbook says it."""
    import statsmodels.api as sm

    design = np.column_stack([np.ones(data.n), data.covariates, data.instruments])
    weights = 1.0 if data.weights is None else data.weights
    model = sm.WLS(data.y - effect * data.treatment, design, weights=weights)
    fit = model.fit(cov_type="HC1" if robust else "nonrobust")
    m = data.instruments.shape[1]
    return float(np.squeeze(fit.f_test(np.eye(design.shape[1])[-m:]).fvalue))


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_ends_of_the_set_are_where_the_test_just_rejects(m: int, robust: bool, weighted: bool):
    from scipy import stats

    data = instrumented(n=300, m=m, strength=0.3)
    if weighted:
        data = replace(data, weights=np.random.default_rng(4).uniform(0.5, 2, 300))
    found = answer("iv_2sls", data).diagnostics[f"anderson_rubin_{'robust' if robust else 'homoskedastic'}"]
    critical = stats.f.ppf(0.95, m, data.n - 3 - m)
    assert found["kind"] == "interval"
    for end in found["intervals"][0]:
        assert anderson_rubin(data, end, robust) == pytest.approx(critical, rel=1e-6)
    assert found["p_value_no_effect"] == pytest.approx(
        stats.f.sf(anderson_rubin(data, 0.0, robust), m, data.n - 3 - m), rel=1e-6
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("m", [1, 2])
def test_every_shape_of_set_agrees_with_the_test_on_a_grid(seed: int, m: int):
    from scipy import stats

    data = instrumented(n=60, m=m, strength=0.15, seed=seed)
    result = answer("iv_2sls", data)
    critical = stats.f.ppf(0.95, m, data.n - 3 - m)
    for key, robust in (("homoskedastic", False), ("robust", True)):
        pieces = result.diagnostics[f"anderson_rubin_{key}"]["intervals"]
        for effect in (-1e4, -50.0, -8.0, -2.0, -0.5, 0.0, 0.7, 1.5, 2.2, 3.1, 4.5, 9.0, 60.0, 1e4):
            inside = any((low is None or low <= effect) and (high is None or effect <= high) for low, high in pieces)
            assert inside == (anderson_rubin(data, effect, robust) <= critical), (effect, pieces)


def test_sets_of_every_kind_occur_and_are_named():
    kinds = set()
    for seed in range(60):
        result = answer("iv_2sls", instrumented(n=40, m=1, strength=0.2, seed=seed))
        found = result.diagnostics["anderson_rubin_homoskedastic"]
        kinds.add(found["kind"])
        open_ends = [end for piece in found["intervals"] for end in piece if end is None]
        assert (found["kind"] == "interval") == (not open_ends)
    assert kinds == {"interval", "two rays", "whole line"}


def test_instruments_that_contradict_each_other_leave_an_empty_set():
    data = instrumented(n=3000, m=2)
    y = data.y + 3 * data.instruments[:, 0]
    result = answer("iv_2sls", replace(data, y=y))
    assert result.diagnostics["anderson_rubin_robust"] | {"p_value_no_effect": 0} == {
        "variance": "HC1", "kind": "empty", "intervals": [], "p_value_no_effect": 0,
    }  # fmt: skip
    assert any("contradict each other" in warning for warning in result.warnings)


def test_a_weak_instrument_is_a_warning_and_a_strong_one_is_not():
    assert answer("iv_2sls", instrumented(strength=1.0)).status == "ok"
    weak = answer("iv_2sls", instrumented(n=500, strength=0.02))
    assert weak.status == "warning"
    assert any("Weak instrument" in warning for warning in weak.warnings)
    assert weak.diagnostics["effective_f"] < 10


@pytest.mark.parametrize("name", ["iv_2sls", "iv_liml", "iv_fuller", "iv_wald"])
def test_an_instrument_that_is_the_treatment_is_a_warning(name: str):
    data = instrumented(n=500, covariates=name != "iv_wald")
    data = replace(data, treatment=(data.treatment > 0).astype(float), treatment_kind="binary")
    same = replace(data, instruments=3 - 2 * data.treatment[:, None])
    result, ols = answer(name, same), answer("ols_adjustment" if name != "iv_wald" else "difference_in_means", same)
    assert result.estimate == pytest.approx(ols.estimate, rel=1e-10)
    assert "two-stage least squares is ordinary least squares" in result.warnings[0]
    off = same.instruments.copy()
    off[0] = 4 - off[0]
    assert not any("treatment itself" in warned for warned in answer(name, replace(same, instruments=off)).warnings)


def test_the_effective_f_of_one_instrument_is_the_robust_f_with_its_known_critical_value():
    diagnostics = answer("iv_2sls", instrumented(m=1)).diagnostics
    assert diagnostics["effective_f"] == pytest.approx(diagnostics["first_stage_f_robust"], rel=1e-10)
    assert diagnostics["effective_f_critical"] == pytest.approx(23.11, abs=0.01)


def test_the_known_effect_is_found_where_a_regression_is_confounded():
    data = instrumented(n=20_000)
    result, ols = answer("iv_2sls", data), answer("ols_adjustment", data)
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error
    assert abs(ols.estimate - EFFECT) > 20 * ols.standard_error


def test_walds_ratio_is_the_ratio_of_two_differences():
    data = instrumented(covariates=False)
    z = data.instruments[:, 0] == 1
    expected = (data.y[z].mean() - data.y[~z].mean()) / (data.treatment[z].mean() - data.treatment[~z].mean())
    assert answer("iv_wald", data).estimate == pytest.approx(expected, rel=1e-10)


def test_clustered_errors_equal_linearmodels():
    data = replace(instrumented(n=600), clusters=(np.random.default_rng(1).integers(0, 60, 600),))
    model = peer(data, cov_type="clustered", clusters=data.clusters[0])
    result = answer("iv_2sls", data)
    assert result.se_method == "CRV1"
    assert result.standard_error == pytest.approx(float(model.std_errors.iloc[-1]), rel=1e-9)


def test_fixed_effects_are_absorbed_as_dummies_would_be():
    data = instrumented(n=400)
    codes = np.random.default_rng(3).integers(0, 9, 400)
    dummies = (codes[:, None] == np.arange(1, 9)).astype(float)
    by_dummies = replace(
        data, covariates=np.hstack([data.covariates, dummies]), names=names_for(np.empty((0, 10))),
    )  # fmt: skip
    left, right = answer("iv_2sls", replace(data, fixed_effects=(codes,))), answer("iv_2sls", by_dummies)
    assert left.estimate == pytest.approx(right.estimate, rel=1e-9)
    assert left.standard_error == pytest.approx(right.standard_error, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda z, x: x[:, :1], "instrument 'z0' is collinear"),
        (lambda z, x: np.ones_like(z), "instrument 'z0' is collinear"),
    ],
)
def test_an_instrument_that_carries_nothing_is_skipped_by_name(change, reason: str):
    data = instrumented()
    result = run(
        ENTRIES["iv_2sls"], Plan(replace(data, instruments=change(data.instruments, data.covariates)), Settings())
    )
    assert result.status == "skipped"
    assert reason in result.reason


def test_instruments_that_repeat_each_other_count_once():
    data = instrumented(m=1)
    doubled = replace(data, instruments=np.hstack([data.instruments, 2 * data.instruments]),
                      names={**data.names, "instrument": ("z0", "z1")})  # fmt: skip
    left, right = answer("iv_2sls", data), answer("iv_2sls", doubled)
    assert right.estimate == pytest.approx(left.estimate, rel=1e-10)
    assert right.diagnostics["instruments"] == 1
    assert "z1" in right.diagnostics["notes"][0]


def test_a_binary_treatment_with_imperfect_compliance_finds_the_compliers_effect():
    rng = np.random.default_rng(9)
    n = 20_000
    z, kind = (rng.random(n) < 0.5).astype(float), rng.random(n)
    t = np.where(kind < 0.5, z, (kind > 0.75).astype(float))
    y = np.where(kind < 0.5, EFFECT, 7.0) * t + 2 * (kind > 0.75) + rng.standard_normal(n)
    data = replace(
        cross_section(n=n), y=y, treatment=t, instruments=z[:, None], weights=None, covariates=np.empty((n, 0)),
        propensity_covariates=np.empty((n, 0)), row_key=row_keys(y, t),
    )  # fmt: skip
    result = answer("iv_wald", data)
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error


def test_the_rule_of_thumb_is_an_effective_f_of_ten():
    found = {}
    for strength in np.linspace(0.05, 0.3, 26):
        result = answer("iv_2sls", instrumented(n=500, strength=float(strength)))
        found[result.diagnostics["effective_f"]] = any("Weak instrument" in warning for warning in result.warnings)
    assert any(1 < f < 9.9 for f in found)
    assert all(weak == (f < 10) for f, weak in found.items())


def test_an_effective_f_below_its_critical_value_is_a_warning_also_above_ten():
    for strength in np.linspace(0.05, 0.4, 15):
        data = instrumented(1_000, strength=float(strength))
        result = run(next(entry for entry in catalog() if entry.name == "iv_2sls"), Plan(data, Settings()))
        warned = result.diagnostics
        if 10 <= warned["effective_f"] < warned["effective_f_critical"]:
            break
    else:
        raise AssertionError("no strength lies between")
    assert any("Montiel Olea and Pflueger" in warning for warning in result.warnings)
    strong = run(next(entry for entry in catalog() if entry.name == "iv_2sls"), Plan(instrumented(2_000), Settings()))
    assert not any("Montiel" in warning for warning in strong.warnings)
