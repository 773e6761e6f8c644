import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from cqox.estimators.numerics.gram import gram_partial, grouped_gram_partial, solve
from cqox.estimators.numerics.logit import gradient_partial, information_partial
from cqox.estimators.numerics.row_blocks import Rows, merge, merge_all

RNG = np.random.default_rng(0)
MATRIX = np.column_stack([np.ones(2000), RNG.standard_normal((2000, 5))])
GROUPS = RNG.integers(0, 7, 2000)
WEIGHTS = RNG.uniform(0.5, 2, 2000)


def test_blocks_cover_every_row_once():
    for block in (1, 3, 10, 11, 1000):
        covered = np.concatenate([np.arange(10)[s] for s in Rows(n=10, block=block, threads=1).blocks()])
        np.testing.assert_array_equal(covered, np.arange(10))


def test_results_come_in_the_order_of_the_rows_from_any_number_of_threads():
    one, two = (Rows(n=1000, block=7, threads=threads).each(lambda s: s.start) for threads in (1, 4))
    assert one == two == list(range(0, 1000, 7))


def test_an_error_in_a_block_reaches_the_caller():
    def work(s: slice) -> None:
        raise ValueError(str(s.start))

    with pytest.raises(ValueError, match="0"):
        Rows(n=100, block=10, threads=2).each(work)


@pytest.mark.parametrize("failing", [0, 5, 9])
def test_a_pass_that_failed_leaves_no_block_running_and_the_threads_fit_for_the_next(failing: int):
    running = set()

    def work(s: slice) -> int:
        running.add(s.start)
        time.sleep(0.001)
        if s.start == failing:
            running.discard(s.start)
            raise ValueError(str(s.start))
        running.discard(s.start)
        return s.start

    with pytest.raises(ValueError, match=str(failing)):
        Rows(n=10, block=1, threads=3).each(work)
    assert not running
    assert Rows(n=3, block=1, threads=3).each(lambda s: s.start) == [0, 1, 2]


def test_merging_is_associative_to_rounding():
    parts = [gram_partial(MATRIX[start : start + 500].T, None) for start in range(0, 2000, 500)]
    left = merge(merge(merge(parts[0], parts[1]), parts[2]), parts[3])
    right = merge(parts[0], merge(parts[1], merge(parts[2], parts[3])))
    np.testing.assert_allclose(left[0], right[0], rtol=1e-13, atol=1e-10)


@pytest.mark.parametrize("pieces", [1, 2, 17])
def test_any_partition_of_the_rows_gives_the_same_fit(pieces: int):
    order = np.random.default_rng(pieces).permutation(2000)
    whole = MATRIX.T @ MATRIX
    merged = merge_all(gram_partial(MATRIX[part].T, None) for part in np.array_split(order, pieces))
    np.testing.assert_allclose(
        solve(merged[0], merged[0][:, 1:2]).coefficients, solve(whole, whole[:, 1:2]).coefficients, atol=1e-12
    )


def test_groups_may_be_spread_over_parts_in_any_way():
    own = [np.flatnonzero(group == GROUPS) for group in range(7)]
    expected = np.stack([(MATRIX[rows] * WEIGHTS[rows, None]).T @ MATRIX[rows] for rows in own])
    parts = np.array_split(np.random.default_rng(1).permutation(2000), 5)
    products, counts = merge_all(grouped_gram_partial(MATRIX[p].T, WEIGHTS[p], GROUPS[p], 7) for p in parts)
    np.testing.assert_allclose(products, expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(counts, np.bincount(GROUPS, minlength=7))


def _in_another_process(part: np.ndarray) -> tuple[np.ndarray, ...]:
    treated = (MATRIX[:, 1] > 0).astype(float)
    half = np.full(len(part), 0.5)
    gradient = gradient_partial(MATRIX[part].T, treated[part], None, half)
    return *gradient, *information_partial(MATRIX[part].T, None, half)


def test_partial_statistics_travel_between_processes():
    parts = np.array_split(np.arange(2000), 4)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        apart = merge_all(pool.map(_in_another_process, parts))
    together = _in_another_process(np.arange(2000))
    for left, right in zip(apart, together, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-10)
