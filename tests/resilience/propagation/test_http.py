"""Header fields: parsed from arbitrary input, written for every attempt."""

import itertools
import math
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.errors import DeadlineExceeded
from cqox.resilience.deadlines.deadline import deadline, remaining
from cqox.resilience.propagation.http import (
    attempt_from_headers,
    call_headers,
    criticality_from_headers,
    deadline_from_headers,
    idempotency_key,
    propagate,
    propagate_sync,
)
from cqox.resilience.runtime.call_context import attempt_made, attempt_served
from cqox.resilience.runtime.criticality import Criticality, criticality

TIMEOUT = "X-Request-Timeout-Ms"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1500", 1.5),
        ("0", 0.0),
        ("000", 0.0),
        ("1", 0.001),
        (" 250 ", 0.25),
        ("30000", 30.0),
        ("30001", 30.0),
        ("9" * 5000, 30.0),
    ],
)
def test_the_time_left_is_read_in_milliseconds_and_clamped(value: str, seconds: float) -> None:
    assert deadline_from_headers({TIMEOUT: value}, max_seconds=30.0) == seconds


@pytest.mark.parametrize("value", ["", "-1", "+5", "1.5", "1e3", "0x10", "５", "²", "5s", "inf", "nan", "1 2", "\x00"])
def test_anything_but_an_integer_of_zero_or_more_is_ignored(value: str) -> None:
    assert deadline_from_headers({TIMEOUT: value}, max_seconds=30.0) == 30.0


def test_without_a_field_the_maximum_of_the_server_holds() -> None:
    assert deadline_from_headers({}, max_seconds=7.0) == 7.0
    assert deadline_from_headers([], max_seconds=math.inf) == math.inf


@pytest.mark.parametrize(
    "headers",
    [
        {TIMEOUT: "900, 400, 700"},
        {TIMEOUT: "900", "x-envoy-expected-rq-timeout-ms": "400"},
        {"x-request-timeout-ms": "400", "X-Envoy-Expected-Rq-Timeout-Ms": "900"},
        [(b"x-request-timeout-ms", b"900"), (b"x-request-timeout-ms", b"400")],
        [("X-Request-Timeout-MS", "400"), ("X-Request-Timeout-Ms", "nonsense")],
        {TIMEOUT: "-5, 400"},
        httpx.Headers([(TIMEOUT, "900"), (TIMEOUT, "400")]),
    ],
)
def test_the_smallest_of_several_wins(headers: dict[str, str]) -> None:
    assert deadline_from_headers(headers, max_seconds=30.0) == 0.4


@pytest.mark.parametrize("max_seconds", [0.0, -1.0, math.nan])
def test_a_nonsense_maximum_is_refused(max_seconds: float) -> None:
    with pytest.raises(ValueError, match="must be above 0, not"):
        deadline_from_headers({}, max_seconds=max_seconds)


@given(
    st.lists(
        st.tuples(st.sampled_from([TIMEOUT, TIMEOUT.lower(), "x-envoy-expected-rq-timeout-ms"]), st.text(max_size=30))
    ),
    st.floats(min_value=1e-3, max_value=1e6),
)
def test_no_headers_raise_or_leave_the_range(headers: list[tuple[str, str]], max_seconds: float) -> None:
    assert 0.0 <= deadline_from_headers(headers, max_seconds=max_seconds) <= max_seconds


@given(st.floats(min_value=0.0, max_value=1e6))
def test_no_hop_lengthens_the_time_that_is_left(seconds: float) -> None:
    received = deadline_from_headers(call_headers(remaining=seconds), max_seconds=1e7)
    assert seconds - 0.001 - 1e-9 * seconds <= received <= seconds * (1 + 1e-12)


@pytest.mark.parametrize(
    ("value", "attempt"), [("0", 0), ("2", 2), ("x", 0), ("-1", 0), ("", 0), ("1, 3", 3), ("9" * 5000, 10**15)]
)
def test_the_number_of_the_attempt_is_read(value: str, attempt: int) -> None:
    assert attempt_from_headers({"x-retry-attempt": value}) == attempt
    assert attempt_from_headers({}) == 0


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("sheddable", Criticality.SHEDDABLE),
        ("Sheddable-Plus", Criticality.SHEDDABLE_PLUS),
        ("critical", Criticality.CRITICAL),
        ("critical-plus", Criticality.CRITICAL),
        ("probe", Criticality.CRITICAL),
        ("urgent", Criticality.CRITICAL),
        ("critical, sheddable", Criticality.SHEDDABLE),
    ],
)
def test_a_client_can_only_lower_its_criticality(value: str, level: Criticality) -> None:
    assert criticality_from_headers({"X-Criticality": value}) is level


def test_the_ceiling_is_the_servers_to_raise_and_to_lower() -> None:
    headers = {"X-Criticality": "critical-plus"}
    assert criticality_from_headers(headers, ceiling=Criticality.CRITICAL_PLUS) is Criticality.CRITICAL_PLUS
    assert criticality_from_headers(headers, ceiling=Criticality.SHEDDABLE) is Criticality.SHEDDABLE
    assert criticality_from_headers({}, ceiling=Criticality.SHEDDABLE) is Criticality.SHEDDABLE


def test_what_goes_without_saying_is_left_out() -> None:
    assert call_headers() == {}
    assert call_headers(criticality=Criticality.PROBE) == {}


def test_everything_that_is_known_is_said() -> None:
    assert call_headers(remaining=1.2349, attempt=2, criticality=Criticality.SHEDDABLE, key="abc") == {
        "X-Request-Timeout-Ms": "1234",
        "X-Retry-Attempt": "2",
        "X-Criticality": "sheddable",
        "Idempotency-Key": "abc",
    }


@pytest.mark.parametrize("seconds", [0.0, -3.0, 0.0009])
def test_time_that_is_up_is_said_as_zero(seconds: float) -> None:
    assert call_headers(remaining=seconds) == {"X-Request-Timeout-Ms": "0"}


@pytest.fixture
def second_attempt() -> Iterator[None]:
    token = attempt_made.set(1)
    yield
    attempt_made.reset(token)


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=dict(request.headers))


async def ask(method: str = "GET", headers: dict[str, str] | None = None) -> dict[str, str]:
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [propagate]}) as client:
        said: dict[str, str] = (await client.request(method, "http://engine/", headers=headers)).json()
        return said


def ask_sync(method: str = "GET") -> dict[str, str]:
    with httpx.Client(transport=httpx.MockTransport(answer), event_hooks={"request": [propagate_sync]}) as client:
        said: dict[str, str] = client.request(method, "http://engine/").json()
        return said


@pytest.mark.anyio
async def test_a_call_propagates_deadline_attempt_and_criticality() -> None:
    with deadline(20.0), criticality(Criticality.SHEDDABLE_PLUS):
        said = await ask()
    assert 10_000 < int(said["x-request-timeout-ms"]) <= 20_000
    assert said["x-criticality"] == "sheddable-plus"
    assert "x-retry-attempt" not in said


def test_a_sync_call_does_so_too() -> None:
    with deadline(20.0), criticality(Criticality.SHEDDABLE_PLUS):
        said = ask_sync()
    assert 10_000 < int(said["x-request-timeout-ms"]) <= 20_000
    assert said["x-criticality"] == "sheddable-plus"


@pytest.mark.anyio
@pytest.mark.usefixtures("second_attempt")
async def test_an_attempt_after_the_first_says_that_it_is_a_retry() -> None:
    assert (await ask())["x-retry-attempt"] == "1"


@pytest.mark.anyio
async def test_what_serves_a_retry_says_so_to_the_service_behind_it() -> None:
    token = attempt_served.set(2)
    try:
        assert (await ask())["x-retry-attempt"] == "2"
    finally:
        attempt_served.reset(token)


@pytest.mark.anyio
async def test_without_anything_known_nothing_is_said() -> None:
    assert not {name for name in await ask() if name.startswith("x-")}


@pytest.mark.anyio
async def test_every_attempt_of_a_call_carries_one_key_and_every_call_its_own() -> None:
    keys = []
    for _ in range(2):
        with idempotency_key():
            keys.append([(await ask("POST"))["idempotency-key"] for _ in range(3)])
    assert [len(set(attempts)) for attempts in keys] == [1, 1]
    assert keys[0][0] != keys[1][0]


@pytest.mark.anyio
async def test_a_key_is_for_methods_that_need_one_and_never_replaces_the_callers_own() -> None:
    with idempotency_key("ours") as key:
        assert key == "ours"
        assert "idempotency-key" not in await ask("GET")
        assert (await ask("POST", {"Idempotency-Key": "theirs"}))["idempotency-key"] == "theirs"
    assert "idempotency-key" not in await ask("POST")


@pytest.mark.anyio
async def test_nothing_is_sent_when_no_time_is_left() -> None:
    request = httpx.Request("GET", "http://engine/")
    with deadline(30.0):
        propagate_sync(request)
    with pytest.raises(DeadlineExceeded), deadline(0.0):
        await propagate(request)


def seconds_allowed(request: httpx.Request) -> dict[str, float | None]:
    allowed: dict[str, float | None] = request.extensions["timeout"]
    return allowed


def test_the_timeouts_of_a_sync_client_are_shortened_to_the_time_left_and_never_lengthened() -> None:
    seen: list[dict[str, float | None]] = []

    def transport(request: httpx.Request) -> httpx.Response:
        seen.append(seconds_allowed(request))
        return httpx.Response(200)

    timeout = httpx.Timeout(60.0, connect=1.0, pool=None)
    client = httpx.Client(
        transport=httpx.MockTransport(transport), timeout=timeout, event_hooks={"request": [propagate_sync]}
    )
    with client:
        with deadline(5.0):
            client.get("http://engine/")
            assert remaining() <= 5.0
        client.get("http://engine/")
    inside, outside = seen
    assert inside["connect"] == 1.0
    assert all(4.0 < (inside[wait] or 0.0) <= 5.0 for wait in ("read", "write", "pool"))
    assert outside == {"connect": 1.0, "read": 60.0, "write": 60.0, "pool": None}


def test_each_hop_of_a_redirect_receives_its_own_time_left() -> None:
    received: list[int] = []
    clock = itertools.count()

    def transport(request: httpx.Request) -> httpx.Response:
        received.append(int(request.headers[TIMEOUT]))
        return (
            httpx.Response(302, headers={"Location": f"/{next(clock)}"}) if len(received) < 3 else httpx.Response(200)
        )

    client = httpx.Client(
        transport=httpx.MockTransport(transport), follow_redirects=True, event_hooks={"request": [propagate_sync]}
    )
    with client, deadline(5.0):
        client.get("http://engine/")
    assert received == sorted(received, reverse=True)
    assert len(received) == 3
