import numpy as np
import pytest
import statsmodels.api as sm

from cqox.estimators.inference.serial_correlation import autoregression
from cqox.estimators.time_series.seasons import Cycle, candidates, chosen, follows, harmonics


def since(before: int, after: int, step: float = 1.0) -> np.ndarray:
    return step * np.arange(-before, after, dtype=float)


def lines(time: np.ndarray) -> np.ndarray:
    after = (time >= 0).astype(float)
    return np.column_stack([np.ones(len(time)), time, after, after * time])


@pytest.mark.parametrize(
    ("unit", "time", "found"),
    [
        ("month", since(24, 12), [(12.0, 2)]),
        ("month", since(23, 20), []),
        ("month", since(24, 0), [(12.0, 2)]),
        ("quarter", since(16, 8), [(4.0, 2)]),
        ("quarter", since(16, 7), []),
        ("week", since(110, 50), [(365.25 / 7, 2)]),
        ("day", since(60, 30), [(7.0, 2)]),
        ("day", since(800, 100), [(7.0, 2), (365.25, 2)]),
        ("day", since(24 * 30, 24 * 9, 1 / 24), [(1.0, 2), (7.0, 2)]),
        ("month", since(40, 20, 2.0), [(12.0, 2)]),
        ("quarter", since(40, 20, 2.0), [(4.0, 1)]),
        ("year", since(60, 30), []),
        ("number", since(60, 30), []),
        ("period", since(60, 30), []),
    ],
)
def test_the_calendar_proposes_cycles_that_are_seen_twice_before(
    unit: str, time: np.ndarray, found: list[tuple[float, int]]
) -> None:
    assert chosen(time, unit) == ()
    asked = chosen(time, unit, pairs=2)
    if found:
        assert asked == tuple(Cycle(length=length, pairs=pairs) for length, pairs in found)
    else:
        assert "needs a calendar cycle" in asked


def test_what_is_asked_for_goes_before_the_calendar() -> None:
    time = since(30, 20)
    assert chosen(time, "month", pairs=0) == chosen(time, "number", length=12.0, pairs=0) == ()
    assert chosen(time, "month", pairs=3) == (Cycle(length=12.0, pairs=3),)
    assert chosen(time, "number", length=12.0) == (Cycle(length=12.0, pairs=2),)
    assert chosen(time, "month", length=6.0, pairs=9) == (Cycle(length=6.0, pairs=3),)
    assert "no longer than the series, which spans 49" in chosen(time, "number", length=50.0)
    assert "at least two periods long" in chosen(time, "number", length=1.5)
    assert "15 periods are too few for two lines and 8 seasonal terms" in chosen(
        since(10, 5), "number", length=12.0, pairs=4
    )
    assert "options.season_length sets another" in chosen(since(60, 30), "number", pairs=2)


def test_terms_that_others_determine_are_left_out() -> None:
    time = since(16, 8)
    quarters = harmonics(time, [Cycle(length=4.0, pairs=2)], lines(time))
    assert quarters.shape[1] == 3
    dummies = np.equal.outer(time % 4, np.arange(3.0)).astype(float)
    whole = np.hstack([lines(time), quarters])
    assert np.linalg.matrix_rank(np.hstack([whole, dummies])) == np.linalg.matrix_rank(whole) == 7
    halves = since(16, 8, 2.0)
    assert harmonics(halves, [Cycle(length=4.0, pairs=2)], lines(halves)).shape[1] == 1
    twice = [Cycle(length=12.0, pairs=2), Cycle(length=6.0, pairs=1)]
    assert harmonics(since(60, 30), twice, lines(since(60, 30))).shape[1] == 4
    assert harmonics(time, [], lines(time)).shape == (24, 0)


def test_seven_days_have_three_pairs() -> None:
    time = since(30, 20)
    terms = harmonics(time, [Cycle(length=7.0, pairs=3)], lines(time))
    dummies = np.equal.outer(time % 7, np.arange(6.0)).astype(float)
    left = (
        dummies
        - np.column_stack([np.ones(50), terms])
        @ np.linalg.lstsq(np.column_stack([np.ones(50), terms]), dummies, rcond=None)[0]
    )
    assert np.abs(left).max() < 1e-12


@pytest.mark.parametrize(("dependence", "robust_is_smaller"), [(-0.5, False), (0.7, True)])
def test_the_statistic_is_the_smaller_of_two_wald_tests(dependence: float, robust_is_smaller: bool) -> None:
    time, rng = since(60, 40), np.random.default_rng(5)
    errors = np.zeros(100)
    for place in range(1, 100):
        errors[place] = dependence * errors[place - 1] + rng.standard_normal()
    terms = harmonics(time, [Cycle(length=12.0, pairs=2)], lines(time))
    whole = np.hstack([lines(time), terms])
    y = errors + 0.4 * terms[:, 0]
    fit = sm.OLS(y, whole).fit()
    restriction = np.hstack([np.zeros((4, 4)), np.eye(4)])
    plain = fit.f_test(restriction)
    law = autoregression(np.asarray(fit.resid), np.linalg.qr(whole)[0])
    error = law.covariances[np.abs(np.subtract.outer(range(100), range(100)))]
    bread = np.linalg.inv(whole.T @ whole)
    robust = fit.f_test(restriction, cov_p=bread @ whole.T @ error @ whole @ bread)
    assert (robust.fvalue < plain.fvalue) == robust_is_smaller
    statistic, degrees, p_value = follows(y, lines(time), terms)
    assert statistic == pytest.approx(min(float(plain.fvalue), float(robust.fvalue)), rel=1e-9)
    assert degrees == (4, 92)
    assert p_value == pytest.approx(max(float(plain.pvalue), float(robust.pvalue)), rel=1e-8)


@pytest.mark.parametrize("dependence", [0.0, 0.6])
def test_a_series_without_seasons_is_rarely_taken_for_one(dependence: float) -> None:
    time, found = since(36, 24), 0
    terms = harmonics(time, [Cycle(length=12.0, pairs=2)], lines(time))
    for seed in range(200):
        errors, rng = np.zeros(90), np.random.default_rng(seed)
        for place in range(1, 90):
            errors[place] = dependence * errors[place - 1] + rng.standard_normal()
        found += follows(errors[30:], lines(time), terms)[2] < 0.01
    assert found <= 12


def test_where_no_calendar_is_known_months_days_and_quarters_are_looked_for() -> None:
    assert [cycle.length for cycle in candidates(since(30, 20), "number")] == [12.0, 7.0, 4.0]
    assert [cycle.length for cycle in candidates(since(10, 8), "period")] == [7.0, 4.0]
    assert [cycle.length for cycle in candidates(since(18, 12), "month")] == [12.0]
    assert candidates(since(60, 30), "year") == ()


def test_a_series_without_error_has_nothing_to_test() -> None:
    time = since(30, 20)
    terms = harmonics(time, [Cycle(length=12.0, pairs=2)], lines(time))
    assert follows(lines(time) @ [1.0, 2.0, 3.0, 4.0] + terms[:, 0], lines(time), terms) is None
    assert follows(np.sin(time**2), lines(time), terms[:, :0]) is None
