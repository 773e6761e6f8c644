"""Calls of a synchronous client."""

import math

import pytest

from cqox.api.portal import OnStep, Portal
from cqox.client.address import Server
from cqox.client.connection import Connection
from cqox.client.portal_calls import started
from cqox.resilience import deadline, remaining
from tests.client.scripted import URL


async def left(connection: Connection, on_step: OnStep) -> float:
    on_step({"step": connection.server.url})
    return remaining()


def test_a_deadline_of_the_caller_holds_in_the_thread() -> None:
    portal = Portal(lambda: Connection.open(Server(url=URL)))
    steps: list[object] = []
    assert started(portal, left).wait(steps.append) == math.inf
    assert steps == [{"step": URL}]
    with deadline(5.0):
        assert 4.0 < started(portal, left).wait() <= 5.0
    with pytest.raises(TypeError):
        started(portal, None).wait()  # type: ignore[arg-type]
    portal.close()
