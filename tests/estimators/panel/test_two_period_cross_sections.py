import numpy as np
import pytest

from cqox.estimators.panel.two_period import NoComparison
from cqox.estimators.panel.two_period_cross_sections import section_effect


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_the_contributions_are_what_each_weight_moves_the_effect_by(method: str):
    rng = np.random.default_rng(1)
    n, treated, step = 300, 120, 1e-4
    z = np.vstack([np.ones(n), rng.standard_normal(n) + 0.5 * (np.arange(n) < treated)])
    after, w = rng.random(n) < 0.5, rng.uniform(0.5, 2, n)
    # No model holds: neither is the trend linear in the covariate nor the logit right.
    y = z[1] ** 2 + after * np.exp(z[1]) + (np.arange(n) < treated) * after + rng.standard_normal(n)
    _, contributions = section_effect(z, y, w, treated, after, method)
    for row in range(0, n, 15):
        one = step * (np.arange(n) == row)
        up, down = (section_effect(z, y, w * (1 + sign * one), treated, after, method)[0] for sign in (1, -1))
        assert contributions[row] == pytest.approx((up - down) / (2 * step), abs=1e-6)
    assert abs(contributions.sum()) < 1e-9


def two_by_two(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Covariates with ones, outcomes, weights, whether a row is after, and the number of treated rows."""
    rng = np.random.default_rng(2)
    z = np.vstack([np.ones(n), rng.standard_normal(n)])
    return z, rng.standard_normal(n) + z[1], rng.uniform(0.5, 2, n), rng.random(n) < 0.5, 80


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_without_covariates_it_is_the_difference_of_four_weighted_means(method: str) -> None:
    z, y, w, after, treated = two_by_two()
    own = np.arange(len(y)) < treated
    means = [[np.average(y[arm & when], weights=w[arm & when]) for when in (after, ~after)] for arm in (own, ~own)]
    expected = means[0][0] - means[0][1] - means[1][0] + means[1][1]
    value, parts = section_effect(z[:1], y, w, treated, after, method)
    assert value == pytest.approx(expected, rel=1e-10)
    assert parts[0] == pytest.approx(
        (1 if after[0] else -1) * w[0] / w[own & (after == after[0])].sum() * (y[0] - means[0][0 if after[0] else 1]),
        rel=1e-9,
    )


def test_by_regression_each_periods_line_of_the_comparison_rows_predicts_all_treated_rows() -> None:
    z, y, w, after, treated = two_by_two()
    own = np.arange(len(y)) < treated
    expected = 0.0
    for sign, when in ((1, after), (-1, ~after)):
        rows, root = ~own & when, np.sqrt(w[~own & when])
        beta = np.linalg.lstsq(z[:, rows].T * root[:, None], y[rows] * root, rcond=None)[0]
        mean = np.average(z[:, own], weights=w[own], axis=1)
        expected += sign * (np.average(y[own & when], weights=w[own & when]) - beta @ mean)
    assert section_effect(z, y, w, treated, after, "reg")[0] == pytest.approx(expected, rel=1e-10)


def test_both_together_find_a_known_effect_where_the_outcome_is_linear() -> None:
    z, _, w, after, treated = two_by_two()
    own = np.arange(z.shape[1]) < treated
    y = 1 + 2 * own + 0.5 * after + 3.0 * (own & after) + z[1] * (1 + after)
    assert section_effect(z, y, w, treated, after, "dr")[0] == pytest.approx(3.0, abs=1e-9)


def test_too_few_rows_of_a_period_for_its_regression_are_named_by_arm() -> None:
    z, y, w, _, treated = two_by_two()
    for lone, code in ((100, "panel.comparison-rows-too-few"), (3, "panel.treated-rows-too-few")):
        after = np.arange(len(y)) % 2 == 0
        arm = (np.arange(len(y)) < treated) == (lone < treated)
        after[arm] = np.arange(len(y))[arm] == lone
        with pytest.raises(NoComparison) as caught:
            section_effect(z, y, w, treated, after, "dr")
        assert caught.value.why.code == code
