"""The adapter for redis-py on a real Redis, on asyncio and in synchronous code."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
import pytest
import redis
import redis.asyncio

from cqox.errors import DeadlineExceeded
from cqox.resilience import AttemptFailed, CircuitBreaker, Event, Hedge, Policy, Retry, deadline, subscribe
from cqox.resilience.adapters.redis import IDEMPOTENT_COMMANDS, guard, is_idempotent, retry_commands
from tests.resilience.adapters.real_time import anyio_backend  # noqa: F401 - the fixture of this module
from tests.servers.ports import free_port
from tests.servers.redis import Redis
from tests.waiting import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]

SOCKET_TIMEOUT = 0.1


@pytest.fixture(params=["asyncio", "sync"])
async def kind(request: pytest.FixtureRequest) -> str:
    return request.param


class Client:
    """A guarded client of either kind, awaitable."""

    def __init__(self, kind: str, port: int, policy: Policy, **options: Any) -> None:
        self.kind = kind
        self.failures: list[AttemptFailed] = []
        self.on_failure: Callable[[], object] = lambda: None
        options = {"port": port, "decode_responses": True, "socket_timeout": SOCKET_TIMEOUT} | options
        self.client: Any = guard((redis.asyncio if kind == "asyncio" else redis).Redis(**options), policy)

    async def __aenter__(self) -> "Client":
        self._unsubscribe = subscribe(self._note)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._unsubscribe()
        closed = self.client.aclose() if self.kind == "asyncio" else self.client.close()
        if closed is not None:
            await closed

    def _note(self, event: Event) -> None:
        if isinstance(event, AttemptFailed):
            self.failures.append(event)
            self.on_failure()

    async def run(self, name: str, *arguments: object, **options: object) -> Any:
        method = getattr(self.client, name)
        if self.kind == "asyncio":
            return await method(*arguments, **options)
        return await anyio.to_thread.run_sync(partial(method, *arguments, **options))


def repeating(attempts: int = 8, delay: float = 0.05) -> Policy:
    return Policy("commands of a test", retry_commands(attempts, delay, delay))


@pytest.fixture
def empty(server: Redis) -> Redis:
    with server.client() as admin:
        admin.execute_command("CLIENT", "UNPAUSE")
        admin.flushall()
    return server


async def test_methods_of_the_client_work_as_before(kind: str, empty: Redis) -> None:
    async with Client(kind, empty.port, repeating()) as client:
        assert await client.run("set", "key", "value", ex=60) is True
        assert await client.run("get", "key") == "value"
        assert await client.run("incr", "count") == 1
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            await client.run("lpush", "key", "x")
        assert client.failures[1:] == []


async def test_a_reply_that_is_late_repeats_what_reads_and_nothing_that_counts(kind: str, empty: Redis) -> None:
    async with Client(kind, empty.port, repeating()) as client:
        assert await client.run("set", "key", "value") is True
        with empty.client() as admin:
            admin.execute_command("CLIENT", "PAUSE", 300, "ALL")
        assert await client.run("get", "key") == "value"
        assert len(client.failures) >= 1
        client.failures.clear()
        # The pool has a connection: the command itself is sent, and its reply waits.
        with empty.client() as admin:
            admin.execute_command("CLIENT", "PAUSE", 300, "WRITE")
        with pytest.raises(redis.TimeoutError):
            await client.run("incr", "count")
        assert len(client.failures) == 1
        with empty.client() as admin:
            admin.execute_command("CLIENT", "UNPAUSE")
            assert admin.get("count") in (None, b"1")


async def test_what_a_replica_refuses_is_repeated_on_a_new_connection(kind: str, empty: Redis) -> None:
    def promote() -> None:
        with empty.client() as admin:
            admin.replicaof("NO", "ONE")

    with empty.client() as admin:
        admin.replicaof("127.0.0.1", "1")
    async with Client(kind, empty.port, repeating()) as client:
        before = await client.run("client_id")
        client.on_failure = promote
        assert await client.run("incr", "count") == 1
        assert [type(failure.error).__name__ for failure in client.failures] == ["ReadOnlyError"]
        assert await client.run("client_id") != before


async def test_a_cluster_that_is_down_is_asked_again(kind: str) -> None:
    server = Redis()
    try:
        # By default it is 10,000 above the port, which may be no port.
        server.start(cluster_enabled="yes", cluster_port=str(free_port()))
        async with Client(kind, server.port, repeating(3, 0.001)) as client:
            with pytest.raises(redis.exceptions.ClusterDownError):
                await client.run("incr", "count")
            assert len(client.failures) == 3
    finally:
        server.close()


def test_a_deadline_ends_the_wait_for_a_node_of_a_cluster() -> None:
    server = Redis()
    try:
        server.start(cluster_enabled="yes", cluster_port=str(free_port()))
        with server.client() as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        policy = Policy("cluster", CircuitBreaker("cluster", 1))
        cluster = redis.RedisCluster(host="127.0.0.1", port=server.port, socket_timeout=60, decode_responses=True)
        with guard(cluster, policy) as client:
            client.set("old", "old")
            client.set("new", "new")
            with server.frozen(), pytest.raises(DeadlineExceeded), deadline(0.2):
                client.get("old")
            assert policy.is_settled()
            assert client.get("new") == "new"
            assert client.get("old") == "old"
    finally:
        server.close()


async def test_a_server_that_cannot_be_reached_is_asked_again_for_every_command(kind: str) -> None:
    async with Client(kind, 1, repeating(3, 0.001)) as client:
        with pytest.raises(redis.ConnectionError):
            await client.run("incr", "count")
        assert len(client.failures) == 3


async def test_a_deadline_ends_the_wait_and_the_connection_gives_no_old_reply(kind: str, empty: Redis) -> None:
    async with Client(kind, empty.port, repeating(1), socket_timeout=60) as client:
        await client.run("mset", {"old": "old", "new": "new"})
        with empty.frozen():
            with pytest.raises(DeadlineExceeded), deadline(0.2):
                await client.run("get", "old")
        assert await client.run("get", "new") == "new"
        assert await client.run("get", "old") == "old"


def test_a_caller_with_little_time_does_not_open_the_circuit(empty: Redis) -> None:
    policy = Policy("short", CircuitBreaker("short", 1))
    with guard(redis.Redis(port=empty.port, socket_timeout=0.3), policy) as client:
        client.get("connected")
        with empty.frozen():
            with pytest.raises(DeadlineExceeded) as caught, deadline(0.05):
                client.get("key")
            assert isinstance(caught.value.__cause__, redis.TimeoutError)
            assert policy.is_settled()
            with pytest.raises(redis.TimeoutError):
                client.get("key")
            assert not policy.is_settled()


async def test_a_cancelled_command_leaves_no_reply_behind(empty: Redis) -> None:
    async with Client("asyncio", empty.port, repeating(), socket_timeout=60) as client:
        await client.run("mset", {"old": "old", "new": "new"})
        with empty.frozen():
            with anyio.move_on_after(0.1) as scope:
                await client.run("get", "old")
        assert scope.cancelled_caught
        assert await client.run("get", "new") == "new"


def test_policies_that_could_execute_twice_are_refused() -> None:
    for policy, match in (
        (Policy("a", Retry(3, idempotent=True)), "use retry_commands"),
        (Policy("b", Hedge(1.0)), "hedge"),
    ):
        with pytest.raises(ValueError, match=match):
            guard(redis.Redis(), policy)


@pytest.mark.parametrize(
    ("command", "idempotent"),
    [
        (("GET", "key"), True),
        ((b"get", "key"), True),
        (("XINFO STREAM", "key"), True),
        (("SET", "key", "value"), True),
        (("SET", "key", "NX"), True),  # a value
        (("SET", "key", "value", "EX", 10), True),
        (("SET", "key", "value", "NX"), False),
        (("SET", "key", "value", b"nx"), False),
        (("SET", "key", "value", "EX", 10, "GET"), False),
        (("EXPIRE", "key", 10), True),
        (("EXPIRE", "key", 10, "GT"), False),
        (("INCR", "key"), False),
        (("DEL", "key"), False),
        (("EVAL", "script", 0), False),
        (("LPOP", "key"), False),
        (("XREAD", "BLOCK", 100, "STREAMS", "key", "1-0"), True),
        (("XREAD", "BLOCK", 100, "STREAMS", "key", "$"), False),  # what is new after the second execution
        ((), False),
    ],
)
def test_a_command_is_idempotent_by_its_name_and_options(command: tuple[object, ...], idempotent: bool) -> None:
    assert is_idempotent(*command) is idempotent


def test_a_caller_may_know_more_commands() -> None:
    assert is_idempotent("DEL", "key", commands=IDEMPOTENT_COMMANDS | {"DEL"})


def test_the_idempotent_commands_that_write_are_known_one_by_one(server: Redis) -> None:
    with server.client() as admin:
        known = {str(name).upper(): set(about["flags"]) for name, about in admin.command().items()}
    # An older server lacks the newest.
    assert len(IDEMPOTENT_COMMANDS & set(known)) > 80
    writes = {name for name in IDEMPOTENT_COMMANDS & set(known) if "write" in known[name]}
    assert writes == {
        *("EXPIRE", "EXPIREAT", "PEXPIRE", "PEXPIREAT", "SET", "SETEX", "PSETEX"),
        *("HMSET", "LSET", "MSET"),
    }


@pytest.mark.parametrize(
    "command",
    [
        *(
            ("SET", "text", "b"),
            ("SET", "text", "b", "XX"),
            ("SETEX", "text", 100, "b"),
            ("PSETEX", "text", 100000, "b"),
        ),
        *(("MSET", "text", "b", "new", "c"), ("HMSET", "hash", "field", "b"), ("LSET", "list", -1, "z")),
        *(
            ("EXPIRE", "text", 100),
            ("PEXPIRE", "text", 100000),
            ("EXPIREAT", "text", 2**33),
            ("PEXPIREAT", "text", 2**43),
        ),
        *(("LTRIM", "list", 1, -1), ("LTRIM", "list", 0, -2), ("SET", "new", "b", "NX")),
        *(("SADD", "set", "b"), ("DEL", "text"), ("LPUSH", "list", "z"), ("HSET", "hash", "new", "b")),
    ],
)
def test_a_command_that_may_be_repeated_does_the_same_a_second_time(server: Redis, command: tuple[object, ...]) -> None:
    with server.client() as admin:

        def executed() -> tuple[object, object]:
            reply = admin.execute_command(*command)
            return reply, {key: admin.dump(key) for key in sorted(admin.keys())}

        admin.flushall()
        admin.set("text", "a")
        admin.hset("hash", "field", "a")
        admin.rpush("list", *"abcdef")
        once = executed()
        assert is_idempotent(*command) is (executed() == once)
