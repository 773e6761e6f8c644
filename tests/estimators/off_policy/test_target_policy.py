import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.off_policy.target_policy import (
    check_columns,
    column_order,
    same_everywhere,
    unlogged_warning,
    weight_warnings,
)

LABELS = ("a", "b", "c")


def codes(found: list[Message]) -> list[str]:
    return [each.code for each in found]


def test_a_policy_is_uniform_or_the_action_that_was_asked_for() -> None:
    np.testing.assert_array_equal(same_everywhere(LABELS, None)[0], [1 / 3] * 3)
    np.testing.assert_array_equal(same_everywhere(LABELS, "b")[0], [0.0, 1.0, 0.0])
    with pytest.raises(UnusableData, match="d"):
        same_everywhere(LABELS, "d")


def test_columns_are_those_of_the_actions_that_end_their_names() -> None:
    assert column_order(3, ("p_c", "p_a", "b"), LABELS) == [1, 2, 0]
    assert column_order(3, ("p1", "p2", "p3"), LABELS) == [0, 1, 2]
    with pytest.raises(UnusableData, match="2"):
        column_order(2, ("p_a", "p_b"), LABELS)


def test_probabilities_sum_to_one() -> None:
    check_columns(1e-7)
    with pytest.raises(UnusableData):
        check_columns(1e-5)


def test_weights_that_are_few_or_far_from_one_are_named() -> None:
    assert codes(weight_warnings(50.0, 100, 1.02, 0.01)) == []
    assert codes(weight_warnings(19.0, 100, 1.05, 0.01)) == [
        "off_policy.few-effective-rows",
        "off_policy.mean-weight-not-1",
    ]
    assert codes(weight_warnings(50.0, 100, 1.05, None)) == []


def test_actions_that_are_not_logged_count_as_the_mean_where_there_is_a_model() -> None:
    assert unlogged_warning([], modelled=True) == []
    assert codes(unlogged_warning(["a"], modelled=True)) == ["off_policy.unlogged-count-as-mean"]
    assert codes(unlogged_warning(["a"], modelled=False)) == ["off_policy.unlogged-count-as-zero"]
