from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.estimators.data import Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.iv.moments import Partialled, RowPass
from cqox.estimators.iv.specification import anderson_rubin, endogeneity, overidentification, strength

N = 200


def simulated(m: int = 2, *, first: float = 0.5, contradiction: float = 0.0) -> tuple[np.ndarray, ...]:
    """Orthonormal instruments, a treatment and an outcome without covariates or intercept."""
    rng = np.random.default_rng(3)
    z = np.linalg.qr(rng.standard_normal((N, m)))[0]
    u = rng.standard_normal(N)
    t = first * np.sqrt(N) * z.sum(axis=1) + u + rng.standard_normal(N)
    y = 2 * t + u + rng.standard_normal(N) + contradiction * np.sqrt(N) * z[:, 0]
    return z, t, y


def parted(z: np.ndarray, t: np.ndarray, y: np.ndarray) -> tuple[Partialled, RowPass]:
    m = z.shape[1]
    parts = Partialled(combine=np.empty((0, 0)), z_t=z.T @ t, z_y=z.T @ y, tt=float(t @ t), ty=float(t @ y),
                       yy=float(y @ y), covariates=0)  # fmt: skip
    residual = y - parts.value() * t
    moments = [z * each[:, None] for each in (y - z @ parts.z_y, t - z @ parts.z_t, residual)]

    def exogeneity() -> tuple[np.ndarray, float]:
        x = np.column_stack([t, t - z @ parts.z_t])
        beta, rest = np.linalg.lstsq(x, y, rcond=None)[:2]
        return (x @ np.linalg.inv(x.T @ x))[:, 1] * (y - x @ beta), float(rest[0])

    rows = RowPass(contributions=residual, squares=float(residual @ residual), yy=moments[0].T @ moments[0],
                   yt=moments[0].T @ moments[1], tt=moments[1].T @ moments[1],
                   ee=moments[2].T @ moments[2] if m > 1 else None, exogeneity=exogeneity)  # fmt: skip
    return parts, rows


def test_first_stage_statistics_are_those_of_a_regression_of_the_treatment():
    z, t, y = simulated()
    found, warnings = strength(*parted(z, t, y), N, 0, Clusters())
    pi = z.T @ t
    left, degrees = t - z @ pi, N - 2
    robust = z.T @ (z * left[:, None] ** 2) * N / degrees
    assert found["first_stage_f"] == pytest.approx(pi @ pi / 2 / (left @ left / degrees))
    assert found["partial_r2"] == pytest.approx(1 - left @ left / (t @ t))
    assert found["first_stage_f_robust"] == pytest.approx(pi @ np.linalg.solve(robust, pi) / 2)
    assert found["effective_f"] == pytest.approx(pi @ pi / np.trace(robust))
    assert found["instruments"] == 2
    assert not warnings


def test_one_instrument_has_the_critical_value_of_montiel_olea_and_pflueger():
    found, _ = strength(*parted(*simulated(1)), N, 0, Clusters())
    assert found["effective_f_critical"] == pytest.approx(23.1, abs=0.05)
    assert found["effective_f_critical"] == pytest.approx(stats.ncx2.ppf(0.95, 1, 10), rel=1e-6)
    assert found["effective_f"] == pytest.approx(found["first_stage_f_robust"])


@pytest.mark.parametrize(("first", "code"), [(0.05, "iv.weak-instrument"), (0.52, "iv.bias-not-rejected"), (1.0, None)])
def test_weakness_is_a_warning_below_ten_and_below_the_critical_value(first: float, code: str | None):
    z, t, y = simulated(1)
    u = t - z @ (z.T @ t)
    t = z[:, 0] * first * np.linalg.norm(u) * 0.55 + u
    found, warnings = strength(*parted(z, t, y), N, 0, Clusters())
    assert [each.code for each in warnings] == ([code] if code else [])
    if code == "iv.bias-not-rejected":
        assert 10 <= found["effective_f"] < found["effective_f_critical"]


def test_an_instrument_that_is_the_treatment_is_a_warning():
    z, _, y = simulated(1)
    _, (warning,) = strength(*parted(z, 3 * z[:, 0], y), N, 0, Clusters())
    assert warning.code == "iv.instrument-is-treatment"


def test_anderson_rubin_p_values_are_those_of_the_reduced_form():
    z, t, y = simulated()
    found, warnings = anderson_rubin(*parted(z, t, y), N, 0, Clusters(), 0.05, 2.0)
    gamma, degrees = z.T @ y, N - 2
    left = y - z @ gamma
    plain = gamma @ gamma / 2 / (left @ left / degrees)
    robust = gamma @ np.linalg.solve(z.T @ (z * left[:, None] ** 2) * N / degrees, gamma) / 2
    for key, statistic in (("homoskedastic", plain), ("robust", robust)):
        expected = stats.f.sf(statistic, 2, degrees)
        assert found[f"anderson_rubin_{key}"]["p_value_no_effect"] == pytest.approx(expected, rel=1e-8)
    assert found["anderson_rubin_robust"]["variance"] == "HC1"
    low, high = found["anderson_rubin_homoskedastic"]["intervals"][0]
    for end in (low / 2, high / 2):
        rest = y - end * t
        own = z.T @ rest
        statistic = own @ own / 2 / ((rest @ rest - own @ own) / degrees)
        assert statistic == pytest.approx(stats.f.ppf(0.95, 2, degrees), rel=1e-6)
    assert not warnings


def test_sets_that_are_empty_or_unbounded_are_warnings():
    _, (warning,) = anderson_rubin(*parted(*simulated(contradiction=5.0)), N, 0, Clusters(), 0.05, 1.0)
    assert warning.code == "iv.robust-set-empty"
    _, (warning,) = anderson_rubin(*parted(*simulated(1, first=0.0)), N, 0, Clusters(), 1e-6, 1.0)
    assert warning.code == "iv.robust-set-unbounded"


def test_clusters_change_the_factor_and_the_degrees_of_the_robust_set():
    codes = np.arange(N) % 9
    clusters = Clusters(codes=(codes,), counts=(9,))
    z, t, y = simulated()
    parts, rows = parted(z, t, y)
    found = anderson_rubin(parts, rows, N, 0, clusters, 0.05, 1.0)[0]["anderson_rubin_robust"]
    statistic = parts.z_y @ np.linalg.solve(rows.yy * (N - 1) / (N - 2), parts.z_y) / 2
    assert found["p_value_no_effect"] == pytest.approx(stats.f.sf(statistic, 2, 8), rel=1e-8)
    assert found["variance"] == "CRV1"


def test_sargan_and_hansen_are_their_formulas_and_a_rejection_is_a_warning():
    for contradiction in (0.0, 3.0):
        z, t, y = simulated(3, contradiction=contradiction)
        parts, rows = parted(z, t, y)
        found, warnings = overidentification(parts, rows, N, 0.05)
        residual = y - parts.value() * t
        own = z.T @ residual
        assert found["sargan"]["statistic"] == pytest.approx(own @ own / (residual @ residual) * N)
        weight = np.linalg.inv(z.T @ (z * residual[:, None] ** 2))
        efficient = parts.z_t @ weight @ parts.z_y / (parts.z_t @ weight @ parts.z_t)
        moment = parts.z_y - efficient * parts.z_t
        assert found["hansen_j"]["statistic"] == pytest.approx(moment @ weight @ moment)
        assert found["hansen_j"]["p_value"] == pytest.approx(stats.chi2.sf(moment @ weight @ moment, 2), rel=1e-6)
        assert bool(warnings) == (found["hansen_j"]["p_value"] < 0.05)
    assert warnings[0].code == "iv.instruments-contradict"
    assert overidentification(*parted(*simulated(1)), N, 0.05) == ({}, [])


def test_wu_and_hausman_is_the_f_of_the_first_stage_residual():
    z, t, y = simulated()
    found = endogeneity(*parted(z, t, y), N, (1, 1), Clusters(), Settings(se="HC0"))
    left = t - z @ (z.T @ t)
    x = np.column_stack([t, left])
    beta, rest = np.linalg.lstsq(x, y, rcond=None)[:2]
    inverse = np.linalg.inv(x.T @ x)
    statistic = beta[1] ** 2 / (inverse[1, 1] * rest[0] / (N - 2))
    assert found["wu_hausman"]["statistic"] == pytest.approx(statistic, rel=1e-8)
    assert found["wu_hausman"]["p_value"] == pytest.approx(stats.f.sf(statistic, 1, N - 2), rel=1e-6)
    scores = (x @ inverse)[:, 1] * (y - x @ beta)
    assert found["endogeneity_robust"]["statistic"] == pytest.approx(beta[1] / np.sqrt(scores @ scores), rel=1e-8)
    assert found["endogeneity_robust"]["se_method"] == "HC0"


def test_there_is_no_endogeneity_test_where_the_instruments_explain_all_or_rows_are_few():
    z, t, y = simulated()
    parts, rows = parted(z, t, y)
    assert endogeneity(parts, rows, 2, (1, 1), Clusters(), Settings()) == {}
    explained = replace(parts, tt=parts.strength)
    assert endogeneity(explained, rows, N, (1, 1), Clusters(), Settings()) == {}
