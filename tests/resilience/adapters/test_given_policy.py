"""Adapters that are given a policy by its name: before it is loaded, after that and across reloads; real libraries."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from cqox.resilience import CircuitOpen, Hedge, Policy, PolicyFileInvalid, PolicyNotLoaded, Registry, Retry
from cqox.resilience.adapters.given_policy import given
from cqox.resilience.adapters.host_policies import HostPolicies
from cqox.resilience.adapters.redis import guard
from cqox.resilience.adapters.transactions import BlockingTransactions
from tests.resilience.adapters.databases import DRIVERS, SYNC_DRIVERS
from tests.resilience.adapters.grpc_server import UNAVAILABLE, connected
from tests.resilience.adapters.http_clients import Client, World, worlds
from tests.resilience.adapters.real_time import anyio_backend  # noqa: F401 - the fixture of this module
from tests.resilience.adapters.scripted_server import Answer, serving
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]

BUSY = Answer(503, b"busy")
ROLLED_BACK = "cqox.resilience.adapters.transactions.is_rolled_back"
COMMAND = "cqox.resilience.adapters.redis.may_repeat_command"


class File:
    """A file with one policy, `engine`, of one part."""

    def __init__(self, path: Path) -> None:
        self.registry = Registry()
        self._path = path

    def load(self, part: str, **settings: object) -> None:
        self._write(part, settings)
        self.registry.load(self._path)

    def reload(self, part: str, **settings: object) -> None:
        self._write(part, settings)
        assert self.registry.reload(self._path)

    def retry(self, attempts: int, exceptions: str = "Exception") -> dict[str, object]:
        listed: object = exceptions if "." in exceptions else [exceptions]
        return {"max_attempts": attempts, "base_delay": 0.001, "idempotent": True, "exceptions": listed}

    def _write(self, part: str, settings: dict[str, object]) -> None:
        lines = [f"{name} = {str(value).lower() if value is True else repr(value)}" for name, value in settings.items()]
        self._path.write_text("\n".join(["[[policies.engine]]", f'part = "{part}"', *lines, ""]))


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "policies.toml")


@pytest.fixture(params=list(worlds()), ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> World:
    return request.param


def test_an_http_client_takes_a_policy_by_its_name_and_follows_its_file(world: World, file: File) -> None:
    with serving(*[BUSY] * 9) as server:

        async def scenario(client: Client) -> None:
            with pytest.raises(PolicyNotLoaded):
                await client.request("GET", server.url)
            assert file.registry.missing() == ["engine"]
            file.load("Retry", **file.retry(2))
            assert (await client.request("GET", server.url)).status == 503
            assert len(server.requests) == 2
            file.reload("Retry", **file.retry(3))
            assert (await client.request("GET", server.url)).status == 503
            assert len(server.requests) == 5

        world.run(file.registry.policy("engine"), scenario)
    assert file.registry.missing() == []


@pytest.mark.parametrize("chosen", [False, True], ids=["for_key", "function"])
def test_the_hosts_of_a_policy_by_its_name_follow_its_file(world: World, file: File, chosen: bool) -> None:
    named = file.registry.policy("engine")
    source: Any = (lambda host: file.registry.policy("engine").for_key(host)) if chosen else named.for_key
    with serving(*[BUSY] * 9) as down, serving() as up:

        async def scenario(client: Client) -> None:
            with pytest.raises(PolicyNotLoaded):
                await client.request("GET", down.url)
            file.load("CircuitBreaker", failure_threshold=9)
            assert (await client.request("GET", down.url)).status == 503
            file.reload("CircuitBreaker", failure_threshold=2)
            assert (await client.request("GET", down.url)).status == 503
            with pytest.raises(CircuitOpen):
                await client.request("GET", down.url)
            assert (await client.request("GET", up.url)).status == 200

        world.run(source, scenario)


async def test_calls_of_grpc_take_a_policy_by_its_name_and_follow_its_file(file: File) -> None:
    async with connected(file.registry.policy("engine"), *[UNAVAILABLE] * 3) as stub:
        with pytest.raises(PolicyNotLoaded):
            await stub.get(b"")
        file.load("Retry", **file.retry(1))
        with pytest.raises(Exception, match="UNAVAILABLE"):
            await stub.get(b"")
        file.reload("Retry", **file.retry(3))
        assert await stub.get(b"") == b"fine"
    assert len(stub.server.metadata) == 4


@pytest.mark.parametrize("loaded_first", [False, True])
@pytest.mark.parametrize("driver", DRIVERS)
async def test_transactions_take_policies_by_their_names(
    driver: str, postgres: Postgres, file: File, loaded_first: bool
) -> None:
    calls: list[object] = []

    async with DRIVERS[driver](postgres.url) as opened:

        async def fail(connection: object) -> None:
            calls.append(await opened.value(connection, "SELECT 1"))
            raise _Deadlock

        if loaded_first:
            file.load("Retry", **file.retry(2, ROLLED_BACK))
        transactions = opened.transactions(file.registry.policy("engine"), acquire=file.registry.policy("engine"))
        if not loaded_first:
            with pytest.raises(PolicyNotLoaded):
                await transactions.run(fail)
            file.load("Retry", **file.retry(2, ROLLED_BACK))
        with pytest.raises(_Deadlock):
            await transactions.run(fail)
        file.reload("Retry", **file.retry(3, ROLLED_BACK))
        with pytest.raises(_Deadlock):
            await transactions.run(fail)
    assert calls == [1] * 5
    assert transactions.policy is transactions.acquire is file.registry["engine"]


@pytest.mark.parametrize("driver", SYNC_DRIVERS)
def test_transactions_in_plain_code_take_policies_by_their_names(driver: str, postgres: Postgres, file: File) -> None:
    calls: list[object] = []
    with SYNC_DRIVERS[driver](postgres.url) as opened:

        def fail(connection: object) -> None:
            calls.append(opened.value(connection, "SELECT 1"))
            raise _Deadlock

        transactions = opened.transactions(file.registry.policy("engine"))
        with pytest.raises(PolicyNotLoaded):
            transactions.run(fail)
        file.load("Retry", **file.retry(2, ROLLED_BACK))
        for attempts in (2, 3):
            with pytest.raises(_Deadlock):
                transactions.run(fail)
            if attempts == 2:
                file.reload("Retry", **file.retry(3, ROLLED_BACK))
    assert calls == [1] * 5


class _Deadlock(Exception):
    sqlstate = "40P01"


async def test_commands_of_redis_take_a_policy_by_its_name(server: Redis, file: File) -> None:
    async with guard(redis.asyncio.Redis(port=server.port), file.registry.policy("engine")) as client:
        with pytest.raises(PolicyNotLoaded):
            await client.ping()
        file.load("CircuitBreaker", failure_threshold=9)
        with pytest.raises(redis.ResponseError):
            await client.execute_command("NONSENSE")
        file.reload("CircuitBreaker", failure_threshold=2)
        with pytest.raises(redis.ResponseError):
            await client.execute_command("NONSENSE")
        with pytest.raises(CircuitOpen):
            await client.ping()


def test_commands_of_redis_in_plain_code_follow_the_file(server: Redis, file: File) -> None:
    with guard(redis.Redis(port=server.port), file.registry.policy("engine")) as client:
        file.load("CircuitBreaker", failure_threshold=9)
        assert client.ping()
        file.reload("CircuitBreaker", failure_threshold=1)
        with pytest.raises(redis.ResponseError):
            client.execute_command("NONSENSE")
        with pytest.raises(CircuitOpen):
            client.ping()


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (lambda policy: guard(redis.Redis(), policy), "use retry_commands(), or in a file exceptions = "),
        (lambda policy: BlockingTransactions(object, policy), "use retry_transactions(), or in a file exceptions = "),
    ],
    ids=["redis", "transactions"],
)
def test_a_policy_that_could_execute_twice_is_refused_when_it_is_loaded(
    file: File, use: Callable[[Any], object], advice: str
) -> None:
    used = use(file.registry.policy("engine"))
    with pytest.raises(PolicyFileInvalid, match=re.escape(advice)):
        file.load("Retry", **file.retry(2))
    assert file.registry.missing() == ["engine"]
    code = Policy("engine", Retry(2, idempotent=True))
    file.registry.add("engine", code)
    with pytest.raises(ValueError, match=re.escape(advice)):
        use(file.registry.policy("engine"))
    del used


def test_a_file_can_describe_the_retries_of_stores(file: File) -> None:
    file.load("Retry", **file.retry(2, COMMAND))
    guard(redis.Redis(), file.registry.policy("engine"))


def test_a_policy_that_is_created_in_code_after_its_name_is_checked_at_the_call(file: File) -> None:
    transactions = BlockingTransactions[object](object, file.registry.policy("engine"))  # type: ignore[arg-type]
    hedged = Policy("engine", Hedge(1.0))
    file.registry.add("engine", hedged)
    with pytest.raises(ValueError, match="has a hedge"):
        transactions.run(lambda connection: connection)


@pytest.mark.parametrize("nonsense", ["engine", None, Policy.for_key])
def test_what_is_no_policy_is_refused_with_what_to_give_instead(nonsense: Any) -> None:
    with pytest.raises(TypeError, match=r"acquire must be a Policy or registry\.policy\(name\), not "):
        given(nonsense, lambda _: None, name="acquire")
    with pytest.raises(TypeError, match=r"policy must be a Policy or registry\.policy\(name\), not "):
        guard(redis.Redis(), nonsense)
    if not callable(nonsense):
        with pytest.raises(TypeError, match=r"policies must be a Policy, registry\.policy\(name\) or a function"):
            HostPolicies(nonsense)
