"""The guard in front of an app, without a connection; against real processes see tests/e2e/test_foreign_pages.py."""

import json

import pytest

from services.config.settings import Settings
from services.http.contract.api import OPERATIONS
from services.http.endpoints.docs import add_docs
from services.http.endpoints.health import add_health
from services.http.observability import tracing
from services.http.request.guard import HEALTH_PATHS
from services.http.server.app import App

HERE = "attacker.example"


def make_app(**settings: str) -> App:
    app = App(__name__, title="Gateway", settings=Settings(**settings))  # type: ignore[arg-type]
    add_docs(app)
    add_health(app, {})

    @app.route("/thing", methods=["GET", "POST", "DELETE"])
    async def thing():
        return {"answer": "secret"}

    return app


async def ask(app: App, path: str = "/thing", method: str = "GET", **headers: str):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return await app.test_client(use_cookies=False).open(path, method=method, headers=fields)


def test_the_health_paths_are_those_of_the_contract() -> None:
    assert {each.path for each in OPERATIONS if each.group == "Health"} == HEALTH_PATHS


@pytest.mark.trio
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "PATCH"])
@pytest.mark.parametrize("path", ["/thing", "/docs", "/openapi.json", "/", "/nothing", "/health/live/"])
async def test_a_foreign_host_is_421_on_every_path(method: str, path: str) -> None:
    answer = await ask(make_app(), path, method, Host=HERE)
    assert (answer.status_code, answer.content_type) == (421, "application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if method != "HEAD":
        problem = json.loads(await answer.get_data())
        assert (problem["type"], problem["field"], problem["instance"]) == ("foreign-host", "Host", path)
        assert "CQOX_ALLOWED_HOSTS of the gateway" in problem["detail"]
        assert "choices" not in problem


@pytest.mark.trio
async def test_a_stranger_sees_no_address_of_a_trace(monkeypatch) -> None:
    made_up = {"trace_id": "1" * 32, "trace_url": "http://jaeger.internal/1"}
    for module in ("response.problems", "response.headers"):
        monkeypatch.setattr(f"services.http.{module}.trace_members", lambda: made_up)
    assert tracing.trace_members() != made_up
    for host, path in ((HERE, "/thing"), ("[::1", "/thing"), (HERE, "/health/live")):
        answer = await ask(make_app(), path, Host=host)
        said = str(answer.headers) + str(await answer.get_data())
        assert "jaeger" not in said
        assert "trace" not in said.lower()
        assert answer.headers["X-Request-Id"]
    assert (await ask(make_app())).headers["X-Trace-Url"] == made_up["trace_url"]


@pytest.mark.trio
@pytest.mark.parametrize("host", ["", "[::1", "a:b:c", "%6cocalhost", "例え.jp", "a" * 10_000, "localhost, localhost"])
async def test_a_malformed_host_is_400(host: str) -> None:
    for _ in range(2):
        answer = await ask(make_app(), Host=host)
        assert answer.status_code == 400
        assert json.loads(await answer.get_data())["field"] == "Host"


@pytest.mark.trio
@pytest.mark.parametrize("host", [HERE, "", "[::1", "a:b:c", "例え.jp", "%00"])
async def test_health_is_answered_under_every_name(host: str) -> None:
    assert (await ask(make_app(), "/health/live", Host=host)).status_code == 200


@pytest.mark.trio
@pytest.mark.parametrize(("version", "status"), [("1.0", 200), ("1.1", 400), ("2", 400)])
async def test_only_http_1_0_may_leave_the_host_out(version: str, status: int) -> None:
    client = make_app().test_client(use_cookies=False)
    connection = client.request("/thing", method="GET", http_version=version)
    connection.scope["headers"] = [(name, value) for name, value in connection.scope["headers"] if name != b"host"]
    async with connection as open_connection:
        await open_connection.send_complete()
    assert (await connection.as_response()).status_code == status


@pytest.mark.trio
async def test_settings_add_names() -> None:
    for settings in ({"allowed_hosts": f"*.lan,{HERE}"}, {"allowed_hosts": "*"}, {"host": HERE}):
        assert (await ask(make_app(**settings), Host=f"{HERE}:1")).status_code == 200


@pytest.mark.trio
@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/thing", "/nothing", "/health/live"])
async def test_a_page_of_another_site_changes_nothing(method: str, path: str) -> None:
    for headers in ({"Origin": f"http://{HERE}"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        answer = await ask(make_app(), path, method, Host="localhost:8082", **headers)
        problem = json.loads(await answer.get_data())
        assert (answer.status_code, problem["type"]) == (403, "cross-site-request")
        cure = "add the host to" if headers.get("Origin", "null") != "null" else "Open the page at an address of"
        assert cure in problem["detail"]
        assert "CQOX_ALLOWED_HOSTS" in problem["detail"]
        assert "A program must send neither Origin nor Sec-Fetch-Site" in problem["detail"]


@pytest.mark.trio
async def test_a_page_of_another_site_may_link_here_and_a_program_may_do_all() -> None:
    cross = {"Origin": f"http://{HERE}", "Sec_Fetch_Site": "cross-site"}
    assert (await ask(make_app(), "/docs", Host="localhost:8082", **cross)).status_code == 200
    for method in ("GET", "POST", "DELETE"):
        assert (await ask(make_app(), method=method, Host="localhost:8082")).status_code == 200
        own = {"Origin": "http://localhost:8082"}
        assert (await ask(make_app(), method=method, Host="localhost:8082", **own)).status_code == 200
