"""Objects that are read have the numbers, names and identities that the chart renders for its values."""

import copy
from collections.abc import Callable

import pytest

from deploy.mesh import Destination, Ejection, Objects, Rule, UnknownField
from tests.deploy.chart.rendering import MATRIX, find, merged, render, rendered

HOST = "cqox-gateway.cqox.svc.cluster.local"


def changed(change: Callable[[list[dict]], object], case: str = "istio") -> Objects:
    documents = copy.deepcopy(list(rendered(case)))
    change(documents)
    return Objects(documents)


def spec_of(documents: list[dict], kind: str, name: str = "cqox-gateway") -> dict:
    return find(documents, kind, name)["spec"]


def test_identities_are_those_of_the_service_accounts() -> None:
    objects = Objects(rendered("istio"))
    assert objects.identity("gateway") == "spiffe://cluster.local/ns/cqox/sa/cqox-gateway"
    assert objects.identity("engine") == "spiffe://cluster.local/ns/cqox/sa/cqox-engine"
    canary = Objects(render(MATRIX["istio-is-canary"], name="cqox-canary"))
    assert canary.identity("engine") == "spiffe://cluster.local/ns/cqox/sa/cqox-canary-engine"
    other = Objects(render(merged(MATRIX["istio"], {"istio": {"trustDomain": "example.com"}})))
    assert other.identity("engine") == "spiffe://example.com/ns/cqox/sa/cqox-engine"


def test_names_ports_and_kinds_are_those_of_the_services() -> None:
    objects = Objects(rendered("istio"))
    assert (objects.host("gateway"), objects.port("gateway")) == (HOST, 8082)
    assert objects.port("engine") == 8080
    assert objects.is_headless("engine")
    assert not objects.is_headless("gateway")


def test_shares_and_copies_are_those_of_the_values() -> None:
    for percent, mirror in ((10, 5), (100, 0)):
        values = {
            "meshed": {"canary": {"service": "cqox-canary-gateway", "percent": percent}},
            "istio": {"mirrorPercent": mirror},
        }
        routes = Objects(render(merged(MATRIX["istio"], values))).routes("gateway")
        assert len(routes) == 3
        for route in routes:
            assert [each.weight for each in route.destinations] == [100 - percent, percent]
            assert route.mirror_percent == mirror
            canary = Destination(host="cqox-canary-gateway.cqox.svc.cluster.local", port=8082)
            assert route.mirror == (canary if mirror else None)


def test_time_outs_and_retries_are_those_of_the_values() -> None:
    routes = Objects(render(merged(MATRIX["istio"], {"analysisSeconds": 200}))).routes("gateway")
    assert [(route.path, route.seconds) for route in routes] == [("/api/jobs/[^/]+/events", 0), ("", 0), ("", 230)]
    assert routes[1].header == ("accept", ".*text/event-stream.*")
    assert {route.retries for route in routes} == {0}
    [engine] = Objects(rendered("istio")).routes("engine")
    assert (engine.retries, engine.seconds) == (0, 0)


def test_a_route_that_says_nothing_has_the_retries_of_istio() -> None:
    objects = changed(lambda documents: spec_of(documents, "VirtualService", "cqox-engine")["http"][0].pop("retries"))
    [route] = objects.routes("engine")
    assert route.retries == 2


def test_ejection_is_that_of_the_rules() -> None:
    objects = Objects(rendered("istio"))
    assert objects.ejection("gateway") == Ejection(
        local=5, gateway_errors=0, server_errors=0, split=True, interval=5, base=10, most_percent=50
    )
    engine = objects.ejection("engine")
    assert (engine.local, engine.gateway_errors, engine.server_errors) == (0, 0, 0)


def test_admission_is_that_of_the_policies() -> None:
    objects = Objects(rendered("istio"))
    clients, metrics = objects.rules("gateway")
    assert clients == Rule(principals=("cluster.local/ns/ingress/sa/edge",), ports=(8082,))
    assert metrics.paths == ("/metrics",)
    assert objects.rules("engine")[0].principals == ("cluster.local/ns/cqox/sa/cqox-gateway",)
    assert objects.demands_identity()


@pytest.mark.parametrize(
    "change",
    [
        lambda documents: spec_of(documents, "VirtualService")["http"][0].update(fault={}),
        lambda documents: spec_of(documents, "VirtualService")["http"][0]["retries"].update(retryOn="5xx"),
        lambda documents: spec_of(documents, "VirtualService")["http"][1].update(timeout="1h30m"),
        lambda documents: spec_of(documents, "DestinationRule")["trafficPolicy"].update(loadBalancer={}),
        lambda documents: spec_of(documents, "DestinationRule")["trafficPolicy"].update(tls={"mode": "DISABLE"}),
        lambda documents: spec_of(documents, "DestinationRule")["trafficPolicy"]["outlierDetection"].update(
            minHealthPercent=1
        ),
        lambda documents: spec_of(documents, "AuthorizationPolicy").update(action="DENY"),
        lambda documents: spec_of(documents, "AuthorizationPolicy")["rules"][0].update(when=[]),
    ],
)
def test_a_field_that_is_not_translated_is_refused(change: Callable[[list[dict]], object]) -> None:
    objects = changed(change)
    with pytest.raises(UnknownField):
        objects.routes("gateway"), objects.ejection("gateway"), objects.rules("gateway")
