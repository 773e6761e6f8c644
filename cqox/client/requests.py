"""Bodies of requests, as bytes with their digest."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cqox.client.connection import Call
from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotFound

__all__ = ["check_text", "json_call", "segment"]


def json_call(path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Call:
    """Return a POST of JSON with its `Content-Digest`, which the server compares.

    Raises:
        InvalidRequest: a value has no JSON form.
    """
    content = _encoded(body)
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    own = {"Content-Type": "application/json", "Content-Digest": f"sha-256=:{digest}:"}
    return Call(method="POST", path=path, headers={**own, **(headers or {})}, content=content)


def check_text(value: object) -> None:
    """Check that every text in a JSON value can be sent.

    Raises:
        InvalidRequest: a text holds characters that are not UTF-8, or a number is not finite.
    """
    _encoded(value)


def segment(name: str) -> str:
    """Return a name as one segment of a path, percent-encoded; a segment of dots would change the path.

    Raises:
        InvalidRequest: it is empty, which would name the list of all.
        NotFound: it has a slash, which no name has, and which a server takes for the end of a segment.
    """
    if not name:
        raise InvalidRequest(Message("client.empty-id"))
    if "/" in name:
        raise NotFound(Message("client.no-such-id", id=shortened(name)))
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


def _encoded(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise InvalidRequest(Message("analysis.not-utf-8")) from None
    except ValueError:
        raise InvalidRequest(Message("client.not-finite")) from None
