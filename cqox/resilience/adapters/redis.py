"""redis-py: commands of a client under a policy, on asyncio and in synchronous code.

The retry of redis-py itself repeats every command whose connection was lost, and so may count twice.
"""

import math
from collections.abc import Callable, Collection
from contextvars import ContextVar
from inspect import iscoroutinefunction
from random import Random
from typing import Any, Final, cast

from cqox.resilience.adapters.given_policy import GivenPolicy, given
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.retry.backoff import Jitter
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.classification import Kind, Sent, classify
from cqox.resilience.retry.hedge import Hedge
from cqox.resilience.retry.retry import Retry
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.ranges import Seconds

__all__ = ["IDEMPOTENT_COMMANDS", "guard", "is_idempotent", "may_repeat_command", "retry_commands"]

IDEMPOTENT_COMMANDS: Final = frozenset(
    """
    BITCOUNT BITFIELD_RO BITPOS DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH
    GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL
    HKEYS HLEN HMGET HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO KEYS LCS LINDEX LLEN LPOS
    LRANGE MGET PEXPIRETIME PFCOUNT PING PTTL RANDOMKEY SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS
    SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TTL TYPE XINFO XLEN XPENDING XRANGE XREAD
    XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX
    ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
    EXPIRE EXPIREAT HMSET LSET MSET PEXPIRE PEXPIREAT PSETEX SET SETEX
    """.split()  # noqa: SIM905 - a list of as many quoted names fills a page
)
"""Commands whose effect and reply are the same when they are executed twice: those that read, and some that write.

`DEL`, `SADD`, `HSET` and the like leave the same data, but reply how many were new: add them where nobody reads that.
`LTRIM key 1 -1` takes another element each time: add `LTRIM` where it keeps the first, or the last, of a list.
"""

# With these options the second execution has another effect or reply.
_CONDITIONS = frozenset({"NX", "GT", "LT", "GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE", "$"})
_CONDITIONAL = {"SET": 3, "EXPIRE": 3, "EXPIREAT": 3, "PEXPIRE": 3, "PEXPIREAT": 3, "XREAD": 1}
_KINDS = frozenset({Kind.REDIS, Kind.NETWORK, Kind.TIMEOUT})
_SHORTEST_WAIT = 0.001

_repeatable: ContextVar[bool] = ContextVar("cqox_redis_command_repeatable", default=False)


def is_idempotent(*command: object, commands: Collection[str] = IDEMPOTENT_COMMANDS) -> bool:
    """Return whether a command may be executed twice.

    Args:
        command: name and arguments, as `execute_command` takes them.
        commands: names of idempotent commands, in upper case.
    """
    name = _text(command[0]) if command else ""
    if name not in commands and name.partition(" ")[0] not in commands:
        return False
    options = command[_CONDITIONAL.get(name, len(command)) :]
    return not any(_text(option) in _CONDITIONS for option in options)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.upper() if isinstance(value, str) else ""


def may_repeat_command(error: BaseException) -> bool:
    """Return whether the command that failed may be executed again: the `exceptions` of the retry of a policy file."""
    failure = classify(error)
    return failure.transient and failure.kind in _KINDS and (failure.sent is not Sent.MAYBE or _repeatable.get())


def retry_commands(
    max_attempts: int = 3,
    base_delay: Seconds = 0.02,
    max_delay: Seconds = 1.0,
    jitter: Jitter = True,
    *,
    budget: RetryBudget | None = None,
    clock: Clock | TimeSource | None = None,
    rng: Random | None = None,
) -> Retry:
    """Return the retry for the policy of a client.

    It repeats every command that was never sent or that the server did not execute (LOADING, READONLY, CLUSTERDOWN,
    TRYAGAIN), and one that may have been executed where it is idempotent.

    Args:
        max_attempts: see `Retry`, as for all that follow.
        base_delay: see `Retry`.
        max_delay: see `Retry`.
        jitter: see `Retry`.
        budget: see `Retry`.
        clock: see `Retry`.
        rng: see `Retry`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return Retry(
        max_attempts,
        base_delay,
        max_delay,
        jitter,
        may_repeat_command,
        budget,
        idempotent=True,
        name="retry_commands",
        clock=clock,
        rng=rng,
    )


def guard[C](client: C, policy: GivenPolicy, *, idempotent: Collection[str] = IDEMPOTENT_COMMANDS) -> C:
    """Put each command of `client` under `policy`, and return the client.

    The retry of redis-py is switched off. After READONLY the idle connections are closed, so that the next attempt
    connects to what the address leads to by then. In synchronous code the wait for a reply ends at the deadline.

    Pipelines, subscriptions and monitors are not guarded: put the policy around the function that uses one.

    Args:
        client: a client of `redis` or `redis.asyncio`, also of a cluster; it is changed.
        policy: policy of each command; its retry is one of `retry_commands`, or in a file one with
            `exceptions = "cqox.resilience.adapters.redis.may_repeat_command"`.
        idempotent: names of idempotent commands, in upper case.

    Raises:
        ValueError: the policy has a `Hedge`, or a retry that is not one of `retry_commands`. A policy that is given by
            its name is refused when it is loaded.
        TypeError: `policy` is neither a policy nor `registry.policy(name)`.
    """
    current = given(policy, _check)
    changed = cast("Any", client)
    if iscoroutinefunction(changed.execute_command):
        _guard_async(changed, current, idempotent)
    else:
        _guard_blocking(changed, current, idempotent)
    return client


def _check(policy: Policy) -> None:
    for part in policy.parts:
        if isinstance(part, Hedge):
            raise ValueError(f"policy {policy.name} has a hedge, which would execute commands twice")
        if isinstance(part, Retry) and part.settings.exceptions is not may_repeat_command:
            raise ValueError(
                f"policy {policy.name} repeats commands by {part.name}: use retry_commands(), or in a file "
                f'exceptions = "{__name__}.{may_repeat_command.__name__}"'
            )


def _guard_async(client: Any, policy: Callable[[], Policy], idempotent: Collection[str]) -> None:  # noqa: ANN401 - a client
    from redis.asyncio.retry import Retry as OwnRetry
    from redis.backoff import NoBackoff

    execute = client.execute_command

    async def attempt(*command: object, **options: object) -> object:
        try:
            return await execute(*command, **options)
        except Exception as error:
            if _is_read_only(error) and (pool := _pool_of(client)):
                await pool.disconnect(inuse_connections=False)
            raise

    async def execute_command(*command: object, **options: object) -> object:
        token = _repeatable.set(is_idempotent(*command, commands=idempotent))
        try:
            return await policy().call(attempt, *command, **options)
        finally:
            _repeatable.reset(token)

    client.set_retry(OwnRetry(NoBackoff(), 0))
    client.execute_command = execute_command


def _guard_blocking(client: Any, policy: Callable[[], Policy], idempotent: Collection[str]) -> None:  # noqa: ANN401 - a client
    from redis.backoff import NoBackoff
    from redis.retry import Retry as OwnRetry

    execute = client.execute_command

    def attempt(*command: object, **options: object) -> object:
        try:
            return execute(*command, **options)
        except Exception as error:
            if _is_read_only(error) and (pool := _pool_of(client)):
                pool.disconnect(inuse_connections=False)
            if type(error).__name__ == "TimeoutError" and (expired := expired_deadline()) is not None:
                raise expired from error
            raise

    def execute_command(*command: object, **options: object) -> object:
        token = _repeatable.set(is_idempotent(*command, commands=idempotent))
        try:
            return policy().call(attempt, *command, **options)
        finally:
            _repeatable.reset(token)

    client.set_retry(OwnRetry(NoBackoff(), 0))
    client.execute_command = execute_command
    if hasattr(client, "parse_response"):
        client.parse_response = _until_deadline(client.parse_response)
    else:
        _bound_nodes(client)


def _bound_nodes(cluster: Any) -> None:  # noqa: ANN401 - a client of a cluster
    """Bound the wait for the replies of each node: a cluster reads them by the client of the node."""
    connection_to = cluster.get_redis_connection

    def get_redis_connection(node: Any) -> Any:  # noqa: ANN401 - a node and its client
        client = connection_to(node)
        # A method of the class until it is bounded; clients of nodes are replaced when the cluster changes.
        if "parse_response" not in vars(client):
            client.parse_response = _ending_deadline(_until_deadline(client.parse_response))
        return client

    cluster.get_redis_connection = get_redis_connection


def _ending_deadline(parse_response: Callable[..., object]) -> Callable[..., object]:
    """Raise the error of the deadline at once: after its own, a cluster asks all nodes where the slots are."""

    def parse(*arguments: object, **options: object) -> object:
        try:
            return parse_response(*arguments, **options)
        except Exception as error:
            if type(error).__name__ == "TimeoutError" and (expired := expired_deadline()) is not None:
                raise expired from error
            raise

    return parse


def _until_deadline(parse_response: Callable[..., object]) -> Callable[..., object]:
    """Bound the wait for a reply by the time left; a connection that has timed out is closed by redis-py."""

    def parse(connection: Any, *command: object, **options: object) -> object:  # noqa: ANN401 - a connection
        left, own = remaining(), connection.socket_timeout
        if left == math.inf or (own is not None and own <= left):
            return parse_response(connection, *command, **options)
        connection.update_current_socket_timeout(max(left, _SHORTEST_WAIT))
        try:
            return parse_response(connection, *command, **options)
        finally:
            connection.update_current_socket_timeout(-1)

    return parse


def _is_read_only(error: Exception) -> bool:
    return type(error).__name__ == "ReadOnlyError"


def _pool_of(client: Any) -> Any:  # noqa: ANN401 - a client of a cluster has none
    return getattr(client, "connection_pool", None)
