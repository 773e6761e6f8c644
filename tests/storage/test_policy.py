"""Policies of store calls, in virtual time."""

import sqlite3

import pytest
import trio

from cqox.errors import AttemptTimeout, CircuitOpen
from cqox.storage.policy import RECOVERY_SECONDS, store_circuit, store_policy

OUTAGE = ConnectionRefusedError("down")
READ_ONLY = sqlite3.OperationalError("attempt to write a readonly database")


class Store:
    """A store whose calls fail with these errors, one after the other, and then succeed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.mark.trio
async def test_five_outages_in_a_row_reject_calls_until_the_recovery_time(autojump_clock) -> None:
    store = Store(*[OUTAGE] * 5)
    call = store_policy(store_circuit("test store"))(store)
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            await call()
    with pytest.raises(CircuitOpen):
        await call()
    assert store.calls == 5
    await trio.sleep(2 * RECOVERY_SECONDS)
    assert await call() == "answer"


@pytest.mark.trio
@pytest.mark.parametrize("error", [READ_ONLY, ValueError("wrong")])
async def test_errors_that_are_no_outage_never_reject_a_call(autojump_clock, error: Exception) -> None:
    store = Store(*[error] * 20)
    call = store_policy(store_circuit("test store"))(store)
    for _ in range(20):
        with pytest.raises(type(error)):
            await call()
    assert await call() == "answer"


@pytest.mark.trio
async def test_an_outage_is_retried_only_where_attempts_are_requested(autojump_clock) -> None:
    once, twice = Store(OUTAGE), Store(OUTAGE)
    with pytest.raises(ConnectionRefusedError):
        await store_policy(store_circuit("test store"))(once)()
    assert await store_policy(store_circuit("test store"), attempts=2)(twice)() == "answer"
    assert (once.calls, twice.calls) == (1, 2)
    defect = Store(ValueError())
    with pytest.raises(ValueError, match=r"^$"):
        await store_policy(store_circuit("test store"), attempts=2)(defect)()
    assert defect.calls == 1


@pytest.mark.trio
async def test_the_timeout_bounds_all_attempts_and_counts_as_an_outage(autojump_clock) -> None:
    call = store_policy(store_circuit("test store"), seconds=3.0, attempts=3)(trio.sleep_forever)
    for _ in range(5):
        began = trio.current_time()
        with pytest.raises(AttemptTimeout):
            await call()
        assert trio.current_time() - began == pytest.approx(3.0)
    with pytest.raises(CircuitOpen):
        await call()


def test_the_policy_has_its_own_name_or_that_of_the_circuit() -> None:
    circuit = store_circuit("test store")
    assert store_policy(circuit).name == "test store"
    assert store_policy(circuit, name="brief").name == "brief"
