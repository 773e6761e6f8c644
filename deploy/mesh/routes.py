"""Routes of Envoy from those of a VirtualService."""

from typing import Any

from deploy.mesh.clusters import name_of
from deploy.mesh.objects import Destination, Objects, Route

__all__ = ["route_configuration"]

type _Config = dict[str, Any]

_MILLION = 1_000_000
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"


def route_configuration(objects: Objects, component: str) -> _Config:
    """Return the routes to a component, under every name that its Service has in its namespace."""
    host = objects.host(component)
    labels = host.split(".")
    names = [labels[0], ".".join(labels[:2]), ".".join(labels[:3]), host]
    return {
        "name": name_of(objects, component),
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [
            {
                "name": host,
                "domains": names,
                "include_request_attempt_count": True,
                "routes": [_route(each) for each in objects.routes(component)],
            }
        ],
    }


def _route(route: Route) -> _Config:
    match: _Config = {"safe_regex": {"regex": route.path}} if route.path else {"prefix": "/"}
    if route.header is not None:
        name, value = route.header
        match["headers"] = [{"name": name, "string_match": {"safe_regex": {"regex": value}}}]
    action: _Config = {"timeout": f"{route.seconds:g}s", **_targets(route)}
    if route.retries:
        action["retry_policy"] = _retries(route.retries)
    if route.mirror is not None:
        share = {"numerator": round(route.mirror_percent * _MILLION / 100), "denominator": "MILLION"}
        copies = {"cluster": _cluster(route.mirror), "runtime_fraction": {"default_value": share}}
        action["request_mirror_policies"] = [copies]
    return {"match": match, "route": action}


def _targets(route: Route) -> _Config:
    if len(route.destinations) == 1:
        return {"cluster": _cluster(route.destinations[0])}
    weighted = [{"name": _cluster(each), "weight": round(each.weight)} for each in route.destinations]
    return {"weighted_clusters": {"clusters": weighted}}


def _cluster(destination: Destination) -> str:
    return f"outbound|{destination.port}||{destination.host}"


def _retries(attempts: int) -> _Config:
    # The defaults of Istio, with another host for each attempt where there is one.
    return {
        "num_retries": attempts,
        "retry_on": _RETRY_ON,
        "retriable_status_codes": [503],
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }
