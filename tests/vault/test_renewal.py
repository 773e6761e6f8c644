import logging
import threading

import anyio
import pytest

from cqox.tasks import open_task_group
from cqox.vault.errors import VaultError, VaultUnavailable
from cqox.vault.renewal import renew
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_it_is_called_again_when_it_is_due_in_another_thread() -> None:
    threads = list[int]()

    def keep() -> float:
        threads.append(threading.get_ident())
        return 0.01

    async with open_task_group() as group:
        group.start_soon(lambda: renew("it", keep, failures=(VaultError,)), name="renew")
        await until(lambda: len(threads) >= 5)
        group.cancel_scope.cancel()
    assert threading.get_ident() not in threads


async def test_a_failure_is_logged_once_and_ends_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cqox.vault.renewal._AFTER_FAILURE_SECONDS", 0.01)
    calls = 0

    def keep() -> float:
        nonlocal calls
        calls += 1
        if calls < 5 and calls != 3:
            raise VaultUnavailable("sealed")
        return 0.01

    with caplog.at_level(logging.WARNING, "cqox.vault"):
        async with open_task_group() as group:
            group.start_soon(lambda: renew("the token", keep, failures=(VaultError,)), name="renew")
            await until(lambda: calls >= 7)
            group.cancel_scope.cancel()
    assert caplog.messages == ["the token cannot be renewed yet: sealed"] * 2


async def test_another_error_ends_the_group() -> None:
    def keep() -> float:
        raise ZeroDivisionError

    with pytest.raises(BaseExceptionGroup) as raised:
        async with open_task_group() as group:
            group.start_soon(lambda: renew("it", keep, failures=(VaultError,)), name="renew")
    assert raised.group_contains(ZeroDivisionError)


async def test_a_cancellation_does_not_wait_for_a_vault_that_is_silent() -> None:
    began, end = threading.Event(), threading.Event()

    def keep() -> float:
        began.set()
        end.wait()
        return 1.0

    try:
        with anyio.fail_after(60):
            async with open_task_group() as group:
                group.start_soon(lambda: renew("it", keep, failures=(VaultError,)), name="renew")
                await until(began.is_set)
                group.cancel_scope.cancel()
    finally:
        end.set()
