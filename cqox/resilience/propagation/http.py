"""Propagation of deadline, attempt number and criticality between services in HTTP header fields.

Pure functions parse the fields, and event hooks write them for httpx. The server side is in `asgi`.

    X-Request-Timeout-Ms             milliseconds that the caller will still wait; 0 means that it has given up
    x-envoy-expected-rq-timeout-ms   the same, as Envoy sends it; read only
    X-Retry-Attempt                  number of the attempt, from 0; above 0 the request is itself a retry
    X-Criticality                    sheddable, sheddable-plus, critical or critical-plus
    Idempotency-Key                  the same in every attempt of one call
"""

import math
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Protocol, cast

from cqox.errors import DeadlineExceeded
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.retry.classification import is_idempotent_method
from cqox.resilience.retry.unsent import note_request
from cqox.resilience.runtime.call_context import attempt_made, attempt_served, call_key
from cqox.resilience.runtime.criticality import Criticality, current_criticality

__all__ = [
    "CRITICALITY",
    "ENVOY_TIMEOUT_MS",
    "IDEMPOTENCY_KEY",
    "REQUEST_TIMEOUT_MS",
    "RETRY_ATTEMPT",
    "HeaderFields",
    "OutgoingRequest",
    "attempt_from_headers",
    "attempt_headers",
    "call_headers",
    "criticality_from_headers",
    "deadline_from_headers",
    "idempotency_key",
    "propagate",
    "propagate_sync",
    "serving_attempt",
    "shorten_timeouts",
]

REQUEST_TIMEOUT_MS = "X-Request-Timeout-Ms"
ENVOY_TIMEOUT_MS = "x-envoy-expected-rq-timeout-ms"
RETRY_ATTEMPT = "X-Retry-Attempt"
CRITICALITY = "X-Criticality"
IDEMPOTENCY_KEY = "Idempotency-Key"

type HeaderFields = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""A mapping, or pairs as in ASGI; names in any case, and possibly repeated."""

# A value with more digits than this is treated as the largest value.
_MAX_DIGITS = 15
_TIMEOUT_FIELDS = frozenset({REQUEST_TIMEOUT_MS.lower(), ENVOY_TIMEOUT_MS})


def deadline_from_headers(headers: HeaderFields, *, max_seconds: float) -> float:
    """Return the seconds that the caller will still wait for this request.

    The smallest of all values applies. A value that is not a non-negative integer is ignored, as if the field were
    absent.

    Args:
        headers: the fields of the request.
        max_seconds: maximum granted by this server, in seconds, above 0; also the result where no field is present.

    Returns:
        Seconds, from 0 to `max_seconds`. 0 means that the caller has given up: respond 504 without doing any work.

    Raises:
        ValueError: `max_seconds` is not above 0.
    """
    if not max_seconds > 0:
        raise ValueError(f"max_seconds must be above 0, not {max_seconds!r}")
    return min([max_seconds, *(milliseconds / 1000 for milliseconds in _integers(headers, _TIMEOUT_FIELDS))])


def attempt_from_headers(headers: HeaderFields) -> int:
    """Return the sender's attempt number of this request, from 0; the largest where several are given."""
    return max(_integers(headers, {RETRY_ATTEMPT.lower()}), default=0)


def criticality_from_headers(headers: HeaderFields, *, ceiling: Criticality = Criticality.CRITICAL) -> Criticality:
    """Return the criticality of this request.

    A client can only lower it: a level above `ceiling` counts as `ceiling`, an invalid level is ignored, and the lowest
    applies where several are given.
    """
    claimed = (Criticality.from_label(value) for value in _fields(headers, {CRITICALITY.lower()}))
    return min([ceiling, *(level for level in claimed if level is not None)])


def call_headers(
    *,
    remaining: float = math.inf,
    attempt: int = 0,
    criticality: Criticality = Criticality.CRITICAL,
    key: str | None = None,
) -> dict[str, str]:
    """Return the header fields of one attempt; default values are omitted.

    Args:
        remaining: seconds left, infinite where there is no deadline. It is rounded down to milliseconds, so that the
            callee never has more time than the caller.
        attempt: number of the attempt, from 0.
        criticality: criticality of the call.
        key: the idempotency key.
    """
    fields: dict[str, str] = {}
    if remaining < math.inf:
        fields[REQUEST_TIMEOUT_MS] = str(max(0, math.floor(remaining * 1000)))
    if attempt > 0:
        fields[RETRY_ATTEMPT] = str(attempt)
    if criticality not in (Criticality.CRITICAL, Criticality.PROBE):
        fields[CRITICALITY] = criticality.label
    if key is not None:
        fields[IDEMPOTENCY_KEY] = key
    return fields


def attempt_headers(method: str, seconds: float, *, has_key: bool) -> dict[str, str]:
    """Return the header fields of the attempt in progress.

    Args:
        method: HTTP method of its request.
        seconds: seconds left, see `remaining`.
        has_key: True where the request has an `Idempotency-Key` of its own, which stays.

    Raises:
        DeadlineExceeded: no time is left; the request must not be sent.
    """
    if seconds <= 0:
        # The request is not sent, so that the error says nothing about the server.
        raise DeadlineExceeded(before_call=True)
    return call_headers(
        remaining=seconds,
        attempt=attempt_served.get() + attempt_made.get(),
        criticality=current_criticality(),
        key=None if has_key or is_idempotent_method(method) else call_key.get(),
    )


class OutgoingRequest(Protocol):
    """A request about to be sent, such as `httpx.Request`."""

    @property
    def method(self) -> str:
        """Its HTTP method."""
        ...

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Its header fields."""
        ...

    @property
    def extensions(self) -> MutableMapping[str, object]:
        """Options for the transport; `timeout` holds the seconds for `connect`, `read`, `write` and `pool`."""
        ...


async def propagate(request: OutgoingRequest) -> None:
    """Write the propagated fields to a request: `httpx.AsyncClient(event_hooks={"request": [propagate]})`.

    Every attempt carries its own remaining time and number. The request is recorded, so that a failed call which
    provably sent nothing is retried even where it is not idempotent. It never waits.

    Raises:
        DeadlineExceeded: no time is left; the request is not sent.
    """
    _write_headers(request, remaining())


def propagate_sync(request: OutgoingRequest) -> None:
    """Synchronous twin of `propagate` for `httpx.Client`, whose timeouts are also shortened to the time left.

    A timeout of httpx bounds one wait on the socket, not the call, as a thread cannot be interrupted.

    Raises:
        DeadlineExceeded: no time is left; the request is not sent.
    """
    seconds = remaining()
    _write_headers(request, seconds)
    shorten_timeouts(request.extensions, seconds)


def shorten_timeouts(extensions: MutableMapping[str, object], seconds: float) -> None:
    """Limit the timeouts of httpx in the extensions of a request to `seconds`; where it has none, none are added."""
    timeouts = extensions.get("timeout")
    if seconds < math.inf and isinstance(timeouts, Mapping):
        limits = cast("Mapping[str, float | None]", timeouts)
        extensions["timeout"] = {
            wait: seconds if limit is None else min(limit, seconds) for wait, limit in limits.items()
        }


def _write_headers(request: OutgoingRequest, seconds: float) -> None:
    fields = attempt_headers(request.method, seconds, has_key=IDEMPOTENCY_KEY in request.headers)
    note_request(request.extensions)
    request.headers.update(fields)


@contextmanager
def idempotency_key(key: str | None = None) -> Generator[str]:
    """Set one `Idempotency-Key` for all attempts of calls inside the block; random by default."""
    key = key or str(uuid.uuid4())
    token = call_key.set(key)
    try:
        yield key
    finally:
        call_key.reset(token)


@contextmanager
def serving_attempt(number: int) -> Generator[None]:
    """Mark the block as serving attempt `number` of its client; above 0, calls inside it get one attempt."""
    token = attempt_served.set(number)
    try:
        yield
    finally:
        attempt_served.reset(token)


def _fields(headers: HeaderFields, names: Iterable[str]) -> Iterator[str]:
    """Yield the single values of the fields with one of `names` (lower case)."""
    items = getattr(headers, "items", None)
    pairs = cast("Iterable[tuple[str | bytes, str | bytes]]", headers if items is None else items())
    for name, value in pairs:
        if _text(name).lower() in names:
            yield from (part.strip(" \t") for part in _text(value).split(","))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _integers(headers: HeaderFields, names: Iterable[str]) -> Iterator[int]:
    """Yield the values that are non-negative integers."""
    for value in _fields(headers, names):
        if value.isascii() and value.isdigit():
            digits = value.lstrip("0") or "0"
            yield int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
