"""Spans and metrics of stores and caches, for any backend."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.spans import Attributes, span

__all__ = ["CACHE_OPERATIONS", "DATABASE_OPERATIONS", "STORE_OPERATIONS", "observed"]

CACHE_OPERATIONS: Mapping[str, str] = {
    "get": "GET",
    "put": "SET",
    "discard": "DEL",
    "erase": "DEL",
    "claim": "SET NX",
    "release": "DEL IF",
}
"""Operations of a result cache, by method name."""

STORE_OPERATIONS: Mapping[str, str] = {
    "save": "INSERT",
    "load": "SELECT",
    "reports": "SELECT",
    "stored": "SELECT",
    "delete_reports": "DELETE",
    "expired_reports": "SELECT",
    "annotation": "SELECT",
    "annotate": "UPSERT",
    "forget_history": "DELETE",
    "summaries": "SELECT",
    "looks": "SELECT",
    "put_facts": "UPSERT",
    "without_facts": "SELECT",
    "count_reuses": "UPSERT",
    "view_rows": "SELECT",
    "put_share": "UPSERT",
    "shares": "SELECT",
    "share_of": "SELECT",
    "delete_share": "DELETE",
    "expire_shares": "DELETE",
    "register": "INSERT",
    "dataset": "SELECT",
    "datasets": "SELECT",
    "rename": "UPDATE",
    "forget": "DELETE",
    "put_job": "UPSERT",
    "interrupt_job": "UPDATE",
    "retire_jobs": "DELETE",
    "job": "SELECT",
    "claim_turn": "UPSERT",
    "release_turn": "DELETE",
    "jobs": "SELECT",
    "delete_job": "DELETE",
    "delete_jobs_of": "DELETE",
    "append_audit": "INSERT",
    "audit": "SELECT",
    "audit_after": "SELECT",
    "audit_head": "SELECT",
    "put_erasure": "UPSERT",
    "erasure": "SELECT",
    "open_erasures": "SELECT",
    "erase_everything": "DELETE",
}
"""Operations of the result store of one tenant, by method name."""

DATABASE_OPERATIONS: Mapping[str, str] = {
    "put_tenant": "UPSERT",
    "tenant": "SELECT",
    "tenants": "SELECT",
    "retention": "SELECT",
    "put_retention": "UPDATE",
    "put_key": "INSERT",
    "key": "SELECT",
    "keys": "SELECT",
    "revoke_key": "UPDATE",
    "delete_keys": "DELETE",
    "used_key": "UPDATE",
    "renew_jobs": "UPDATE",
    "interrupt_jobs": "UPDATE",
    "tenant_of_share": "SELECT",
    "scrub": "VACUUM",
}
"""Operations of a result store on what all tenants have, by method name. `ping` is a probe and is not traced."""

_OF_COLLECTIONS: Mapping[str, tuple[str, ...]] = {
    "reports": ("save", "load", "reports", "stored", "delete_reports", "expired_reports", "summaries", "looks"),
    "annotations": ("annotation", "annotate", "forget_history"),
    "shares": ("put_share", "shares", "share_of", "delete_share", "expire_shares", "tenant_of_share"),
    "tenants": ("put_tenant", "tenant", "tenants", "retention", "put_retention"),
    "api_keys": ("put_key", "key", "keys", "revoke_key", "delete_keys", "used_key"),
    "datasets": ("register", "dataset", "datasets", "rename", "forget"),
    "jobs": (
        *("put_job", "renew_jobs", "interrupt_jobs", "interrupt_job", "retire_jobs", "job"),
        *("jobs", "delete_job", "delete_jobs_of"),
    ),
    "turns": ("claim_turn", "release_turn"),
    "audit": ("append_audit", "audit", "audit_after", "audit_head"),
    "facts": ("put_facts", "without_facts", "count_reuses", "view_rows"),
    "erasures": ("put_erasure", "erasure", "open_erasures"),
}
_COLLECTIONS = {method: name for name, methods in _OF_COLLECTIONS.items() for method in methods}
_SYSTEMS = {"sqlite": "sqlite", "postgres": "postgresql", "redis": "redis", "memory": "memory"}

_active: dict[str, int] = {}
metrics.watch(
    metric_definitions.STORE_ACTIVE, lambda: [(count, {"db.system.name": system}) for system, count in _active.items()]
)
_caches: dict[str, None] = {}
metrics.born(
    metric_definitions.CACHE_REQUESTS,
    lambda: [{"cache": cache, "outcome": outcome} for cache in list(_caches) for outcome in ("hit", "miss")],
)

type _Method = Callable[..., Awaitable[object]]


def observed[Store](store: Store, operations: Mapping[str, str], *, system: str = "") -> Store:
    """Wrap a store so that each operation is timed and recorded as a CLIENT span.

    Args:
        store: store or cache to wrap.
        operations: operation name by method name.
        system: `db.system` name; derived from the class if empty.
    """
    return cast("Store", _Observed(store, operations, system or _system_of(store), _server_of(store)))


class _Observed:
    def __init__(self, store: object, operations: Mapping[str, str], system: str, server: Attributes) -> None:
        self._store = store
        for method, operation in operations.items():
            setattr(self, method, _watched(getattr(store, method), method, operation, system, server))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the store
        return getattr(self._store, name)


def _watched(call: _Method, method: str, operation: str, system: str, server: Attributes) -> _Method:
    labels = {"db.system.name": system, "db.operation.name": operation}
    collection = _COLLECTIONS.get(method, "")
    summary = f"{operation} {collection}".strip()
    attributes: Attributes = {
        **labels,
        **({"db.collection.name": collection} if collection else {}),
        "db.query.summary": summary,
        **server,
    }
    is_lookup = operation == "GET"
    _active.setdefault(system, 0)
    if is_lookup:
        _caches[system] = None

    async def watched(*args: object, **kwargs: object) -> object:
        began = time.perf_counter()
        measured = labels
        _active[system] = _active.get(system, 0) + 1
        try:
            with span(summary, attributes, kind="client") as it:
                found = await call(*args, **kwargs)
                if is_lookup:
                    outcome = "miss" if found is None else "hit"
                    it.add({"cqox.cache.outcome": outcome})
                    metrics.count(metric_definitions.CACHE_REQUESTS, {"cache": system, "outcome": outcome})
                return found
        except BaseException as error:
            if outcome_of(error) is not Outcome.CANCELLED:
                measured = labels | {"error.type": error_type(error)}
            raise
        finally:
            _active[system] -= 1
            metrics.record(metric_definitions.STORE_DURATION, time.perf_counter() - began, measured)

    return watched


def _server_of(store: object) -> Attributes:
    """Return where a store with a server has it, by the semantic conventions."""
    server = getattr(store, "server", None)
    if server is None:
        return {}
    known = {"server.address": server.host, "server.port": server.port, "db.namespace": server.namespace}
    return {name: value for name, value in known.items() if value not in (None, "")}


def _system_of(store: object) -> str:
    name = type(store).__name__.lower()
    return next((system for part, system in _SYSTEMS.items() if part in name), name)
