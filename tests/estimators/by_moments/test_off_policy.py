import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.off_policy import inverse_propensity
from tests.estimators.by_moments.tables_of import (
    OF_LOGS,
    both,
    encoded,
    log_of_actions,
    replaced,
    same,
    tables,
    without_covariates,
)

DESIGNS: list[dict[str, object]] = [
    {},
    {"weights": True},
    {"clusters": 300},
    {"clusters": 20, "weights": True},
    {"policy": "none"},
    {"policy": "none", "weights": True, "missing": False},
    {"level": 1e9},
    {"size": 1e-9},
    {"actions": 2},
]


@pytest.mark.parametrize("name", OF_LOGS)
@pytest.mark.parametrize("design", DESIGNS)
def test_the_numbers_are_those_of_the_rows_in_memory(name: str, design: dict[str, object]) -> None:
    same(*both(name, log_of_actions(**design)))


@pytest.mark.parametrize("name", ["ope_ips", "ope_snips"])
def test_the_probability_of_the_logged_action_is_enough_without_a_model(name: str) -> None:
    data = log_of_actions(policy="taken")
    same(*both(name, data))
    same(*both(name, without_covariates(data)))


@pytest.mark.parametrize("name", OF_LOGS)
@pytest.mark.parametrize("error", ["HC1", "HC0", "CRV1", "CRV3"])
@pytest.mark.parametrize("clusters", [0, 40])
def test_errors_by_name_are_those_in_memory(name: str, error: str, clusters: int) -> None:
    same(*both(name, log_of_actions(clusters=clusters), Settings(se=error)))


@pytest.mark.parametrize("name", OF_LOGS)
def test_an_action_of_which_few_rows_are_logged_shares_slopes_and_one_of_none_is_named(name: str) -> None:
    data = log_of_actions(actions=5)
    rare = np.where((data.action == 4) | ((data.action == 3) & (np.arange(data.n) > 60)), 0, data.action)
    memory, found = both(name, replaced(data, action=rare))
    same(memory, found)
    assert any(each.code.startswith("off_policy.unlogged") for each in memory.warnings)
    if name in ("ope_dm", "ope_dr"):
        assert memory.diagnostics["reward_model"] == "additive"


@pytest.mark.parametrize("name", OF_LOGS)
def test_a_constant_policy_and_one_equal_to_the_log_are_those_in_memory(name: str) -> None:
    data = log_of_actions(policy="none", missing=False)
    same(*both(name, data, Settings(target_action="arm 1")))
    same(*both(name, replaced(data, pscore=np.full(data.n, 1 / 3))))
    (_, found) = both(name, data, Settings(target_action="arm 9"))
    assert isinstance(found, UnusableData)
    assert "arm 9" in str(found)


def test_columns_are_ordered_by_the_names_of_the_actions() -> None:
    data = log_of_actions()
    names = {**data.names, "target_policy": ("to_arm 2", "to_arm 0", "to_arm 1")}
    shuffled = np.asfortranarray(data.target_policy[:, [2, 0, 1]])
    same(*both("ope_dr", replaced(data, target_policy=shuffled, names=names)))


def test_probabilities_of_all_rows_must_sum_to_one() -> None:
    data = log_of_actions(missing=False)
    # An odd row, which the sample has not.
    data.target_policy[7, 0] += 0.01
    _, found = both("ope_snips", data)
    assert isinstance(found, UnusableData)
    assert "0.01" in str(found)


def test_many_actions_are_left_to_the_sample() -> None:
    data = log_of_actions()
    made = tables(data)
    made.encoded = replaced(encoded(data), action=None)
    with pytest.raises(NotByMoments) as raised:
        next(inverse_propensity(made))
    assert raised.value.why.code == "by_moments.many-actions"
