"""The chart as a real Helm renders it, for values that differ in what they switch on."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from helm_python.chart import Chart

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "chart"
DIGEST = "sha256:" + "5a" * 32

LEAST = {"auth": {"mode": "open"}, "gateway": {"image": {"digest": DIGEST}}, "engine": {"image": {"digest": DIGEST}}}
"""The values that have to be said."""

_LOGIN = {
    "auth": {"mode": "keys"},
    "secrets": {"hopKey": {"name": "cqox-hop"}, "adminToken": {"name": "cqox-admin"}},
    "encryption": {"keys": "file"},
}
_STORES = {
    "secrets": {
        "postgresUrl": {"name": "cqox-stores"},
        "redisUrl": {"name": "cqox-stores"},
        "migrationPostgresUrl": {"name": "cqox-owner"},
    },
    "storage": {"accessMode": "ReadWriteMany", "className": "shared"},
    "engine": {"replicas": 3},
}
_OIDC = {
    "auth": {
        "mode": "oidc",
        "oidc": {"issuer": "https://id.example.com", "audience": "cqox", "clientId": "page", "cliClientId": "cli"},
    },
    "secrets": {"hopKey": {"name": "cqox-hop"}, "oidcClientSecret": {"name": "cqox-oidc"}},
    "encryption": {"keys": "none"},
}
_MONITORED = {
    "monitoring": {"serviceMonitor": True, "rules": True, "labels": {"release": "prometheus"}},
    "telemetry": {"endpoint": "http://collector:4318", "traceUrl": "https://traces.example.com/{trace_id}"},
}
_KEY = {"monitoring": {"credentials": {"name": "cqox-metrics"}}}
_CLIENTS = {"meshed": {"clients": [{"namespace": "ingress", "serviceAccount": "edge"}]}}


def merged(*parts: Mapping[str, object]) -> dict[str, object]:
    """Return values of which later ones win, object by object."""
    values: dict[str, object] = {}
    for part in parts:
        for key, value in copy.deepcopy(dict(part)).items():
            before = values.get(key)
            values[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return values


MATRIX: Mapping[str, dict[str, object]] = {
    "least": merged(LEAST),
    "stores": merged(LEAST, _LOGIN, _STORES),
    "monitored": merged(LEAST, _LOGIN, _STORES, _MONITORED, _KEY),
    "hpa": merged(
        LEAST, _STORES, {"engine": {"autoscaling": {"by": "hpa"}}, "gateway": {"autoscaling": {"enabled": True}}}
    ),
    "keda": merged(LEAST, _STORES, _MONITORED, {"engine": {"autoscaling": {"by": "keda"}}}),
    "oidc": merged(
        LEAST, _OIDC, _STORES, {"hosts": ["cqox.example.com"], "ingress": {"enabled": True, "tlsSecret": "web"}}
    ),
    "route": merged(
        LEAST,
        _LOGIN,
        {
            "hosts": ["cqox.example.com"],
            "httpRoute": {"enabled": True, "parents": [{"name": "web", "namespace": "web"}]},
        },
    ),
    "tls": merged(
        LEAST,
        _STORES,
        _MONITORED,
        _KEY,
        {"auth": {"mode": "keys"}, "encryption": {"keys": "none"}, "monitoring": {"tlsSecret": "prometheus-tls"}},
        {"tls": {"enabled": True, "gatewaySecret": "gateway-tls", "engineSecret": "engine-tls"}},
    ),
    "vault": merged(
        LEAST,
        _LOGIN,
        {
            "encryption": {"keys": "vault"},
            "vault": {"address": "https://vault.example.com:8200", "ca": {"name": "vault-ca"}},
        },
    ),
    "objects": merged(
        LEAST,
        _STORES,
        {
            "secrets": {"objectStoreAccessKey": {"name": "cqox-s3"}, "objectStoreSecretKey": {"name": "cqox-s3"}},
            "storage": {
                "accessMode": "ReadWriteOnce",
                "objectStore": {"url": "s3://causal/cqox", "endpoint": "https://objects.example.com"},
            },
        },
    ),
    "placed": merged(
        LEAST,
        {
            "fullnameOverride": "answers",
            "labels": {"team": "causal"},
            "imagePullSecrets": [{"name": "registry"}],
            "networkPolicy": {"enabled": False},
            "storage": {"existingClaim": "data"},
            "gateway": {
                "settings": {"CQOX_REQUESTS_PER_MINUTE": "60"},
                "serviceAnnotations": {"example.com/a": "b"},
                "podAnnotations": {"example.com/c": "d"},
                "priorityClassName": "high",
            },
            "engine": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "batch", "operator": "Exists"}]},
        },
    ),
    "istio": merged(LEAST, _STORES, _MONITORED, _CLIENTS, {"mesh": "istio"}),
    "istio-oidc-canary": merged(
        LEAST,
        _OIDC,
        _STORES,
        _CLIENTS,
        {
            "mesh": "istio",
            "hosts": ["cqox.example.com"],
            "meshed": {"canary": {"service": "cqox-canary-gateway", "percent": 10}},
            "istio": {
                "gateways": ["istio-ingress/web"],
                "mirrorPercent": 5,
                "requestAuthentication": True,
                "jwksUri": "https://id.example.com/jwks",
                "tracingProvider": "otel",
            },
        },
    ),
    "istio-is-canary": merged(
        LEAST,
        _STORES,
        _CLIENTS,
        {"mesh": "istio", "meshed": {"canaryOf": "cqox-gateway"}, "hosts": ["cqox.example.com"]},
    ),
    "linkerd": merged(
        LEAST,
        _LOGIN,
        _STORES,
        _MONITORED,
        _KEY,
        _CLIENTS,
        {
            "mesh": "linkerd",
            "meshed": {"canary": {"service": "cqox-canary-gateway", "percent": 10}},
            "linkerd": {"requestsPerSecond": 200, "requestsPerSecondOfOne": 20},
        },
    ),
    "chaos": merged(
        LEAST, _STORES, {"chaos": {"enabled": True, "experiments": ["engine-killed", "gateway-to-engine-503"]}}
    ),
}
"""Values by name; together they switch on every object of the chart."""


@cache
def _chart() -> Chart:
    return Chart.load(CHART)


def texts(values: Mapping[str, object], *, name: str = "cqox", namespace: str = "cqox") -> dict[str, str]:
    """Return the text of each template, by its path."""
    return _chart().render(dict(values), name=name, namespace=namespace)


def render(values: Mapping[str, object], *, name: str = "cqox", namespace: str = "cqox") -> list[dict]:
    """Return the objects of a release."""
    rendered = texts(values, name=name, namespace=namespace)
    return [
        document
        for path, text in rendered.items()
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


@cache
def rendered(case: str) -> tuple[dict, ...]:
    """Return the objects of one case of `MATRIX`; do not change them."""
    return tuple(render(MATRIX[case]))


def find(documents: object, kind: str, name: str, group: str = "") -> dict:
    """Return the one object of a kind and name; fails where there are none or several."""
    [found] = [
        each
        for each in documents  # type: ignore[attr-defined]
        if each["kind"] == kind and each["metadata"]["name"] == name and each["apiVersion"].startswith(group)
    ]
    return found


def pods(documents: object) -> dict[str, dict]:
    """Return the specification of each pod, by the component that it is labelled with."""
    return {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]["spec"]
        for each in documents  # type: ignore[attr-defined]
        if each["kind"] in {"Deployment", "Job"}
    }


def environment(pod: Mapping[str, object]) -> dict[str, str]:
    """Return the variables of a pod that have a value."""
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"] if "value" in each}  # type: ignore[index]
