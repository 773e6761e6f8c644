"""Administration endpoints: show policies, force circuits and change settings.

On the service's port the paths need the token and do not exist without one: there, a local client cannot be
distinguished from one behind a local proxy. The admin socket is accessible only to the owner of the service.
"""

import dataclasses
import hmac
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from http import HTTPStatus

import structlog
from pydantic import JsonValue
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import NotFound as NoSuchPath

from cqox.contract import parse_model, shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotFound
from cqox.resilience import Registry, registry
from services.http.contract.admin_models import PolicyChange
from services.http.contract.api import operation
from services.http.endpoints.admin_server import serve_admin_socket
from services.http.request.bodies import read_json
from services.http.request.request import IncomingRequest, current_request
from services.http.security.audited import Action
from services.http.server.app import App

__all__ = ["add_admin"]

_log = structlog.stdlib.get_logger("cqox.admin")

_PATH = "/api/admin/policies"
_ACTIONS: Mapping[str, Callable[[Registry, str], None]] = {
    "isolate": Registry.isolate,
    "reset": Registry.reset,
    "disable": Registry.disable,
    "observe_only": Registry.observe_only,
}
_OF_CODE = frozenset({"exceptions", "failure_if", "failures", "probe"})
"""Settings that are types or functions, which a request cannot express."""


def add_admin(app: App) -> None:
    """Add the administration paths: on the port where a token is set, and on the admin socket."""
    if app.settings.authenticates:
        # The access layer requires `policies:steer`, which the token has as well.
        _add_paths(app, _admit)
    elif app.settings.admin_token:
        _add_paths(app, _check_token)
    operated = App(__name__, title=app.title, settings=app.settings)
    _add_paths(operated, _admit)

    @app.resource
    def admin_socket() -> AbstractAsyncContextManager[None]:
        return serve_admin_socket(operated, app.settings.admin_socket_of(app.title.lower()))


def _add_paths(app: App, check: Callable[[App, IncomingRequest], None]) -> None:
    async def list_policies() -> TrioResponse:
        check(app, current_request())
        return _listing(app)

    async def steer_policy() -> TrioResponse:
        request = current_request()
        check(app, request)
        _steer(await read_json(request, max_bytes=app.settings.max_body_bytes))
        return _listing(app)

    for name, method, handler in (("list_policies", "GET", list_policies), ("steer_policy", "POST", steer_policy)):
        what = operation(name)
        app.add_route(_PATH, name, handler, methods=[method], needs=what.needs, action=Action(name, what.audited))


def _check_token(app: App, request: IncomingRequest) -> None:
    given = request.headers.get("Authorization", "")
    expected = f"Bearer {app.settings.admin_token}"
    if not hmac.compare_digest(given.encode("latin1", "replace"), expected.encode()):
        raise NoSuchPath


def _admit(app: App, request: IncomingRequest) -> None:
    """Allow every request: only the owner of the service can connect to the socket, or `access` has decided."""


def _steer(body: Mapping[str, JsonValue]) -> None:
    change = parse_model(PolicyChange, dict(body))
    if change.policy not in registry:
        raise NotFound(
            Message("request.no-such-policy", policy=change.policy[:100]), field="policy", choices=registry.keys()
        )
    if (change.action is None) == (change.settings is None):
        raise InvalidRequest(Message("request.neither-action-nor-settings"), field="action", choices=[*_ACTIONS])
    try:
        if change.action is not None:
            _ACTIONS[change.action](registry, change.policy)
        else:
            _check_names(change.policy, change.settings or {})
            registry.reconfigure(change.policy, **change.settings or {})
        _log.warning("a policy was steered", **change.model_dump(exclude_none=True))
    except (TypeError, ValueError) as error:
        detail = Message("request.unusable-settings", reason=str(error))
        raise InvalidRequest(detail, field="settings" if change.action is None else "action") from error


def _check_names(policy: str, settings: Mapping[str, JsonValue]) -> None:
    """Reject settings that the policy does not have or that only code can set, and list the valid ones."""
    takes = sorted(each for each in registry[policy].setting_names() if each.rpartition(".")[2] not in _OF_CODE)
    known = {each.rpartition(".")[2] for each in takes}
    for name in settings:
        if name.rpartition(".")[2] not in known:
            raise InvalidRequest(_no_setting(policy, name, takes), field="settings")


def _no_setting(policy: str, name: str, takes: Sequence[str]) -> Message:
    known = Message("request.names", names=takes) if takes else Message("request.no-names")
    if name.rpartition(".")[2] in _OF_CODE:
        return Message("request.setting-of-code", known=known, policy=policy, setting=shortened(name))
    return Message("request.no-such-setting", known=known, policy=policy, setting=shortened(name))


def _listing(app: App) -> TrioResponse:
    listing = {"service": app.title.lower(), "policies": _plain(registry.snapshot())}
    body = json.dumps(listing, ensure_ascii=False, allow_nan=False)
    return TrioResponse(body.encode(), HTTPStatus.OK, content_type="application/json")


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
