"""The content of the objects of Istio of one release: routes, ejection, time-outs and who is admitted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Destination", "Ejection", "Objects", "Route", "Rule", "UnknownField"]

type _Object = Mapping[str, Any]

_CONNECT_SECONDS = 10.0
_RETRIES = 2
"""Defaults of Istio, where no object says otherwise."""


class UnknownField(ValueError):
    """An object has a field that is not translated, so that a run without it would prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A Service that gets requests.

    Attributes:
        host: its full name.
        port: its port.
        weight: share of the requests in percent.
    """

    host: str
    port: int
    weight: float = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule for the requests that match it.

    Attributes:
        path: a regular expression for the whole path; "" for every path.
        header: a name and a regular expression for its whole value.
        destinations: where they go.
        mirror: where copies go.
        mirror_percent: share of the requests that are copied.
        retries: attempts after the first one.
        seconds: time for the answer; 0.0 for no end.
    """

    path: str = ""
    header: tuple[str, str] | None = None
    destinations: tuple[Destination, ...]
    mirror: Destination | None = None
    mirror_percent: float = 0.0
    retries: int = _RETRIES
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """Ejection of an address by a proxy.

    Attributes:
        local: consecutive connections that fail; 0 for never.
        gateway_errors: consecutive answers 502, 503 and 504; 0 for never, None for the default of Envoy.
        server_errors: consecutive answers 5xx; 0 for never, None for the default of Envoy.
        split: whether failed connections and answers are counted apart.
        interval: seconds between two checks, at which addresses come back.
        base: seconds of the first ejection; later ones take a multiple.
        most_percent: share of the addresses that may be ejected; None for the default of Envoy.
    """

    local: int = 0
    gateway_errors: int | None = None
    server_errors: int | None = None
    split: bool = False
    interval: float | None = None
    base: float | None = None
    most_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Requests that a pod admits; an empty sequence admits any.

    Attributes:
        principals: identities without `spiffe://`.
        ports: ports of the pod.
        methods: methods.
        paths: paths.
    """

    principals: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Objects:
    """The objects of one release.

    Args:
        documents: every object, as `helm template` prints them.

    Raises:
        UnknownField: at a method, where an object has a field that is not translated.
    """

    def __init__(self, documents: Sequence[_Object]) -> None:
        self._documents = tuple(documents)

    def host(self, component: str) -> str:
        """Return the full name of the Service of `gateway` or `engine`."""
        return str(self._of("DestinationRule", component)["spec"]["host"])

    def port(self, component: str) -> int:
        """Return the port of a component."""
        return int(self._of("Service", component)["spec"]["ports"][0]["port"])

    def is_headless(self, component: str) -> bool:
        """Return whether clients choose among the addresses of a Service themselves."""
        return self._of("Service", component)["spec"].get("clusterIP") == "None"

    def identity(self, component: str) -> str:
        """Return the SPIFFE id of the pods of a component, from their service account."""
        account = self._of("Deployment", component)["spec"]["template"]["spec"]["serviceAccountName"]
        namespace = self._of("Deployment", component)["metadata"]["namespace"]
        return f"spiffe://{self._trust_domain()}/ns/{namespace}/sa/{account}"

    def demands_identity(self) -> bool:
        """Return whether every port of the pods takes mutual TLS alone."""
        [found] = [each for each in self._documents if each["kind"] == "PeerAuthentication"]
        spec = _only(found["spec"], "selector", "mtls")
        return bool(spec["mtls"] == {"mode": "STRICT"})

    def rules(self, component: str) -> tuple[Rule, ...]:
        """Return what the pods of a component admit."""
        spec = _only(self._of("AuthorizationPolicy", component)["spec"], "selector", "action", "rules")
        if spec["action"] != "ALLOW":
            raise UnknownField(f"AuthorizationPolicy: action {spec['action']}")
        return tuple(_rule(each) for each in spec.get("rules", ()))

    def routes(self, component: str) -> tuple[Route, ...]:
        """Return the routes to a component, the first match first."""
        spec = self._of("VirtualService", component)["spec"]
        _only(spec, "hosts", "gateways", "http")
        return tuple(route for each in spec["http"] for route in _routes(each))

    def ejection(self, component: str) -> Ejection:
        """Return when a proxy leaves a pod of a component alone."""
        given = self._policy(component).get("outlierDetection")
        return Ejection(server_errors=0, gateway_errors=0) if given is None else _ejection(given)

    def connect_seconds(self, component: str) -> float:
        """Return how long a connection to a pod of a component may take to open."""
        pool = self._pool(component, "tcp", "connectTimeout")
        return _seconds(pool["connectTimeout"]) if "connectTimeout" in pool else _CONNECT_SECONDS

    def idle_seconds(self, component: str) -> float | None:
        """Return how long a proxy keeps an idle connection to a pod of a component; None for the default of Envoy."""
        pool = self._pool(component, "http", "idleTimeout")
        return _seconds(pool["idleTimeout"]) if "idleTimeout" in pool else None

    def _pool(self, component: str, kind: str, *fields: str) -> _Object:
        pool = _only(self._policy(component).get("connectionPool", {}), "tcp", "http")
        return _only(pool.get(kind, {}), *fields)

    def _policy(self, component: str) -> _Object:
        spec = _only(self._of("DestinationRule", component)["spec"], "host", "trafficPolicy")
        policy = _only(spec["trafficPolicy"], "tls", "outlierDetection", "connectionPool")
        if policy["tls"] != {"mode": "ISTIO_MUTUAL"}:
            raise UnknownField(f"DestinationRule: tls {policy['tls']}")
        return policy

    def _of(self, kind: str, component: str) -> _Object:
        [found] = [
            each
            for each in self._documents
            if each["kind"] == kind and each["metadata"]["labels"].get("app.kubernetes.io/component") == component
        ]
        return found

    def _trust_domain(self) -> str:
        return self.rules("engine")[0].principals[0].partition("/")[0]


def _only(given: _Object, *fields: str) -> _Object:
    if unknown := set(given) - set(fields):
        raise UnknownField(", ".join(sorted(unknown)))
    return given


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"(\d+)(s|ms|m)", duration)
    if found is None:
        raise UnknownField(f"duration {duration}")
    return int(found[1]) * {"s": 1.0, "ms": 0.001, "m": 60.0}[found[2]]


def _destination(given: _Object, weight: float = 100) -> Destination:
    _only(given, "host", "port")
    return Destination(host=given["host"], port=given["port"]["number"], weight=weight)


def _routes(given: _Object) -> list[Route]:
    _only(given, "name", "match", "route", "mirror", "mirrorPercentage", "retries", "timeout")
    mirror = given.get("mirror")
    retries = _only(given.get("retries", {"attempts": _RETRIES}), "attempts")
    common: dict[str, Any] = {
        "destinations": tuple(_destination(each["destination"], each.get("weight", 100)) for each in given["route"]),
        "mirror": None if mirror is None else _destination(mirror),
        "mirror_percent": given.get("mirrorPercentage", {}).get("value", 0.0 if mirror is None else 100.0),
        "retries": retries["attempts"],
        "seconds": _seconds(given.get("timeout", "0s")),
    }
    return [Route(**_match(each), **common) for each in given.get("match", ({},))]


def _match(given: _Object) -> dict[str, Any]:
    _only(given, "uri", "headers")
    headers = [(name, _only(value, "regex")["regex"]) for name, value in given.get("headers", {}).items()]
    path = _only(given.get("uri", {}), "regex").get("regex", "")
    return {"path": path, "header": headers[0] if headers else None}


def _rule(given: _Object) -> Rule:
    [source] = [_only(each["source"], "principals") for each in _only(given, "from", "to")["from"]]
    [operation] = [_only(each["operation"], "ports", "methods", "paths") for each in given["to"]]
    return Rule(
        principals=tuple(source["principals"]),
        ports=tuple(int(port) for port in operation.get("ports", ())),
        methods=tuple(operation.get("methods", ())),
        paths=tuple(operation.get("paths", ())),
    )


def _ejection(given: _Object) -> Ejection:
    _only(
        given,
        "splitExternalLocalOriginErrors",
        "consecutiveLocalOriginFailures",
        "consecutiveGatewayErrors",
        "consecutive5xxErrors",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
    )
    split = given.get("splitExternalLocalOriginErrors", False)
    return Ejection(
        local=given.get("consecutiveLocalOriginFailures", 0) if split else 0,
        gateway_errors=given.get("consecutiveGatewayErrors"),
        server_errors=given.get("consecutive5xxErrors"),
        split=split,
        interval=_seconds(given["interval"]) if "interval" in given else None,
        base=_seconds(given["baseEjectionTime"]) if "baseEjectionTime" in given else None,
        # Istio takes 0 for not given.
        most_percent=given.get("maxEjectionPercent") or None,
    )
