"""The adapter of requests: its timeouts, and which of its exceptions prove that nothing was sent."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from cqox.errors import DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout, deadline
from cqox.resilience.adapters.requests import ResilientAdapter
from tests.resilience.adapters.scripted_server import HANG, Answer, refusing, serving

BUSY = Answer(503, b"busy")


@contextmanager
def session_with(policy: Policy) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", ResilientAdapter(policy))
        yield session


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, (40.0, 40.0)),
        (10.0, (10.0, 10.0)),
        (90.0, (40.0, 40.0)),
        ((1.0, None), (1.0, 40.0)),
        ((None, 3.0), (40.0, 3.0)),
    ],
)
def test_no_timeout_is_longer_than_the_time_left(monkeypatch: pytest.MonkeyPatch, given: Any, sent: Any) -> None:
    seen: list[Any] = []

    def send(
        _: object, request: requests.PreparedRequest, stream: bool, timeout: Any, *__: object
    ) -> requests.Response:
        seen.append(timeout if isinstance(timeout, tuple) else (timeout, timeout))
        response = requests.Response()
        response.status_code, response._content = 200, b""
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    with session_with(Policy("limited", Retry())) as session:
        with deadline(40.0):
            session.get("http://other/", timeout=given)
        session.get("http://other/", timeout=given)
    assert seen[0] == pytest.approx(sent, abs=0.5)
    assert seen[1] == (given if isinstance(given, tuple) else (given, given))


def test_a_thread_whose_deadline_passes_while_it_reads_gets_that_error_and_its_reason() -> None:
    with serving(HANG) as server, session_with(Policy("late", Retry())) as session:
        with pytest.raises(DeadlineExceeded) as caught, deadline(0.2):
            session.get(server.url)
        assert isinstance(caught.value.__cause__, requests.ReadTimeout)


def test_the_timeout_of_an_attempt_is_the_exception_of_requests() -> None:
    with serving(HANG) as server, session_with(Policy("slow", Timeout(0.2))) as session:
        with pytest.raises(requests.ReadTimeout) as caught:
            session.get(server.url)
        assert caught.value.request is not None
        assert "x-request-timeout-ms" not in caught.value.request.headers


def test_a_post_that_was_refused_is_repeated_and_one_that_was_read_is_not() -> None:
    retries: list[object] = []
    with refusing() as url, session_with(Policy("p", Retry(3, 0.0, on_retry=retries.append))) as session:
        with pytest.raises(requests.ConnectionError):
            session.post(url, data=b"often")
        assert len(retries) == 2
        with serving(HANG) as server, pytest.raises(requests.ReadTimeout):
            session.post(server.url, data=b"once", timeout=0.2)
        assert len(retries) == 2


def test_a_streamed_response_is_left_to_its_reader() -> None:
    with serving(BUSY, BUSY) as server, session_with(Policy("streamed", Retry(2, 0.0))) as session:
        with session.get(server.url, stream=True) as response:
            assert (response.status_code, response.raw.read()) == (503, b"busy")
        assert server.connections == 2  # the first was closed, as nobody read its body


def test_an_adapter_is_not_pickled_without_its_policies() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ResilientAdapter(Policy("pickled", CircuitBreaker("pickled"))))
