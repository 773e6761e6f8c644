"""Two proxies in the place of a confounder, against two-stage least squares written out and against truth."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, proxied
from tests.validation import Validated, half_width, record

ENTRY = next(entry for entry in catalog() if entry.name == "proximal_2sls")


def answer(data: Data, **settings: object) -> Estimate:
    return run(ENTRY, Plan(data, Settings(**settings)))


@pytest.mark.parametrize(("z", "w"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_two_stage_least_squares_of_the_outcomes_proxies(z: int, w: int, weighted: bool):
    linearmodels = pytest.importorskip("linearmodels.iv")
    data = proxied(z=z, w=w)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, data.n) if weighted else None
    data = replace(data, weights=weights)
    exogenous = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    peer = linearmodels.IV2SLS(data.y, exogenous, data.proxy_outcome, data.proxy_treatment, weights=weights)
    result = answer(data, se="iid")
    assert result.estimate == pytest.approx(peer.fit(cov_type="unadjusted").params.iloc[3], rel=1e-9)
    robust = peer.fit(cov_type="robust", debiased=True)
    assert answer(data).standard_error == pytest.approx(robust.std_errors.iloc[3], rel=1e-9)
    if not weighted:
        plain = peer.fit(cov_type="unadjusted", debiased=True)
        assert result.standard_error == pytest.approx(plain.std_errors.iloc[3], rel=1e-9)
    if z > w and not weighted:
        sargan = peer.fit(cov_type="unadjusted").sargan
        assert result.diagnostics["sargan"] == pytest.approx(sargan.stat, rel=1e-8)
        assert result.diagnostics["sargan_p_value"] == pytest.approx(sargan.pval, rel=1e-7)


def test_the_first_stage_is_reported_by_its_f():
    data = proxied(z=2, w=1)
    small = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    wide = np.column_stack([small, data.proxy_treatment])
    left = [np.sum((data.proxy_outcome - x @ np.linalg.lstsq(x, data.proxy_outcome, rcond=None)[0]) ** 2)
            for x in (small, wide)]  # fmt: skip
    expected = (left[0] - left[1]) / 2 / (left[1] / (data.n - wide.shape[1]))
    assert answer(data).diagnostics["first_stage_f"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clusters", [0, 40])
@pytest.mark.parametrize("z", [1, 2, 3])
def test_the_effective_f_needs_no_equal_variances_and_sums_over_clusters(z: int, clusters: int, weighted: bool):
    sm = pytest.importorskip("statsmodels.api")
    data = proxied(z=z)
    codes = np.random.default_rng(2).integers(0, max(clusters, 1), data.n)
    shared = np.random.default_rng(3).standard_normal((2, max(clusters, 1)))[:, codes] * (clusters > 0)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, data.n) if weighted else np.ones(data.n)
    data = replace(
        data, proxy_treatment=data.proxy_treatment + shared[0][:, None], clusters=(codes,) if clusters else (),
        proxy_outcome=data.proxy_outcome + shared[1][:, None], weights=weights if weighted else None,
    )  # fmt: skip
    small = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    root = np.sqrt(weights)[:, None]
    net = data.proxy_treatment - small @ np.linalg.lstsq(small * root, data.proxy_treatment * root, rcond=None)[0]
    first = sm.WLS(data.proxy_outcome[:, 0], np.column_stack([small, data.proxy_treatment]), weights=weights)
    by = {"cov_type": "cluster", "cov_kwds": {"groups": codes}} if clusters else {"cov_type": "HC1"}
    fit = first.fit(**by)
    # Without G/(G-1), which the F of instruments has not either.
    covariance = fit.cov_params()[-z:, -z:] * ((clusters - 1) / clusters if clusters else 1.0)
    squares = (net * weights[:, None]).T @ net
    expected = fit.params[-z:] @ squares @ fit.params[-z:] / np.trace(covariance @ squares)
    assert answer(data).diagnostics["effective_f"] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("z", "w"), [(2, 1), (3, 2), (4, 2)])
@pytest.mark.parametrize("clusters", [0, 40])
def test_whether_proxies_agree_is_hansens_j_of_the_two_step_estimate(z: int, w: int, clusters: int):
    linearmodels = pytest.importorskip("linearmodels.iv")
    data = proxied(z=z, w=w)
    codes = np.random.default_rng(2).integers(0, max(clusters, 1), data.n)
    data = replace(data, clusters=(codes,) if clusters else ())
    exogenous = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    by = {"weight_type": "clustered", "clusters": codes} if clusters else {"weight_type": "robust"}
    peer = linearmodels.IVGMM(data.y, exogenous, data.proxy_outcome, data.proxy_treatment, **by)
    found, reported = peer.fit(iter_limit=2), answer(data).diagnostics
    assert reported["hansen_j"] == pytest.approx(found.j_stat.stat, rel=1e-6)
    assert reported["hansen_j_p_value"] == pytest.approx(found.j_stat.pval, rel=1e-6)


def test_the_estimate_from_covariates_alone_is_reported_with_it():
    data = proxied(5000)
    result = answer(data)
    design = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    naive = np.linalg.lstsq(design, data.y, rcond=None)[0][-1]
    assert result.diagnostics["without_proxies"] == pytest.approx(naive, rel=1e-9)
    assert abs(naive - EFFECT) > 10 * abs(result.estimate - EFFECT)


def test_uninformative_proxies_are_called_weak():
    weak = answer(proxied(strength=0.05))
    assert weak.status == "warning"
    assert any("Weak proxies" in warning for warning in weak.warnings)
    assert answer(proxied(seed=3)).status == "ok"


def test_a_proxy_that_causes_the_outcome_contradicts_the_other():
    data = proxied(3000)
    result = answer(replace(data, y=data.y + data.proxy_treatment[:, 0]))
    assert any("contradict" in warning for warning in result.warnings)


def test_more_proxies_of_the_outcome_than_of_the_treatment_are_refused():
    result = answer(proxied(z=1, w=2))
    assert result.status == "skipped"
    assert "at least as many" in result.reason


def test_clusters_and_the_jackknife_over_them_agree_where_there_are_many():
    data = replace(proxied(2000), clusters=(np.arange(2000) // 20,))
    one, three = answer(data), answer(data, se="CRV3")
    assert one.se_method.startswith("CRV")
    assert three.standard_error == pytest.approx(one.standard_error, rel=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_cover_an_effect_whose_confounder_is_unmeasured(capsys: pytest.CaptureFixture[str]):
    replications, rows = 1_000, 1_000
    estimates, errors, inside = np.empty(replications), np.empty(replications), 0
    for replication in range(replications):
        found = answer(proxied(rows, 20_240 + replication))
        estimates[replication], errors[replication] = found.estimate, found.standard_error
        inside += found.ci_lower <= EFFECT <= found.ci_upper
    rate, sd = inside / replications, float(estimates.std(ddof=1))
    bias, ratio = float(estimates.mean() - EFFECT), float(errors.mean() / sd)
    with capsys.disabled():
        print(f"\nproximal_2sls coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f}")
    found = Validated(
        design="Unmeasured confounder with proxies", estimator="proximal_2sls", replications=replications, rows=rows,
        truth=EFFECT, bias=bias, sd=sd, se_ratio=ratio, coverage=rate,
    )  # fmt: skip
    record(found)
    half = half_width(rate, replications)
    assert rate + half >= 0.93
    assert rate - half <= 0.97
    assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd
    assert ratio == pytest.approx(1.0, abs=0.07)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("clusters", [0, 20])
def test_proxies_that_agree_are_said_to_contradict_each_other_at_the_nominal_rate(
    clusters: int, capsys: pytest.CaptureFixture[str]
):
    replications, rows, fired = 1_000, 600, 0
    codes = np.arange(rows) % max(clusters, 1)
    for replication in range(replications):
        data = proxied(rows, 20_240 + replication)
        shared = 0.8 * np.random.default_rng(replication).standard_normal((3, max(clusters, 1)))[:, codes]
        shared *= clusters > 0
        keys = np.random.default_rng(replication + 1).integers(0, 2**63, max(clusters, 1)).astype(np.uint64)
        data = replace(
            data, y=data.y + shared[0], proxy_treatment=data.proxy_treatment + shared[1][:, None] * [1.0, -0.5],
            clusters=(codes,) if clusters else (), row_key=keys[codes] if clusters else data.row_key,
        )  # fmt: skip
        fired += any("contradict" in warning for warning in answer(data).warnings)
    rate = fired / replications
    with capsys.disabled():
        print(f"\n{clusters} clusters: proxies that agree are doubted in {rate:.3f}")
    record(
        Validated(
            design="Two proxies that agree" + (f", {clusters} clusters" if clusters else ""),
            estimator="proximal_2sls, Hansen's J", replications=replications, rows=rows,
            note=f"rejects {rate:.3f} at 5%",
        )
    )  # fmt: skip
    assert rate - half_width(rate, replications) <= 0.07
