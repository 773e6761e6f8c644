"""Do the jobs of a Redis list, one at a time, each at least once.

    python queue_worker.py redis://localhost/0 --name worker-1
    redis-cli LPUSH jobs '{"id": "a", "seconds": 2}'

What it promises: a job that Redis has accepted is done at least once, if Redis keeps what it has accepted (with
`appendonly yes` and `appendfsync always`, also when it is killed) and a worker of the same name is started again.

A job moves from `jobs` to `jobs:<name>` when it is taken, and leaves that list when it is done. What is left there (the
worker was killed, or a reply was lost) goes back to `jobs` at the start, after a lost connection and at the end. So:

- A job is done twice if the worker or Redis dies after it was done and before it left the list: make jobs idempotent.
- The order of jobs is not kept. A job that fails goes to `jobs:failed`, where somebody has to look.
- No two workers that run may have the same name: one would put back what the other is doing.
- On SIGTERM the job in hand is finished, if it ends in `--grace` seconds, and no other is begun.
"""

import argparse
import json
import signal

import anyio
from redis.asyncio import Redis

from cqox.resilience import Drain, Draining, Policy, Timeout, is_transient
from cqox.resilience.adapters.redis import IDEMPOTENT_COMMANDS, guard, retry_commands
from cqox.tasks import open_task_group

PAUSE = 0.5
"""Seconds between two attempts to reach a Redis that is away."""
JOBS, FAILED = "jobs", "jobs:failed"


async def handle(job: str) -> None:
    """Do one job: yours goes here."""
    task = json.loads(job)
    print(json.dumps({"begun": task["id"]}), flush=True)
    await anyio.sleep(task["seconds"])
    print(json.dumps({"done": task["id"]}), flush=True)


class Worker:
    """One worker and the list of what it has taken."""

    def __init__(self, url: str, name: str) -> None:
        # `LREM` twice is as good as once: the list never has more than the job in hand.
        self._redis = guard(
            Redis.from_url(url, decode_responses=True, socket_connect_timeout=2.0, socket_timeout=5.0),
            Policy("queue", retry_commands(3), Timeout(5.0)),
            idempotent=IDEMPOTENT_COMMANDS | {"LREM"},
        )
        self._taken = f"{JOBS}:{name}"
        self._drain = Drain("worker")

    async def put_back(self) -> None:
        """Give back all that was taken and is not known to be done."""
        while await self._redis.lmove(self._taken, JOBS, "RIGHT", "RIGHT") is not None:
            pass

    async def do_next(self) -> None:
        """Take a job, do it and forget it; return without one after a second."""
        job = await self._redis.blmove(JOBS, self._taken, 1, "RIGHT", "LEFT")
        if not isinstance(job, str):  # none came
            return
        with self._drain.entry(job):
            try:
                await handle(job)
            except Exception as error:  # noqa: BLE001 - whatever a job raises must not stop the others
                print(json.dumps({"failed": job, "error": repr(error)}), flush=True)
                await self._redis.lpush(FAILED, job)
            await self._redis.lrem(self._taken, 1, job)

    async def work(self) -> None:
        """Do jobs until the drain begins; a Redis that is away is waited for."""
        while not self._drain.begun:
            try:
                await self.put_back()
                while not self._drain.begun:
                    await self.do_next()
            except Draining:
                return
            except Exception as error:
                if not is_transient(error):
                    raise
                print(json.dumps({"waiting": repr(error)}), flush=True)
                await anyio.sleep(PAUSE)

    async def run(self, grace: float) -> None:
        """Work until SIGTERM or SIGINT; a job that takes longer than `grace` seconds is cut and put back."""
        async with open_task_group("worker") as group:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                group.start_soon(self.work)
                await anext(aiter(signals))
                report = await self._drain.wait(grace)
                group.cancel_scope.cancel()
        print(json.dumps({"finished": report.finished, "cut": [work.name for work in report.cut]}), flush=True)
        try:
            await self.put_back()
        except Exception as error:
            if not is_transient(error):  # where Redis is away, the next start puts them back
                raise
        await self._redis.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Do the jobs of a Redis list.")
    parser.add_argument("url")
    parser.add_argument("--name", required=True, help="the same at each start, and of no other worker")
    parser.add_argument("--grace", type=float, default=30.0, help="seconds for the job in hand when it is to stop")
    options = parser.parse_args()
    anyio.run(Worker(options.url, options.name).run, options.grace)
