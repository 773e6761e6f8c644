from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.interference.exposures import Measured, measured, network
from tests.estimators.designs import connected, rows
from tests.estimators.interference.assignments import enumerated, small


def test_probabilities_are_those_of_all_assignments():
    data = small()
    found = network(Plan(data, Settings()))
    used = found.sample.index
    assert used.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    chances, joint = enumerated(data)
    np.testing.assert_allclose(found.chances, chances[:, used], rtol=1e-10)
    listed = {(used[i], used[j]) for i, j in found.pairs}
    for place, (i, j) in enumerate(found.pairs):
        np.testing.assert_allclose(found.joint[:, :, place], joint[:, :, used[i], used[j]], atol=1e-12)
    for i in used:
        for j in used:
            if i < j and (i, j) not in listed:
                np.testing.assert_allclose(joint[:, :, i, j], np.outer(chances[:, i], chances[:, j]), atol=1e-12)


def test_drawn_probabilities_of_a_threshold_are_near_those_of_all_assignments():
    data = small()
    found = network(Plan(data, Settings(exposure_threshold=0.6)))
    used = found.sample.index
    chances, joint = enumerated(data, 0.6)
    np.testing.assert_allclose(found.chances, chances[:, used], atol=0.07)
    wanted = np.stack([joint[:, :, used[i], used[j]] for i, j in found.pairs], axis=2)
    np.testing.assert_allclose(found.joint, wanted, atol=0.07)


def test_drawn_probabilities_are_of_rows_treated_by_themselves_where_a_cluster_shares_a_key():
    data = replace(connected(300, seed=6, degree=3, share=0.4), unit=np.arange(300))
    cluster = np.arange(300) % 10
    keys = np.random.default_rng(1).integers(0, 2**63, 10).astype(np.uint64)
    clustered = replace(data, clusters=(cluster,), row_key=keys[cluster])
    exact = network(Plan(data, Settings()))
    # The least threshold exposes as any treated neighbour does, whose probabilities are known exactly.
    drawn = network(Plan(clustered, Settings(exposure_threshold=1e-6)))
    assert np.array_equal(drawn.classes, exact.classes)
    np.testing.assert_allclose(drawn.chances, exact.chances, atol=0.08)
    np.testing.assert_allclose(drawn.joint.mean(axis=2), exact.joint.mean(axis=2), atol=0.01)
    order = np.random.default_rng(2).permutation(300)
    again = network(Plan(rows(clustered, order), Settings(exposure_threshold=1e-6)))
    for before, after in zip(drawn.chances, again.chances, strict=True):
        np.testing.assert_array_equal(again.sample.scatter(after), drawn.sample.scatter(before)[order])


def test_a_network_is_read_once_and_repeated_or_own_edges_count_for_nothing():
    data = small()
    plan = Plan(data, Settings())
    assert network(plan) is network(plan)
    noisy = np.concatenate([data.edges, data.edges[:5], [[3, 3], [8, 8]]])
    again = network(Plan(replace(data, edges=noisy), Settings()))
    np.testing.assert_array_equal(again.chances, network(plan).chances)
    assert again.left_out == network(plan).left_out == (1, 0)


def test_chances_of_the_four_classes_and_of_each_pair_sum_to_one():
    found = network(Plan(small(), Settings()))
    np.testing.assert_allclose(found.chances.sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.joint.sum(axis=(0, 1)), 1.0, rtol=1e-10)
    np.testing.assert_allclose(found.joint.sum(axis=1), found.chances[:, found.pairs[:, 0]], atol=1e-12)


def test_without_given_probabilities_all_rows_have_the_share_of_the_treated():
    data = replace(connected(60), pscore=None)
    found = network(Plan(data, Settings()))
    assert not found.known
    np.testing.assert_allclose(found.chances[2:].sum(axis=0), data.treatment.mean(), rtol=1e-12)


def test_few_rows_with_neighbours_are_refused():
    data = replace(connected(30), edges=np.array([[0, 1], [1, 0], [2, 3]]))
    with pytest.raises(UnusableData) as caught:
        network(Plan(data, Settings()))
    assert caught.value.detail.code == "interference.few-known-neighbours"
    assert caught.value.detail.params["rows"] == 3


def of_exposure(exposure: np.ndarray, weights: np.ndarray | None = None, **settings: object) -> tuple[Data, Measured]:
    n = len(exposure)
    data = replace(connected(n, measured=True), covariates=np.empty((n, 0)), propensity_covariates=np.empty((n, 0)),
                   neighbor_exposure=exposure, weights=weights)  # fmt: skip
    return data, measured(Plan(data, Settings(**settings)))


@pytest.mark.parametrize("weighted", [False, True])
def test_without_models_chances_are_weighted_shares_of_the_classes(weighted: bool):
    rng = np.random.default_rng(3)
    exposure = rng.integers(0, 3, 80).astype(float)
    weights = rng.uniform(0.5, 2.0, 80) if weighted else None
    data, found = of_exposure(exposure, weights)
    classes = 2 * data.treatment + (exposure > 0)
    shares = np.bincount(classes.astype(int), np.ones(80) if weights is None else weights)
    np.testing.assert_array_equal(found.classes, classes)
    np.testing.assert_allclose(found.chances, shares[classes.astype(int)] / shares.sum(), rtol=1e-10)
    assert found.treatment is None
    assert found.exposure == (None, None)


def test_exposed_is_above_zero_or_at_least_the_median_or_the_threshold():
    exposure = np.linspace(0.1, 1.0, 80)
    _, above_median = of_exposure(exposure)
    assert (above_median.classes % 2).tolist() == (exposure >= np.median(exposure)).astype(int).tolist()
    assert above_median.rule.code == "interference.at-least"
    _, given = of_exposure(exposure, exposure_threshold=0.9)
    assert np.count_nonzero(given.classes % 2) == np.count_nonzero(exposure >= 0.9)
    some_zero = np.where(np.arange(80) < 10, 0.0, exposure)
    assert of_exposure(some_zero)[1].rule.params["threshold"] == 0.0
    lowest_is_median = np.where(np.arange(80) < 60, 0.5, exposure)
    lowest_is_median[lowest_is_median < 0.5] = 0.5
    _, strictly = of_exposure(lowest_is_median)
    assert strictly.rule.code == "interference.above"
    assert np.count_nonzero(strictly.classes % 2) == np.count_nonzero(lowest_is_median > 0.5)


def test_an_exposure_that_does_not_vary_is_refused():
    with pytest.raises(UnusableData) as caught:
        of_exposure(np.full(80, 0.4))
    assert caught.value.detail.code == "interference.constant-exposure"


def test_given_probabilities_of_a_measured_exposure_must_lie_between_zero_and_one():
    data = replace(connected(80, measured=True), pscore=np.where(np.arange(80) == 3, 1.0, 0.4))
    with pytest.raises(UnusableData) as caught:
        measured(Plan(data, Settings()))
    assert caught.value.detail.code == "interference.probabilities-outside"


def test_models_give_each_row_the_product_of_two_probabilities():
    data = connected(400, measured=True)
    found = measured(Plan(data, Settings()))
    e, exposed, t = found.treatment.used, found.classes % 2, data.treatment
    q = np.empty(400)
    for arm in (0, 1):
        q[t == arm] = found.exposure[arm].used
    expected = np.where(t > 0, e, 1 - e) * np.where(exposed > 0, q, 1 - q)
    np.testing.assert_allclose(found.chances, expected, rtol=1e-10)
