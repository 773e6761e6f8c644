"""Registration of handlers under the paths of the operations."""

import re

import pytest

from services.config.settings import Settings
from services.http.contract.api import OPERATIONS, OWN_GROUPS
from services.http.contract.registration import register
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
