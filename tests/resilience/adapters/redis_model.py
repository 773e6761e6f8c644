"""A model of Redis with the script of shared circuits, whose time, answers and outages a test decides."""

import math
from collections.abc import Callable
from typing import cast

import anyio


class Away(Exception):
    """Redis is away."""


class RedisModel:
    """The script in Python; `test_redis_script` holds it to a real server.

    Attributes:
        mode: "up"; "far": requests arrive late, and "back": answers arrive late, both in time for their client;
            "down": refuses; "full": refuses what writes; "slow": answers too late, and does what was asked; "lost":
            does what was asked, and never answers; "hung": does nothing and never answers; "nil": does nothing and
            answers with nothing.
        operations: the operations that it was asked for, in order.
    """

    def __init__(self, now: Callable[[], float] = anyio.current_time) -> None:
        self.mode = "up"
        self.operations: list[str] = []
        self._now = now
        self.lose_data()

    def lose_data(self) -> None:
        self.generation = self.probe_at = self.successes = 0
        self.leases: dict[str, int] = {}

    @property
    def milliseconds(self) -> int:
        return math.floor(1000 * self._now() + 1e-6)

    async def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> list[object]:
        self.operations.append(keys_and_args[numkeys])
        answers_late = self.mode == "back"
        await anyio.sleep(0.2 if self.mode == "far" else 0.001)
        if self.mode == "down":
            raise Away("connection refused")
        if self.mode == "full" and keys_and_args[numkeys] != "read":
            raise Away("out of memory")
        if self.mode == "nil":
            return cast("list[object]", None)
        if self.mode == "hung":
            await anyio.sleep_forever()
        if self.mode == "slow":
            await anyio.sleep(0.2)  # the client waits on for an answer that is then too late
        answer = self.run(*keys_and_args[numkeys:])
        if self.mode in ("slow", "lost"):
            await anyio.sleep_forever()
        if answers_late:
            await anyio.sleep(0.2)
        return answer

    def run(self, operation: str, expected: str, *arguments: str) -> list[object]:
        now, granted, wait = self.milliseconds, False, 0
        if int(expected) == self.generation:
            if operation == "open":
                self._move(now + int(arguments[0]))
                granted = True
            elif operation == "close":
                if self.probe_at:
                    self._move(0)
                granted = True
            elif operation == "acquire" and self.probe_at and now >= self.probe_at:
                self.leases = {token: ends for token, ends in self.leases.items() if ends > now}
                granted = len(self.leases) < int(arguments[2])
                if granted:
                    self.leases[arguments[0]] = now + int(arguments[1])
                else:
                    wait = min(self.leases.values()) - now
            elif operation == "conclude":
                granted = self._conclude(now, *arguments)
        left = max(0, self.probe_at - now) if self.probe_at else -1
        return [int(granted), str(self.generation).encode(), str(left).encode(), str(wait).encode()]

    def _conclude(self, now: int, token: str, verdict: str, permits: str, recovery: str) -> bool:
        if self.leases.pop(token, 0) <= now:
            return False
        if verdict == "failure":
            self._move(now + int(recovery))
        elif verdict == "success":
            self.successes += 1
            if self.successes >= int(permits):
                self._move(0)
        return True

    def _move(self, probe_at: int) -> None:
        self.generation = max(self.generation + 1, self.milliseconds)
        self.probe_at, self.successes, self.leases = probe_at, 0, {}
