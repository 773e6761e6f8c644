"""Settings of the whole suite."""

import functools
import inspect
import os
from collections.abc import Awaitable, Callable

import anyio
import pytest
from hypothesis import settings

# A deadline of an example would time the machine: the suite must pass on a busy one.
settings.register_profile("cqox", deadline=None)
settings.load_profile("cqox")

# Commands speak the language of the locale.
os.environ["LC_ALL"] = "C.UTF-8"

pytest_plugins = ("tests.measured", "tests.recorded")

_BEFORE_THE_TIMEOUT = 0.9


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """End an asynchronous test that hangs a little before its timeout would, from inside.

    The timeout breaks into the thread, and on Trio anyio's runner then waits for the hanging test for ever. A run with
    a clock of its own is left alone: to wait for a thread, such a clock would jump to the end.
    """
    backend = pyfuncitem.funcargs.get("anyio_backend")
    test = pyfuncitem.obj
    if not isinstance(backend, str) or not inspect.iscoroutinefunction(test) or hasattr(test, "hypothesis"):
        return
    marker = pyfuncitem.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker and marker.args else pyfuncitem.config.getini("timeout"))
    pyfuncitem.obj = _ended(test, seconds * _BEFORE_THE_TIMEOUT)


def _ended(test: Callable[..., Awaitable[object]], seconds: float) -> Callable[..., Awaitable[object]]:
    @functools.wraps(test)
    async def within(*args: object, **kwargs: object) -> None:
        with anyio.fail_after(seconds):
            await test(*args, **kwargs)

    return within
