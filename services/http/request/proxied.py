"""A request that is answered without Quart: what its handling needs, read from the ASGI scope."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

from hypercorn.typing import HTTPScope
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.http import parse_options_header
from werkzeug.sansio.utils import get_content_length

from cqox.contract.messages import Language
from services.http.request.language import LANGUAGE_PARAMETER, language_of
from services.http.request.propagation import EXCHANGE, Received, is_exchange
from services.http.request.request import IncomingBody, IncomingRequest, call_fields_of
from services.http.request.request_ids import request_id_from

if TYPE_CHECKING:
    from quart.routing import QuartRule

__all__ = ["AnyRequest", "ProxiedRequest"]

type AnyRequest = IncomingRequest | ProxiedRequest
"""A request, whichever way it is answered."""

_EXCHANGE = EXCHANGE.lower().encode()


class ProxiedRequest:
    """A request with the members of `IncomingRequest` that the handling of every request uses.

    Args:
        scope: its ASGI scope, of HTTP/1.1 and without a root path.

    Attributes:
        url_rule: the rule of its path, once its handler is called.
        view_args: the parameters of its path, once its handler is called.
        client_deadline_passed: see `IncomingRequest`; so are the following.
    """

    wants_events: Literal[False] = False
    """A stream of events is answered by Quart."""

    def __init__(self, scope: HTTPScope) -> None:
        self.scope = scope
        self.method = scope["method"].upper()
        self.path = "/" + scope["path"].lstrip("/")
        self.query_string = scope["query_string"]
        self.http_version = scope["http_version"]
        client = scope["client"]
        self.remote_addr = client[0] if client else "<local>"
        # Of a repeated field the first value counts.
        self._first = dict(reversed(list(scope["headers"])))
        self.request_id = request_id_from(self._value(b"x-request-id"))
        exchange = self._value(_EXCHANGE)
        self.exchange = exchange if is_exchange(exchange) else None
        self.body = IncomingBody(None, None)
        self.url_rule: QuartRule | None = None
        self.view_args: dict[str, object] | None = None
        self.is_foreign = False
        self.client_deadline_passed = False
        self.received: Received | None = None

    @property
    def call_fields(self) -> list[tuple[bytes, bytes]]:
        """See `IncomingRequest`."""
        return call_fields_of(self.scope)

    @property
    def language(self) -> Language:
        """See `IncomingRequest`."""
        asked = self.args.get(LANGUAGE_PARAMETER) if self.query_string else None
        return language_of(asked, self._value(b"accept-language") or "")

    @cached_property
    def args(self) -> Mapping[str, str]:
        """The query parameters; the first value of a repeated one."""
        pairs = parse_qsl(self.query_string.decode(), keep_blank_values=True, errors="werkzeug.url_quote")
        return ImmutableMultiDict(pairs)

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes, as the request announces it; None where it does not."""
        return get_content_length(self._value(b"content-length"), self._value(b"transfer-encoding"))

    @property
    def mimetype(self) -> str:
        """The media type of the body, in lower case and without parameters; empty where it has none."""
        return _media_type(self._value(b"content-type") or "")

    def values_of(self, name: str) -> list[str]:
        """Return the values of a header field, in order."""
        wanted = name.lower().encode()
        return [value.decode("latin1") for field, value in self.scope["headers"] if field == wanted]

    def text_fields(self) -> list[tuple[str, str]]:
        """Return the header fields."""
        return [(name.decode("latin1"), value.decode("latin1")) for name, value in self.scope["headers"]]

    def _value(self, name: bytes) -> str | None:
        found = self._first.get(name)
        return None if found is None else found.decode("latin1")


@lru_cache(64)
def _media_type(content_type: str) -> str:
    return parse_options_header(content_type)[0].lower()
