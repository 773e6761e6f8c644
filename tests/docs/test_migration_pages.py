"""Behaviour of tenacity, stamina and pybreaker that the pages `docs/resilience/from-*.md` state.

Polly is not here: its page is from its documentation.
"""

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import anyio
import pybreaker
import pytest
import stamina
import tenacity
from tenacity import stop_after_attempt

from cqox.resilience import CircuitBreaker, CircuitState, Retry
from cqox.resilience.testing import FakeClock, Script

PAGES = Path(__file__).parents[2] / "docs" / "resilience"
GROUP = ExceptionGroup("both", [OSError("down")])


class Interruption(BaseException):
    """Stands for a cancellation: no `Exception`."""


@pytest.fixture(autouse=True)
def quiet_stamina() -> Iterator[None]:
    stamina.instrumentation.set_on_retry_hooks([])
    yield
    stamina.instrumentation.set_on_retry_hooks(None)


def with_stamina(on: type[BaseException], script: Script) -> Callable[[], object]:
    """The script, retried by stamina three times without pauses."""

    @stamina.retry(on=on, attempts=3, wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)
    def call() -> object:
        return script()

    return call


def with_tenacity(script: Script, **settings: object) -> Callable[[], object]:
    @tenacity.retry(stop=stop_after_attempt(3), **settings)
    def call() -> object:
        return script()

    return call


def with_ours(script: Script, **settings: object) -> Callable[[], object]:
    return Retry(3, 0.0, idempotent=True, clock=FakeClock(), **settings)(script.__call__)


@pytest.mark.parametrize("name", ["tenacity", "stamina", "pybreaker"])
def test_a_page_names_the_version_that_is_tried(name: str) -> None:
    assert f"version {version(name)}" in re.sub(r"\s+", " ", (PAGES / f"from-{name}.md").read_text(encoding="utf-8"))


def test_tenacity_tries_for_ever_without_pauses_by_default() -> None:
    retrying = tenacity.Retrying()
    assert retrying.stop is tenacity.stop_never
    assert isinstance(retrying.wait, type(tenacity.wait_none()))


def test_tenacity_raises_an_error_of_its_own_unless_reraise_is_set() -> None:
    error = OSError("down")
    with pytest.raises(tenacity.RetryError):
        with_tenacity(Script(error))()
    with pytest.raises(OSError, match="down"):
        with_tenacity(Script(error), reraise=True)()
    with pytest.raises(tenacity.RetryError):
        with_tenacity(Script("bad"), reraise=True, retry=tenacity.retry_if_result(lambda _: True))()
    with pytest.raises(OSError, match="down") as ours:
        with_ours(Script(error))()
    assert ours.value is error
    assert with_ours(Script("bad"), retry_if=lambda _: True)() == "bad"


def test_tenacity_and_stamina_repeat_what_is_no_exception_where_all_is_listed() -> None:
    script = Script(Interruption(), "answer")
    assert with_tenacity(script, retry=tenacity.retry_if_exception_type(BaseException))() == "answer"
    assert with_stamina(BaseException, Script(Interruption(), "answer"))() == "answer"
    with pytest.raises(Interruption):
        with_ours(Script(Interruption(), "answer"), exceptions=(BaseException,))()


def test_tenacity_and_stamina_compare_the_class_of_a_group() -> None:
    theirs, others, ours = (Script(GROUP, "answer") for _ in range(3))
    with pytest.raises(ExceptionGroup):
        with_tenacity(theirs, reraise=True, retry=tenacity.retry_if_exception_type(OSError))()
    with pytest.raises(ExceptionGroup):
        with_stamina(OSError, others)()
    assert (theirs.calls, others.calls) == (1, 1)
    assert with_ours(ours, exceptions=OSError)() == "answer"


def test_tenacity_retries_no_generator_and_stamina_repeats_items() -> None:
    def failing(items: int) -> Callable[[], Iterator[int]]:
        runs: list[None] = []

        def generate() -> Iterator[int]:
            runs.append(None)
            yield from range(items)
            if len(runs) == 1:
                raise OSError("lost")
            yield 9

        return generate

    with pytest.raises(OSError, match="lost"):
        list(tenacity.retry(stop=stop_after_attempt(3), reraise=True)(failing(0))())
    settings = {"attempts": 3, "wait_initial": 0.0, "wait_max": 0.0, "wait_jitter": 0.0}
    assert list(stamina.retry(on=OSError, **settings)(failing(1))()) == [0, 0, 9]
    ours = Retry(3, 0.0, idempotent=True, clock=FakeClock())
    assert list(ours(failing(0))()) == [9]
    with pytest.raises(OSError, match="lost"):
        list(ours(failing(1))())


def test_the_total_time_of_tenacity_and_stamina_is_exceeded_by_a_pause() -> None:
    slept: list[float] = []
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(1.0), wait=tenacity.wait_fixed(5.0), sleep=slept.append, reraise=True
    )
    assert retrying(Script(OSError("down"), "answer")) == "answer"
    assert slept == [5.0]
    # stamina stops by the same class.
    assert "stop_after_delay" in inspect.getsource(stamina._core._make_stop)
    clock = FakeClock()
    ours = Retry(3, 5.0, 5.0, jitter=False, idempotent=True, max_duration=1.0, clock=clock)
    with pytest.raises(OSError, match="down"):
        ours(Script(OSError("down"), "answer").__call__)()
    assert clock.sleeps == []


def test_the_defaults_of_stamina_are_those_of_the_page() -> None:
    defaults = {name: each.default for name, each in inspect.signature(stamina.retry).parameters.items()}
    assert defaults["on"] is inspect.Parameter.empty
    assert (defaults["attempts"], defaults["timeout"]) == (10, 45.0)
    assert (defaults["wait_initial"], defaults["wait_max"], defaults["wait_jitter"]) == (0.1, 5.0, 1.0)


def test_the_call_that_trips_pybreaker_raises_another_error() -> None:
    breaker = pybreaker.CircuitBreaker(fail_max=1)
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(Script(OSError("down")))
    breaker = pybreaker.CircuitBreaker(fail_max=1, throw_new_error_on_trip=False)
    with pytest.raises(OSError, match="down"):
        breaker.call(Script(OSError("down")))


def test_pybreaker_takes_every_base_exception_for_a_failure_and_an_excluded_one_for_a_success() -> None:
    breaker = pybreaker.CircuitBreaker(fail_max=3, exclude=[KeyError])
    with pytest.raises(Interruption):
        breaker.call(Script(Interruption()))
    assert breaker.fail_counter == 1
    with pytest.raises(KeyError):
        breaker.call(Script(KeyError("no such row")))
    assert breaker.fail_counter == 0


def test_pybreaker_does_not_see_a_coroutine_fail() -> None:
    theirs, ours = pybreaker.CircuitBreaker(fail_max=1), CircuitBreaker("ours", failure_threshold=1)

    async def fail() -> None:
        raise OSError("down")

    async def main() -> None:
        for guarded in (theirs(fail), ours(fail)):
            with pytest.raises(OSError, match="down"):
                await guarded()

    anyio.run(main)
    assert (theirs.current_state, ours.state) == ("closed", CircuitState.OPEN)


def test_pybreaker_holds_its_lock_while_the_function_runs() -> None:
    """A second call begins when the first has ended; ours begins at once."""
    for guard, at_once in ((pybreaker.CircuitBreaker().call, False), (_call_ours, True)):
        began, may_end = threading.Semaphore(0), threading.Event()

        def wait(began: threading.Semaphore = began, may_end: threading.Event = may_end) -> None:
            began.release()
            may_end.wait(10.0)

        threads = [threading.Thread(target=guard, args=(wait,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert began.acquire(timeout=10.0)
        # What does not come has no event to wait for.
        assert began.acquire(timeout=10.0 if at_once else 0.05) is at_once
        may_end.set()
        for thread in threads:
            thread.join(10.0)


_OURS = CircuitBreaker("of two threads")


def _call_ours(function: Callable[[], None]) -> None:
    _OURS(function)()


def test_pybreaker_compares_times_of_the_wall_clock() -> None:
    breaker = pybreaker.CircuitBreaker(fail_max=1)
    breaker.open()
    opened_at = breaker._state_storage.opened_at
    assert opened_at is not None
    assert abs((datetime.now(UTC) - opened_at).total_seconds()) < 60
