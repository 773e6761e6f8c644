import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.matching.abadie_imbens import (
    Arms,
    Matched,
    averages,
    matched,
    matching_variance,
    outcome_variances,
    score_adjustment,
)
from cqox.estimators.matching.searches import arms_of, scores
from cqox.estimators.numerics.neighbors import Line
from tests.estimators.designs import cross_section

# Scores of the untreated with a tie, and of the treated, of whom the last is far from all others.
SCORES = np.array([0.1, 0.3, 0.3, 0.6]), np.array([0.25, 0.55, 0.95])
Y = np.array([1.0, 2.0, 4.0, 3.0]), np.array([5.0, 8.0, 6.0])
ARMS = Arms(rows=(np.array([0, 2, 3, 6]), np.array([1, 4, 5])), y=Y, scale=2.0)


def found(queries: tuple[int, ...] = (0, 1), within: float | None = None) -> Matched:
    return matched(Line(*SCORES), ARMS, queries, 1, within)


def test_both_arms_together_are_in_the_order_of_the_sample():
    assert ARMS.n == 7
    assert ARMS.together(Y).tolist() == [1, 5, 2, 4, 8, 6, 3]


def test_ties_share_a_match_and_usage_sums_the_shares():
    match = found((1,))
    assert match.sets[1].counts.tolist() == [2, 1, 1]
    assert match.usage[0].tolist() == [0, 0.5, 0.5, 2]
    assert match.squares[0].tolist() == [0, 0.25, 0.25, 2]
    assert match.used[0].tolist() == [False, True, True, True]
    assert match.n == 3
    assert not match.kept[0].any()
    assert averages(match.sets[1], Y[0]).tolist() == [3, 3, 3]


def test_a_caliper_leaves_rows_without_a_match():
    match = found((0, 1), 0.1)
    assert match.kept[0].tolist() == [False, True, True, True]
    assert match.kept[1].tolist() == [True, True, False]
    assert match.n == 5
    assert averages(match.sets[1], Y[0]).tolist() == [3, 3, 0]


@pytest.mark.parametrize("queries", [(0, 1), (1,), (0,)])
def test_the_variance_is_abadies_and_imbens_formula_row_by_row(queries: tuple[int, ...]):
    match = found(queries)
    effects = np.array([4.0, 3.0, 1.0, 5.0]), np.array([2.0, 5.0, 3.0])
    variances = np.array([0.5, 1.0, 2.0, 0.25]), np.array([1.5, 3.0, 0.75])
    value, total = 3.5, 0.0
    for arm in (0, 1):
        for row in range(len(Y[arm])):
            k, squares = match.usage[arm][row], match.squares[arm][row]
            asked = arm in queries
            total += asked * (effects[arm][row] - value) ** 2
            total += (k**2 + 2 * k * asked - squares) * variances[arm][row]
    n = sum(len(Y[arm]) for arm in queries)
    assert matching_variance(match, effects, value, variances) == pytest.approx(total / n**2, rel=1e-12)


def test_outcome_variances_are_of_the_nearest_rows_of_the_same_arm():
    search = Line(*SCORES)
    control, treated = outcome_variances(search, ARMS, found(), 2)
    # 0.1 has the tie at 0.3 as its nearest; a row of the tie has the other one.
    assert control.tolist() == pytest.approx([np.var([1, 2, 4], ddof=1), 2.0, 2.0, np.var([2, 4, 3], ddof=1)])
    assert treated.tolist() == pytest.approx([np.var([5, 8], ddof=1), np.var([5, 8], ddof=1), 2.0])


def test_a_constant_outcome_has_no_variance_and_a_single_row_none_either():
    flat = Arms(rows=(np.array([0, 1]), np.array([2])), y=(np.array([0.1, 0.1]), np.array([0.7])), scale=1.0)
    search = Line(np.array([0.2, 0.4]), np.array([0.3]))
    control, treated = outcome_variances(search, flat, matched(search, flat, (0, 1), 1), 2)
    assert control.tolist() == treated.tolist() * 2 == [0.0, 0.0]


def test_an_estimated_score_lowers_the_variance_of_the_average_effect_by_the_known_form():
    data = cross_section(n=90, weights=False)
    plan = Plan(data, Settings())
    sample = plan.doubly_robust_sample()
    logit, arms = plan.propensity(sample).logit, arms_of(plan, sample)
    found = score_adjustment(logit, logit.inverse(), scores(plan, sample), arms, None, 0.0, 2)
    z, e, y = logit.frame.matrix[:5].T, logit.probabilities, arms.together(arms.y)
    c = np.zeros(5)
    for row in range(data.n):
        for arm, share in ((0, e[row]), (1, 1 - e[row])):
            own = np.flatnonzero(data.treatment == arm)
            near = own[np.argsort(np.abs(e[own] - e[row]))[:2]]
            c += share * np.array([np.cov(column, y[near])[0, 1] for column in z[near].T])
    information = z.T @ (z * (e * (1 - e))[:, None])
    assert found == pytest.approx(-c @ np.linalg.solve(information, c) / data.n**2, rel=1e-8)
    assert found < 0
