"""`Retry-After` in both forms, and everything that is neither."""

import math
import time
import urllib.error
from email.message import Message
from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience.retry.retry_after import LONGEST_SECONDS, parse_retry_after, retry_after_of

NOON = 1_445_428_800.0  # Wed, 21 Oct 2015 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  7 ", 7.0),
        ("007", 7.0),
        ("-5", 0.0),
        ("0" * 20 + "7", 7.0),
        ("999999999", 999_999_999.0),
        ("1000000000", LONGEST_SECONDS),
        ("9" * 5000, LONGEST_SECONDS),
        ("Wed, 21 Oct 2015 12:00:30 GMT", 30.0),
        ("Wednesday, 21-Oct-15 12:00:30 GMT", 30.0),
        ("Wed Oct 21 12:00:30 2015", 30.0),
        ("Wed, 21 Oct 2015 12:00:30 -0000", 30.0),
        ("Wed, 21 Oct 2015 14:00:30 +0200", 30.0),
        ("Wed, 21 Oct 2015 11:59:00 GMT", 0.0),
        ("Wed, 21 Oct 9999 23:59:59 GMT", LONGEST_SECONDS),
    ],
)
def test_both_forms_are_read_and_the_past_is_zero(value: str, seconds: float) -> None:
    assert parse_retry_after(value, wall_time=NOON) == seconds


def test_a_date_without_a_zone_is_read_as_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        for value in ("Wed Oct 21 12:00:30 2015", "Wed, 21 Oct 2015 12:00:30 -0000"):
            assert parse_retry_after(value, wall_time=NOON) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "1.5",
        "1e3",
        "inf",
        "nan",
        "+5",
        "--5",
        "１２",
        "5s",
        "5, 6",
        "Wed, 99 Oct 2015 12:00:00 GMT",
        "\x00",
    ],
)
def test_nonsense_is_no_request_to_wait(value: str) -> None:
    assert parse_retry_after(value, wall_time=NOON) is None


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9,:+ -]{0,40}", fullmatch=True)), st.floats(0, 1e12))
def test_no_value_raises_or_leaves_the_range(value: str, wall_time: float) -> None:
    seconds = parse_retry_after(value, wall_time=wall_time)
    assert seconds is None or (math.isfinite(seconds) and 0.0 <= seconds <= LONGEST_SECONDS)


@given(st.integers(0, 10**8), st.integers(0, 4 * 10**9))
def test_a_date_and_its_distance_in_seconds_mean_the_same(ahead: int, present: int) -> None:
    as_date = parse_retry_after(formatdate(present + ahead, usegmt=True), wall_time=float(present))
    assert as_date == parse_retry_after(str(ahead), wall_time=0.0)


def status_error(headers: dict[str, str]) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://engine/")
    return httpx.HTTPStatusError("503", request=request, response=httpx.Response(503, headers=headers, request=request))


def test_an_exception_carries_it_on_its_response() -> None:
    assert retry_after_of(status_error({"Retry-After": "12"})) == 12.0


def test_an_exception_may_carry_the_fields_itself() -> None:
    error = urllib.error.HTTPError("http://engine/", 503, "busy", Message(), None)
    assert retry_after_of(error) is None
    error.headers["Retry-After"] = "7"
    assert retry_after_of(error) == 7.0
    error.close()


def test_a_date_is_measured_from_the_date_of_the_response_and_not_from_a_wrong_clock() -> None:
    error = status_error({"Date": formatdate(NOON, usegmt=True), "Retry-After": formatdate(NOON + 9, usegmt=True)})
    assert retry_after_of(error, wall_clock=lambda: NOON + 86_400) == 9.0


def test_a_date_is_measured_from_the_wall_clock_where_the_response_has_no_date() -> None:
    error = status_error({"Retry-After": formatdate(NOON + 9, usegmt=True)})
    assert retry_after_of(error, wall_clock=lambda: NOON) == 9.0


class WithResponse(Exception):
    def __init__(self, response: object) -> None:
        super().__init__()
        self.response = response


class Response:
    def __init__(self, headers: object) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no response at all"),
        WithResponse(None),
        WithResponse(Response(None)),
        WithResponse(Response(["retry-after"])),
        WithResponse(Response({})),
        WithResponse(Response({"Retry-After": 3})),
        WithResponse(Response({"Retry-After": "later"})),
    ],
)
def test_an_exception_without_a_readable_field_asks_for_nothing(error: BaseException) -> None:
    assert retry_after_of(error) is None


@pytest.mark.parametrize("headers", [{"Retry-After": "3"}, {"retry-after": "3"}, {"retry-after": b"3"}])
def test_a_plain_dict_of_headers_will_do_in_either_spelling(headers: dict[str, object]) -> None:
    assert retry_after_of(WithResponse(Response(headers))) == 3.0
