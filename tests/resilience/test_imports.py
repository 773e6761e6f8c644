"""Imports of the library: AnyIO, and none of the libraries that it only recognises; neither event loop."""

import subprocess
import sys

from cqox import errors, resilience

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


EXAMPLE_ON_TRIO = """
import trio
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout, deadline

policy = Policy("p", CircuitBreaker("b"), Retry(2, 0.0, idempotent=True), Timeout(0.01))

async def main():
    with deadline(5.0):
        try:
            await policy.call(trio.sleep, 60)
        except TimeoutError:
            return
    raise AssertionError

trio.run(main)
"""


def test_trio_and_other_libraries_stay_unimported_after_asyncio_examples() -> None:
    finished = subprocess.run([sys.executable, "-c", EXAMPLE], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    imported = set(finished.stdout.split())
    assert "anyio" in imported
    assert not imported & {"trio", "httpx", "numpy", "opentelemetry", "psycopg", "redis", "quart", "pydantic"}


OTHERS = {
    "aiohttp",
    "grpc",
    "httpx",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "quart",
    "redis",
    "requests",
    "rich",
}
SLOW = {
    "asyncio",
    "concurrent.futures.thread",
    "difflib",
    "email.utils",
    "http.client",
    "json",
    "socket",
    "ssl",
    "subprocess",
    "tomllib",
    "trio",
}
"""Modules that take long to import and that not every program needs."""


def modules_after(program: str) -> set[str]:
    """Names of the modules that a new interpreter has imported at the end of a program."""
    program += "\nimport sys\nprint(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.split())


def test_the_import_of_the_library_loads_no_event_loop_and_nothing_slow() -> None:
    imported = modules_after("import cqox.resilience")
    assert "cqox.resilience.circuit.breaker" in imported
    assert not imported & (SLOW | OTHERS)
    assert not [name for name in imported if name.startswith(("cqox.resilience.adapters", "cqox.resilience.top"))]


def test_the_reader_of_policy_files_comes_with_the_first_policy_of_a_file() -> None:
    program = "import cqox.resilience as r\n"
    assert "cqox.resilience.configuration.policy_files" not in modules_after(program)
    assert "cqox.resilience.configuration.policy_files" in modules_after(program + "r.registry.policy('store')")


def test_plain_code_needs_no_event_loop() -> None:
    imported = modules_after(
        """
from cqox.resilience import Bulkhead, CircuitBreaker, Policy, Retry, Timeout, deadline, remaining

policy = Policy("p", Bulkhead(2), CircuitBreaker("b"), Retry(2, 0.0, idempotent=True), Timeout(5.0))
calls = []

@policy
def call():
    calls.append(remaining())
    if len(calls) == 1:
        raise ConnectionResetError
    return "up"

with deadline(2.0):
    assert call() == "up"
assert len(calls) == 2
"""
    )
    assert not imported & {"asyncio", "trio"}


def test_an_app_on_trio_does_without_asyncio() -> None:
    imported = modules_after(EXAMPLE_ON_TRIO)
    assert "trio" in imported
    assert "asyncio" not in imported


def test_asyncio_may_be_imported_after_the_library_was_used_without_it() -> None:
    modules_after(
        """
import sys
from cqox.resilience import CircuitBreaker, Policy, Timeout, deadline, remaining

policy = Policy("p", CircuitBreaker("b"), Timeout(0.01))
assert policy.call(str.upper, "a") == "A"
with deadline(5.0):
    assert remaining() <= 5.0
assert "asyncio" not in sys.modules
import asyncio

async def main():
    with deadline(5.0):
        assert all(left <= 5.0 for left in await asyncio.gather(*map(as_task, range(2))))
        try:
            await policy.call(asyncio.sleep, 60)
        except TimeoutError:
            pass
        else:
            raise AssertionError
    task = asyncio.create_task(policy.call(asyncio.sleep, 60))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()

async def as_task(number):
    return remaining()

asyncio.run(main())
assert policy.snapshot().parts[0].state.cancelled == 1
"""
    )


def test_a_half_imported_asyncio_counts_as_none() -> None:
    modules_after(
        """
import sys, types
from cqox.resilience.runtime.event_loop import current_loop, running_asyncio_loop

whole = sys.modules.pop("asyncio", None)
sys.modules["asyncio"] = types.ModuleType("asyncio")
assert current_loop() is None and running_asyncio_loop() is None
del sys.modules["asyncio"]
import asyncio

async def main():
    assert running_asyncio_loop() is asyncio.get_running_loop()
    assert current_loop().task() is asyncio.current_task()

asyncio.run(main())
"""
    )


def test_errors_can_be_named_without_the_library_and_load_nothing_but_themselves() -> None:
    before = modules_after("")
    loaded = {name for name in modules_after("import cqox.errors") - before if name.startswith(("cqox", "anyio"))}
    assert loaded == {"cqox", "cqox.errors", "cqox.forks"}


def test_every_error_of_the_library_is_a_name_of_the_library() -> None:
    # These two are of the services: they count what tenants and listeners of a job use.
    of_services = {errors.QuotaExceeded, errors.TooManyListeners}
    tree = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ResilienceError)
    }
    public = {getattr(resilience, name) for name in resilience.__all__}
    assert tree - public == of_services
