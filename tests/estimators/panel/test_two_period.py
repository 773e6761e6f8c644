import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from cqox.estimators.panel.two_period import Comparison, NoComparison, tilted

N, TREATED = 240, 90


def drawn(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates with ones, weights, and changes of an outcome for which neither model holds."""
    rng = np.random.default_rng(seed)
    own = np.arange(N) < TREATED
    z = np.vstack([np.ones(N), rng.standard_normal(N) + 0.5 * own])
    return z, rng.uniform(0.5, 2, N), z[1] ** 2 + own + rng.standard_normal(N)


def logit(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Probabilities of treatment at the maximum of the weighted likelihood."""
    own = np.arange(z.shape[1]) < TREATED

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        at = beta @ z
        return float(w @ (np.logaddexp(0, at) - own * at)), z @ (w * (expit(at) - own))

    return expit(minimize(loss, np.zeros(len(z)), jac=True, method="BFGS", options={"gtol": 1e-10}).x @ z)


def written_out(z: np.ndarray, w: np.ndarray, change: np.ndarray, method: str) -> float:
    own = np.arange(len(w)) < TREATED
    rest, against = change, np.where(own, 0, w)
    if method != "ipw":
        root = np.sqrt(w[~own])
        beta = np.linalg.lstsq(z[:, ~own].T * root[:, None], change[~own] * root, rcond=None)[0]
        rest = change - beta @ z
    if method != "reg":
        chance = logit(z, w)
        against = np.where(own, 0, w * chance / (1 - chance))
    effect = np.average(rest[own], weights=w[own])
    return effect - (0.0 if method == "reg" else np.average(rest, weights=against))


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_the_effect_is_its_formula(method: str) -> None:
    z, w, change = drawn()
    effect, _ = Comparison(z, w, TREATED, method).effect(change)
    assert effect == pytest.approx(written_out(z, w, change, method), rel=1e-7)


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("covariates", [False, True])
def test_a_contribution_is_what_the_units_weight_moves_the_effect_by(method: str, covariates: bool) -> None:
    z, w, change = drawn()
    z = z if covariates else z[:1]
    _, contributions = Comparison(z, w, TREATED, method).effect(change)
    step = 1e-4
    for unit in (0, TREATED - 1, TREATED, N - 1):
        one = step * (np.arange(N) == unit)
        up, down = (Comparison(z, w * (1 + sign * one), TREATED, method).effect(change)[0] for sign in (1, -1))
        assert contributions[unit] == pytest.approx((up - down) / (2 * step), abs=1e-6)
    assert abs(contributions.sum()) < 1e-9


def test_without_covariates_it_is_the_difference_of_weighted_means() -> None:
    z, w, change = drawn()
    effect, parts = Comparison(z[:1], w, TREATED, "dr").effect(change)
    means = [np.average(change[own], weights=w[own]) for own in (slice(0, TREATED), slice(TREATED, None))]
    assert effect == pytest.approx(means[0] - means[1], rel=1e-12)
    assert parts[0] == pytest.approx(w[0] / w[:TREATED].sum() * (change[0] - means[0]), rel=1e-12)


def test_a_repeated_covariate_changes_nothing() -> None:
    z, w, change = drawn()
    once, twice = (Comparison(each, w, TREATED, "dr").effect(change)[0] for each in (z, np.vstack([z, 2 * z[1] - 3])))
    assert twice == pytest.approx(once, rel=1e-9)


def test_odds_give_the_comparison_units_the_treateds_fitted_balance() -> None:
    z, w, _ = drawn()
    score, odds, information = tilted(z, w, TREATED)
    chance = logit(z, w)
    assert odds.sum() == pytest.approx(1)
    assert (odds[:TREATED] == 0).all()
    np.testing.assert_allclose(score, w * ((np.arange(N) < TREATED) - chance), atol=1e-6)
    np.testing.assert_allclose(information, (z * (w * chance * (1 - chance))) @ z.T, rtol=1e-6)


def test_covariates_that_separate_the_arms_allow_no_weighting() -> None:
    z, w, _ = drawn()
    z[1] = np.where(np.arange(N) < TREATED, 1.0, -1.0) + 0.01 * z[1]
    with pytest.raises(NoComparison) as caught:
        tilted(z, w, TREATED)
    assert caught.value.why.code == "panel.covariates-separate-units"


def test_fewer_comparison_units_than_coefficients_allow_no_regression() -> None:
    rng = np.random.default_rng(0)
    z = np.vstack([np.ones(12), rng.standard_normal((3, 12))])
    with pytest.raises(NoComparison) as caught:
        Comparison(z, np.ones(12), 9, "reg")
    assert caught.value.why.code == "panel.comparison-units-too-few"


@pytest.mark.parametrize("seed", range(10))
def test_the_odds_of_a_comparison_are_found_where_the_covariate_is_steep_and_skewed(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.beta(0.5, 4.0, 300)
    treated = rng.random(300) < 1 / (1 + np.exp(5 - 9 * x))
    order = np.argsort(~treated, kind="stable")
    z = np.vstack([np.ones(300), (x[order] - x.mean()) / x.std()])
    weights = rng.uniform(0.5, 2.0, 300)
    comparison = Comparison(z, weights, int(treated.sum()), "ipw")
    score = z @ comparison._score
    np.testing.assert_allclose(score, 0.0, atol=1e-9)
