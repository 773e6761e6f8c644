"""The HTTP clients behind one interface, each with its adapter and a pool of one connection: a leak stops the next."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import requests

from cqox.resilience.adapters import aiohttp as for_aiohttp
from cqox.resilience.adapters import httpx as for_httpx
from cqox.resilience.adapters import httpx2 as for_httpx2
from cqox.resilience.adapters import requests as for_requests
from cqox.resilience.adapters.host_policies import PolicySource

SECONDS = 5.0
"""Timeouts of the clients: what takes as long has failed."""


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    failure_statuses: Collection[int] | None = None
    said_idempotent: bool | None = None

    def arguments(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self.failure_statuses is not None:
            given["failure_statuses"] = self.failure_statuses
        if self.said_idempotent is not None:
            given["idempotent"] = lambda _: self.said_idempotent
        return given


class Client(ABC):
    """One open client."""

    error: type[Exception]
    asynchronous = True

    @abstractmethod
    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: bytes | None = None,
        streamed: bool = False,
    ) -> Got:
        """Send a request; a streamed body can be read once."""


type Scenario = Callable[[Client], Coroutine[Any, Any, None]]


class World(ABC):
    """One kind of client, on one backend."""

    asynchronous = True

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def run(self, policies: PolicySource, scenario: Scenario, options: Options = Options()) -> None:
        """Run a scenario with an open client."""


class HttpxClient(Client):
    def __init__(self, client: Any, library: Any) -> None:
        self._client = client
        self.error = library.TransportError

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: bytes | None = None,
        streamed: bool = False,
    ) -> Got:
        async def once() -> Any:
            yield content

        body = once() if streamed else content
        response = await self._client.request(method, url, headers=headers, content=body, follow_redirects=True)
        return Got(response.status_code, response.content, response.headers)


class HttpxWorld(World):
    def __init__(self, library: Any, adapter: Any, backend: str) -> None:
        super().__init__(f"{library.__name__}-{backend}")
        self._library = library
        self._adapter = adapter
        self._backend = backend

    def run(self, policies: PolicySource, scenario: Scenario, options: Options = Options()) -> None:
        limits = self._library.Limits(max_connections=1)

        async def main() -> None:
            inner = self._library.AsyncHTTPTransport(limits=limits)
            transport = self._adapter.ResilientTransport(policies, inner, **options.arguments())
            async with self._library.AsyncClient(transport=transport, timeout=SECONDS) as client:
                await scenario(HttpxClient(client, self._library))

        anyio.run(main, backend=self._backend)


class SyncHttpxClient(Client):
    asynchronous = False

    def __init__(self, client: Any, library: Any) -> None:
        self._client = client
        self.error = library.TransportError

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: bytes | None = None,
        streamed: bool = False,
    ) -> Got:
        body: Any = (each for each in [content]) if streamed else content
        response = self._client.request(method, url, headers=headers, content=body, follow_redirects=True)
        return Got(response.status_code, response.content, response.headers)


def drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a scenario that only blocks."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a scenario of a synchronous client must not wait")


class SyncHttpxWorld(World):
    asynchronous = False

    def __init__(self, library: Any, adapter: Any) -> None:
        super().__init__(f"{library.__name__}-sync")
        self._library = library
        self._adapter = adapter

    def run(self, policies: PolicySource, scenario: Scenario, options: Options = Options()) -> None:
        inner = self._library.HTTPTransport(limits=self._library.Limits(max_connections=1))
        transport = self._adapter.ResilientSyncTransport(policies, inner, **options.arguments())
        with self._library.Client(transport=transport, timeout=SECONDS) as client:
            drive(scenario(SyncHttpxClient(client, self._library)))


class RequestsClient(Client):
    error = requests.ConnectionError
    asynchronous = False

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: bytes | None = None,
        streamed: bool = False,
    ) -> Got:
        body: Any = (each for each in [content]) if streamed else content
        response = self._session.request(method, url, headers=headers, data=body, timeout=SECONDS)
        return Got(response.status_code, response.content, response.headers)


class RequestsWorld(World):
    asynchronous = False

    def run(self, policies: PolicySource, scenario: Scenario, options: Options = Options()) -> None:
        adapter = for_requests.ResilientAdapter(
            policies, pool_connections=1, pool_maxsize=1, pool_block=True, **options.arguments()
        )
        with closing(requests.Session()) as session:
            session.trust_env = False
            session.mount("http://", adapter)
            drive(scenario(RequestsClient(session)))


class AiohttpClient(Client):
    error = aiohttp.ClientConnectionError

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: bytes | None = None,
        streamed: bool = False,
    ) -> Got:
        async def once() -> Any:
            yield content

        body = once() if streamed else content
        async with self._session.request(method, url, headers=headers, data=body) as response:
            return Got(response.status, await response.read(), response.headers)


class AiohttpWorld(World):
    def run(self, policies: PolicySource, scenario: Scenario, options: Options = Options()) -> None:
        async def main() -> None:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                middlewares=[for_aiohttp.ResilientMiddleware(policies, **options.arguments())],
            ) as session:
                await scenario(AiohttpClient(session))

        anyio.run(main, backend="asyncio")


def worlds() -> Iterator[World]:
    """Yield every kind of client."""
    for library, adapter in ((httpx, for_httpx), (httpx2, for_httpx2)):
        yield HttpxWorld(library, adapter, "asyncio")
        yield HttpxWorld(library, adapter, "trio")
        yield SyncHttpxWorld(library, adapter)
    yield RequestsWorld("requests")
    yield AiohttpWorld("aiohttp")
