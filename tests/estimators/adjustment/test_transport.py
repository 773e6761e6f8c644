"""Transport against its stacked equations written out, and against the truth in the target."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import two_populations
from tests.validation import Validated, half_width, record

NAMES = ("transport_dr", "transport_weighting", "transport_g_computation")


def answer(data: Data, name: str, **settings: object) -> Estimate:
    entry = next(entry for entry in catalog() if entry.name == name)
    return run(entry, Plan(data, Settings(**settings)))


def logit(x: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ beta))
        beta += np.linalg.solve((x * (weights * p * (1 - p))[:, None]).T @ x, x.T @ (weights * (target - p)))
    return beta


def warnings_of(data: Data, extra: np.ndarray, name: str) -> tuple[str, ...]:
    """The warnings with one more covariate."""
    columns = np.column_stack([data.covariates, extra])
    labels = tuple(f"x{column}" for column in range(columns.shape[1]))
    names = {**data.names, "covariates": labels, "propensity_covariates": labels}
    wider = replace(data, covariates=columns, propensity_covariates=columns, names=names)
    return answer(wider, name).warnings


@pytest.mark.parametrize("name", NAMES)
def test_units_that_the_source_has_none_of_are_a_warning(name: str):
    data = replace(two_populations(900), weights=None)
    only = (data.in_source == 0) & (np.arange(900) % 4 == 0)
    warnings = warnings_of(data, only.astype(float), name)
    assert any("Constant or collinear in the source but not in the target: x2." in warning for warning in warnings)
    modelled = name != "transport_g_computation"
    assert any("probability of membership in the source within" in warning for warning in warnings) == modelled
    assert answer(data, name).warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_the_source_without_counterparts_in_the_other_arm_are_a_warning(name: str):
    data = replace(two_populations(900), weights=None)
    treated = np.flatnonzero((data.in_source > 0) & (data.treatment > 0))
    kind = np.zeros(900)
    kind[treated[:6]] = kind[np.flatnonzero(data.in_source == 0)[:6]] = 1.0
    warnings = warnings_of(data, kind, name)
    extrapolated = any("untreated rows of the source some columns are collinear" in warning for warning in warnings)
    assert extrapolated == (name != "transport_weighting")
    alone = any("6 rows have a probability of treatment within" in warning for warning in warnings)
    assert alone == (name != "transport_g_computation")


def test_a_covariate_that_never_varies_in_the_target_has_no_standardised_difference():
    data = replace(two_populations(600), weights=None)
    source = np.flatnonzero(data.in_source > 0)
    for seed in range(8):
        kind = np.zeros(600)
        kind[np.random.default_rng(seed).choice(source, 37, replace=False)] = 1.0
        columns = np.column_stack([data.covariates, kind])
        found = answer(replace(data, covariates=columns, propensity_covariates=columns), "transport_weighting")
        *_, last = found.diagnostics["standardised_differences"].values()
        assert last == [None, None]
        assert not any("still differ" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", NAMES)
def test_few_rows_of_an_arm_of_the_source_are_a_warning(name: str):
    data = replace(two_populations(900), weights=None)
    treated = np.flatnonzero((data.in_source > 0) & (data.treatment > 0))
    few = data.rows(np.setdiff1d(np.arange(900), treated[12:]))
    found = answer(few, name)
    assert found.diagnostics["source_rows_by_arm"]["treated"] == 12
    assert any("treated arm of the source has 12 rows for 3 coefficients" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_of_the_source_in_a_single_cluster_has_no_clustered_error_but_by_request(name: str):
    data = replace(two_populations(900), weights=None)
    place = 1 + np.arange(900) % 30
    alone = np.where((data.in_source > 0) & (data.treatment > 0), 0, place)
    found = answer(replace(data, clusters=(alone,)), name)
    assert found.standard_error is None
    assert any("Only 1 cluster is treated" in warning for warning in found.warnings)
    assert found.diagnostics["clusters_by_arm"]["treated"] == 1
    assert answer(replace(data, clusters=(alone,)), name, se="CRV1").standard_error > 0
    # The target's clusters are of neither arm.
    target = np.where(data.in_source > 0, place, 0)
    fine = answer(replace(data, clusters=(target,)), name)
    assert fine.standard_error > 0
    assert fine.diagnostics["clusters_by_arm"] == {"untreated": 30, "treated": 30}


class Stacked:
    """All models and the two means as one vector of parameters with one vector of moments for each row."""

    def __init__(self, data: Data, name: str) -> None:
        self.x = np.column_stack([np.ones(data.n), (data.covariates - [5.0, 100.0]) / [2.0, 30.0]])
        self.s = data.in_source
        self.t, self.y = np.nan_to_num(data.treatment), np.nan_to_num(data.y)
        self.w = np.ones(data.n) if data.weights is None else data.weights / data.weights.mean()
        self.name, self.k = name, self.x.shape[1]

    def solve(self) -> np.ndarray:
        inside = self.s > 0
        gamma = logit(self.x, self.s, self.w)
        alpha = logit(self.x[inside], self.t[inside], self.w[inside])
        betas = []
        for arm in (1, 0):
            own = inside & (self.t == arm)
            root = np.sqrt(self.w[own])
            betas.append(np.linalg.lstsq(self.x[own] * root[:, None], self.y[own] * root, rcond=None)[0])
        theta = np.concatenate([gamma, alpha, *betas, np.zeros(4)])
        for place in range(4):
            # Each mean enters its own moment linearly.
            at = 4 * self.k + place
            zero = self.moments(theta)[:, at].sum()
            theta[at] = 1.0
            theta[at] = zero / (zero - self.moments(theta)[:, at].sum())
        return theta

    def moments(self, theta: np.ndarray) -> np.ndarray:
        k = self.k
        gamma, alpha, one, zero = (theta[place * k : (place + 1) * k] for place in range(4))
        p, e = (1 / (1 + np.exp(-self.x @ each)) for each in (gamma, alpha))
        lines = self.x @ one, self.x @ zero
        if self.name == "transport_weighting":
            lines = np.zeros_like(p), np.zeros_like(p)
        columns = [self.x * (self.w * (self.s - p))[:, None], self.x * (self.w * self.s * (self.t - e))[:, None]]
        for arm, beta in ((1, one), (0, zero)):
            own = self.w * self.s * (self.t == arm)
            columns.append(self.x * (own * (self.y - self.x @ beta))[:, None])
        for place, (arm, chance) in enumerate(((1, e), (0, 1 - e))):
            odds = self.w * self.s * (self.t == arm) * (1 - p) / p / chance
            columns.append((odds * (self.y - lines[place] - theta[4 * k + place]))[:, None])
        for place in range(2):
            columns.append((self.w * (1 - self.s) * (lines[place] - theta[4 * k + 2 + place]))[:, None])
        return np.column_stack(columns)

    def answer(self) -> tuple[float, float]:
        theta = self.solve()
        k, step = len(theta), 1e-6
        slope = np.empty((k, k))
        for place in range(k):
            up, down = theta.copy(), theta.copy()
            up[place] += step
            down[place] -= step
            slope[:, place] = (self.moments(up).sum(axis=0) - self.moments(down).sum(axis=0)) / (2 * step)
        contrast = np.zeros(k)
        parts = {"transport_dr": (0, 2), "transport_weighting": (0,), "transport_g_computation": (2,)}[self.name]
        for part in parts:
            contrast[4 * self.k + part], contrast[4 * self.k + part + 1] = 1.0, -1.0
        contributions = self.moments(theta) @ np.linalg.solve(slope, -np.eye(k)).T @ contrast
        return float(contrast @ theta), float(np.sqrt(np.sum(contributions**2)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_estimate_and_error_are_those_of_the_stacked_equations(name: str, weighted: bool):
    data = two_populations(700)
    if weighted:
        data = replace(data, weights=np.random.default_rng(2).uniform(0.5, 2.0, data.n))
    value, error = Stacked(data, name).answer()
    result = answer(data, name, se="HC0")
    assert result.estimate == pytest.approx(value, rel=1e-8)
    assert result.standard_error == pytest.approx(error, rel=1e-5)


def test_the_source_alone_is_wrong_about_the_target():
    data = two_populations(20_000, shift=1.0)
    inside = data.rows(np.flatnonzero(data.in_source > 0))
    source = answer(replace(inside, in_source=None), "aipw")
    outside = data.in_source == 0
    truth = 1.0 + 0.8 * ((data.covariates[outside, 0] - 5.0) / 2.0).mean()
    assert abs(source.estimate - truth) > 10 * source.standard_error
    for name in NAMES:
        found = answer(data, name)
        assert abs(found.estimate - truth) < 4 * found.standard_error
        assert found.diagnostics["source_rows"] + found.diagnostics["target_rows"] == found.n == data.n


@pytest.mark.parametrize("name", ["transport_dr", "transport_weighting"])
def test_weights_make_the_source_like_the_target(name: str):
    data = two_populations(4000, shift=1.0)
    warnings_of = answer(data, name).diagnostics["standardised_differences"]["x0"]
    assert abs(warnings_of[0]) > 0.5
    assert abs(warnings_of[1]) < 0.1


def test_a_target_far_from_the_source_leads_to_a_warning():
    far = answer(two_populations(3000, shift=2.5), "transport_dr")
    assert any("overlap is poor" in warning for warning in far.warnings)


def test_a_known_probability_of_treatment_is_used():
    data = two_populations(2000)
    known = 1 / (1 + np.exp(-0.4 * (data.covariates[:, 1] - 100.0) / 30.0))
    result = answer(replace(data, pscore=known), "transport_weighting")
    assert result.diagnostics["propensity"] == "given"
    fitted = answer(data, "transport_weighting")
    assert result.estimate == pytest.approx(fitted.estimate, abs=2 * fitted.standard_error)


def test_one_population_alone_is_no_transport():
    data = two_populations(300)
    alone = replace(data.rows(np.flatnonzero(data.in_source > 0)))
    result = answer(alone, "transport_dr")
    assert result.status == "skipped"
    assert "target population" in result.reason


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_cover_the_effect_in_the_target(capsys: pytest.CaptureFixture[str]):
    replications, rows = 1_000, 1_000
    rng = np.random.default_rng(1)
    u = rng.standard_normal((4_000_000, 2))
    chance = 1 / (1 + np.exp(-(0.4 * u[:, 0] - 0.3 * u[:, 1])))
    truth = float(1.0 + 0.8 * np.average(u[:, 0], weights=chance))
    drawn: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in NAMES}
    for replication in range(replications):
        data = two_populations(rows, 20_240 + replication, shift=0.4)
        for name in NAMES:
            found = answer(data, name)
            drawn[name].append((found.estimate, found.standard_error, found.ci_lower <= truth <= found.ci_upper))
    for name, rows_of in drawn.items():
        estimates, errors, inside = (np.asarray(each) for each in zip(*rows_of, strict=True))
        rate, sd, bias = float(inside.mean()), float(estimates.std(ddof=1)), float(estimates.mean() - truth)
        ratio = float(errors.mean() / sd)
        with capsys.disabled():
            print(f"\n{name:24} coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f}")
        found = Validated(
            design="Trial in a source, covariates in a target that differs", estimator=name, replications=replications,
            rows=rows, truth=truth, bias=bias, sd=sd, se_ratio=ratio, coverage=rate,
        )  # fmt: skip
        record(found)
        half = half_width(rate, replications)
        assert rate + half >= 0.93, name
        assert rate - half <= 0.97, name
        assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd, name
        assert ratio == pytest.approx(1.0, abs=0.07), name
