"""The operations of the contract."""

import re

import pytest

from services.http.contract.api import JOB_STATUSES, OPERATIONS, operation


def test_an_operation_is_found_by_its_name_and_no_two_share_a_name_or_a_path() -> None:
    assert all(operation(each.name) is each for each in OPERATIONS)
    requests = [(each.method, path) for each in OPERATIONS for path in (each.path, *each.aliases)]
    assert len(set(requests)) == len(requests)
    with pytest.raises(KeyError):
        operation("nothing")


def test_every_parameter_of_a_path_is_declared_and_the_states_of_jobs_are_those_of_the_filter() -> None:
    for each in OPERATIONS:
        declared = [one.name for one in each.parameters if one.where == "path"]
        assert declared == re.findall(r"{(\w+)}", each.path)
    (status,) = [one for one in operation("list_jobs").parameters if one.name == "status"]
    assert status.choices == JOB_STATUSES
