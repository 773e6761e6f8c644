"""Decorators without parentheses."""

import inspect

import anyio
import pytest

from cqox.errors import AttemptTimeout
from cqox.resilience import (
    CircuitState,
    api_timeout,
    circuit_breaker,
    computation_timeout,
    database_timeout,
    exponential_backoff_retry,
    registry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience.testing import Script
from tests.resilience.conftest import Down

ALL = [
    circuit_breaker,
    exponential_backoff_retry,
    retry_on_network_error,
    retry_on_database_error,
    api_timeout,
    database_timeout,
    computation_timeout,
]


@pytest.mark.parametrize("decorate", ALL)
def test_a_bare_decorator_guards_with_its_defaults(decorate) -> None:
    @decorate
    def divide(number: int, by: int = 2) -> float:
        """Divide."""
        return number / by

    assert divide(6) == divide(9, by=3) == 3
    assert divide.__doc__ == "Divide."
    assert list(inspect.signature(divide).parameters) == ["number", "by"]


@pytest.mark.parametrize("decorate", ALL)
def test_bare_decorators_guard_methods_of_every_kind(decorate) -> None:
    class Client:
        @decorate
        def plain(self) -> str:
            return type(self).__name__

        @decorate
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

        @decorate
        @staticmethod
        def static() -> str:
            return "static"

    assert [Client().plain(), Client.of_class(), Client.static()] == ["Client", "Client", "static"]


@pytest.mark.parametrize("decorate", ALL)
def test_a_class_is_refused_by_name(decorate) -> None:
    with pytest.raises(TypeError, match="is a class"):
        decorate(Script)


def test_each_function_under_a_bare_breaker_has_a_circuit_of_its_own() -> None:
    @circuit_breaker
    def broken() -> None:
        raise Down

    @circuit_breaker
    def sound() -> None: ...

    for _ in range(5):
        with pytest.raises(Down):
            broken()
    sound()
    assert (broken.breaker.state, sound.breaker.state) == (CircuitState.OPEN, CircuitState.CLOSED)
    assert broken.breaker.name == "broken"
    assert f"{__name__}.{broken.__qualname__}" in registry


def test_bare_retries_and_timeouts_work_on_both_loops(run) -> None:
    async def main() -> None:
        script = Script(ConnectionResetError("cut"), "up")

        @retry_on_network_error
        @api_timeout
        async def call() -> object:
            return await script.call()

        assert await call() == "up"
        with pytest.raises(AttemptTimeout) as caught:
            await api_timeout(anyio.sleep)(60.0)
        assert caught.value.seconds == 30.0

    run(main)


def test_with_parentheses_nothing_has_changed() -> None:
    assert [decorate().seconds for decorate in (api_timeout, database_timeout, computation_timeout)] == [30, 10, 120]
    assert exponential_backoff_retry(5).settings.max_attempts == 5
    with pytest.raises(ValueError, match="max_attempts"):
        exponential_backoff_retry("3")  # type: ignore[call-overload]
