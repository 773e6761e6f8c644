"""The app class of gateway and engine: Quart-Trio with its own connections, problems, resources and tasks."""

import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, NoReturn, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart.ctx import AppContext
from quart.json.provider import DefaultJSONProvider
from quart.typing import ResponseReturnValue, ResponseTypes
from quart.wrappers import Request
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException

from cqox.certificates import CertificatesUnusable
from cqox.dashboards.history import History
from cqox.errors import DeadlineExceeded, Draining, NotFound, PermissionMissing, ResilienceError, ServiceError
from cqox.security import Permission
from cqox.tasks import TaskGroup
from cqox.telemetry.setup import Telemetry
from services.config.hosts import AllowedHosts
from services.config.settings import Settings
from services.http.request.guard import Guard
from services.http.request.language import unknown_language
from services.http.request.propagation import RECORDED, is_client_deadline
from services.http.request.proxied import AnyRequest, ProxiedRequest
from services.http.request.request import IncomingRequest
from services.http.response import problems
from services.http.response.plain import AnyResponse
from services.http.security.access import Access, Authenticator, Everybody
from services.http.security.audited import Action, Audited, Recorder
from services.http.security.quota import Quota, joined
from services.http.server.disconnects import DisconnectWatch
from services.http.server.lifecycle import InFlight, Lifecycle
from services.http.server.request_task import Connection, Lifespan, RefusedConnection
from services.http.server.telemetry import telemetry_of
from services.http.server.tls import ServerTls
from services.http.server.vault import ServiceVault

__all__ = ["App", "ProxyHandler", "Resource", "WarmUp"]

type Resource = Callable[[], AbstractAsyncContextManager[object]]
"""Returns a context manager that is open while the app serves."""

type WarmUp = Callable[[], Awaitable[None]]
"""Prepares the app before it is ready; meanwhile it listens and reports that it is starting."""

type ProxyHandler = Callable[..., Awaitable[AnyResponse]]
"""Takes the request, and the parameters of its path by name."""

_CONVERTER = re.compile(r"<(?:[^<>]*:)?([^<>:]+)>")


class App(QuartTrio):
    """A Quart-Trio app that can be served and drained by `services.http.server.serving`.

    Attributes:
        title: `Gateway` or `Engine`, as log lines name it.
        settings: the settings in force.
        lifecycle: the stage of the process.
        in_flight: the requests in flight.
        disconnects: detects clients that leave while their requests are handled.
        resources: opened in this order before the first request and closed in reverse order after the last. They must
            open quickly: meanwhile the process listens but answers no requests.
        warm_ups: run sequentially once the app answers; it is ready when the last has finished.
        tls: TLS of the connections to the app; None for plain TCP.
        vault: the vault of the service; None where none is set.
        history: recent samples of the metrics of the process.
        telemetry: traces and metrics of the process; started by the server of the app, or with the app.
        proxied: handlers by endpoint that `DirectConnection` calls without Quart.
        access: decides on every request before it is routed.
        quota: what principals and tenants may use; None for no limit.
        recorder: records requests in the audit log; None for none.
        clients_are_gateways: whether one address may hold any number of connections, because it is a gateway's.
        tasks: the group of tasks that outlive requests; open while the app serves. A failing task ends the process.
    """

    asgi_http_class = Connection
    asgi_lifespan_class = Lifespan  # type: ignore[assignment]
    request_class = IncomingRequest
    tasks: TaskGroup
    telemetry: Telemetry | None = None
    clients_are_gateways = False
    quota: Quota | None = None
    recorder: Recorder | None = None

    def __init__(self, import_name: str, *, title: str, settings: Settings, vault: ServiceVault | None = None) -> None:
        """Create the app.

        Args:
            import_name: the module, for Quart.
            title: `Gateway` or `Engine`.
            settings: the settings in force.
            vault: that of the service, which has issued its certificates if it is to.

        Raises:
            SettingsError: the certificates of `CQOX_TLS_DIR` cannot be read.
        """
        super().__init__(import_name, static_folder=None)
        # Quart's timeouts ignore progress; the limits are in `bodies` and `uploads`.
        self.config.update(
            MAX_CONTENT_LENGTH=None, BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None, PROPAGATE_EXCEPTIONS=False
        )
        # A path with a double slash is unknown: werkzeug would answer it with a redirect page.
        self.url_map.merge_slashes = False
        self.json = _FiniteJson(self)
        self.title = title
        self.settings = settings
        self.vault = vault
        self.tls = ServerTls.of(settings, title.lower())
        self.lifecycle = Lifecycle()
        self.in_flight = InFlight()
        self.history = History()
        self.disconnects = DisconnectWatch()
        self.resources: list[Resource] = [self._open_telemetry, self.disconnects.opened]
        if self.vault is not None:
            self.resources.append(self.vault.opened)
        self.warm_ups: list[WarmUp] = []
        self.needs: dict[str, Permission | None] = {}
        self.actions: dict[str, Action] = {}
        self.proxied: dict[str, ProxyHandler] = {}
        self.access = Access(self.url_map, self.needs, Everybody(loopback_only=settings.auth == "local"))
        self._guard = Guard(title.lower(), AllowedHosts(settings.allowed_hosts, listens_on=settings.host))

    @asynccontextmanager
    async def _open_telemetry(self) -> AsyncIterator[Telemetry]:
        async with telemetry_of(self) as begun:
            yield begun

    def add_route(
        self,
        path: str,
        endpoint: str,
        handler: Callable[..., Awaitable[ResponseReturnValue]],
        *,
        needs: Permission | None,
        methods: Sequence[str] = ("GET",),
        options: bool = False,
        action: Action | None = None,
    ) -> None:
        """Serve a path, with the permission that it needs.

        Args:
            path: in werkzeug's form.
            endpoint: its unique name.
            handler: a coroutine function that takes the parameters of the path by name.
            needs: the permission; None where no principal is needed.
            methods: the HTTP methods.
            options: whether `OPTIONS` is answered by itself.
            action: what the audit log calls it; None for what is no operation, such as the files of a page.
        """
        self.needs[endpoint] = needs
        if action is not None and action.audited is not Audited.NEVER:
            self.actions[endpoint] = action
        self.add_url_rule(path, endpoint, handler, methods=[*methods], provide_automatic_options=options)

    def require_needs(self) -> None:
        """Raise ValueError where a path was added without saying which permission it needs."""
        without = sorted({rule.rule for rule in self.url_map.iter_rules() if rule.endpoint not in self.needs})
        if without:
            raise ValueError(f"no permission is stated for {', '.join(without)}")

    async def check_certificates(self) -> None:
        """Raise `CertificatesUnusable` with the reason where new certificates are missing or cannot be used."""
        if self.vault is not None and self.vault.issuer is not None and self.vault.issuer.problem:
            raise CertificatesUnusable(self.vault.issuer.problem)
        if self.tls is not None:
            await self.tls.check()

    def authenticate_by(self, authenticator: Authenticator) -> None:
        """Replace the way in which it is established who a request comes from."""
        self.access.authenticator = authenticator

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Decide on a request before anything else sees it, then serve it or refuse it."""
        if scope["type"] == "http":
            refused = await self._refused(scope)
            if refused is not None:
                await RefusedConnection(self, scope, refused)(receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _refused(self, scope: HTTPScope) -> Exception | None:
        state = cast("dict[str, Any]", scope)
        decision = self.access.decide(state)
        refused = await self._refused_later(state) if decision is False else decision
        if isinstance(refused, Exception) or self.quota is None:
            return refused if isinstance(refused, Exception) else None
        return self.quota.take(state)

    async def _refused_later(self, scope: dict[str, Any]) -> Exception | None:
        with self.in_flight.admit(f"authenticate {scope['path']}") as ticket, ticket.scope:
            try:
                return await self.access.decide_later(scope)
            except (ServiceError, ResilienceError) as error:
                return error
        return Draining(self.title.lower())

    async def dispatch_request(self, ctx: AppContext) -> ResponseReturnValue:
        """Call the handler of a request; check once more that its principal may use the path that was found."""
        rule = ctx.request.url_rule
        if rule is not None:
            self.access.check(rule.endpoint, cast("dict[str, Any]", ctx.request.scope))
        return await super().dispatch_request(ctx)

    def refuse(self, request: AnyRequest, error: Exception) -> TrioResponse:
        """Return the response to a request that `access` refuses; a foreign host comes first."""
        malformed = self._guard.refusal(request) or unknown_language(request)
        if malformed is None and self.recorder is not None and isinstance(error, PermissionMissing | NotFound):
            endpoint, arguments = self.access.found(cast("dict[str, Any]", request.scope))
            if (action := self.actions.get(endpoint)) is not None:
                request.view_args = {**arguments}
                self.recorder.cut(request, action, "refused")
        error = malformed or error
        # A stranger whose client waits for nothing must not look like a failure of the service.
        if isinstance(error, DeadlineExceeded):
            request.client_deadline_passed = is_client_deadline(request.call_fields, most=math.inf)
        return self._with_quota(request, problems.answer(request, error))

    def _with_quota[Response: AnyResponse](self, request: AnyRequest, response: Response) -> Response:
        if self.quota is not None:
            fields = self.quota.fields(cast("dict[str, Any]", request.scope))
            # A gateway adds its own to those of the engine.
            present = {name: response.headers.get(name, "") for name in fields}
            response.headers.update(joined(present, fields))
        return response

    def resource(self, opened: Resource) -> Resource:
        """Register a function whose context manager is open while the app serves; a decorator."""
        self.resources.append(opened)
        return opened

    def warm_up(self, warm: WarmUp) -> WarmUp:
        """Register a coroutine function that has to finish before the app is ready; a decorator."""
        self.warm_ups.append(warm)
        return warm

    def refusal(self, request: AnyRequest) -> TrioResponse:
        """Return the response to a request that was cancelled at the end of the grace period."""
        return problems.answer(request, Draining(self.title.lower()))

    async def handle_request(self, request: Request) -> ResponseTypes:
        """Handle a request, or reject it where its host or origin is not allowed, or its `lang` does not exist.

        Here and not in a hook, so that it also runs for unknown paths.
        """
        return await self._checked(cast("IncomingRequest", request), partial(super().handle_request, request))

    def proxy_handler(self, scope: HTTPScope) -> ProxyHandler | None:
        """Return the handler of a request that needs no Quart, after it was decided that it is answered."""
        match = self.access.matched(cast("dict[str, Any]", scope))
        return None if match is None else self.proxied.get(match[0].endpoint)

    async def handle_proxied(self, request: ProxiedRequest, handler: ProxyHandler) -> AnyResponse:
        """Handle a request as `handle_request` does, by calling the handler of its operation without Quart."""
        return await self._checked(request, partial(self._call, request, handler))

    async def _checked[Response: AnyResponse](
        self, request: AnyRequest, handle: Callable[[], Awaitable[Response]]
    ) -> Response | TrioResponse:
        refused = self._guard.refusal(request) or unknown_language(request)
        if refused is not None:
            return problems.answer(request, refused)
        return self._with_quota(request, await self._recorded(request, handle))

    async def _call(self, request: ProxiedRequest, handler: ProxyHandler) -> AnyResponse:
        scope = cast("dict[str, Any]", request.scope)
        match = self.access.matched(scope)
        assert match is not None
        request.url_rule, request.view_args = match
        try:
            self.access.check(match[0].endpoint, scope)
            return await handler(request, **match[1])
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - as Quart calls a handler
            return self._problem_of(request, error)

    async def _recorded[Response: AnyResponse](
        self, request: AnyRequest, handle: Callable[[], Awaitable[Response]]
    ) -> Response | TrioResponse:
        """Handle a request and record it; a change is answered with an error where its entry cannot be stored."""
        if self.recorder is None:
            return await handle()
        try:
            response = await handle()
        except BaseException:
            # The client left, or the server stops: what was done until then is unknown.
            if (action := self._action_of(request)) is not None:
                self.recorder.cut(request, action, "interrupted")
            raise
        action = self._action_of(request)
        if action is None:
            return response
        if request.exchange is not None:
            response.headers[RECORDED] = "1"
        location = response.headers.get("Location", "")
        error = await self.recorder.answered(request, action, response.status_code, location)
        return response if error is None else problems.answer(request, error)

    def _action_of(self, request: AnyRequest) -> Action | None:
        rule = request.url_rule
        return None if rule is None else self.actions.get(rule.endpoint)

    async def handle_user_exception(
        self, ctx: AppContext, error: Exception | BaseExceptionGroup[BaseException]
    ) -> HTTPException | TrioResponse:
        """Answer an exception of a handler with a problem; re-raise a cancellation in it."""
        return self._problem_of(_incoming(ctx), error)

    def _problem_of(self, request: AnyRequest, error: Exception | BaseExceptionGroup[BaseException]) -> TrioResponse:
        routes = {_CONVERTER.sub(r"{\1}", rule.rule) for rule in self.url_map.iter_rules()}
        return problems.answer(request, problems.select_error(error), routes=routes)

    async def handle_exception(self, ctx: AppContext, error: Exception) -> ResponseTypes:
        """Answer an exception from outside of a handler, such as a failing hook, with a problem."""
        return problems.answer(_incoming(ctx), problems.select_error(error))

    def before_serving(self, func: object) -> NoReturn:
        """Raise TypeError: Quart's hooks run unsupervised and in a scope that may be cancelled; see `resource`."""
        raise TypeError("register a resource with App.resource, or a warm-up with App.warm_up")

    while_serving = after_serving = before_serving

    def add_background_task(self, func: object, *args: object, **kwargs: object) -> NoReturn:
        """Raise TypeError; see `tasks`."""
        raise TypeError("start the task in App.tasks")


class _FiniteJson(DefaultJSONProvider):
    """JSON of the contract: unescaped UTF-8, and null for floats that are not finite."""

    ensure_ascii = False
    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:  # noqa: ANN401 - Quart's signature
        kwargs = {"default": self.default, "ensure_ascii": False, "allow_nan": False, **kwargs}
        try:
            return json.dumps(obj, **kwargs)
        except ValueError:
            return json.dumps(_finite(obj), **kwargs)


def _incoming(ctx: AppContext) -> IncomingRequest:
    return cast("IncomingRequest", ctx.request)


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
