"""Values that are wrong, or do not go together, are refused with a sentence that names them."""

import json
import re

import jsonschema
import pytest
import yaml
from helm_python.errors import HelmError

from tests.deploy.chart.rendering import CHART, LEAST, MATRIX, ROOT, merged, render

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
_STORES, _CLIENTS = MATRIX["stores"], {"meshed": {"clients": [{"namespace": "a", "serviceAccount": "b"}]}}


def refusal(values: dict, **release: str) -> str:
    with pytest.raises(HelmError) as caught:
        render(values, **release)
    return str(caught.value)


def test_the_schema_is_one_and_the_values_are_of_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_knows_exactly_the_values() -> None:
    def keys(value: object, schema: dict, path: str) -> None:
        while "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
        if "properties" in schema and isinstance(value, dict):
            assert schema["additionalProperties"] is False, path
            assert set(value) == set(schema["properties"]) - {"global"}, path
            for name, inner in value.items():
                keys(inner, schema["properties"][name], f"{path}.{name}")

    keys(VALUES, SCHEMA, "values")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gatway": {}}, "gatway"),
        ({"engine": {"replica": 2}}, "replica"),
        ({"engine": {"image": {"digest": "latest"}}}, "/engine/image/digest"),
        ({"engine": {"replicas": 0}}, "/engine/replicas"),
        ({"engine": {"replicas": "two"}}, "/engine/replicas"),
        ({"engine": {"resources": {"limits": {"cpu": "fast"}}}}, "/engine/resources/limits/cpu"),
        ({"engine": {"settings": {"PATH": "/"}}}, "PATH"),
        ({"engine": {"settings": {"CQOX_MAX_ROWS": 5}}}, "/engine/settings/CQOX_MAX_ROWS"),
        ({"engine": {"autoscaling": {"by": "cpu"}}}, "/engine/autoscaling/by"),
        ({"auth": {"mode": "local"}}, "/auth/mode"),
        ({"mesh": "consul"}, "/mesh"),
        ({"secrets": {"postgresUrl": {"value": "postgresql://u:p@h/d"}}}, "value"),
        ({"secrets": {"postgresUrl": "postgresql://u:p@h/d"}}, "/secrets/postgresUrl"),
        ({"vault": {"address": "http://vault:8200"}}, "/vault/address"),
        ({"networkPolicy": {"clients": []}}, "/networkPolicy/clients"),
        ({"networkPolicy": {"clients": [{"podSelectors": {}}]}}, "podSelectors"),
        ({"meshed": {"canary": {"percent": 101}}}, "/meshed/canary/percent"),
        ({"hosts": ["https://cqox.example.com/"]}, "/hosts/0"),
        ({"preStopSeconds": 0}, "/preStopSeconds"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(change: dict, named: str) -> None:
    assert named in refusal(merged(LEAST, change))


_TOGETHER = [
    ({"auth": {"mode": ""}}, "auth.mode: say who may use the gateway"),
    ({"gateway": {"image": {"digest": ""}}}, "gateway.image.digest: name the image by its digest"),
    ({"engine": {"image": {"digest": ""}}}, "engine.image.digest: name the image by its digest"),
    ({"hosts": ["a.b"], "ingress": {"enabled": True}}, "auth.mode: open lets everybody in"),
    ({"auth": {"mode": "keys"}, "encryption": {"keys": "none"}}, "secrets.hopKey.name: with keys or oidc"),
    ({"auth": {"mode": "keys"}, "secrets": {"hopKey": {"name": "hop"}}}, "encryption.keys: with keys or oidc"),
    (
        {"auth": {"mode": "oidc"}, "secrets": {"hopKey": {"name": "hop"}}, "encryption": {"keys": "none"}},
        "auth.oidc: oidc needs issuer and audience",
    ),
    ({"encryption": {"keys": "vault"}}, "vault.address: encryption.keys is vault"),
    ({"engine": {"replicas": 2}}, "storage.accessMode: several engines share one data directory"),
    ({"engine": {"autoscaling": {"by": "hpa"}}}, "storage.accessMode: several engines share one data directory"),
    (
        {"engine": {"replicas": 2}, "storage": {"accessMode": "ReadWriteMany"}},
        "secrets.postgresUrl.name: several engines need PostgreSQL",
    ),
    (
        {"storage": {"objectStore": {"url": "s3://causal"}}},
        "secrets.postgresUrl.name: an object store has no locks",
    ),
    (
        merged(_STORES, {"storage": {"objectStore": {"url": "s3://causal"}}, "encryption": {"keys": "file"}}),
        "encryption.keys: with an object store no file of keys is common",
    ),
    (
        merged(MATRIX["objects"], {"storage": {"existingClaim": "data"}}),
        "storage.existingClaim: with an object store engines have no volume",
    ),
    (
        {"secrets": {"objectStoreAccessKey": {"name": "s3"}}},
        "secrets.objectStoreAccessKey: it belongs to secrets.objectStoreSecretKey",
    ),
    ({"tls": {"enabled": True}}, "tls: name the Secrets"),
    (
        {"engine": {"settings": {"CQOX_VAULT_DATABASE_ROLE": "cqox"}}},
        "secrets.migrationPostgresUrl.name: the migration has no login at the vault",
    ),
    (
        {"tls": {"enabled": True, "gatewaySecret": "a", "engineSecret": "b"}, "mesh": "istio", **_CLIENTS},
        "tls.enabled: the mesh encrypts and identifies already",
    ),
    (
        {"httpRoute": {"enabled": True}, **MATRIX["route"], "hosts": []},
        "hosts: an Ingress or HTTPRoute needs the names",
    ),
    (
        merged(MATRIX["route"], {"httpRoute": {"parents": []}}),
        "httpRoute.parents: name the Gateways that the route belongs to",
    ),
    ({"mesh": "linkerd"}, "meshed.clients: in a mesh the gateway answers to identities alone"),
    ({"meshed": {"canary": {"percent": 5}}}, "meshed.canary.service: a share of the requests needs the Service"),
    ({"meshed": {"canary": {"service": "b"}}}, "meshed.canary.service: requests are divided by a mesh or an HTTPRoute"),
    ({"istio": {"mirrorPercent": 5}}, "istio.mirrorPercent: copies of requests need mesh: istio"),
    ({"istio": {"requestAuthentication": True}}, "istio.requestAuthentication: it needs auth.mode oidc"),
    (
        merged(_STORES, {"monitoring": {"serviceMonitor": True}}),
        "monitoring.credentials.name: with keys or oidc the metrics need an API key",
    ),
    (
        {"gateway": {"autoscaling": {"min": 7}}},
        "autoscaling: min is larger than max",
    ),
    ({"chaos": {"enabled": True}}, "chaos.experiments: name the experiments to schedule"),
    ({"chaos": {"enabled": True, "experiments": ["nothing"]}}, 'there is no experiment "nothing"'),
    (
        {"engine": {"settings": {"CQOX_DRAIN_SECONDS": "3"}}},
        "engine.settings: CQOX_DRAIN_SECONDS is set by the chart already",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), _TOGETHER, ids=[sentence[:40] for _, sentence in _TOGETHER])
def test_values_that_do_not_go_together_are_refused_with_a_sentence(change: dict, sentence: str) -> None:
    assert sentence in refusal(merged(LEAST, change))


def test_schedules_of_chaos_mesh_are_for_one_namespace() -> None:
    values = merged(LEAST, {"chaos": {"enabled": True, "experiments": ["engine-killed"]}})
    assert "chaos.enabled: the schedules are rendered for release and namespace cqox" in refusal(
        values, namespace="blue"
    )


def test_every_sentence_of_the_chart_is_said_in_these_tests() -> None:
    said = [sentence for _, sentence in _TOGETHER] + ["chaos.enabled: the schedules are rendered"]
    checks = (CHART / "templates" / "checks.yaml").read_text(encoding="utf-8")
    written = re.findall(r'include "cqox\.no" (?:\(printf )?"([^"]+)"', checks)
    assert len(written) == checks.count('include "cqox.no"')
    unsaid = [
        each
        for each in written
        if not any(each.removeprefix("%s").startswith(one.removeprefix("engine")) for one in said)
    ]
    assert not unsaid


def test_every_value_is_one_that_a_template_reads() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir())

    def unread(value: object, path: str) -> list[str]:
        if isinstance(value, dict) and value and not path.endswith(".resources"):
            return [one for key, inner in value.items() for one in unread(inner, f"{path}.{key}")]
        name = path.rpartition(".")[2]
        return (
            []
            if re.search(rf"\.{name}\b|\"%s{name.removeprefix('gateway').removeprefix('engine')}\"", templates)
            else [path]
        )

    assert unread(VALUES, "values") == []


def test_the_version_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert chart["version"] == chart["appVersion"] == version
