"""Handlers of erasures, and of how long a tenant keeps what it has."""

from dataclasses import asdict
from http import HTTPStatus

from quart import Response

from cqox.analysis.bounds import RetentionPeriods
from cqox.analysis.erasure_progress import Progress
from cqox.analysis.key import digest
from cqox.contract import ErasureRequest, RetentionChange, parse_model
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotFound, PermissionMissing
from cqox.security import LOCAL, Permission, Principal
from cqox.storage import DEFAULT_TENANT, ErasureRecord, TenantRetention, is_tenant_id
from services.engine.answers import json_answer
from services.engine.keys import held_key
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.request import current_request
from services.http.security.audited import note
from services.http.security.requester import principal_of

__all__ = ["handlers"]

_ID_CHARACTERS = 32


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on erasures, by name."""

    async def request_erasure() -> Response:
        query_of("request_erasure")
        settings, request, caller = state.settings, current_request(), _caller()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(ErasureRequest, body)
        if (asked.dataset_id is None) == (asked.tenant is None):
            raise InvalidRequest(Message("security.erase-one"), field="dataset_id", choices=["dataset_id", "tenant"])
        erasures = mine(state).erasures
        if asked.dataset_id is not None:
            note(request.scope, kind="dataset", identity=asked.dataset_id)
            _require(caller, Permission.DATASETS_DELETE)
            erasure_id = await _erasure_id(state, body)
            record = await erasures.request_dataset(
                asked.dataset_id, requested_by=caller.subject, erasure_id=erasure_id
            )
        else:
            tenant_id = str(asked.tenant)
            note(request.scope, kind="tenant", identity=tenant_id)
            await _check_tenant(state, caller, tenant_id)
            erasure_id = await _erasure_id(state, body)
            record = await erasures.request_tenant(tenant_id, requested_by=caller.subject, erasure_id=erasure_id)
        answer = json_answer(_described(record), HTTPStatus.ACCEPTED)
        answer.headers["Location"] = f"/api/erasures/{record.erasure_id}"
        return answer

    async def read_erasure(erasure_id: str) -> Response:
        tenant_id = await _tenant_meant(state, query_of("read_erasure").get("tenant"))
        return json_answer(_described(await state.analyses.within(tenant_id).erasures.find(erasure_id)))

    async def read_retention() -> Response:
        tenant_id = await _tenant_meant(state, query_of("read_retention").get("tenant"))
        return json_answer(await _retention(state, tenant_id))

    async def put_retention() -> Response:
        settings = state.settings
        tenant_id = await _tenant_meant(state, query_of("put_retention").get("tenant"))
        body = await read_json(current_request(), max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(RetentionChange, body)
        note(current_request().scope, kind="tenant", identity=tenant_id)
        own = TenantRetention(reports=asked.reports, datasets=asked.datasets, jobs=asked.jobs)
        _check_periods(own, _longest(state))
        if not await state.analyses.store.put_retention(tenant_id, own):
            raise NotFound(Message("security.no-such-tenant"), field="tenant")
        return json_answer(await _retention(state, tenant_id))

    return {
        "request_erasure": request_erasure,
        "read_erasure": read_erasure,
        "read_retention": read_retention,
        "put_retention": put_retention,
    }


def _caller() -> Principal:
    return principal_of(current_request().scope) or LOCAL


def _require(caller: Principal, permission: Permission) -> None:
    if permission not in caller.permissions:
        detail = Message("security.permission-missing", permission=str(permission))
        raise PermissionMissing(detail, permission=str(permission))


async def _tenant_meant(state: State, given: str | None) -> str:
    """Return the tenant that a query means.

    Raises:
        NotFound: it is another one, and the caller may not know of it, or there is none.
    """
    caller = _caller()
    if given is None or given == caller.tenant:
        return caller.tenant
    if Permission.TENANTS_MANAGE not in caller.permissions or await _tenant_is_missing(state, given):
        raise NotFound(Message("security.no-such-tenant"), field="tenant")
    return given


async def _check_tenant(state: State, caller: Principal, tenant_id: str) -> None:
    if tenant_id == DEFAULT_TENANT:
        raise InvalidRequest(Message("security.default-stays"), field="tenant")
    others = Permission.TENANTS_MANAGE in caller.permissions
    if not others and tenant_id != caller.tenant:
        raise NotFound(Message("security.no-such-tenant"), field="tenant")
    if not others:
        _require(caller, Permission.DATASETS_DELETE)
        _require(caller, Permission.KEYS_MANAGE)
    if await _tenant_is_missing(state, tenant_id):
        raise NotFound(Message("security.no-such-tenant"), field="tenant")


async def _tenant_is_missing(state: State, tenant_id: str) -> bool:
    return not is_tenant_id(tenant_id) or await state.analyses.store.tenant(tenant_id) is None


async def _erasure_id(state: State, body: object) -> str | None:
    key = await held_key(state, current_request(), ["erasure", body])  # type: ignore[list-item]
    # A repeated request is the same erasure.
    return None if key is None else digest(f"erasure\n{key}".encode())[:_ID_CHARACTERS]


def _longest(state: State) -> RetentionPeriods:
    settings = state.settings
    return RetentionPeriods(
        reports=settings.keep_reports_days, datasets=settings.keep_datasets_days, jobs=settings.keep_jobs_days
    )


def _check_periods(own: TenantRetention, longest: RetentionPeriods) -> None:
    for name in ("reports", "datasets", "jobs"):
        asked, most = getattr(own, name), getattr(longest, name)
        if asked is not None and most and asked > most:
            raise InvalidRequest(Message("security.keep-longer", what=name, most=most), field=name)


async def _retention(state: State, tenant_id: str) -> dict[str, object]:
    own, longest = await state.analyses.store.retention(tenant_id), _longest(state)
    return {
        "tenant": tenant_id,
        "own": asdict(own),
        "operator": _days(longest),
        "in_force": _days(longest.shortened(own)),
    }


def _days(periods: RetentionPeriods) -> dict[str, float | None]:
    return {name: days or None for name, days in asdict(periods).items()}


def _described(record: ErasureRecord) -> dict[str, object]:
    progress = Progress.read(record.receipt)
    return {
        "erasure_id": record.erasure_id,
        "what": record.what,
        "object_id": record.object_id,
        "status": "running" if record.finished_at is None else "finished",
        "requested_by": record.requested_by,
        "requested_at": record.requested_at,
        "finished_at": record.finished_at,
        "counts": progress.counts(),
        "digests": progress.digests(),
        "encryption_key": progress.encryption_key,
    }
