"""How long a server asked its client to wait: the `Retry-After` field, read and never trusted.

What lives here: the field's two forms (RFC 9110, section 10.2.3) and where an exception carries it. What to do about
the answer is the retry's business.
"""

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_SECONDS", "parse_retry_after", "retry_after_of"]

LONGEST_SECONDS = 1e9
"""The longest wait that is reported, in seconds (32 years): any longer request means the same, and it stays finite."""


def parse_retry_after(value: str, *, wall_time: float) -> float | None:
    """Read one `Retry-After` value.

    Args:
        value: the field as it was received: whole seconds or an HTTP date. Anything else is no request to wait.
        wall_time: the present, in seconds since the epoch; a date is understood relative to it.

    Returns:
        Seconds to wait, from 0 to `LONGEST_SECONDS`; None where the value is neither form. What lies in the past is 0.
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
    """How long the response behind `error` asked to wait.

    It is read from `error.response.headers`, as httpx and requests have it. A date is compared with the response's own
    `Date` where there is one, so that a client's wrong clock does not matter.

    Args:
        error: what the callee raised.
        wall_clock: gives the present in seconds since the epoch.

    Returns:
        Seconds, from 0 to `LONGEST_SECONDS`, or None where nothing was asked.
    """
    headers = getattr(getattr(error, "response", None), "headers", None)
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
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
