"""The transports of httpx2: those of httpx, with its classes. The contract runs in `test_http_contract`."""

import inspect

import httpx2
import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters import httpx as for_httpx
from cqox.resilience.adapters.httpx2 import FailedResponse, ResilientSyncTransport, ResilientTransport


@pytest.mark.parametrize("transport", [ResilientTransport, ResilientSyncTransport])
def test_both_libraries_have_the_same_settings(transport: type) -> None:
    ours = inspect.signature(transport).parameters
    theirs = inspect.signature(getattr(for_httpx, transport.__name__)).parameters
    assert [(each.name, each.kind, each.default) for each in ours.values()] == [
        (each.name, each.kind, each.default) for each in theirs.values()
    ]


def test_the_classes_are_those_of_httpx2() -> None:
    breaker = CircuitBreaker("of httpx2", 1, 60.0, failures=(httpx2.HTTPStatusError,))
    inner = httpx2.MockTransport(lambda _: httpx2.Response(503))
    with httpx2.Client(transport=ResilientSyncTransport(Policy("of httpx2", breaker), inner)) as client:
        assert isinstance(client.get("http://other/"), httpx2.Response)
    assert breaker.snapshot().failure == 1
    assert issubclass(FailedResponse, httpx2.HTTPStatusError)
    assert issubclass(ResilientTransport, httpx2.AsyncBaseTransport)
