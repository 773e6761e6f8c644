from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel import matched_sets as module
from cqox.estimators.panel.matched_sets import MatchedSets, matched_sets
from tests.estimators.designs import switching

ON = np.array([
    [0, 0, 1, 1, 0],
    [0, 0, 0, 0, 0],
    [0, 1, 0, 1, 1],
    [0, 0, 0, 1, 1],
    [1, 1, 1, 1, 1],
])  # fmt: skip
"""Treatment of five units in five periods."""


def design(on: np.ndarray = ON, drop: tuple[int, ...] = (), **changes: object) -> Data:
    units, periods = on.shape
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    data = Data(
        n=on.size, y=np.random.default_rng(0).standard_normal(on.size), unit=unit, time=time,
        time_values=np.arange(float(periods)), treatment=on.ravel().astype(float), treatment_kind="binary",
        row_key=unit.astype(np.uint64),
    )  # fmt: skip
    return replace(data, **changes).rows(np.setdiff1d(np.arange(on.size), drop))


def sets_of(data: Data, **settings: object) -> MatchedSets:
    return matched_sets(Plan(data, Settings(**{"match_lags": 1, "match_leads": 0, **settings})))


def refusal(data: Data, **settings: object) -> str:
    with pytest.raises(UnusableData) as caught:
        sets_of(data, **settings)
    return caught.value.args[0].code


def members(found: MatchedSets) -> set[tuple[int, frozenset[int], frozenset[int]]]:
    """Period, starts and candidates of each set."""
    result = set()
    for group in np.unique(found.group):
        own = found.group == group
        starts, others = (frozenset(found.unit[own & side].tolist()) for side in (found.treated, ~found.treated))
        result.add((int(found.period[own][0]), starts, others))
    return result


def test_a_set_holds_the_starts_of_a_period_and_the_untreated_with_their_history() -> None:
    assert members(sets_of(design())) == {
        (1, frozenset({2}), frozenset({0, 1, 3})),
        (2, frozenset({0}), frozenset({1, 3})),
        (3, frozenset({2, 3}), frozenset({1})),
    }


def test_a_longer_history_and_later_periods_narrow_the_sets() -> None:
    assert members(sets_of(design(), match_lags=2)) == {
        (2, frozenset({0}), frozenset({1, 3})),
        (3, frozenset({3}), frozenset({1})),
    }
    assert sets_of(design(), match_lags=2).starts == (4, 2)
    assert {period for period, _, _ in members(sets_of(design(), match_leads=2))} == {1, 2}


def test_a_unit_with_a_gap_in_the_window_is_in_no_set() -> None:
    # Unit 1 has no row in period 3, which is a start's own period or, with one lead, the period after.
    data = design(drop=(1 * 5 + 3,))
    assert members(sets_of(data)) == {
        (1, frozenset({2}), frozenset({0, 1, 3})),
        (2, frozenset({0}), frozenset({1, 3})),
    }
    assert (2, frozenset({0}), frozenset({3})) in members(sets_of(data, match_leads=1))


def test_without_refinement_weights_are_equal_within_a_set_and_balance_its_starts() -> None:
    found = sets_of(design())
    assert found.shares[found.treated] == pytest.approx([1 / 4] * 4)
    for group in np.unique(found.group):
        own, others = (found.shares[(found.group == group) & side] for side in (found.treated, ~found.treated))
        assert others == pytest.approx([own.sum() / len(others)] * len(others))


def test_an_effect_is_the_mean_difference_of_changes_and_its_contributions_sum_to_zero() -> None:
    data = design()
    found = sets_of(data, match_leads=1)
    y = data.y.reshape(5, 5)
    for lead in (0, 1):
        differences = [
            y[start, period + lead] - y[start, period - 1]
            - np.mean([y[other, period + lead] - y[other, period - 1] for other in others])
            for period, starts, others in members(found) for start in starts
        ]  # fmt: skip
        result = found.effect(lead)
        assert result is not None
        value, parts = result
        assert value * found.panel.scale == pytest.approx(np.mean(differences), rel=1e-10)
        assert parts.shape == (5,)
        assert parts.sum() == pytest.approx(0, abs=1e-12)


def test_a_units_contribution_is_what_its_sampling_weight_moves_the_effect_by() -> None:
    def value(unit: int, moved: float) -> float:
        data = design(weights=np.repeat(np.where(np.arange(5) == unit, 1 + moved, 1.0), 5))
        result = sets_of(data).effect(0)
        assert result is not None
        return result[0]

    result, step = sets_of(design()).effect(0), 1e-5
    assert result is not None
    for unit, part in enumerate(result[1]):
        assert part == pytest.approx((value(unit, step) - value(unit, -step)) / (2 * step), abs=1e-8)


def test_changes_before_the_first_period_are_unknown_and_so_is_their_effect() -> None:
    found = sets_of(design())
    change, known = found.changes(-2)
    assert known.tolist() == (found.period >= 2).tolist()
    assert found.effect(-2) is None
    y = found.panel.y
    assert change[known].tolist() == (
        y[found.period - 2, found.unit] - y[found.period - 1, found.unit]
    )[known].tolist()  # fmt: skip
    assert (found.changes(-1)[0] == 0).all()


def test_the_nearest_candidates_by_mahalanobis_distance_share_a_starts_weight() -> None:
    data = switching(60, 4)
    found = sets_of(data, match_refinement="mahalanobis")
    assert found.pairs is not None
    start, candidate, part = found.pairs
    x = np.empty((60, 4))
    x[data.unit, data.time] = data.covariates[:, 0]
    before = x[found.unit, found.period - 1]
    for one in np.unique(start):
        others = np.flatnonzero((found.group == found.group[one]) & ~found.treated)
        nearest = others[np.argsort(np.abs(before[others] - before[one]))[: module.NEAREST]]
        assert sorted(candidate[start == one].tolist()) == sorted(nearest.tolist())
        assert part[start == one] == pytest.approx([found.shares[one] / len(nearest)] * len(nearest))
    assert found.shares[~found.treated].sum() == pytest.approx(1)


def test_ties_with_the_farthest_candidate_are_kept() -> None:
    on = np.zeros((9, 3), dtype=int)
    on[0, 1:] = 1
    x = np.array([0.0, 1, -1, 2, -2, 3, -3, 4, 5])[:, None].repeat(3, axis=1).reshape(-1, 1)
    found = sets_of(design(on, covariates=x, propensity_covariates=x), match_refinement="mahalanobis")
    assert found.pairs is not None
    assert sorted(found.unit[found.pairs[1]].tolist()) == [1, 2, 3, 4, 5, 6]


def test_propensity_weights_follow_the_odds_of_a_logit() -> None:
    data = switching(120, 4)
    found = sets_of(data, match_refinement="propensity")
    x = np.empty((120, 4))
    x[data.unit, data.time] = data.covariates[:, 0]
    at = x[found.unit, found.period - 1]

    def loss(beta: np.ndarray) -> float:
        return float(np.sum(np.logaddexp(0, beta[0] + beta[1] * at) - found.treated * (beta[0] + beta[1] * at)))

    odds = np.where(found.treated, 0, np.exp(minimize(loss, [0.0, 0.0]).x[1] * at))
    mass = np.bincount(found.group, np.where(found.treated, found.shares, 0))
    expected = odds * (mass / np.bincount(found.group, odds))[found.group]
    np.testing.assert_allclose(found.shares[~found.treated], expected[~found.treated], rtol=1e-4)


@pytest.mark.parametrize("refinement", ["mahalanobis", "propensity"])
def test_a_covariate_varies_or_not_whatever_its_unit(refinement: str) -> None:
    data = switching(60, 4)
    shares = sets_of(data, match_refinement=refinement).shares
    for unit in (1e-15, 1e15):
        scaled = replace(data, covariates=data.covariates * unit)
        np.testing.assert_allclose(sets_of(scaled, match_refinement=refinement).shares, shares, rtol=1e-6)
    rounded = replace(data, covariates=np.full((data.n, 1), 12345678.9))
    assert refusal(rounded, match_refinement=refinement) == "panel.refinement-needs-varying-covariates"


def test_what_allows_no_sets_is_refused_by_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    data = design()
    constant = np.ones((25, 1))
    assert refusal(replace(data, unit=None)) == "panel.needs-unit-and-time"
    assert refusal(replace(data, unit=np.arange(25))) == "panel.single-rows"
    assert refusal(replace(data, treatment=(data.unit < 2).astype(float))) == "panel.treatment-never-starts"
    assert refusal(data, match_lags=4) == "panel.no-matched-controls"
    assert refusal(data, match_refinement="propensity") == "panel.refinement-needs-covariates"
    assert refusal(replace(data, covariates=constant), match_refinement="mahalanobis") == (
        "panel.refinement-needs-varying-covariates"
    )
    monkeypatch.setattr(module, "MOST_PAIRS", 3)
    assert refusal(switching(60, 4), match_refinement="mahalanobis") == "panel.too-many-pairs"
    monkeypatch.setattr(module, "MOST_CELLS", 24)
    assert refusal(data) == "panel.too-many-cells"
