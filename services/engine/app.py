"""The engine's app, which computes. It serves the same routes as the gateway, on its own port."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import trio
from quart import Response

from cqox import clock
from cqox.analysis.bounds import Bounds, RetentionPeriods
from cqox.analysis.jobs import Ending, Job, Jobs
from cqox.analysis.mirror import Mirror
from cqox.analysis.parts import Parts
from cqox.analysis.places import Places
from cqox.analysis.service import Analyses
from cqox.analysis.stores import check_addresses, check_file
from cqox.errors import ObjectStoreUnfit, StoreUnavailable
from cqox.security import Verdict
from cqox.storage import usable_directory
from cqox.telemetry import metric_definitions, metrics
from cqox.threads import run_in_thread
from services.config.configuration import SettingsError
from services.config.places import places
from services.config.settings import Settings
from services.config.sources import named_sources
from services.engine import (
    analyses,
    audit,
    datasets,
    erasures,
    history,
    identities,
    jobs,
    shares,
    sources,
    studies,
    uploads,
)
from services.engine.addresses import store_addresses
from services.engine.authentication import HopAuthenticator
from services.engine.key_records import resolve
from services.engine.keyring import check_copies, check_sealing, open_sealing
from services.engine.panel_terms import reading_terms
from services.engine.state import State
from services.http.contract.audit_operations import RECORD_EVENTS
from services.http.contract.dashboard_operations import READ_TERMS
from services.http.contract.identity_operations import RESOLVE_KEY
from services.http.contract.registration import add_operation, register
from services.http.endpoints.admin import add_admin
from services.http.endpoints.dashboards import add_dashboards
from services.http.endpoints.docs import add_docs, redirect_to_docs
from services.http.endpoints.health import add_health
from services.http.endpoints.metrics import add_metrics
from services.http.endpoints.own_panels import OwnPanels
from services.http.request.request import current_request
from services.http.response.translation import translate_response
from services.http.security.hop import hop_keys
from services.http.security.quota import BudgetQuota
from services.http.server.app import App
from services.http.server.startup import asgi_app
from services.http.server.vault import ServiceVault

__all__ = ["app", "create_app"]

_PARTS = Parts()


def create_app(settings: Settings, *, parts: Parts = _PARTS) -> App:
    """Create the engine's app; it opens its stores and workers when it is served.

    Args:
        settings: the settings in force.
        parts: functions that open stores and workers.

    Raises:
        SettingsError: a store URL is invalid, or the data directory, its result file or the certificates cannot be
            used.
        VaultAway: what the engine needs at the start is in a vault that does not answer.
    """
    vault = ServiceVault.of(settings, "engine")
    engine_app = App(__name__, title="Engine", settings=settings, vault=vault)
    addresses = store_addresses(
        settings,
        None if engine_app.tls is None else engine_app.tls.credentials,
        logins=None if vault is None else vault.logins,
        sealing=open_sealing(settings, None if vault is None else vault.vault),
    )
    try:
        check_addresses(addresses)
        usable_directory(settings.data_dir, setting="CQOX_DATA_DIR")
        if not settings.postgres_url:
            check_file(settings.data_dir)
        check_sealing(settings, addresses.sealing)
    except (ValueError, StoreUnavailable) as error:
        raise SettingsError(str(error)) from None
    engine_app.clients_are_gateways = True
    state = State(settings=settings, sources=named_sources(settings.sources))
    tables = places(settings.sources)
    check_copies(tables, addresses.sealing)
    mirror = Mirror(
        settings.data_dir / "mirror", most_bytes=settings.mirror_bytes, reserve_bytes=settings.disk_reserve_bytes
    )
    bounds = Bounds(
        analyses=settings.concurrent_analyses,
        queued=settings.queued_analyses,
        threads=max(1, (os.process_cpu_count() or 1) // settings.concurrent_analyses),
        worker_memory_bytes=settings.worker_memory_bytes,
        file_limits={
            "max_bytes": settings.max_upload_bytes,
            "max_expanded_bytes": settings.max_expanded_bytes,
            "max_rows": settings.max_rows,
            "max_columns": settings.max_columns,
        },
        task_seconds=max(settings.analysis_seconds, settings.job_seconds),
        reserve_bytes=settings.disk_reserve_bytes,
        originals_bytes=settings.originals_bytes,
        cpu_seconds_per_hour=settings.cpu_seconds_per_hour if settings.authenticates else 0,
        places=Places(tables, mirror),
        share_days=settings.share_days if settings.share_links == "on" else 0.0,
        keep=RetentionPeriods(
            reports=settings.keep_reports_days, datasets=settings.keep_datasets_days, jobs=settings.keep_jobs_days
        ),
    )

    @engine_app.resource
    @asynccontextmanager
    async def opened() -> AsyncIterator[Analyses]:
        await run_in_thread(mirror.tidy)
        async with Analyses.open(settings.data_dir, bounds, addresses, parts=parts) as engine:
            state.analyses = engine
            if isinstance(engine_app.recorder, audit.EngineRecorder):
                # At once: its first chores finish what others have left, and delete what has expired.
                engine.on_finished_erasure(engine_app.recorder.finished)
                engine.record_expired = engine_app.recorder.expired
            if engine.cpu is not None:
                engine_app.quota = BudgetQuota(engine.cpu)
            state.jobs = Jobs(engine.group, shift, ended=keep)
            engine.on_erasing(lambda tenant_id, dataset_id: state.jobs.within(tenant_id).cancel_of(dataset_id))
            engine.on_erased(lambda tenant_id, dataset_id: state.jobs.within(tenant_id).forget_of(dataset_id))
            end = metrics.watch(metric_definitions.CACHE_BYTES, lambda: [(state.jobs.size_bytes, {"cache": "jobs"})])
            yield engine
            end()

    async def keep(job: Job, ending: Ending) -> None:
        await state.analyses.within(job.tenant_id).records.end(jobs.record_of(job, ending))

    @contextmanager
    def shift(what: str) -> Iterator[trio.CancelScope]:
        # A job counts as in flight: a drain waits for it, and cancels it at the end of the grace period.
        with engine_app.in_flight.admit(what, background=True) as ticket, ticket.scope:
            yield ticket.scope

    @engine_app.warm_up
    async def warm() -> None:
        with suppress(StoreUnavailable):
            await check_role()
        await check_fitness()
        await state.analyses.warm()

    async def check_role() -> None:
        # Known once the database has been reached; a role does not change while it serves.
        if not settings.authenticates or state.role_checked:
            return
        reason = await state.analyses.passing_role()
        if reason is not None:
            raise SettingsError(f"CQOX_AUTH={settings.auth} keeps tenants apart, and this database does not: {reason}")
        state.role_checked = True

    async def check_fitness() -> None:
        try:
            await objects()
        except ObjectStoreUnfit as error:
            raise SettingsError(f"CQOX_OBJECT_STORE: {error}") from None
        except StoreUnavailable:
            # It is found out by the first call that reaches it, and nothing is written before.
            return

    async def results() -> None:
        await state.analyses.store.ping()
        await check_role()

    async def cache() -> None:
        await state.analyses.cache.ping()

    async def disk() -> None:
        await state.analyses.check_disk()

    async def keys() -> None:
        await state.analyses.check_keys()

    async def objects() -> None:
        await state.analyses.check_objects()

    @engine_app.after_request
    async def translate(response: Response) -> Response:
        await translate_response(current_request(), response)
        return response

    of_data = datasets.handlers(state) | sources.handlers(state) | uploads.handlers(state)
    of_results = analyses.handlers(state) | history.handlers(state) | shares.handlers(state) | studies.handlers(state)
    of_people = identities.handlers(state) | audit.handlers(state) | erasures.handlers(state)
    register(engine_app, of_data | of_results | jobs.handlers(state) | of_people)
    _require_gateway(engine_app, state)
    _record(engine_app, state)
    add_admin(engine_app)
    checks = {"results": results, "cache": cache, "disk": disk}
    if addresses.objects is not None:
        checks["objects"] = objects
    add_health(engine_app, checks if addresses.sealing.ring is None else checks | {"keys": keys})
    add_docs(engine_app)
    redirect_to_docs(engine_app)
    add_metrics(engine_app)
    panels = OwnPanels(engine_app.history)
    add_dashboards(engine_app, panels)
    add_operation(engine_app, READ_TERMS, reading_terms(panels))
    engine_app.require_needs()
    return engine_app


def _require_gateway(engine_app: App, state: State) -> None:
    settings, keys = engine_app.settings, hop_keys(engine_app.settings, "engine")
    if not settings.authenticates:
        return

    async def resolved(key_id: str, digest: bytes) -> Verdict:
        verdict, _ = await resolve(state.analyses.store, key_id, digest, now=clock.now())
        return verdict

    add_operation(engine_app, RESOLVE_KEY, identities.resolving(state))
    authenticator = HopAuthenticator(
        keys,
        admin_token=settings.admin_token,
        resolve=resolved,
        is_erased=lambda tenant_id: state.analyses.is_erased(tenant_id),
    )
    engine_app.authenticate_by(authenticator)


def _record(engine_app: App, state: State) -> None:
    settings = engine_app.settings
    if not settings.audits:
        return
    recorder = audit.EngineRecorder(state)
    engine_app.recorder = recorder

    # Closed before the stores are.
    @engine_app.resource
    @asynccontextmanager
    async def recorded() -> AsyncIterator[None]:
        async with recorder.opened():
            yield

    if settings.authenticates:
        add_operation(engine_app, RECORD_EVENTS, audit.recording(state, recorder))


app = asgi_app("engine", create_app)
"""For the `hypercorn` command, with one worker: `hypercorn -c deploy/hypercorn.toml services.engine.app:app`."""
