"""The transports of httpx as transports: what they wrap is opened and closed with them."""

import subprocess
import sys

import anyio
import httpx
import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters.httpx import FailedResponse, ResilientSyncTransport, ResilientTransport

POLICY = Policy("wrapped", CircuitBreaker("wrapped"))


class Inner(httpx.AsyncBaseTransport, httpx.BaseTransport):
    def __init__(self) -> None:
        self.events: list[str] = []

    async def __aenter__(self) -> "Inner":
        self.events.append("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.events.append("exit")

    async def aclose(self) -> None:
        self.events.append("close")

    def __enter__(self) -> "Inner":
        self.events.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.events.append("exit")

    def close(self) -> None:
        self.events.append("close")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_wrapped_transport_is_opened_and_closed(backend: str) -> None:
    inner = Inner()

    async def main() -> None:
        async with httpx.AsyncClient(transport=ResilientTransport(POLICY, inner)):
            pass
        await httpx.AsyncClient(transport=ResilientTransport(POLICY, inner)).aclose()

    anyio.run(main, backend=backend)
    assert inner.events == ["enter", "exit", "close"]


def test_the_wrapped_transport_of_a_plain_client_is_opened_and_closed() -> None:
    inner = Inner()
    with httpx.Client(transport=ResilientSyncTransport(POLICY, inner)):
        pass
    httpx.Client(transport=ResilientSyncTransport(POLICY, inner)).close()
    assert inner.events == ["enter", "exit", "close"]


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
