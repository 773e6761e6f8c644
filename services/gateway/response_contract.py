"""Validation of success responses against the contract of their operation.

A captive portal, a proxy or a broken engine may listen on the engine's port. Its 200 must not reach a client.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from cqox.contract import EXPORT_TYPES
from cqox.contract.messages import Message
from services.gateway.engine_client import Reply, ResponseContract
from services.http.contract.api import Operation
from services.http.request.digests import CONTENT_DIGEST, sha256_of

__all__ = ["EVENTS", "expected", "media_of", "problem_of", "violation"]

EVENTS = "text/event-stream"
"""Media type of an event stream."""

_DIGEST = CONTENT_DIGEST.lower().encode()
_JSON = "application/json"
_FIGURES = {"svg": "image/svg+xml", "png": "image/png", "json": _JSON}
_DOCUMENTS = {suffix: media.partition(";")[0] for suffix, media in EXPORT_TYPES.items()}
_BY_SUFFIX: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("read_figure", "read_shared_figure"), _FIGURES),
    **dict.fromkeys(("export_analysis", "export_shared"), _DOCUMENTS),
}
_PROBLEM_BYTES = 2**16
_PARSED_BYTES = 2**12
_LOOK_BYTES = 64


def expected(operation: Operation, parameters: Mapping[str, str], *, events: bool = True) -> ResponseContract:
    """Return the success statuses of an operation, each with the media types allowed for its body.

    Args:
        operation: one of the contract.
        parameters: the path parameters.
        events: whether the client accepts an event stream.
    """
    written = _BY_SUFFIX.get(operation.name, {}).get(parameters.get("suffix", ""))
    if written:
        return {HTTPStatus.OK: (written,)}
    statuses: dict[int, tuple[str, ...]] = {
        each.status: each.media or ((_JSON,) if each.model else ())
        for each in operation.answers
        # An engine is never asked whether the client has it already.
        if each.status != HTTPStatus.NOT_MODIFIED
    }
    if events:
        return statuses
    return {status: tuple(one for one in media if one != EVENTS) for status, media in statuses.items()}


def media_of(reply: Reply) -> str:
    """Return the media type of a body, in lower case and without parameters; empty where it has none."""
    return reply.header(b"content-type").partition(";")[0].strip().lower()


def problem_of(reply: Reply) -> Mapping[str, object]:
    """Return the members of a problem body (RFC 9457); empty where the body is no problem."""
    if len(reply.body) > _PROBLEM_BYTES:
        return {}
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else {}


def violation(reply: Reply, contract: ResponseContract) -> Message | Literal[""]:
    """Return how a response below 400 violates the contract, as a clause; empty where it does not.

    JSON is parsed where it is short or delimited by the end of the connection; of a longer body only the first and
    last characters are checked.
    """
    media = contract.get(reply.status)
    if media is None:
        return Message("problems.answer-of-status-not-in-contract", status=reply.status)
    if not media:
        return ""
    given = media_of(reply)
    if given not in media:
        return (
            Message("problems.answer-of-other-type", allowed=media, given=given[:50])
            if given
            else Message("problems.answer-of-no-type", allowed=media)
        )
    if given == _JSON and not _is_json(reply):
        return Message("problems.answer-of-broken-json")
    # The transport has verified the digest where there is one.
    return "" if sha256_of(reply.header(_DIGEST)) is not None else Message("problems.answer-without-digest")


def _is_json(reply: Reply) -> bool:
    if reply.header(b"content-encoding").lower() not in ("", "identity"):
        return True
    body = reply.body
    if reply.framed and len(body) > _PARSED_BYTES:
        return body[:_LOOK_BYTES].lstrip().startswith(b"{") and body[-_LOOK_BYTES:].rstrip().endswith(b"}")
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
