from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings, catalog, run
from cqox.estimators.sample import Sample
from tests.estimators.designs import cross_section, panel, rows


def test_folds_follow_the_key_and_not_the_position():
    data = cross_section()
    order = np.random.default_rng(1).permutation(data.n)
    left, right = Plan(data, Settings()).folds(), Plan(rows(data, order), Settings()).folds()
    np.testing.assert_array_equal(left[order], right)


def test_folds_are_about_equal_in_size_and_differ_by_seed_and_split():
    data = cross_section(n=20_000)
    plan = Plan(data, Settings(folds=7))
    counts = np.bincount(plan.folds(), minlength=7)
    assert counts.min() > 0.9 * 20_000 / 7
    assert np.mean(plan.folds(0) == plan.folds(1)) == pytest.approx(1 / 7, abs=0.02)
    assert np.mean(plan.folds(0) == Plan(data, Settings(folds=7, seed=1)).folds(0)) == pytest.approx(1 / 7, abs=0.02)


@pytest.mark.parametrize(("version", "folds"), [(1, [3, 4, 3, 2, 4, 0]), (2, [2, 1, 3, 4, 4, 0])])
def test_folds_of_each_version_stay_what_they_were(version: int, folds: list[int]):
    data = replace(cross_section(n=6), row_key=np.arange(6, dtype=np.uint64))
    assert Plan(data, Settings(seed=42, folds_version=version)).folds(3).tolist() == folds


def test_a_key_of_folds_replaces_the_key_of_the_row_in_version_two_alone():
    data = replace(cross_section(n=200), row_key=np.arange(200, dtype=np.uint64))
    moved = replace(data, fold_key=np.arange(200) + 1)
    new, old = Settings(), Settings(folds_version=1)
    assert Plan(moved, new).folds()[:-1].tolist() == Plan(data, new).folds()[1:].tolist()
    assert Plan(moved, old).folds().tolist() == Plan(data, old).folds().tolist()
    order = np.arange(199, -1, -1)
    assert Plan(rows(moved, order), new).folds().tolist() == Plan(moved, new).folds()[::-1].tolist()


def test_rows_of_one_key_share_a_fold():
    data = panel()
    folds = Plan(data, Settings()).folds()
    for unit in range(10):
        assert len(np.unique(folds[data.unit == unit])) == 1


def test_a_sample_leaves_out_rows_that_miss_any_of_its_roles_and_always_weights_and_clusters():
    data = cross_section(n=100)
    y, weights = data.y.copy(), data.weights.copy()
    y[3], weights[5] = np.nan, np.nan
    codes = np.arange(100) % 10
    codes[7] = -1
    plan = Plan(replace(data, y=y, weights=weights, clusters=(codes,)), Settings())
    np.testing.assert_array_equal(np.setdiff1d(np.arange(100), plan.sample("y").index), [3, 5, 7])
    np.testing.assert_array_equal(np.setdiff1d(np.arange(100), plan.sample("covariates").index), [5, 7])


def test_samples_of_complete_data_are_one_and_copy_nothing():
    data = cross_section()
    plan = Plan(data, Settings())
    assert plan.sample("y") is plan.sample("y", "treatment", "covariates")
    assert plan.sample("y").take(data.y) is data.y


def test_shared_work_is_done_once():
    plan = Plan(cross_section(), Settings())
    assert plan.propensity() is plan.propensity()
    assert plan.outcome() is plan.outcome()
    assert plan.propensity().logit.frame is plan.outcome().frame


def test_what_is_shared_of_one_sample_is_never_given_for_another_in_its_place() -> None:
    plan = Plan(cross_section(), Settings())
    places = set()
    for first in range(200):
        sample = Sample(total=800, n=100, index=np.arange(first, first + 100))
        places.add(id(sample))
        assert np.array_equal(plan.treated(sample), sample.take(plan.data.treatment))
        del sample
    assert len(places) == 200


def test_the_outcome_fits_predict_in_units_of_y():
    data = cross_section(weights=False)
    fits = Plan(data, Settings()).outcome()
    treated = data.treatment == 1
    assert fits.treated[treated].mean() == pytest.approx(data.y[treated].mean(), rel=1e-10)
    assert fits.control[~treated].mean() == pytest.approx(data.y[~treated].mean(), rel=1e-10)


def test_rows_not_used_have_no_propensity():
    data = cross_section(n=100)
    x = data.covariates.copy()
    x[4, 1] = np.nan
    plan = Plan(replace(data, covariates=x, propensity_covariates=x), Settings())
    assert np.flatnonzero(np.isnan(plan.propensity().e)).tolist() == [4]


def test_a_folded_propensity_brings_those_without_each_fold_along(monkeypatch: pytest.MonkeyPatch):
    data = cross_section(n=900, weights=True)
    many = np.column_stack([data.covariates, np.random.default_rng(1).standard_normal((900, 20))])
    data = replace(data, covariates=many, propensity_covariates=many)
    alone, folded = Plan(data, Settings()), Plan(data, Settings())
    expected = alone.out_of_fold(alone.propensity().logit, 0)
    monkeypatch.setattr("cqox.estimators.plan.cross_fit_logit", lambda *_: pytest.fail("fitted again"))
    propensity = folded.propensity(folded=True)
    np.testing.assert_allclose(propensity.e, alone.propensity().e, rtol=1e-10)
    np.testing.assert_allclose(folded.out_of_fold(propensity.logit, 0), expected, rtol=1e-8)


def test_a_probability_of_an_amount_is_refused():
    with pytest.raises(UnusableData, match="two levels"):
        Plan(cross_section(continuous=True), Settings()).propensity()


def test_units_are_the_clusters_only_where_they_repeat_and_none_is_mapped():
    data = panel()
    assert Plan(data, Settings()).clusters_are_units
    assert not Plan(replace(data, clusters=(data.unit,)), Settings()).clusters_are_units
    assert not Plan(replace(data, unit=np.arange(data.n)), Settings()).clusters_are_units


def test_a_sample_without_rows_is_a_reason_for_everyone():
    data = cross_section(n=50)
    plan = Plan(replace(data, y=np.full(50, np.nan)), Settings())
    for entry in catalog():
        assert run(entry, plan).status == "skipped"


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_cells_count_as_missing(value: float):
    data = cross_section(n=100)
    y = data.y.copy()
    y[2] = value
    assert Plan(replace(data, y=y), Settings()).sample("y").n == 99


def test_huge_cells_do_not_count_as_missing():
    data = cross_section(n=100)
    y = data.y.copy()
    y[:2] = 1.7e308
    assert Plan(replace(data, y=y), Settings()).sample("y").n == 100


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_products_by_fold_and_arm_come_with_a_folded_frame(kind: str):
    data = cross_section(n=500)
    x = np.column_stack([data.covariates, data.covariates[:, 0] - data.covariates[:, 1], np.ones(data.n)])
    data = replace(data, covariates=x, propensity_covariates=x, treatment_kind=kind)
    together, apart = Plan(data, Settings()), Plan(data, Settings())
    one = together.frame("xty", together.outcome_sample(), folded=True)
    other = apart.frame("xty", apart.outcome_sample())
    assert one.grouped is not None
    assert other.grouped is None
    assert one.dropped == other.dropped != ()
    np.testing.assert_allclose(one.products, other.products, rtol=1e-12, atol=1e-10)
    for split in (0, 1):
        for left, right in zip(together.blocks(one, split), apart.blocks(other, split), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-10)
