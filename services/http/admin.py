"""Policies as an operator sees and steers them: their state, their circuits forced, their settings changed.

Open to clients on this machine, or to who holds the token where one is set; to everybody else the paths do not exist.
"""

import dataclasses
import hmac
import ipaddress
import json
import math
from collections.abc import Callable, Mapping
from enum import Enum
from urllib.parse import urlsplit

from pydantic import JsonValue
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import NotFound as NoSuchPath

from cqox.contract import parse_model
from cqox.errors import InvalidRequest, NotFound
from cqox.resilience import Registry, registry
from services.http.app import App
from services.http.bodies import read_json
from services.http.incoming import IncomingRequest, current_request
from services.http.steering import PolicyChange

__all__ = ["add_admin"]

_PATH = "/api/admin/policies"
_ACTIONS: Mapping[str, Callable[[Registry, str], None]] = {
    "isolate": Registry.isolate,
    "reset": Registry.reset,
    "disable": Registry.disable,
    "observe_only": Registry.observe_only,
}
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def add_admin(app: App) -> None:
    """Give the app its administration paths."""

    async def list_policies() -> TrioResponse:
        _admit(app, current_request())
        return _listing()

    async def steer_policy() -> TrioResponse:
        request = current_request()
        _admit(app, request)
        _steer(await read_json(request, max_bytes=app.settings.max_body_bytes))
        return _listing()

    for name, method, handler in (("list_policies", "GET", list_policies), ("steer_policy", "POST", steer_policy)):
        app.add_url_rule(_PATH, name, handler, methods=[method], provide_automatic_options=False)


def _admit(app: App, request: IncomingRequest) -> None:
    token = app.settings.admin_token
    if token:
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode("latin1", "replace"), f"Bearer {token}".encode()):
            return
    elif _is_local(request):
        return
    raise NoSuchPath


def _is_local(request: IncomingRequest) -> bool:
    # Who comes through a proxy on this machine is not on this machine, and a page from elsewhere in a browser on this
    # machine is not its user.
    if any(request.headers.get(name) for name in _FORWARDED) or not _is_of_this_site(request):
        return False
    return _is_loopback(request.remote_addr or "")


def _is_of_this_site(request: IncomingRequest) -> bool:
    host = request.headers.get("Host", "")
    name = urlsplit(f"//{host}").hostname or ""
    # Any other name may have been made to point here.
    if name != "localhost" and not _is_loopback(name):
        return False
    origin = request.headers.get("Origin")
    return request.headers.get("Sec-Fetch-Site") != "cross-site" and (origin is None or urlsplit(origin).netloc == host)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _steer(body: Mapping[str, JsonValue]) -> None:
    change = parse_model(PolicyChange, dict(body))
    if change.policy not in registry:
        raise NotFound(f"There is no policy '{change.policy[:100]}'.", field="policy", choices=registry.keys())
    if (change.action is None) == (change.settings is None):
        raise InvalidRequest("Give either an 'action' or 'settings'.", field="action", choices=[*_ACTIONS])
    try:
        if change.action is not None:
            _ACTIONS[change.action](registry, change.policy)
        else:
            registry.reconfigure(change.policy, **change.settings or {})
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{error}.", field="settings" if change.action is None else "action") from error


def _listing() -> TrioResponse:
    body = json.dumps({"policies": _plain(registry.snapshot())}, ensure_ascii=False, allow_nan=False)
    return TrioResponse(body.encode(), 200, content_type="application/json")


def _plain(value: object) -> JsonValue:
    match value:
        case Enum():
            return str(value.value)
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {_word(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return str(value)


def _word(key: object) -> str:
    return key.name.lower().replace("_", "-") if isinstance(key, Enum) else str(key)
