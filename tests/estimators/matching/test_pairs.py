from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.matching.pairs import matched_pairs
from tests.estimators.designs import cross_section, rows


def discrete(n: int = 600, seed: int = 5) -> Data:
    """Covariates of a few values, so that many rows are equally near."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (n, 2)).astype(float)
    t = (rng.random(n) < 0.2 + 0.1 * x[:, 0]).astype(float)
    y = t + x.sum(axis=1) + rng.standard_normal(n)
    return replace(cross_section(n, weights=False), y=y, treatment=t, covariates=x, propensity_covariates=x,
                   row_key=rng.permutation(n).astype(np.uint64))  # fmt: skip


@pytest.mark.parametrize("name", ["psm", "nn_mahalanobis"])
@pytest.mark.parametrize("data", [cross_section(600, weights=False), discrete()], ids=["continuous", "discrete"])
def test_no_row_is_in_two_pairs_and_each_treated_row_has_one_of_its_nearest(name: str, data: Data):
    plan = Plan(data, Settings())
    pairs = matched_pairs(plan, name)
    assert len(np.unique(pairs.control)) == len(pairs.control) == len(np.unique(pairs.treated))
    assert np.all(data.treatment[pairs.treated] == 1)
    assert np.all(data.treatment[pairs.control] == 0)
    assert len(pairs.treated) + pairs.unmatched + pairs.shared == data.treatment.sum()
    if name == "psm":
        e = plan.propensity().used[:, None]
    else:
        whole = data.covariates - data.covariates.mean(axis=0)
        e = whole @ np.linalg.inv(np.linalg.cholesky(np.cov(whole.T))).T
    away = np.linalg.norm(e[pairs.treated][:, None] - e[data.treatment == 0][None], axis=2).min(axis=1)
    assert np.linalg.norm(e[pairs.treated] - e[pairs.control], axis=1) == pytest.approx(away, abs=1e-7)


def test_treated_rows_of_one_place_take_different_counterparts():
    data = discrete()
    pairs = matched_pairs(Plan(data, Settings()), "nn_mahalanobis")
    cells = (data.covariates @ [4, 1]).astype(int)
    both = [np.bincount(cells[data.treatment == arm], minlength=16) for arm in (0, 1)]
    assert len(pairs.treated) == np.minimum(*both).sum()


@pytest.mark.parametrize("name", ["psm", "nn_mahalanobis"])
def test_the_order_of_the_rows_changes_no_pair(name: str):
    data = discrete()
    mixed = np.random.default_rng(1).permutation(data.n)
    here = matched_pairs(Plan(data, Settings()), name)
    there = matched_pairs(Plan(rows(data, mixed), Settings()), name)
    assert set(zip(here.treated, here.control, strict=True)) == set(
        zip(mixed[there.treated], mixed[there.control], strict=True)
    )


def test_several_matches_count_as_pairs_with_the_nearest_of_them():
    data = cross_section(600, weights=False)
    one, four = (matched_pairs(Plan(data, Settings(matches=m)), "psm") for m in (1, 4))
    assert np.array_equal(one.control, four.control)


def test_rows_outside_the_caliper_have_no_pair_and_those_whose_match_is_taken_are_counted():
    data = cross_section(400, weights=False)
    plan = Plan(data, Settings(caliper=0.002))
    pairs = matched_pairs(plan, "psm")
    e = plan.propensity().used
    assert np.abs(e[pairs.treated] - e[pairs.control]).max() <= 0.002
    nearest = np.abs(e[data.treatment == 1][:, None] - e[data.treatment == 0]).min(axis=1)
    assert pairs.unmatched == np.count_nonzero(nearest > 0.002) > 0
    assert pairs.shared == data.treatment.sum() - pairs.unmatched - len(pairs.treated) > 0


def test_pairs_are_positions_in_the_data_where_rows_are_left_out():
    data = cross_section(300, weights=False)
    y = data.y.copy()
    y[:40] = np.nan
    pairs = matched_pairs(Plan(replace(data, y=y), Settings()), "psm")
    assert min(pairs.treated.min(), pairs.control.min()) >= 40
    assert (data.treatment[pairs.treated] > data.treatment[pairs.control]).all()
