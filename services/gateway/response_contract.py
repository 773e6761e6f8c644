"""What the contract promises for an operation where all goes well, and whether an answer keeps it.

Whatever listens on the engine's port may answer: a portal, a proxy, half an engine. Its 200 must not pass for ours.
"""

import json
from collections.abc import Mapping

from services.gateway.engine_client import Promise, Reply
from services.http.contract.api import Operation
from services.http.request.digests import CONTENT_DIGEST, sha256_of

__all__ = ["EVENTS", "media_of", "problem_of", "promised", "unkept"]

EVENTS = "text/event-stream"
"""The media type of what comes bit by bit."""

_DIGEST = CONTENT_DIGEST.lower().encode()
_JSON = "application/json"
_FIGURES = {"svg": "image/svg+xml", "png": "image/png", "json": _JSON}
_PROBLEM_BYTES = 2**16
_PARSED_BYTES = 2**12
_LOOK_BYTES = 64


def promised(operation: Operation, parameters: Mapping[str, str], *, events: bool = True) -> Promise:
    """The good statuses of an operation, each with the media types that its body may be of; none without a body.

    Args:
        operation: one of the contract.
        parameters: those of the path.
        events: whether the client takes an event stream.
    """
    figure = _FIGURES.get(parameters.get("suffix", ""))
    if figure:
        return {200: (figure,)}
    statuses = {each.status: each.media or ((_JSON,) if each.model else ()) for each in operation.answers}
    if events:
        return statuses
    return {status: tuple(one for one in media if one != EVENTS) for status, media in statuses.items()}


def media_of(reply: Reply) -> str:
    """The media type of a body, in lower case and without parameters; empty where it has none."""
    return reply.header(b"content-type").partition(";")[0].strip().lower()


def problem_of(reply: Reply) -> Mapping[str, object]:
    """The members of the problem that the body is; empty where it is none."""
    if len(reply.body) > _PROBLEM_BYTES:
        return {}
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else {}


def unkept(reply: Reply, promise: Promise) -> str:
    """What is wrong with an answer that is no 4xx or 5xx, in words that go on a sentence; empty where nothing is.

    JSON is parsed where it is short or where only the end of the connection says that it is whole; of longer ones the
    first and the last character are looked at.
    """
    media = promise.get(reply.status)
    if media is None:
        return f"it has the status {reply.status}, which the contract does not have"
    if not media:
        return ""
    given = media_of(reply)
    if given not in media:
        return f"it is {given[:50] or 'of no type'} and not {' or '.join(media)}"
    if given == _JSON and not _is_json(reply):
        return "its JSON is cut or broken"
    # The transport has compared the one that there is.
    return "" if sha256_of(reply.header(_DIGEST)) is not None else "its body comes without its Content-Digest"


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
