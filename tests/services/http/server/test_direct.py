"""Requests that are answered without Quart get the same responses, entries and metrics as by way of Quart."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from cqox.security import Permission, Principal
from cqox.telemetry import metrics
from services.config.settings import Settings
from services.gateway.engine_client import Reply
from services.gateway.routes import EngineAccess, add_routes
from services.http.observability.tracing import Exchange
from services.http.request.digests import content_digest
from services.http.request.proxied import ProxiedRequest
from services.http.request.request import IncomingRequest
from services.http.security.quota import RequestQuota
from services.http.server.app import App
from services.http.server.direct import DirectConnection
from services.http.server.extensions import ARRIVED_BODY
from services.http.server.request_task import Connection
from tests.services.gateway.scripted import DRAINING, Engine, policies, reply
from tests.services.http.observability.test_tracing import Sink
from tests.waiting import PATIENCE_SECONDS

ANALYZE = "/api/analyze/comprehensive"
ANALYSES = "/api/analyses"
REPORT = b'{"estimates": [%s]}' % b", ".join([b"1"] * 2000)
BODY = b'{"dataset_id": "test"}'
JSON = {"content-type": "application/json"}


def report(status: int = 200, body: bytes = REPORT, **headers: str) -> Reply:
    given = {"content_type": "application/json", "content_digest": content_digest(body), "vary": "one"} | headers
    return reply(status, body=body, **given)


def problem(status: int, kind: str, **headers: str) -> Reply:
    body = b'{"type": "%s", "detail": "x"}' % kind.encode()
    return reply(status, body=body, content_type="application/problem+json", **headers)


class Recorder:
    """Keeps the entries, and cannot store changes where it is full."""

    def __init__(self, error: Exception | None) -> None:
        self.kept: list[tuple[object, ...]] = []
        self._error = error

    async def answered(self, request, action, status: int, location: str) -> Exception | None:
        self.kept.append((action.name, request.view_args, status, location))
        return self._error

    def cut(self, request, action, outcome: str) -> None:
        self.kept.append((action.name, request.view_args, outcome))


class Refuser:
    """An authenticator of a principal with few permissions."""

    def recall(self, scope) -> Principal:
        return Principal(
            subject="alice",
            tenant="acme",
            roles=(),
            permissions=frozenset({Permission.ANALYSES_READ, Permission.API_USE}),
            kind="key",
        )

    async def look_up(self, scope) -> Principal:
        return self.recall(scope)


class Served:
    """One gateway app with a scripted engine, and what became of a request to it."""

    def __init__(self, way: type[Connection], *acts: Any, **settings: Any) -> None:
        self.engine = Engine(*acts)
        self.app = App("gateway", title="Gateway", settings=Settings(**settings))
        self.app.asgi_http_class = way
        engines = EngineAccess()
        engines.policies = policies(self.engine)
        add_routes(self.app, engines)
        self.sent: list[Any] = []

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        version: str = "1.1",
        root_path: str = "",
        leaves: bool = False,
    ) -> list[Any]:
        path, _, query = target.partition("?")
        fields = {"host": "localhost", "x-request-id": "r-1", **JSON, **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "http_version": version,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": root_path,
            "headers": [(name.encode(), value.encode("latin1")) for name, value in fields.items() if value],
            "client": ("127.0.0.1", 9),
            "server": ("127.0.0.1", 8080),
            "state": {},
            "extensions": {} if body else {ARRIVED_BODY: b""},
        }
        messages = [{"type": "http.request", "body": body, "more_body": False}] if body else []
        if leaves:
            messages.append({"type": "http.disconnect"})

        async def receive() -> Any:
            await trio.lowlevel.checkpoint()
            if not messages:
                await trio.sleep_forever()
            if messages[0]["type"] == "http.disconnect":
                await trio.sleep(1)
            return messages.pop(0)

        async def send(message: Any) -> None:
            self.sent.append(message)

        await self.app(scope, receive, send)
        return self.sent

    @property
    def calls(self) -> list[object]:
        """The calls of the engine."""
        return [
            (call.method, call.target, call.headers, isinstance(call.content, bytes) and call.content, call.contract)
            for _, call, _ in self.engine.calls
        ]

    @property
    def gist(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, header fields in any order, and body."""
        start, *rest = self.sent
        return start["status"], sorted(start["headers"]), b"".join(message["body"] for message in rest)


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[type[object]]:
    """Note the class of each request."""
    found: list[type[object]] = []
    original = Exchange.__init__

    def noting(self: Exchange, request: Any) -> None:
        found.append(type(request))
        original(self, request)

    monkeypatch.setattr(Exchange, "__init__", noting)
    return found


CASES: dict[str, tuple[list[Any], tuple[Any, ...], bool]] = {
    "an analysis": ([report()], ("POST", ANALYZE, {}, BODY), True),
    "a client that has its key": ([report()], ("POST", ANALYZE, {"idempotency-key": "k"}, BODY), True),
    "a header that is no ASCII": ([report(content_language="é")], ("POST", ANALYZE, {}, BODY), True),
    "a list": ([report()], ("GET", ANALYSES + "?limit=3"), True),
    "its head": ([report()], ("HEAD", ANALYSES), True),
    "an alias": ([problem(404, "not-found")], ("GET", "/api/jobs/abc"), True),
    "a compressed report": ([report()], ("GET", ANALYSES + "/abc", {"accept-encoding": "gzip"}), True),
    "a report that the client has": (
        [report(etag='"v"')],
        ("GET", ANALYSES + "/abc", {"if-none-match": '"v"'}),
        True,
    ),
    "a deletion": ([reply(204)], ("DELETE", "/api/datasets/abc"), True),
    "a path in percent signs": ([report()], ("GET", "/api/datasets/a b"), True),
    "a problem of the engine": ([problem(422, "unusable-data")], ("POST", ANALYZE, {}, BODY), True),
    "a busy engine": ([problem(429, "shed", retry_after="7")], ("POST", ANALYZE, {"x-retry-attempt": "1"}, BODY), True),
    "a busy engine without a word": ([reply(429)], ("POST", ANALYZE, {"x-retry-attempt": "1"}, BODY), True),
    "an engine that stops": ([DRAINING], ("POST", ANALYZE, {"x-retry-attempt": "1"}, BODY), True),
    "an engine that is away": ([httpx.ConnectError("x")], ("POST", ANALYZE, {"x-retry-attempt": "1"}, BODY), True),
    "an engine that trusts nobody": ([problem(401, "not-authenticated")], ("GET", ANALYSES), True),
    "a bug": ([ZeroDivisionError("x")], ("GET", ANALYSES), True),
    "no time": ([report()], ("POST", ANALYZE, {"x-request-timeout-ms": "0"}, BODY), True),
    "odd time": ([report()], ("POST", ANALYZE, {"x-request-timeout-ms": "soon"}, BODY), True),
    "a form": ([report()], ("POST", ANALYZE, {"content-type": "text/plain"}, BODY), True),
    "JSON with a parameter": ([report()], ("POST", ANALYZE, {"content-type": "Application/JSON; a=b"}, BODY), True),
    "a body of no type": ([report()], ("POST", ANALYZE, {"content-type": ""}, BODY), True),
    "a changed body": ([report()], ("POST", ANALYZE, {"content-digest": content_digest(b"")}, BODY), True),
    "a long body": ([report()], ("POST", ANALYZE, {"content-length": "99999999999"}, BODY), True),
    "an odd length": ([report()], ("POST", ANALYZE, {"content-length": "x"}, BODY), True),
    "a long head": ([report()], ("GET", ANALYSES, {"x-long": "x" * 15000}), True),
    "a foreign host": ([report()], ("GET", ANALYSES, {"host": "evil.example"}), True),
    "no host": ([report()], ("GET", ANALYSES, {"host": ""}), False),
    "a foreign page": ([report()], ("POST", ANALYZE, {"origin": "http://evil.example"}, BODY), True),
    "an unknown language": ([report()], ("GET", ANALYSES + "?lang=xx"), True),
    "a problem in Japanese": ([report()], ("POST", ANALYZE + "?lang=ja", {"content-type": "text/plain"}, BODY), True),
    "a language by header": ([ZeroDivisionError("x")], ("GET", ANALYSES, {"accept-language": "ja"}), True),
    "a gateway in between": ([report()], ("GET", ANALYSES, {"x-cqox-exchange": "0" * 32}), True),
    "a gateway that sends": ([report()], ("POST", ANALYZE, {"x-cqox-exchange": "0" * 32}, BODY), True),
    "a problem for a gateway in between": (
        [problem(404, "not-found")],
        ("GET", "/api/jobs/abc", {"x-cqox-exchange": "0" * 32}),
        True,
    ),
    "a trace": ([report()], ("GET", ANALYSES, {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}), True),
    "an unusable request id": ([report()], ("GET", ANALYSES + "/a", {"x-cqox-exchange": "x"}), True),
    "another method": ([report()], ("PUT", ANALYSES), False),
    "a method in lower case": ([report()], ("get", ANALYSES), True),
    "an unknown path": ([report()], ("GET", "/api/nothing"), False),
    "a browser": ([report()], ("GET", ANALYSES, {"accept": "Text/html, */*"}), False),
    "events": ([report()], ("POST", ANALYZE, {"accept": "text/event-stream"}, BODY), False),
    "a long host": ([report()], ("GET", ANALYSES, {"host": "a" * 64}), False),
    "an upload": ([report(201)], ("POST", "/api/datasets?name=a.csv", {"content-type": "text/csv"}, b"y\n1\n"), False),
    "a piece": ([report()], ("PATCH", "/api/uploads/abc", {"upload-offset": "0"}, b"y\n1\n"), False),
    "the events of a job": ([problem(404, "not-found")], ("GET", "/api/jobs/abc/events"), False),
}


async def answered(way: type[Connection], case: str, **more: Any) -> Served:
    acts, request, _ = CASES[case]
    served = Served(way, *acts)
    with trio.fail_after(PATIENCE_SECONDS):
        await served.ask(*request, **more)
    return served


@pytest.mark.trio
@pytest.mark.parametrize("case", CASES)
async def test_both_ways_answer_ask_and_measure_the_same(
    case: str, seen: list[type[object]], monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr("services.gateway.routes.own_key", lambda: "gateway-1")
    found, measured = [], []
    for way in (Connection, DirectConnection):
        metrics.deliver_to(sink := Sink())
        try:
            found.append(await answered(way, case))
        finally:
            metrics.deliver_to(None)
        measured.append([(name, labels) for name, labels in sink.kept if name.startswith("http.server")])
    theirs, ours = found
    assert seen == [IncomingRequest, ProxiedRequest if CASES[case][2] else IncomingRequest]
    assert ours.gist == theirs.gist
    assert ours.sent[0].keys() == theirs.sent[0].keys()
    assert [message["more_body"] for message in ours.sent[1:]] == [message["more_body"] for message in theirs.sent[1:]]
    assert ours.calls == theirs.calls
    assert measured[0] == measured[1]
    assert measured[0]


@pytest.mark.trio
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_a_field_of_the_engine_keeps_its_bytes(way: type[Connection]) -> None:
    given = b'attachment; filename="\xe9 \xe3\x81\x82"'
    found = report()
    served = Served(way, replace(found, headers=(*found.headers, (b"content-disposition", given))))
    await served.ask("GET", ANALYSES)
    assert (b"content-disposition", given) in served.gist[1]


@pytest.mark.trio
@pytest.mark.parametrize("version", ["1.0", "2"])
async def test_another_version_of_http_goes_by_way_of_quart(version: str, seen: list[type[object]]) -> None:
    theirs = await answered(Connection, "a list", version=version)
    assert (await answered(DirectConnection, "a list", version=version)).gist == theirs.gist
    assert seen == [IncomingRequest, IncomingRequest]


@pytest.mark.trio
async def test_a_root_path_goes_by_way_of_quart(seen: list[type[object]]) -> None:
    theirs = await answered(Connection, "a list", root_path="/api")
    assert (await answered(DirectConnection, "a list", root_path="/api")).gist == theirs.gist
    assert seen == [IncomingRequest, IncomingRequest]


@pytest.mark.trio
@pytest.mark.parametrize("error", [None, PermissionError("full")])
@pytest.mark.parametrize("case", ["an analysis", "a deletion", "a form", "a foreign host", "an unknown language"])
async def test_both_ways_are_recorded_alike(case: str, error: Exception | None) -> None:
    found = []
    for way in (Connection, DirectConnection):
        acts, request, _ = CASES[case]
        served = Served(way, *acts)
        served.app.recorder = recorder = Recorder(error)
        await served.ask(*request)
        found.append((served.gist, recorder.kept))
    assert found[0] == found[1]


@pytest.mark.trio
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_a_client_that_leaves_cancels_the_call_and_is_recorded(way: type[Connection], autojump_clock) -> None:
    async def never() -> Reply:
        await trio.sleep_forever()
        raise AssertionError

    served = Served(way, never)
    served.app.recorder = recorder = Recorder(None)
    with trio.fail_after(PATIENCE_SECONDS):
        await served.ask("POST", ANALYZE, {}, BODY, leaves=True)
    assert served.sent == []
    assert (served.engine.cancelled, len(served.app.in_flight)) == (1, 0)
    assert recorder.kept == [("analyze", {}, "interrupted")]


@pytest.mark.trio
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_the_end_of_a_drain_is_answered(way: type[Connection], autojump_clock) -> None:
    async def never() -> Reply:
        await trio.sleep_forever()
        raise AssertionError

    served = Served(way, never)

    async def cut() -> None:
        await trio.sleep(1)
        served.app.lifecycle.draining.set()
        assert served.app.in_flight.cut_all() == (f"POST {ANALYZE}",)

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            await served.ask("POST", ANALYZE, {}, BODY)
    status, headers, body = served.gist
    assert status == 503
    assert (b"connection", b"close") in headers
    assert b'"draining"' in body


@pytest.mark.trio
async def test_permissions_and_quotas_hold_on_both_ways(seen: list[type[object]]) -> None:
    found = []
    for way in (Connection, DirectConnection):
        served = Served(way, report())
        served.app.authenticate_by(Refuser())
        served.app.quota = RequestQuota(2)
        statuses = []
        for method, target, body in (("GET", ANALYSES, b""), ("POST", ANALYZE, BODY), ("GET", ANALYSES, b"")):
            served.sent.clear()
            await served.ask(method, target, {}, body)
            status, headers, _ = served.gist
            statuses.append((status, [field for field in headers if field[0] == b"ratelimit-policy"]))
        found.append((statuses, len(served.engine.calls)))
    assert found[0] == found[1]
    assert [status for status, _ in found[0][0]] == [200, 403, 200]
    assert ProxiedRequest in seen


@pytest.mark.trio
async def test_the_second_wall_stands_where_routing_has_found_another_path(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(DirectConnection, report())
    served.app.authenticate_by(Refuser())
    monkeypatch.setattr(served.app.access, "decide", lambda scope: bool(served.app.access.found(scope)))
    await served.ask("GET", ANALYSES)
    assert served.gist[0] == 404
    assert served.engine.calls == []
