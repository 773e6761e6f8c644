"""Handlers of the operations on principals, API keys and tenants."""

from http import HTTPStatus

from pydantic import JsonValue
from quart import Response

from cqox import clock
from cqox.contract import KeyRequest, TenantChange, parse_model
from cqox.contract.messages import Message, collect_messages
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest, NotFound
from cqox.security import (
    LOCAL,
    Permission,
    Principal,
    Refusal,
    Role,
    digest_of,
    encode,
    granted,
    id_of_request,
    new_key,
)
from cqox.storage import ApiKeyRecord, TenantRecord, is_tenant_id
from services.engine.answers import json_answer, no_content
from services.engine.key_records import new_record, resolve
from services.engine.keys import held_key, value_digest
from services.engine.pages import query_of
from services.engine.state import State
from services.http.contract.identity_operations import PresentedKey
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.propagation import is_own_key
from services.http.request.request import current_request
from services.http.security.audited import note
from services.http.security.requester import principal_of

__all__ = ["handlers", "resolving"]

_INTERNAL_BYTES = 2**12


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on principals, keys and tenants, by name."""

    async def read_principal() -> Response:
        query_of("read_principal")
        principal = _caller()
        return json_answer(
            {
                "subject": principal.subject,
                "tenant": principal.tenant,
                "roles": list(principal.roles),
                "permissions": sorted(principal.permissions),
                "kind": principal.kind,
            }
        )

    async def list_keys() -> Response:
        query_of("list_keys")
        records = await state.analyses.store.keys(_caller().tenant)
        return json_answer({"keys": [_described(record) for record in records]})

    async def create_key() -> Response:
        query_of("create_key")
        caller, settings = _caller(), state.settings
        body = await read_json(current_request(), max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(KeyRequest, body)
        _check_words(asked)
        if not granted(asked.roles, asked.scopes) <= caller.permissions:
            raise InvalidRequest(Message("security.more-than-oneself"), field="roles", choices=_roles_of(caller))
        wanted = await _wanted_id(state, body)
        earlier = None if not wanted else await state.analyses.store.key(wanted)
        if earlier is not None and earlier.tenant_id == caller.tenant:
            return json_answer(_made_earlier(earlier))
        # An identifier that another tenant has is no reason to fail.
        key = new_key(wanted if earlier is None else "")
        record = new_record(
            key.key_id,
            digest_of(key),
            tenant_id=caller.tenant,
            name=asked.name,
            roles=asked.roles,
            scopes=asked.scopes,
            days=asked.days,
            now=clock.now(),
        )
        if not await state.analyses.store.put_key(record):
            # An equal request may have been faster.
            earlier = await state.analyses.store.key(key.key_id)
            if earlier is not None and earlier.tenant_id == caller.tenant:
                return json_answer(_made_earlier(earlier))
            raise NotFound(Message("security.no-such-tenant"))
        note(current_request().scope, kind="key", identity=key.key_id)
        return json_answer(_described(record) | {"key": key.text, "note": None, "messages": {}}, HTTPStatus.CREATED)

    async def revoke_key(key_id: str) -> Response:
        query_of("revoke_key")
        at = clock.timestamp()
        store, tenant = state.analyses.store, _caller().tenant
        if not await store.revoke_key(tenant, key_id, at=at) and not await _is_revoked(state, tenant, key_id):
            raise NotFound(Message("security.no-such-key"), field="key_id")
        return no_content()

    async def read_tenant(tenant_id: str) -> Response:
        query_of("read_tenant")
        record = await state.analyses.store.tenant(tenant_id) if is_tenant_id(tenant_id) else None
        if record is None:
            raise NotFound(Message("security.no-such-tenant"), field="tenant_id")
        return json_answer(_of_tenant(record))

    async def put_tenant(tenant_id: str) -> Response:
        query_of("put_tenant")
        settings, store = state.settings, state.analyses.store
        body = await read_json(current_request(), max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        name = parse_model(TenantChange, body).name
        if not is_tenant_id(tenant_id):
            raise InvalidRequest(Message("security.no-tenant-id"), field="tenant_id")
        found = await store.tenant(tenant_id)
        if found is not None and found.erased_at is not None:
            # Its id is never used again, so that nothing of it comes back.
            raise NotFound(Message("security.tenant-erased"), field="tenant_id")
        now = clock.timestamp()
        created_at = now if found is None else found.created_at
        record = TenantRecord(tenant_id=tenant_id, name=name, created_at=created_at, erased_at=None)
        await store.put_tenant(record)
        return json_answer(_of_tenant(record))

    return {
        "read_principal": read_principal,
        "list_keys": list_keys,
        "create_key": create_key,
        "revoke_key": revoke_key,
        "read_tenant": read_tenant,
        "put_tenant": put_tenant,
    }


def resolving(state: State) -> Handler:
    """Return the handler by which a gateway asks who holds a key."""

    async def resolve_key() -> Response:
        body = await read_json(current_request(), max_bytes=_INTERNAL_BYTES)
        asked = parse_model(PresentedKey, body)
        verdict, seconds = await resolve(
            state.analyses.store, asked.key_id, bytes.fromhex(asked.digest), now=clock.now()
        )
        if isinstance(verdict, Refusal):
            return json_answer({"principal": None, "refused": verdict.reason, "seconds": seconds})
        return json_answer({"principal": encode(verdict), "refused": None, "seconds": seconds})

    return resolve_key


async def _wanted_id(state: State, body: JsonValue) -> str:
    """Return the identifier of the key that this request makes; an empty one where any will do."""
    request, caller = current_request(), _caller()
    key = await held_key(state, request, body)
    # A gateway's own key is for its attempts alone: the client has seen no response of an earlier one.
    if key is None or is_own_key(key):
        return ""
    return id_of_request(caller.tenant, caller.subject, key, value_digest(body))


def _made_earlier(record: ApiKeyRecord) -> dict[str, object]:
    answer = _described(record) | {"key": None, "note": Message("security.key-shown-once", key_id=record.key_id)}
    return answer | {"messages": collect_messages(answer)}


def _caller() -> Principal:
    # Without a layer in front, as in a test of handlers alone, the caller is the user of this machine.
    return principal_of(current_request().scope) or LOCAL


def _check_words(asked: KeyRequest) -> None:
    for role in asked.roles:
        if role not in Role:
            raise unknown_word(Message("security.word-role"), role, list(Role), field="roles")
    for scope in asked.scopes or ():
        if scope not in Permission or scope == Permission.KEYS_RESOLVE:
            known = [each for each in Permission if each is not Permission.KEYS_RESOLVE]
            raise unknown_word(Message("security.word-scope"), scope, known, field="scopes")


def _roles_of(caller: Principal) -> list[str]:
    return [role for role in Role if granted([role]) <= caller.permissions]


async def _is_revoked(state: State, tenant: str, key_id: str) -> bool:
    record = await state.analyses.store.key(key_id)
    return record is not None and record.tenant_id == tenant and record.revoked_at is not None


def _described(record: ApiKeyRecord) -> dict[str, object]:
    return {
        "key_id": record.key_id,
        "name": record.name,
        "roles": list(record.roles),
        "scopes": None if record.scopes is None else list(record.scopes),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "last_used_on": record.last_used_on,
        "revoked_at": record.revoked_at,
    }


def _of_tenant(record: TenantRecord) -> dict[str, object]:
    return {
        "tenant_id": record.tenant_id,
        "name": record.name,
        "created_at": record.created_at,
        "erased_at": record.erased_at,
    }
