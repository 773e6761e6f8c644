"""The state of a shared circuit in Redis: one script, its answers, and what may run it.

The script reads the time of Redis, so that no clock of a process matters. A generation is the time of a transition in
milliseconds, and at least one more than the one before: it stays unique where Redis has lost its data.
"""

from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

__all__ = ["SCRIPT", "Answer", "RedisScripts", "ThreadedRedis", "UnfitClient", "answer_of"]

SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local operation, expected = ARGV[1], tonumber(ARGV[2])
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
local probe_at = tonumber(redis.call('HGET', KEYS[1], 'probe_at') or '0')
local granted, wait = 0, 0

local function move(at)
  generation = math.max(generation + 1, now)
  probe_at = at
  redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation),
    'probe_at', string.format('%.0f', at), 'successes', '0')
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(at - now, 0) + 604800000))
  redis.call('DEL', KEYS[2])
end

if generation == expected then
  if operation == 'open' then
    move(now + tonumber(ARGV[3]))
    granted = 1
  elseif operation == 'close' then
    if probe_at ~= 0 then move(0) end
    granted = 1
  elseif operation == 'acquire' and probe_at ~= 0 and now >= probe_at then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    if redis.call('ZCARD', KEYS[2]) < tonumber(ARGV[5]) then
      local lease = math.max(tonumber(ARGV[4]), redis.call('PTTL', KEYS[2]))
      redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[4])), ARGV[3])
      redis.call('PEXPIRE', KEYS[2], string.format('%.0f', lease))
      granted = 1
    else
      wait = tonumber(redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]) - now
    end
  elseif operation == 'conclude' then
    local expires = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[3]) or '0')
    redis.call('ZREM', KEYS[2], ARGV[3])
    if expires > now then
      granted = 1
      if ARGV[4] == 'failure' then
        move(now + tonumber(ARGV[6]))
      elseif ARGV[4] == 'success' and redis.call('HINCRBY', KEYS[1], 'successes', 1) >= tonumber(ARGV[5]) then
        move(0)
      end
    end
  end
end
local left = -1
if probe_at ~= 0 then left = math.max(probe_at - now, 0) end
return {granted, string.format('%.0f', generation), string.format('%.0f', left), string.format('%.0f', wait)}
"""
"""Keys: the record, and the leases of probes by token. Arguments: operation, expected generation, and for

open      milliseconds until a probe may pass
close     nothing
acquire   token, milliseconds of the lease, limit on probes
conclude  token, success, failure or release, successes that close, milliseconds of recovery
read      nothing

An operation changes nothing where the generation is another one. A lease that has expired concludes nothing.
"""


class UnfitClient(TypeError):
    """The client blocks the event loop, or is an asynchronous one in threads: a mistake that no waiting mends."""


class RedisScripts(Protocol):
    """A client that runs a script: `redis.asyncio.Redis` on asyncio, or `ThreadedRedis`."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> object:
        """Return an awaitable with the answer of the script; it raises where Redis does not answer."""
        ...


class _BlockingScripts(Protocol):
    def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> object: ...


class ThreadedRedis:
    """A blocking client in threads, for Trio and asyncio: `ThreadedRedis(redis.Redis(socket_timeout=0.5))`.

    At most `threads` calls of an event loop run at once. A cancelled call is abandoned; its thread ends with the
    timeout of the socket, so give the client one.
    """

    def __init__(self, client: _BlockingScripts, *, threads: int = 4) -> None:
        """Args:
        client: a `redis.Redis`, or another client with its `eval`.
        threads: limit on concurrent calls of an event loop.
        """
        self._client = client
        self._threads = threads
        # A limiter belongs to the event loop that it was made on.
        self._limiters = RunVar[CapacityLimiter]("cqox_redis_threads")

    async def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> object:
        """See `RedisScripts.eval`. A cancellation ends the wait, and not the call.

        Raises:
            UnfitClient: the client is asynchronous.
        """
        try:
            limiter = self._limiters.get()
        except LookupError:
            self._limiters.set(limiter := CapacityLimiter(self._threads))
        call = partial(self._client.eval, script, numkeys, *keys_and_args)
        answer = await to_thread.run_sync(call, limiter=limiter, abandon_on_cancel=True)
        if isinstance(answer, Awaitable):
            if isinstance(answer, Coroutine):
                answer.close()
            raise UnfitClient(f"{self._client!r} is asynchronous: hand it in without ThreadedRedis")
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The shared state after an operation.

    Attributes:
        granted: whether the operation did what was asked.
        generation: generation of the state, 0 where Redis has none.
        probe_in: seconds until a probe may pass, 0.0 where one may pass now; None where the circuit is closed.
        wait: seconds until a permit may be free, 0.0 where one is or that is unknown.
    """

    granted: bool
    generation: int
    probe_in: float | None
    wait: float


async def answer_of(redis: RedisScripts, keys: tuple[str, str], operation: str, *arguments: str) -> Answer:
    """Run the script.

    Raises:
        UnfitClient: the client blocks instead of returning an awaitable.
        Exception: whatever the client raises.
    """
    returned = redis.eval(SCRIPT, len(keys), *keys, operation, *arguments)
    if not isinstance(returned, Awaitable):
        raise UnfitClient(f"{redis!r} blocks the event loop: put it into ThreadedRedis")
    values = cast("Sequence[int | str | bytes]", await cast("Awaitable[object]", returned))
    granted, generation, left, wait = (int(value) for value in values)
    return Answer(
        granted=granted == 1,
        generation=generation,
        probe_in=None if left < 0 else left / 1000,
        wait=wait / 1000,
    )
