"""Answering of forwarded operations without Quart: its request, context and response cost more than all policies.

Everything around a handler is the same, because `Connection` and `App` do it for both ways. What is unusual goes the
way of Quart: another version of HTTP, a root path, a host whose form werkzeug has to judge, and streams.
"""

from hypercorn.typing import ASGISendCallable, HTTPScope

from services.http.request.proxied import AnyRequest, ProxiedRequest
from services.http.response.plain import AnyResponse
from services.http.server.app import ProxyHandler
from services.http.server.request_task import Connection

__all__ = ["DirectConnection"]

_HOST_BYTES = 63
"""Length up to which werkzeug takes every host that the guard takes: that of one part of a name."""


class DirectConnection(Connection):
    """The handling of one request, without Quart where its operation is in `App.proxied`."""

    _handler: ProxyHandler | None = None

    def _request(self, send: ASGISendCallable) -> AnyRequest:
        if not _is_usual(self.scope):
            return super()._request(send)
        self._handler = self.app.proxy_handler(self.scope)
        return super()._request(send) if self._handler is None else ProxiedRequest(self.scope)

    async def _response_to(self, request: AnyRequest) -> AnyResponse:
        if self._handler is None or not isinstance(request, ProxiedRequest):
            return await super()._response_to(request)
        return await self.app.handle_proxied(request, self._handler)


def _is_usual(scope: HTTPScope) -> bool:
    hosts = 0
    for name, value in scope["headers"]:
        if name == b"host":
            hosts += 1
            if len(value) > _HOST_BYTES:
                return False
        elif name == b"accept" and b"text/" in value.lower():
            return False
    return hosts == 1 and scope["http_version"] == "1.1" and not scope["root_path"]
