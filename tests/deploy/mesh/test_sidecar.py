"""The files of a sidecar have the numbers of the chart."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.mesh import Inbound, Objects, Outbound, Sidecar, UnknownField
from tests.deploy.chart.rendering import MATRIX, render, rendered

FOLDER, CERTIFICATES = Path("/run/sidecar"), Path("/run/certificates")
MAIN = Objects(rendered("istio-oidc-canary"))
CANARY = Objects(render(MATRIX["istio-is-canary"], name="cqox-canary"))
HOSTS = ["cqox-gateway.cqox.svc.cluster.local", "cqox-canary-gateway.cqox.svc.cluster.local"]


def made(**parts: Any) -> dict[str, Any]:
    given = {"folder": FOLDER, "name": "pod", "address": "198.18.0.2", "certificates": CERTIFICATES}
    sidecar = Sidecar(**given, releases=(MAIN, CANARY), **parts)
    return {name: json.loads(text) for name, text in sidecar.files({HOSTS[0]: ["198.18.0.3"]}).items()}


def of_client() -> dict[str, Any]:
    return made(outbound=[Outbound(objects=MAIN, component="gateway")])


def of_gateway() -> dict[str, Any]:
    inbound = Inbound(objects=MAIN, component="gateway", service_port=8082)
    return made(inbound=inbound, outbound=[Outbound(objects=MAIN, component="engine")])


def clusters(files: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in files["clusters.json"]["resources"]}


def listeners(files: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in files["bootstrap.json"]["static_resources"]["listeners"]}


def test_both_sides_demand_the_identity_of_the_other() -> None:
    for host, account in zip(HOSTS, ("cqox-gateway", "cqox-canary-gateway"), strict=True):
        tls = clusters(of_client())[f"outbound|8082||{host}"]["transport_socket"]["typed_config"]["common_tls_context"]
        [name] = tls["validation_context"]["match_typed_subject_alt_names"]
        assert name == {"san_type": "URI", "matcher": {"exact": f"spiffe://cluster.local/ns/cqox/sa/{account}"}}
    [chain] = listeners(of_gateway())["inbound"]["filter_chains"]
    tls = chain["transport_socket"]["typed_config"]
    assert tls["require_client_certificate"] is True
    [name] = tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert name == {"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/"}}
    filters = chain["filters"][0]["typed_config"]["http_filters"]
    [policy] = filters[0]["typed_config"]["rules"]["policies"].values()
    assert policy["principals"] == [
        {"authenticated": {"principal_name": {"exact": "spiffe://cluster.local/ns/ingress/sa/edge"}}}
    ]
    assert filters[-1]["name"] == "router"


def test_what_a_gateway_sends_is_taken_by_the_address_that_it_was_sent_to() -> None:
    assert listeners(of_gateway())["outbound-8080"]["transparent"] is True
    assert "routes-engine.json" in of_gateway()


def test_addresses_are_those_that_are_given() -> None:
    files = of_client()
    [found] = files[f"{HOSTS[0]}.json"]["resources"]
    assert found["endpoints"][0]["lb_endpoints"] == [
        {"endpoint": {"address": {"socket_address": {"address": "198.18.0.3", "port_value": 8082}}}}
    ]
    assert files[f"{HOSTS[1]}.json"]["resources"][0]["endpoints"][0]["lb_endpoints"] == []


def test_a_service_of_no_release_is_refused() -> None:
    sidecar = Sidecar(
        folder=FOLDER,
        name="pod",
        address="198.18.0.2",
        certificates=CERTIFICATES,
        releases=(MAIN,),
        outbound=[Outbound(objects=MAIN, component="gateway")],
    )
    with pytest.raises(UnknownField, match="cqox-canary-gateway"):
        sidecar.files({})
