"""The transports of httpx: its classes, and no other library. `test_httpx_transports` has what both libraries share."""

import subprocess
import sys

import httpx
import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters.httpx import FailedResponse, ResilientSyncTransport


def test_parts_see_a_status_error_with_its_response() -> None:
    breaker = CircuitBreaker("by class", 1, 60.0, failures=(httpx.HTTPStatusError,))
    transport = ResilientSyncTransport(
        Policy("by class", breaker), httpx.MockTransport(lambda _: httpx.Response(503, text="busy"))
    )
    with httpx.Client(transport=transport) as client:
        assert client.get("http://other/").text == "busy"
    assert breaker.snapshot().failure == 1
    assert issubclass(FailedResponse, httpx.HTTPStatusError)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("httpx", {"httpx2", "requests", "aiohttp", "grpc"}),
        ("httpx2", {"httpx", "requests", "aiohttp", "grpc"}),
        ("requests", {"httpx", "httpx2", "aiohttp", "grpc"}),
        ("aiohttp", {"httpx", "httpx2", "requests", "grpc"}),
    ],
)
def test_an_adapter_imports_its_own_library_alone(module: str, others: set[str]) -> None:
    program = f"import sys, cqox.resilience.adapters.{module}; print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(finished.stdout.split())
    assert module in imported
    assert not others & imported
