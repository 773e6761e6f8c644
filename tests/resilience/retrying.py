"""Retries whose pauses pass at once, and a server that asks its client to wait."""

from cqox.resilience import Retry
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


class Response:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def asking(**headers: str) -> Down:
    error = Down("busy")
    error.response = Response(**headers)
    return error


def plain(**settings: object) -> tuple[Retry, FakeClock]:
    clock = FakeClock()
    return Retry(**{"jitter": False, "idempotent": True, "clock": clock, **settings}), clock
