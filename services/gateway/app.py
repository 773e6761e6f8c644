"""The gateway's app, which clients connect to. It computes nothing and stores nothing."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from cqox.security import Verdict
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.gateway.answer_cache import AnswerCache
from services.gateway.audit import GatewayRecorder
from services.gateway.authentication import KeyAuthenticator
from services.gateway.dashboards import GatewayPanels
from services.gateway.hop import HopWriter, ask_engine
from services.gateway.policies import EnginePolicies
from services.gateway.prometheus import Prometheus
from services.gateway.replicas import Replicas
from services.gateway.routes import EngineAccess, add_routes
from services.gateway.sign_in import add_sign_in
from services.gateway.tls import CERTIFICATES, EngineTls, client_context
from services.gateway.upload_quota import UploadQuota, upload_budget
from services.http.endpoints.admin import add_admin
from services.http.endpoints.dashboards import add_dashboards
from services.http.endpoints.docs import add_docs
from services.http.endpoints.health import add_health
from services.http.endpoints.metrics import add_metrics
from services.http.endpoints.own_panels import OwnPanels
from services.http.security.hop import hop_keys
from services.http.security.quota import BudgetQuota, Quota, Quotas, RequestQuota
from services.http.server.app import App
from services.http.server.direct import DirectConnection
from services.http.server.startup import asgi_app
from services.http.server.vault import ServiceVault
from services.page.routes import add_page

if TYPE_CHECKING:
    from services.gateway.token_authentication import TokenAuthenticator

__all__ = ["app", "create_app"]


def create_app(settings: Settings) -> App:
    """Create the gateway's app; it connects to an engine when the first request needs one.

    Raises:
        SettingsError: the certificates of `CQOX_TLS_DIR`, or those trusted for an engine with https, cannot be read;
            or a login is required, and nothing proves a request of the gateway to an engine.
        VaultAway: what the gateway needs at the start is in a vault that does not answer.
    """
    gateway = App(__name__, title="Gateway", settings=settings, vault=ServiceVault.of(settings, "gateway"))
    tls = None
    if gateway.tls is not None:
        tls = EngineTls(gateway.tls.credentials, settings.tls_engine)
    elif any(url.startswith("https:") for url in settings.engine_urls):
        _check_certificates()
    engines = EngineAccess()
    engines.cache = AnswerCache(settings.answer_cache_bytes, records=settings.authenticates and settings.audits)
    gateway.asgi_http_class = DirectConnection

    @gateway.resource
    @asynccontextmanager
    async def engine() -> AsyncIterator[None]:
        opened = Replicas.open(settings.engine_urls, max_answer_bytes=settings.max_answer_bytes, tls=tls)
        async with opened as replicas:
            engines.policies = EnginePolicies(replicas)
            yield

    _require_keys(gateway, engines)

    async def engine_answers() -> None:
        await engines.policies.ping()

    add_routes(gateway, engines)
    add_admin(gateway)
    add_health(gateway, {"engine": engine_answers})
    add_docs(gateway)
    add_sign_in(gateway)
    add_page(gateway)
    add_metrics(gateway)
    prometheus = Prometheus(settings.prometheus_url) if settings.prometheus_url else None
    add_dashboards(gateway, GatewayPanels(OwnPanels(gateway.history), engines, prometheus))
    gateway.require_needs()
    return gateway


def _require_keys(gateway: App, engines: EngineAccess) -> None:
    keys = hop_keys(gateway.settings, "gateway")
    if not gateway.settings.authenticates:
        return
    writer = HopWriter(keys)

    async def resolve(key_id: str, digest: bytes) -> tuple[Verdict, float]:
        return await ask_engine(engines.policies, writer, key_id, digest)

    engines.writer = writer
    by_key = KeyAuthenticator(resolve, admin_token=gateway.settings.admin_token)
    engines.keys = by_key
    gateway.authenticate_by(by_key if gateway.settings.auth == "keys" else _by_token(gateway, by_key))
    if gateway.settings.audits:
        recorder = GatewayRecorder(engines, writer)
        gateway.recorder = recorder
        # Closed before the connections to engines are.
        gateway.resource(recorder.opened)
    _limit(gateway, engines)


def _limit(gateway: App, engines: EngineAccess) -> None:
    settings, quotas = gateway.settings, list[Quota]()
    if settings.requests_per_minute:
        quotas.append(RequestQuota(settings.requests_per_minute))
    uploads = upload_budget(settings.upload_bytes_per_day)
    if uploads is not None:
        quotas.append(BudgetQuota(uploads))
    engines.uploads = UploadQuota(uploads)
    if quotas:
        gateway.quota = Quotas(*quotas)


def _by_token(gateway: App, by_key: KeyAuthenticator) -> "TokenAuthenticator":
    try:
        # The libraries of tokens are an extra that other modes do without.
        from cqox.security.access_tokens import TokenRules
        from services.gateway.identity_provider import IdentityProvider, fetch_keys, is_secure
        from services.gateway.token_authentication import TokenAuthenticator
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"CQOX_AUTH=oidc needs {error.name}, which is not installed: pip install 'cqox[security]'."
        ) from None
    settings = gateway.settings
    if not settings.oidc_issuer or not settings.oidc_audience:
        raise SettingsError(
            "CQOX_AUTH=oidc needs CQOX_OIDC_ISSUER, the address of the OpenID provider, and CQOX_OIDC_AUDIENCE, "
            "which its access tokens for this service name."
        )
    if not is_secure(settings.oidc_issuer):
        raise SettingsError("CQOX_OIDC_ISSUER must be an https address; http is accepted on this machine only.")

    def start_soon(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        gateway.tasks.start_soon(work, name="ask the identity provider")

    rules = TokenRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        tenant_claim=settings.oidc_tenant_claim,
        roles_claim=settings.oidc_roles_claim,
    )
    provider = IdentityProvider(partial(fetch_keys, settings.oidc_issuer), start_soon=start_soon)
    return TokenAuthenticator(rules, provider, by_key)


def _check_certificates() -> None:
    try:
        client_context()
    except OSError as error:
        # OpenSSL reads the first variable that is set.
        given = next((f"{name}={os.environ[name]}" for name in CERTIFICATES if os.environ.get(name)), "")
        raise SettingsError(f"{given or 'the public authorities'} cannot be read as certificates: {error}.") from error


app = asgi_app("gateway", create_app)
