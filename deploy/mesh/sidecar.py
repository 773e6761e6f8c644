"""The files of the Envoy of one pod: mutual TLS for what comes in, and the routes of the mesh for what goes out.

Listeners are fixed; clusters, routes and addresses are files that Envoy watches, so that values are changed by
replacing a file. A sidecar takes what its pod sends by the address that it was sent to (`transparent`): the network of
the pod has to bring it there, but what carries `MARK`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.mesh.clusters import MARK, endpoints, inbound_cluster, name_of, outbound_cluster, tls_files
from deploy.mesh.objects import Objects, Rule, UnknownField
from deploy.mesh.routes import route_configuration

__all__ = ["MARK", "Inbound", "Outbound", "Sidecar", "endpoints"]

type _Config = dict[str, Any]

_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_DOWNSTREAM = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_ORIGINAL = "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """Requests to the pod.

    Attributes:
        objects: the release of the pod.
        component: `gateway` or `engine`.
        service_port: where the service listens on the loopback of the pod.
    """

    objects: Objects
    component: str
    service_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Requests of the pod to a component of a release.

    Attributes:
        objects: the release whose routes are followed.
        component: the component that is asked.
    """

    objects: Objects
    component: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One Envoy.

    Attributes:
        folder: where its files are put.
        name: of the pod.
        address: of the pod.
        certificates: folder with `cert.pem`, `key.pem` and `ca.pem` of the identity of the pod.
        releases: every release in the mesh, for the Services that routes name.
        inbound: requests to the pod, if it takes any.
        outbound: requests of the pod.
    """

    folder: Path
    name: str
    address: str
    certificates: Path
    releases: Sequence[Objects]
    inbound: Inbound | None = None
    outbound: Sequence[Outbound] = field(default=())

    def files(self, addresses: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        """Return the content of each file by its name; `bootstrap.json` is the one that Envoy is started with.

        Args:
            addresses: of the pods behind each Service, by its full name.
        """
        made: dict[str, object] = {"bootstrap.json": self._bootstrap(), "clusters.json": _resources(self._clusters())}
        for each in self.outbound:
            made[self._routes_file(each)] = _resources([self._routes(each)])
        for objects, component in self._reached():
            if not objects.is_headless(component):
                host = objects.host(component)
                made[f"{host}.json"] = _resources([endpoints(objects, component, addresses.get(host, ()))])
        return {name: json.dumps(content, indent=1) for name, content in made.items()}

    def _bootstrap(self) -> _Config:
        listeners = [self._outbound_listener(each) for each in self.outbound]
        if self.inbound is not None:
            listeners.append(self._inbound_listener(self.inbound))
        # Fixed as well: a listener refuses routes to a cluster that it does not know yet.
        service = [] if self.inbound is None else [_service(self.inbound)]
        return {
            "node": {"id": self.name, "cluster": self.name},
            "admin": {"address": {"pipe": {"path": str(self.folder / "admin.sock"), "mode": 0o600}}},
            "dynamic_resources": {"cds_config": _watched(self.folder / "clusters.json")},
            "static_resources": {"listeners": listeners, "clusters": service},
        }

    def _clusters(self) -> list[_Config]:
        made = [
            outbound_cluster(
                objects, component, self.certificates, _watched(self.folder / f"{objects.host(component)}.json")
            )
            for objects, component in self._reached()
        ]
        return [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", **each} for each in made]

    def _reached(self) -> list[tuple[Objects, str]]:
        """Return every Service that a route names, as its release and component."""
        found: dict[str, tuple[Objects, str]] = {}
        for each in self.outbound:
            for route in each.objects.routes(each.component):
                named = [*route.destinations, *([route.mirror] if route.mirror else [])]
                found |= {one.host: self._owner(one.host, each.component) for one in named}
        return list(found.values())

    def _owner(self, host: str, component: str) -> tuple[Objects, str]:
        for objects in self.releases:
            if objects.host(component) == host:
                return objects, component
        raise UnknownField(f"no release has {host}")

    def _routes_file(self, outbound: Outbound) -> str:
        return f"routes-{outbound.component}.json"

    def _routes(self, outbound: Outbound) -> _Config:
        made = route_configuration(outbound.objects, outbound.component)
        return {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", **made}

    def _outbound_listener(self, outbound: Outbound) -> _Config:
        port = outbound.objects.port(outbound.component)
        rds = {
            "route_config_name": name_of(outbound.objects, outbound.component),
            "config_source": _watched(self.folder / self._routes_file(outbound)),
        }
        return {
            "name": f"outbound-{port}",
            "address": _address("0.0.0.0", port),
            "transparent": True,
            "listener_filters": [{"name": "original_dst", "typed_config": {"@type": _ORIGINAL}}],
            "filter_chains": [{"filters": [_manager(f"outbound-{port}", {"rds": rds})]}],
        }

    def _inbound_listener(self, inbound: Inbound) -> _Config:
        objects, component = inbound.objects, inbound.component
        if not objects.demands_identity():
            raise UnknownField("PeerAuthentication: not STRICT")
        trusted = objects.identity(component).partition("/ns/")[0] + "/"
        cluster = {"cluster": f"inbound|{objects.port(component)}||", "timeout": "0s"}
        routes = {
            "virtual_hosts": [
                {"name": "inbound", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": cluster}]}
            ]
        }
        tls = {
            "@type": _DOWNSTREAM,
            "require_client_certificate": True,
            "common_tls_context": tls_files(self.certificates, {"prefix": trusted}),
        }
        return {
            "name": "inbound",
            "address": _address(self.address, objects.port(component)),
            "filter_chains": [
                {
                    "transport_socket": {"name": "tls", "typed_config": tls},
                    "filters": [_manager("inbound", {"route_config": routes}, _admission(objects.rules(component)))],
                }
            ],
        }


def _service(inbound: Inbound) -> _Config:
    return inbound_cluster(inbound.objects, inbound.component, inbound.service_port)


def _manager(name: str, routes: _Config, *filters: _Config) -> _Config:
    # As Istio sets them: a stream may be silent for as long as its route lets it.
    config = {
        "@type": _HTTP,
        "stat_prefix": name,
        "stream_idle_timeout": "0s",
        "normalize_path": True,
        "server_header_transformation": "PASS_THROUGH",
        **routes,
        "http_filters": [*filters, {"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    return {"name": "http", "typed_config": config}


def _admission(rules: Sequence[Rule]) -> _Config:
    policies = {f"rule-{number}": _policy(rule) for number, rule in enumerate(rules)}
    return {"name": "rbac", "typed_config": {"@type": _RBAC, "rules": {"action": "ALLOW", "policies": policies}}}


def _policy(rule: Rule) -> _Config:
    given: list[list[_Config]] = [
        [{"destination_port": port} for port in rule.ports],
        [{"header": {"name": ":method", "string_match": {"exact": method}}} for method in rule.methods],
        [{"url_path": {"path": {"exact": path}}} for path in rule.paths],
    ]
    wanted = [{"or_rules": {"rules": each}} for each in given if each]
    names = [{"authenticated": {"principal_name": {"exact": f"spiffe://{each}"}}} for each in rule.principals]
    return {"permissions": [{"and_rules": {"rules": wanted}} if wanted else {"any": True}], "principals": names}


def _address(host: str, port: int) -> _Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _watched(path: Path) -> _Config:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _resources(found: Sequence[_Config]) -> _Config:
    return {"resources": list(found)}
