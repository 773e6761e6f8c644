"""The transports of httpx: its classes, and no other library. `test_httpx_transports` has what both libraries share."""

import subprocess
import sys

import anyio
import httpx
import pytest

from cqox.resilience import Bulkhead, BulkheadFull, CircuitBreaker, Policy, Retry
from cqox.resilience.adapters.httpx import FailedResponse, ResilientSyncTransport, ResilientTransport


def test_parts_see_a_status_error_with_its_response() -> None:
    breaker = CircuitBreaker("by class", 1, 60.0, failures=(httpx.HTTPStatusError,))
    transport = ResilientSyncTransport(
        Policy("by class", breaker), httpx.MockTransport(lambda _: httpx.Response(503, text="busy"))
    )
    with httpx.Client(transport=transport) as client:
        assert client.get("http://other/").text == "busy"
    assert breaker.snapshot().failure == 1
    assert issubclass(FailedResponse, httpx.HTTPStatusError)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("httpx", {"httpx2", "requests", "aiohttp", "grpc"}),
        ("httpx2", {"httpx", "requests", "aiohttp", "grpc"}),
        ("requests", {"httpx", "httpx2", "aiohttp", "grpc"}),
        ("aiohttp", {"httpx", "httpx2", "requests", "grpc"}),
    ],
)
def test_an_adapter_imports_its_own_library_alone(module: str, others: set[str]) -> None:
    program = f"import sys, cqox.resilience.adapters.{module}; print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(finished.stdout.split())
    assert module in imported
    assert not others & imported


@pytest.mark.anyio
async def test_a_limit_for_all_hosts_is_a_transport_around_that_of_each_host() -> None:
    total = Policy("all hosts", Bulkhead(2, name="of all hosts"))
    hosts = Policy("each host", Bulkhead(1, name="of a host"), Retry(2, 0.0))
    started: list[str] = []
    release = anyio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        started.append(request.url.host)
        await release.wait()
        return httpx.Response(200)

    inner = ResilientTransport(hosts.for_key, httpx.MockTransport(answer))
    async with (
        httpx.AsyncClient(transport=ResilientTransport(total, inner)) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(client.get, "http://a/")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull, match="of a host"):
            await client.get("http://a/")
        group.start_soon(client.get, "http://b/")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull, match="of all hosts"):
            await client.get("http://c/")
        release.set()
    assert started == ["a", "b"]
