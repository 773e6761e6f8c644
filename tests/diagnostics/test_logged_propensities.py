"""Tests of logged probabilities hold their size and find wrong ones."""

import numpy as np
import pytest

from cqox.diagnostics.logged_propensities import logged_propensities
from cqox.errors import UnusableData
from cqox.estimators import Data
from tests.diagnostics.looking import judged
from tests.estimators.designs import row_keys


def log(seed: int, *, wrong: float = 0.0, rows: int = 2000) -> Data:
    """Return a log of three actions whose first has a probability that is off by a factor of 1 + wrong."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(rows)
    first = 1 / (1 + np.exp(-0.5 * x)) * 0.6
    chances = np.column_stack([first, (1 - first) * 0.5, (1 - first) * 0.5])
    action = (rng.random(rows)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1).clip(0, 2)
    y = action + x + rng.standard_normal(rows)
    pscore = chances[np.arange(rows), action] * np.where(action == 0, 1 + wrong, 1.0)
    target = np.zeros((rows, 3))
    target[:, 1] = 1.0
    return Data(
        n=rows, y=y, action=action, action_labels=("a", "b", "c"), pscore=pscore, target_policy=target,
        row_key=row_keys(y, x), names={"target_policy": ("a", "b", "c")},
    )  # fmt: skip


def p_value(data: Data) -> float:
    seen = judged(data, only=["ope_ips"])
    return logged_propensities(seen.plan, seen.estimates)["p_value"]


def test_true_probabilities_are_rarely_doubted() -> None:
    values = [p_value(log(seed)) for seed in range(150)]
    assert sum(value < 0.05 for value in values) <= 14
    assert sum(value < 0.001 for value in values) <= 1


def test_a_probability_that_is_too_small_is_found() -> None:
    assert sum(p_value(log(seed, wrong=-0.25)) < 0.001 for seed in range(20)) >= 19


def test_without_a_log_there_is_nothing_to_test() -> None:
    seen = judged(log(0), only=["difference_in_means"])
    with pytest.raises(UnusableData):
        logged_propensities(seen.plan, seen.estimates)
