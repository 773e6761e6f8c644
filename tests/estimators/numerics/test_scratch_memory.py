from threading import Thread

import numpy as np

from cqox.estimators.numerics.scratch_memory import scratch


def test_a_second_request_of_a_name_reuses_the_memory_in_any_shape_that_fits():
    first = scratch("mine", 4, 5)
    first[:] = 7.0
    second = scratch("mine", 3, 2)
    assert second.shape == (3, 2)
    assert np.shares_memory(first, second)
    assert (second == 7.0).all()
    larger = scratch("mine", 50, 5)
    assert larger.shape == (50, 5)
    assert np.shares_memory(larger, scratch("mine", 4, 5))


def test_other_names_and_other_threads_have_memory_of_their_own():
    mine = scratch("mine", 10)
    found = []
    thread = Thread(target=lambda: found.append(scratch("mine", 10)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, found[0])
    assert not np.shares_memory(mine, scratch("other", 10))


def test_very_large_arrays_are_not_held():
    rows = 4_000_001
    assert not np.shares_memory(scratch("large", rows), scratch("large", rows))


def test_an_array_of_no_rows_has_its_shape():
    assert scratch("none", 3, 0).shape == (3, 0)
