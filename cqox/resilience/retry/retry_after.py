"""Parser of the `Retry-After` field (RFC 9110, section 10.2.3), and its lookup on an exception.

The value is untrusted input; the retry decides what to do with it.
"""

import time
from collections.abc import Callable
from datetime import UTC

from cqox.resilience.retry.aws_failures import response_fields

__all__ = ["LONGEST_SECONDS", "parse_retry_after", "retry_after_of"]

LONGEST_SECONDS = 1e9
"""The longest wait that is reported, in seconds (32 years), so that the value stays finite."""


def parse_retry_after(value: str, *, wall_time: float) -> float | None:
    """Parse one `Retry-After` value.

    Args:
        value: the field as received: whole seconds or an HTTP date. Any other value is ignored.
        wall_time: current time, in seconds since the epoch; a date is relative to it.

    Returns:
        Seconds to wait, from 0 to `LONGEST_SECONDS`; None where the value has neither form. A date in the past gives 0.
    """
    value = value.strip()
    digits = value.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        if digits != value:
            return 0.0
        significant = digits.lstrip("0")
        return LONGEST_SECONDS if len(significant) > 9 else float(significant or 0)
    moment = _http_date(value)
    return None if moment is None else min(max(moment - wall_time, 0.0), LONGEST_SECONDS)


def retry_after_of(error: BaseException, *, wall_clock: Callable[[], float] = time.time) -> float | None:
    """Return the wait that the response attached to `error` asks for.

    It is read from `error.response.headers`, the attribute of httpx and requests, from `error.headers`, that of aiohttp
    and urllib, and from the response in an error of botocore, where `x-amz-retry-after` (milliseconds) comes first. A
    date is compared with the response's `Date` where there is one, so that a wrong client clock does not matter.

    Args:
        error: exception that the callee raised.
        wall_clock: returns the current time in seconds since the epoch.

    Returns:
        Seconds, from 0 to `LONGEST_SECONDS`, or None where the response has no valid field.
    """
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or response_fields(response) or getattr(error, "headers", None)
    milliseconds = _field(headers, "x-amz-retry-after") or ""
    if milliseconds.isascii() and milliseconds.isdigit():
        return min(float(milliseconds) / 1000, LONGEST_SECONDS)
    asked = _field(headers, "retry-after")
    if asked is None:
        return None
    sent_at = _http_date(_field(headers, "date") or "")
    return parse_retry_after(asked, wall_time=wall_clock() if sent_at is None else sent_at)


def _field(headers: object, name: str) -> str | None:
    get = getattr(headers, "get", None)
    if not callable(get):
        return None
    for spelling in (name, name.title()):
        value = get(spelling)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str):
            return value
    return None


def _http_date(value: str) -> float | None:
    if not value:
        return None
    # It loads sockets and more, which most programs that import this library need for nothing else.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
