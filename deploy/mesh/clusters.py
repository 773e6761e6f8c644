"""Clusters of Envoy: pods of a Service with identity, ejection and time-outs, and the service of the own pod."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.mesh.objects import Ejection, Objects

__all__ = ["MARK", "endpoints", "inbound_cluster", "name_of", "outbound_cluster", "tls_files"]

type _Config = dict[str, Any]

MARK = 1337
"""Mark of the packets of a sidecar, by which the network of the pod knows that they have passed it."""

_UPSTREAM = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SOL_SOCKET, _SO_MARK = 1, 36
_NO_LIMIT = 2**32 - 1


def name_of(objects: Objects, component: str) -> str:
    """Return the name of the cluster, and of the routes, of a Service."""
    return f"outbound|{objects.port(component)}||{objects.host(component)}"


def outbound_cluster(objects: Objects, component: str, certificates: Path, source: _Config) -> _Config:
    """Return the cluster of a Service as other pods see it.

    Args:
        objects: the release that has it.
        component: its component.
        certificates: of the pod that asks.
        source: where Envoy has the addresses of the pods from, unless clients choose among them.
    """
    tls = {
        "@type": _UPSTREAM,
        "common_tls_context": tls_files(certificates, {"exact": objects.identity(component)}),
        "sni": f"outbound_.{objects.port(component)}_._.{objects.host(component)}",
    }
    kind: _Config
    if objects.is_headless(component):
        # The pod has chosen the address: Envoy keeps it.
        kind = {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}
    else:
        discovered = {"service_name": name_of(objects, component), "eds_config": source}
        kind = {"type": "EDS", "lb_policy": "LEAST_REQUEST", "eds_cluster_config": discovered}
    mark = {"level": _SOL_SOCKET, "name": _SO_MARK, "int_value": MARK, "state": "STATE_PREBIND"}
    return {
        "name": name_of(objects, component),
        **kind,
        **_common(objects, component),
        "transport_socket": {"name": "tls", "typed_config": tls},
        "upstream_bind_config": {"socket_options": [mark]},
        "outlier_detection": _ejection(objects.ejection(component)),
        # As Istio does: where few pods are left, those that were ejected stay away.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }


def inbound_cluster(objects: Objects, component: str, service_port: int) -> _Config:
    """Return the cluster of the service of the pod; Istio applies the connection pool of its rule here too."""
    name = f"inbound|{objects.port(component)}||"
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [_endpoint("127.0.0.1", service_port)]}]}
    return {"name": name, "type": "STATIC", **_common(objects, component), "load_assignment": assignment}


def endpoints(objects: Objects, component: str, addresses: Iterable[str]) -> _Config:
    """Return the addresses of the pods of a Service, as Envoy reads them."""
    found = [_endpoint(each, objects.port(component)) for each in addresses]
    return {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name_of(objects, component),
        "endpoints": [{"lb_endpoints": found}],
    }


def tls_files(certificates: Path, identity: _Config) -> _Config:
    """Return the part of a TLS context that both sides have: own files, and a matcher of the identity of the peer."""
    own = {
        "certificate_chain": {"filename": str(certificates / "cert.pem")},
        "private_key": {"filename": str(certificates / "key.pem")},
    }
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [own],
        "validation_context": {
            "trusted_ca": {"filename": str(certificates / "ca.pem")},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": identity}],
        },
    }


def _common(objects: Objects, component: str) -> _Config:
    idle = objects.idle_seconds(component)
    options: _Config = {"@type": _HTTP_OPTIONS, "explicit_http_config": {"http_protocol_options": {}}}
    if idle is not None:
        options["common_http_protocol_options"] = {"idle_timeout": f"{idle:g}s"}
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "connect_timeout": f"{objects.connect_seconds(component):g}s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "circuit_breakers": {"thresholds": [dict.fromkeys(names, _NO_LIMIT)]},
    }


def _endpoint(address: str, port: int) -> _Config:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}


def _ejection(given: Ejection) -> _Config:
    made: _Config = {"enforcing_success_rate": 0}
    for name, count in (("5xx", given.server_errors), ("gateway_failure", given.gateway_errors)):
        if count is not None:
            made |= {f"consecutive_{name}": count, f"enforcing_consecutive_{name}": 100 if count else 0}
    if given.split:
        made |= {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": 0}
    if given.local:
        made |= {"consecutive_local_origin_failure": given.local, "enforcing_consecutive_local_origin_failure": 100}
    if given.interval is not None:
        made["interval"] = f"{given.interval:g}s"
    if given.base is not None:
        made["base_ejection_time"] = f"{given.base:g}s"
    if given.most_percent is not None:
        made["max_ejection_percent"] = given.most_percent
    return made
