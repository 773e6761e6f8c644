"""Matching against the enumeration of all pairs, and against what Stata prints for data in the reference folder."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.matching.with_replacement import matching_weights
from tests.estimators.designs import EFFECT, cross_section, names_for, panel, row_keys, rows, with_covariates
from tests.reference.cases import OUTSIDE, build, cases

ENTRIES = {entry.name: entry for entry in catalog() if entry.family == "matching"}
CATTANEO = next((case for case in cases(OUTSIDE) if case.name == "cattaneo_psmatch"), None)
needs_data = pytest.mark.skipif(CATTANEO is None, reason="without CQOX_REFERENCE_DIR")


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def coarse(n: int = 240, seed: int = 3, values: int = 5) -> Data:
    """Covariates of few values, so that there are many ties."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, values, (n, 2)).astype(float)
    t = (rng.random(n) < 1 / (1 + np.exp(-(x @ [0.5, -0.3] - 0.4)))).astype(float)
    y = x @ [1.0, 2.0] + EFFECT * t + rng.standard_normal(n)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip


def near(distances: np.ndarray, least: int) -> np.ndarray:
    """Whom each row of a distance matrix is matched with: the nearest, and all that are as near as the last."""
    return (distances <= np.sort(distances, axis=1)[:, least - 1 : least] + 1e-9).astype(float)


class Enumerated:
    """Matching by looking at every pair."""

    def __init__(self, data: Data, distances: np.ndarray, matches: int, caliper: float = np.inf):
        self.y, self.t, self.distances = data.y, data.treatment > 0, distances
        n = data.n
        self.usage, self.squares, self.kept = np.zeros(n), np.zeros(n), np.zeros(n)
        self.shares = np.zeros((n, n))
        for arm in (False, True):
            own, other = np.flatnonzero(self.t == arm), np.flatnonzero(self.t != arm)
            apart = distances[np.ix_(own, other)]
            sets = near(apart, matches) * (apart <= caliper)
            share = sets / np.maximum(sets.sum(axis=1, keepdims=True), 1)
            self.shares[np.ix_(own, other)] = share
            self.kept[own] = sets.any(axis=1)

    def estimate(self, target: str, line: np.ndarray | None = None) -> tuple[float, np.ndarray]:
        asked = {"ate": self.kept, "att": self.kept * self.t, "atc": self.kept * ~self.t}[target]
        line = np.zeros(len(self.y)) if line is None else line
        missing = self.shares @ (self.y - line) + line
        effects = np.where(self.t, 1, -1) * (self.y - missing)
        return float(asked @ effects / asked.sum()), effects

    def error(self, target: str, least: int, line: np.ndarray | None = None) -> float:
        value, effects = self.estimate(target, line)
        asked = {"ate": self.kept, "att": self.kept * self.t, "atc": self.kept * ~self.t}[target]
        shares = self.shares * asked[:, None]
        usage, squares = shares.sum(axis=0), (shares**2).sum(axis=0)
        variances = np.zeros(len(self.y))
        for row in range(len(self.y)):
            own = np.flatnonzero(self.t == self.t[row])
            circle = near(self.distances[row, own][None], min(least, len(own)))[0] > 0
            variances[row] = self.y[own][circle].var(ddof=1)
        total = asked @ (effects - value) ** 2 + (usage**2 - squares + 2 * usage * asked) @ variances
        return float(np.sqrt(total) / asked.sum())

    def fitted(self, target: str, e: np.ndarray, z: np.ndarray) -> float:
        """The error with the adjustment for a logit on z, each covariance from the two nearest rows of an arm."""
        value, n = self.estimate(target)[0], len(self.y)
        slope, c = e * (1 - e), np.zeros(z.shape[1])
        shares = {"ate": (1 / (1 - e), 1 / e), "att": (e / (1 - e), np.ones(n))}[target]
        means = np.zeros((2, n))
        for arm in (0, 1):
            own = np.flatnonzero(self.t == arm)
            for row in range(n):
                distances = self.distances[row, own]
                circle = own[near(distances[None], 2)[0] > 0]
                covariances = [np.cov(column, self.y[circle])[0, 1] for column in z[circle].T]
                c += slope[row] * shares[arm][row] * np.array(covariances)
                others = own[own != row]
                without = others[near(self.distances[row, others][None], 2)[0] > 0]
                means[arm, row] = self.y[without].mean()
        inverse = np.linalg.inv(z.T @ (z * slope[:, None]))
        variance = self.error(target, 2) ** 2
        if target == "ate":
            return float(np.sqrt(variance - c @ inverse @ c / n**2))
        lead = slope * (means[1] - means[0] - value)
        residual = np.where(self.t, (1 - e) * (self.y - means[1]), -e * (self.y - means[0]))
        c, d = c + z.T @ lead, z.T @ (lead + residual)
        return float(np.sqrt(variance + (d @ inverse @ d - c @ inverse @ c) / self.t.sum() ** 2))


def by_score(data: Data) -> np.ndarray:
    e = Plan(data, Settings()).propensity().e
    return np.abs(e[:, None] - e[None])


def by_covariates(data: Data) -> np.ndarray:
    inverse = np.linalg.inv(np.cov(data.covariates.T))
    apart = data.covariates[:, None] - data.covariates[None]
    return np.sqrt(np.einsum("ijk,kl,ijl->ij", apart, inverse, apart))


@pytest.mark.parametrize("target", ["ate", "att"])
@pytest.mark.parametrize("matches", [1, 2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_matching_on_the_score_equals_the_enumeration_of_all_pairs(target: str, matches: int, ties: bool):
    data = coarse() if ties else rows(cross_section(weights=False), np.arange(200))
    every = Enumerated(data, by_score(data), matches)
    result = answer(f"psm_{target}", data, matches=matches)
    assert result.estimate == pytest.approx(every.estimate(target)[0], rel=1e-9)
    assert result.diagnostics["standard_errors"]["AI2006"] == pytest.approx(every.error(target, 3), rel=1e-8)
    assert (result.diagnostics["rows_with_ties"] > 0) == ties


@pytest.mark.parametrize("target", ["ate", "att"])
@pytest.mark.parametrize("ties", [False, True])
def test_the_adjustment_for_a_fitted_score_equals_the_enumeration_of_all_pairs(target: str, ties: bool):
    data = coarse() if ties else rows(cross_section(weights=False), np.arange(200))
    e = Plan(data, Settings()).propensity().e
    z = np.column_stack([np.ones(data.n), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])
    expected = Enumerated(data, by_score(data), 1).fitted(target, e, z)
    assert answer(f"psm_{target}", data).standard_error == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("target", ["ate", "att"])
def test_a_caliper_leaves_out_who_has_no_counterpart_and_says_so(target: str):
    data = rows(cross_section(weights=False), np.arange(150))
    every = Enumerated(data, by_score(data), 2, caliper=0.01)
    result = answer(f"psm_{target}", data, matches=2, caliper=0.01)
    assert result.estimate == pytest.approx(every.estimate(target)[0], rel=1e-9)
    assert result.diagnostics["standard_errors"]["AI2006"] == pytest.approx(every.error(target, 3), rel=1e-8)
    assert result.diagnostics["unmatched_rows"] > 0
    assert "no match within the caliper of 0.01" in result.warnings[0]
    nobody = run(ENTRIES[f"psm_{target}"], Plan(data, Settings(caliper=1e-9)))
    assert nobody.status == "skipped"
    assert "options.caliper" in nobody.reason


@pytest.mark.parametrize("target", ["ate", "att"])
@pytest.mark.parametrize("matches", [1, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_matching_on_covariates_equals_the_enumeration_of_all_pairs(target: str, matches: int, ties: bool):
    import statsmodels.api as sm

    data = coarse() if ties else rows(cross_section(weights=False), np.arange(200))
    every = Enumerated(data, by_covariates(data), matches)
    design = sm.add_constant(data.covariates)
    lines = []
    for arm in (False, True):
        asked = every.t != arm if target == "ate" else every.t & (not arm)
        usage = every.shares[asked].sum(axis=0) * (every.t == arm)
        lines.append(design @ sm.WLS(data.y, design, weights=usage).fit().params if usage.any() else np.zeros(data.n))
    # Each row is corrected by the line of the arm that its matches are in.
    moved = np.where(every.t, lines[0] - every.shares @ lines[0], lines[1] - every.shares @ lines[1])
    plain, effects = every.estimate(target)
    asked = every.kept * every.t if target == "att" else every.kept
    effects = effects - np.where(every.t, 1, -1) * moved
    result = answer(f"nn_mahalanobis_{target}", data, matches=matches)
    assert result.diagnostics["without_bias_correction"] == pytest.approx(plain, rel=1e-8)
    assert result.estimate == pytest.approx(asked @ effects / asked.sum(), rel=1e-8)
    shares = every.shares * asked[:, None]
    usage, squares = shares.sum(axis=0), (shares**2).sum(axis=0)
    variances = np.array(
        [
            data.y[own][near(every.distances[row, own][None], 3)[0] > 0].var(ddof=1)
            for row in range(data.n)
            for own in [np.flatnonzero(every.t == every.t[row])]
        ]
    )
    total = asked @ (effects - result.estimate) ** 2 + (usage**2 - squares + 2 * usage * asked) @ variances
    assert result.standard_error == pytest.approx(np.sqrt(total) / asked.sum(), rel=1e-8)


def stata(*covariates: str) -> Data:
    assert CATTANEO is not None
    return build(replace(CATTANEO, mapping={**CATTANEO.mapping, "covariates": list(covariates)}))


@needs_data
def test_score_matching_equals_teffects_psmatch():
    data = stata("mmarried_", "mage", "fage", "medu", "prenatal1_")
    ate, att = answer("psm_ate", data), answer("psm_att", data)
    assert (ate.estimate, ate.standard_error) == (
        pytest.approx(-229.4492, abs=1e-4),
        pytest.approx(25.88746, abs=1e-5),
    )
    assert att.estimate == pytest.approx(-224.5927, abs=1e-4)
    # Stata's derivative of the ATT depends on the units of the covariates; ours does not.
    assert att.standard_error == pytest.approx(30.55147, rel=2e-3)
    assert (ate.diagnostics["most_matches"], ate.se_method) == (16, "Abadie-Imbens 2016")


@needs_data
@pytest.mark.parametrize(
    ("covariates", "estimate", "error", "most"),
    [
        (("mmarried_", "mage", "fage", "medu", "prenatal1_"), -210.5435, 29.32969, 16),
        (("mage", "prenatal1_", "mmarried_", "fbaby_"), -240.3306, 28.43006, 139),
    ],
)
def test_covariate_matching_without_bias_correction_equals_teffects_nnmatch(
    covariates: tuple[str, ...], estimate: float, error: float, most: int
):
    result = answer("nn_mahalanobis_ate", stata(*covariates), bias_correction=False)
    assert (result.estimate, result.standard_error) == (
        pytest.approx(estimate, abs=1e-4),
        pytest.approx(error, rel=2e-4),
    )
    assert result.diagnostics["most_matches"] == most


@pytest.mark.parametrize("target", ["ate", "att"])
def test_without_bias_correction_the_estimate_is_the_mean_difference_to_the_matches(target: str):
    data = rows(cross_section(weights=False), np.arange(200))
    every = Enumerated(data, by_covariates(data), 1)
    result = answer(f"nn_mahalanobis_{target}", data, bias_correction=False)
    assert result.estimate == pytest.approx(every.estimate(target)[0], rel=1e-8)
    assert result.standard_error == pytest.approx(every.error(target, 3), rel=1e-8)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_row_twice_is_the_same_estimate(name: str):
    data = coarse()
    double = rows(data, np.repeat(np.arange(data.n), 2))
    assert answer(name, double).estimate == pytest.approx(answer(name, data).estimate, rel=1e-9)


@pytest.mark.parametrize("name", ENTRIES)
def test_other_units_of_the_covariates_change_nothing(name: str):
    data = rows(cross_section(weights=False), np.arange(300))
    other = with_covariates(data, data.covariates * [1e3, 1e-4, 1.0, 7.0] + [5.0, 0.0, 1.0, -2.0])
    left, right = answer(name, data), answer(name, other)
    assert right.estimate == pytest.approx(left.estimate, rel=1e-9)
    assert right.standard_error == pytest.approx(left.standard_error, rel=1e-8)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_known_effect_is_found(name: str):
    data = cross_section(n=5_000, weights=False, heterogeneous=False)
    result = answer(name, data)
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error
    assert result.standard_error < 0.15


@pytest.mark.parametrize(("name", "target"), [("psm", "ATE"), ("psm", "ATT")])
def test_the_weights_of_matches_give_the_estimate(name: str, target: str):
    data = coarse()
    plan = Plan(data, Settings(matches=2))
    _, treated, control = matching_weights(plan, name, target)
    expected = np.average(data.y, weights=treated) - np.average(data.y, weights=control)
    result = run(ENTRIES[f"{name}_{target.lower()}"], plan)
    assert result.estimate == pytest.approx(expected, rel=1e-9)
    assert result.diagnostics["ess_control"] == pytest.approx(control.sum() ** 2 / (control @ control), rel=1e-9)


def test_a_given_score_has_the_error_of_a_known_distance():
    data = rows(cross_section(weights=False), np.arange(300))
    known = replace(data, pscore=Plan(data, Settings()).propensity().e)
    given, fitted = answer("psm_att", known), answer("psm_att", data)
    assert given.estimate == pytest.approx(fitted.estimate, rel=1e-12)
    assert given.se_method == "Abadie-Imbens 2006"
    assert given.standard_error == pytest.approx(fitted.diagnostics["standard_errors"]["AI2006"], rel=1e-10)


@pytest.mark.parametrize("name", ENTRIES)
def test_sampling_weights_are_refused_by_name(name: str):
    data = cross_section()
    named = replace(data, names={**data.names, "weights": ("sampling_weight",)})
    reason = ENTRIES[name].applies(Plan(named, Settings()))
    assert "'sampling_weight'" in reason
    assert "ipw_ate" in reason


@pytest.mark.parametrize("name", ENTRIES)
def test_rows_that_are_not_independent_are_refused(name: str):
    data = cross_section(weights=False)
    clustered = replace(data, clusters=(np.arange(data.n) // 10,), names={**data.names, "cluster": ("village",)})
    assert "'village'" in ENTRIES[name].applies(Plan(clustered, Settings()))
    repeated = panel()
    assert "'unit_id'" in ENTRIES[name].applies(Plan(repeated, Settings()))


@pytest.mark.parametrize("name", ENTRIES)
def test_more_matches_than_there_are_rows_are_refused(name: str):
    data = rows(cross_section(weights=False), np.arange(60))
    few = replace(data, treatment=(np.arange(60) < 5).astype(float))
    result = run(ENTRIES[name], Plan(few, Settings(matches=56)))
    assert result.status == "skipped"
    assert "options.matches" in result.reason


def test_a_search_in_many_dimensions_that_would_take_minutes_is_refused_before_it_begins():
    rng = np.random.default_rng(1)
    n = 20_000
    x = rng.standard_normal((n, 12))
    data = Data(
        n=n, y=rng.standard_normal(n), treatment=(np.arange(n) % 2).astype(float), treatment_kind="binary",
        covariates=x, propensity_covariates=x, row_key=np.arange(n, dtype=np.uint64), names=names_for(x),
    )  # fmt: skip
    reason = ENTRIES["nn_mahalanobis_att"].applies(Plan(data, Settings()))
    assert "12 dimensions" in reason
    assert "psm_att" in reason


def test_another_standard_error_that_is_asked_for_is_said_to_have_no_meaning():
    result = answer("psm_ate", coarse(), se="HC1")
    assert any("HC1" in note for note in result.diagnostics["notes"])
    assert result.se_method == "Abadie-Imbens 2016"


def test_a_few_thousand_rows_are_matched_on_many_covariates():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2_000, 14))
    treatment = (rng.random(2_000) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    data = Data(
        n=2_000, y=treatment + x[:, 0] + rng.standard_normal(2_000), treatment=treatment, treatment_kind="binary",
        covariates=x, propensity_covariates=x, row_key=np.arange(2_000, dtype=np.uint64),
    )  # fmt: skip
    # All pairs are four million: nothing to refuse, however little a tree helps in so many dimensions.
    assert answer("nn_mahalanobis_ate", data).n == 2_000


def test_a_long_search_waits_to_be_asked_for_by_name():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((8_000, 9))
    t = (rng.random(8_000) < 0.5).astype(float)
    y = x.sum(axis=1) + EFFECT * t + rng.standard_normal(8_000)
    data = Data(
        n=8_000, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip
    entry = ENTRIES["nn_mahalanobis_ate"]
    unasked = run(entry, Plan(data, Settings()))
    assert unasked.status == "skipped"
    assert "name the estimator in options.estimators" in unasked.reason
    asked = run(entry, Plan(data, Settings(named=frozenset({"nn_mahalanobis_ate"}))))
    assert abs(asked.estimate - EFFECT) < 5 * asked.standard_error
