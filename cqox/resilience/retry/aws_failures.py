"""Classification of errors of botocore, by their shape and names; it is never imported.

A client of botocore repeats requests itself: `ResponseMetadata.RetryAttempts` says how often.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from cqox.resilience.retry.failure import Failure, Kind, Sent, known

__all__ = ["AWS_CLASSES", "classify_aws", "response_fields"]

AWS_CLASSES: Final[Mapping[str, Failure]] = {
    "EndpointConnectionError": known(Kind.HTTP, Sent.NEVER),
    "ConnectTimeoutError": known(Kind.HTTP, Sent.NEVER, overload=True),
    "ProxyConnectionError": known(Kind.HTTP, Sent.NEVER),
    "SSLError": known(Kind.HTTP, Sent.MAYBE, transient=False),
    "ConnectionError": known(Kind.HTTP, Sent.MAYBE),
    "ReadTimeoutError": known(Kind.HTTP, Sent.MAYBE, overload=True),
    "ConnectionClosedError": known(Kind.HTTP, Sent.MAYBE),
    "ResponseStreamingError": known(Kind.HTTP, Sent.MAYBE),
    "IncompleteReadError": known(Kind.HTTP, Sent.MAYBE),
    "HTTPClientError": known(Kind.HTTP, Sent.MAYBE),
    "BotoCoreError": known(Kind.HTTP, Sent.MAYBE, transient=False),
}
"""Errors without a response, by the names of their classes in botocore."""

_THROTTLED = known(Kind.HTTP, Sent.UNDONE, overload=True)
_INTERNAL = known(Kind.HTTP, Sent.MAYBE)
# Those that clients of AWS repeat, with the error codes of all services.
_BY_CODE: Mapping[str, Failure] = {
    **dict.fromkeys(
        (
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "LimitExceededException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        _THROTTLED,
    ),
    "TransactionInProgressException": known(Kind.HTTP, Sent.UNDONE),
    "PriorRequestNotComplete": known(Kind.HTTP, Sent.MAYBE, overload=True),
    "RequestTimeout": _INTERNAL,
    "RequestTimeoutException": _INTERNAL,
    "InternalError": _INTERNAL,
    "InternalFailure": _INTERNAL,
    "InternalServerError": _INTERNAL,
    "ServiceUnavailable": known(Kind.HTTP, Sent.MAYBE, overload=True),
}
_BY_STATUS: Mapping[int, Failure] = {
    429: _THROTTLED,
    500: _INTERNAL,
    502: _INTERNAL,
    503: known(Kind.HTTP, Sent.MAYBE, overload=True),
    504: known(Kind.HTTP, Sent.MAYBE, overload=True),
}


def classify_aws(error: BaseException) -> Failure | None:
    """Classify the error of a response, which has `error.response["Error"]["Code"]`; None for all others.

    What an earlier attempt of the client has done is unknown, so that a request that it has repeated may have been
    executed.
    """
    response = getattr(error, "response", None)
    code = _entry(_entry(response, "Error"), "Code")
    if not isinstance(code, str):
        return None
    metadata = _entry(response, "ResponseMetadata")
    status = _entry(metadata, "HTTPStatusCode")
    failure = _BY_CODE.get(code)
    if failure is None and isinstance(status, int):
        failure = _BY_STATUS.get(status)
    failure = failure or known(Kind.HTTP, Sent.MAYBE, transient=False)
    repeated = _entry(metadata, "RetryAttempts")
    sent = Sent.MAYBE if isinstance(repeated, int) and repeated > 0 else failure.sent
    return replace(failure, sent=sent, code=code)


def response_fields(response: object) -> object:
    """Return the header fields of a response in the shape of botocore, None where it has another."""
    return _entry(_entry(response, "ResponseMetadata"), "HTTPHeaders")


def _entry(holder: object, key: str) -> object:
    return cast("Mapping[str, object]", holder).get(key) if isinstance(holder, Mapping) else None
