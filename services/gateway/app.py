"""The gateway's app: what clients talk to. It computes nothing and holds nothing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.gateway.policies import EnginePolicies
from services.gateway.replicas import Replicas
from services.gateway.routes import Upstream, add_routes
from services.gateway.tls import CERTIFICATES, client_context
from services.http.endpoints.admin import add_admin
from services.http.endpoints.docs import add_docs
from services.http.endpoints.health import add_health
from services.http.endpoints.metrics import add_metrics
from services.http.server.app import App
from services.http.server.startup import asgi_app

__all__ = ["app", "create_app"]


def create_app(settings: Settings) -> App:
    """The gateway; it connects to its engine when there is something to ask.

    Raises:
        SettingsError: engines are to be reached by TLS, and the certificates to check them by cannot be read.
    """
    if any(url.startswith("https:") for url in settings.engine_urls):
        _check_certificates()
    gateway = App(__name__, title="Gateway", settings=settings)
    upstream = Upstream()

    @gateway.resource
    @asynccontextmanager
    async def engine() -> AsyncIterator[None]:
        async with Replicas.open(settings.engine_urls, max_answer_bytes=settings.max_answer_bytes) as replicas:
            upstream.policies = EnginePolicies(replicas)
            yield

    async def engine_answers() -> None:
        await upstream.policies.ping()

    add_routes(gateway, upstream)
    add_admin(gateway)
    add_health(gateway, {"engine": engine_answers})
    add_docs(gateway)
    add_metrics(gateway)
    return gateway


def _check_certificates() -> None:
    try:
        client_context()
    except OSError as error:
        # The first that is set is the one that is read.
        given = next((f"{name}={os.environ[name]}" for name in CERTIFICATES if os.environ.get(name)), "")
        raise SettingsError(f"{given or 'the public authorities'} cannot be read as certificates: {error}.") from error


app = asgi_app("gateway", create_app)
