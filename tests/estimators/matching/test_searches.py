from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.matching.searches import QUERIES, arms_of, scores, space, too_many
from cqox.estimators.sample import Sample
from tests.estimators.designs import cross_section

DATA = cross_section(n=120, weights=False)


def planned(data: Data = DATA) -> tuple[Plan, Sample]:
    plan = Plan(data, Settings())
    return plan, plan.doubly_robust_sample()


def test_the_arms_hold_each_row_once_and_give_back_its_outcome():
    plan, sample = planned()
    arms = arms_of(plan, sample)
    assert (DATA.treatment[arms.rows[0]] == 0).all()
    assert (DATA.treatment[arms.rows[1]] == 1).all()
    assert arms.n == DATA.n
    centred = arms.together(arms.y) * arms.scale
    np.testing.assert_allclose(centred, DATA.y - DATA.y.mean(), rtol=1e-10, atol=1e-12)
    assert max(np.abs(y).max() for y in arms.y) == pytest.approx(1.0)


def test_positions_are_of_the_sample_where_rows_are_left_out():
    y = DATA.y.copy()
    y[:10] = np.nan
    plan, sample = planned(replace(DATA, y=y))
    arms = arms_of(plan, sample)
    assert arms.n == 110
    np.testing.assert_array_equal(np.sort(np.concatenate(arms.rows)), np.arange(110))


def test_arms_and_searches_are_built_once():
    plan, sample = planned()
    assert arms_of(plan, sample) is arms_of(plan, sample)
    assert scores(plan, sample) is scores(plan, sample)
    assert space(plan, sample) is space(plan, sample)


def test_the_nearest_score_is_that_of_all_pairs():
    plan, sample = planned()
    arms, e = arms_of(plan, sample), plan.propensity(sample).used
    found = scores(plan, sample).nearest(1, 0, 1).sums(e[arms.rows[0]])
    apart = np.abs(e[arms.rows[1]][:, None] - e[arms.rows[0]])
    np.testing.assert_allclose(found, e[arms.rows[0]][apart.argmin(axis=1)], rtol=1e-10)


def test_the_nearest_in_space_has_the_smallest_mahalanobis_distance():
    plan, sample = planned()
    arms, x = arms_of(plan, sample), DATA.covariates
    apart = x[arms.rows[1]][:, None] - x[arms.rows[0]]
    distances = np.einsum("ijk,kl,ijl->ij", apart, np.linalg.inv(np.cov(x.T)), apart)
    position = np.arange(len(arms.rows[0]), dtype=float)
    found = space(plan, sample).nearest(1, 0, 1)
    assert (found.counts == 1).all()
    np.testing.assert_array_equal(found.sums(position), distances.argmin(axis=1))


class Cells:
    """A search of this many positions in each arm."""

    def __init__(self, count: int) -> None:
        self.count = count

    def cells(self, arm: int) -> int:
        return self.count


def refusal(cells: int, dimensions: int, *, named: bool = False) -> str | None:
    sample = Sample(total=2 * cells, n=2 * cells, index=None)
    found = too_many(Cells(cells), sample, dimensions, "ATE", named=named)
    return None if found is None else found.params["cure"].code


def test_a_slow_search_waits_to_be_named_and_an_endless_one_is_refused():
    assert refusal(5_000, 2) is None
    assert refusal(50_000, 10) == "matching.wait-or-reduce-search"
    assert refusal(50_000, 10, named=True) is None
    assert refusal(500_000, 20) == refusal(500_000, 20, named=True) == "matching.reduce-search"


def test_few_positions_are_quick_in_any_number_of_dimensions():
    assert refusal(300, 1000) is None


def test_a_target_population_matches_the_rows_of_its_arm():
    assert QUERIES == {"ATE": (0, 1), "ATT": (1,), "ATC": (0,)}
