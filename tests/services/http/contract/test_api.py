"""The operations of the contract, and their registration on an app."""

import re

import pytest

from services.config.settings import Settings
from services.http.contract.api import JOB_STATUSES, OPERATIONS, OWN_GROUPS, operation, register
from services.http.server.app import App


def handlers() -> dict[str, object]:
    def of(name: str):
        async def handle(**parameters: str) -> dict[str, object]:
            return {"operation": name} | parameters

        return handle

    return {each.name: of(each.name) for each in OPERATIONS if each.group not in OWN_GROUPS}


def made() -> App:
    app = App(__name__, title="Gateway", settings=Settings())
    register(app, handlers())
    return app


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


@pytest.mark.trio
async def test_each_handler_gets_its_operation_and_the_parameters_of_the_path() -> None:
    client = made().test_client()
    for each in OPERATIONS:
        if each.group in OWN_GROUPS:
            continue
        names = re.findall(r"{(\w+)}", each.path)
        for path in (each.path, *each.aliases):
            answer = await client.open(path.format(**{name: f"a-{name}" for name in names}), method=each.method)
            expected = {"operation": each.name} | {name: f"a-{name}" for name in names}
            assert (answer.status_code, await answer.get_json()) == (200, expected)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_missing_or_unknown_handler_is_refused_by_name(change: str) -> None:
    given = handlers()
    if change == "missing":
        del given["analyze"]
    else:
        given["guess"] = given["analyze"]
    with pytest.raises(ValueError, match="analyze" if change == "missing" else "guess"):
        register(App(__name__, title="Gateway", settings=Settings()), given)
