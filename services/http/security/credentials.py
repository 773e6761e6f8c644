"""The bearer token of a request (RFC 6750), read strictly from the header fields of its ASGI scope."""

import re
from collections.abc import Iterable

from cqox.contract.messages import Message
from cqox.errors import NotAuthenticated

__all__ = ["bearer_token", "single_field"]

_MOST_BYTES = 8 * 2**10
_SCHEME = b"bearer "
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/=-]+")


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the token of the `Authorization` field.

    Args:
        headers: names in lower case, with values.

    Raises:
        NotAuthenticated: there is no such field, or more than one, or it holds no bearer token.
    """
    value = single_field(headers, b"authorization")
    if value is None:
        raise NotAuthenticated(Message("security.no-token"))
    if value[: len(_SCHEME)].lower() != _SCHEME:
        raise NotAuthenticated(Message("security.no-bearer"), reason="invalid_request")
    token = value[len(_SCHEME) :].strip()
    if len(token) > _MOST_BYTES or _TOKEN.fullmatch(token) is None:
        raise NotAuthenticated(Message("security.malformed-token", most=_MOST_BYTES), reason="invalid_token")
    return token.decode("ascii")


def single_field(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the value of a field, stripped; None where it is absent.

    Raises:
        NotAuthenticated: it is there more than once, so that two readers could take different ones.
    """
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise NotAuthenticated(Message("security.repeated-field", field=name.decode()), reason="invalid_request")
    return values[0].strip() if values else None
