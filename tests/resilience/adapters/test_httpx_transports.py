"""The transports of httpx and httpx2 as transports: what they wrap is opened and closed with them."""

from typing import Any

import anyio
import httpx
import httpx2
import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters import httpx as for_httpx
from cqox.resilience.adapters import httpx2 as for_httpx2

POLICY = Policy("wrapped", CircuitBreaker("wrapped"))
pytestmark = pytest.mark.parametrize(
    ("library", "adapter"), [(httpx, for_httpx), (httpx2, for_httpx2)], ids=["httpx", "httpx2"]
)


class Inner:
    """A transport of either kind and library, which is false."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __len__(self) -> int:
        return 0

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
def test_the_wrapped_transport_is_opened_and_closed(library: Any, adapter: Any, backend: str) -> None:
    inner = Inner()

    async def main() -> None:
        async with library.AsyncClient(transport=adapter.ResilientTransport(POLICY, inner)):
            pass
        await library.AsyncClient(transport=adapter.ResilientTransport(POLICY, inner)).aclose()

    anyio.run(main, backend=backend)
    assert inner.events == ["enter", "exit", "close"]


def test_the_wrapped_transport_of_a_plain_client_is_opened_and_closed(library: Any, adapter: Any) -> None:
    inner = Inner()
    with library.Client(transport=adapter.ResilientSyncTransport(POLICY, inner)):
        pass
    library.Client(transport=adapter.ResilientSyncTransport(POLICY, inner)).close()
    assert inner.events == ["enter", "exit", "close"]


def test_without_another_it_is_that_of_the_library(library: Any, adapter: Any) -> None:
    assert type(adapter.ResilientTransport(POLICY)._inner) is library.AsyncHTTPTransport
    assert type(adapter.ResilientSyncTransport(POLICY)._inner) is library.HTTPTransport
