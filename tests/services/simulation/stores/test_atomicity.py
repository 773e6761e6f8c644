"""Every method of the PostgreSQL store is atomic: a connection that ends between statements leaves all or nothing."""

from collections.abc import Sequence
from random import Random

import pytest
import trio
import trio.testing

from cqox.errors import StoreUnavailable
from cqox.storage import ResultStore
from services.simulation.stores.database import open_database
from services.simulation.stores.database_server import DatabaseServer
from services.simulation.stores.server import CallFault
from tests.services.simulation.stores.conftest import unix_time
from tests.storage.test_tenants import asked_of, filled, snapshot

METHODS = sorted(asked_of(str))
MOST_STATEMENTS = 4


class After(Random):
    """Lets a connection end after so many statements."""

    statements = 0

    def randint(self, a: int, b: int) -> int:
        return self.statements or super().randint(a, b)


async def _state_after(method: str, statements: int) -> Sequence[object]:
    """Return what a tenant has after a call whose attempts all end after some statements; after all of it for 0."""
    rng = After(1)
    server = DatabaseServer(rng=rng, now=unix_time)
    async with open_database(server, client="engine") as database:
        mine: ResultStore = database.within("acme")
        await filled(mine)
        if method:
            rng.statements = statements
            if statements:
                server.inject(*[CallFault.DIES_MIDWAY] * 3)
            try:
                await asked_of(str)[method](mine)
            except StoreUnavailable:
                assert statements
        state = await snapshot(mine)
    server.close()
    return state


@pytest.mark.parametrize("method", METHODS)
def test_a_method_does_all_or_nothing(method: str) -> None:
    def run(name: str, statements: int) -> Sequence[object]:
        return trio.run(_state_after, name, statements, clock=trio.testing.MockClock(autojump_threshold=0))

    before, after = run("", 0), run(method, 0)
    for statements in range(1, MOST_STATEMENTS + 1):
        assert run(method, statements) in (before, after), f"it ended after {statements} statements"
