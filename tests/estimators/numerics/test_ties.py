import numpy as np

from cqox.estimators.numerics.ties import TIE, tie_groups


def test_values_that_differ_by_rounding_share_a_group_and_groups_ascend_with_the_values():
    values = np.array([0.5, 0.1, 0.5 + TIE / 4, 0.9, 0.1 - TIE / 4])
    groups, count = tie_groups(values)
    assert groups.tolist() == [1, 0, 1, 2, 0]
    assert count == 3


def test_values_further_apart_than_a_tie_are_groups_of_their_own():
    groups, count = tie_groups(np.array([0.3 + 3 * TIE, 0.3]))
    assert (groups.tolist(), count) == ([1, 0], 2)


def test_one_value_is_one_group_and_none_are_none():
    assert tie_groups(np.array([0.2]))[1] == 1
    groups, count = tie_groups(np.array([]))
    assert (len(groups), count) == (0, 0)


def test_groups_of_exact_ties_equal_those_of_unique():
    values = np.random.default_rng(1).integers(0, 20, 300) / 20
    groups, count = tie_groups(values)
    levels, expected = np.unique(values, return_inverse=True)
    np.testing.assert_array_equal(groups, expected)
    assert count == len(levels)
