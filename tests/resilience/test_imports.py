"""Imports of the library: AnyIO, and none of the libraries that it only recognises."""

import subprocess
import sys

EXAMPLE = """
import asyncio, sys

from cqox.resilience import (
    CircuitBreaker, Policy, Retry, Timeout, api_timeout, circuit_breaker, deadline, exponential_backoff_retry,
    remaining, retry_on_database_error, retry_on_network_error,
)
import cqox.resilience.testing
import cqox.tasks

policy = Policy("engine", CircuitBreaker("engine"), Retry(2, 0.0, idempotent=True), Timeout(5.0))
calls = 0

@policy
async def call():
    global calls
    calls += 1
    if calls == 1:
        raise ConnectionResetError
    return "up"

@circuit_breaker()
@exponential_backoff_retry()
@retry_on_network_error()
@retry_on_database_error()
@api_timeout()
async def stacked():
    return remaining()

async def hang():
    await asyncio.sleep(60)

async def main():
    with deadline(5.0):
        assert await call() == "up"
        assert 4 < await stacked() <= 5
    for guard in (api_timeout(0.01), deadline(0.01)):
        try:
            if isinstance(guard, deadline):
                with guard:
                    await hang()
            else:
                await guard(hang)()
        except TimeoutError:
            pass
    async with cqox.tasks.open_task_group() as group:
        group.start_soon(stacked)

asyncio.run(main())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_trio_and_other_libraries_stay_unimported_after_asyncio_examples() -> None:
    finished = subprocess.run([sys.executable, "-c", EXAMPLE], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    imported = set(finished.stdout.split())
    assert "anyio" in imported
    assert not imported & {"trio", "httpx", "numpy", "opentelemetry", "psycopg", "redis", "quart", "pydantic"}
