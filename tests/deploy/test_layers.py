"""Exactly one layer retries, times out and ejects: what the chart renders and the services do, against the table."""

import copy
import math
import re
from collections.abc import Sequence

import pytest

from cqox.resilience import Retry
from deploy.layers import CONCERNS, HOPS, Concern, Hop, Layer, Mesh
from services.config.settings import Settings
from services.gateway import engine_client, replica
from services.gateway.policies import READ_SECONDS, EnginePolicies
from services.gateway.replicas import Replicas
from services.http.server.serving import KEEP_ALIVE_SECONDS
from tests.deploy.chart.rendering import MATRIX, find, rendered

CASES: dict[str, Mesh] = {
    "stores": "none",
    "route": "none",
    "istio": "istio",
    "istio-oidc-canary": "istio",
    "istio-is-canary": "istio",
    "linkerd": "linkerd",
}
BETWEEN = [hop for hop in HOPS if hop.asked in {"gateway", "engine"}]


def seconds(duration: str) -> float:
    """A time-out of a route, where 0 is none."""
    value = float(duration.removesuffix("s"))
    return value or math.inf


def routes_to(documents: Sequence[dict], asked: str) -> list[dict]:
    """The rules of every object that sends requests to a part."""
    name = f"cqox-{asked}"
    found = []
    for each in documents:
        spec = each.get("spec", {})
        if each["kind"] == "VirtualService" and spec["hosts"][0].startswith(name):
            found += spec["http"]
        elif each["kind"] == "HTTPRoute" and any("backendRefs" in rule for rule in spec["rules"]):
            found += [rule for rule in spec["rules"] if rule["backendRefs"][0]["name"] == name]
    return found


def annotations_of(documents: Sequence[dict], asked: str) -> str:
    return str(find(documents, "Service", f"cqox-{asked}")["metadata"].get("annotations", {}))


def mesh_retries(documents: Sequence[dict], mesh: Mesh, asked: str) -> bool:
    rules = routes_to(documents, asked)
    if mesh == "istio":
        # Its default is two retries, also where no object says anything.
        return not rules or any(rule.get("retries", {}).get("attempts", 2) != 0 for rule in rules)
    return any("retry" in rule for rule in rules) or "retry." in annotations_of(documents, asked)


def mesh_times_out(documents: Sequence[dict], asked: str, limit: float) -> bool:
    """Return whether a route ends what our deadline has not ended yet."""
    for rule in routes_to(documents, asked):
        given = rule.get("timeouts", {})
        bound = min(seconds(rule.get("timeout", "0s")), *(seconds(one) for one in given.values()), math.inf)
        events = "event" in str(rule.get("match", rule.get("matches", "")))
        if bound < math.inf and (events or bound <= limit):
            return True
    return "timeout." in annotations_of(documents, asked)


def mesh_ejects(documents: Sequence[dict], asked: str) -> bool:
    for each in documents:
        if each["kind"] == "DestinationRule" and each["spec"]["host"].startswith(f"cqox-{asked}"):
            policy = each["spec"]["trafficPolicy"]["outlierDetection"]
            return any(value for name, value in policy.items() if name.startswith("consecutive"))
    return "failure-accrual" in annotations_of(documents, asked)


def active(documents: Sequence[dict], mesh: Mesh, hop: Hop, concern: Concern) -> set[Layer]:
    """Every layer that does it, from what is rendered and from the policies of the services."""
    policies = EnginePolicies(Replicas())._policies
    found: set[Layer] = set()
    if concern == "retries":
        if mesh_retries(documents, mesh, hop.asked):
            found.add("mesh")
        if hop.asked == "engine" and any(isinstance(part, Retry) for policy in policies for part in policy.parts):
            found.add("gateway")
        if hop.asking == "client":
            found.add("client")
    elif concern == "times out":
        limit = max(Settings().analysis_seconds, READ_SECONDS)
        found.add("gateway")
        if mesh_times_out(documents, hop.asked, limit if hop.asked == "gateway" else math.inf):
            found.add("mesh")
    else:
        if mesh_ejects(documents, hop.asked):
            found.add("mesh")
        elif hop.asked == "gateway":
            # Of a Service with an address, Kubernetes takes pods away that are not ready.
            assert find(documents, "Service", "cqox-gateway")["spec"].get("clusterIP") != "None"
            found.add("kubernetes")
        if hop.asked == "engine":
            assert find(documents, "Service", "cqox-engine")["spec"]["clusterIP"] == "None"
            found.add("gateway")
    return found


@pytest.mark.parametrize("concern", CONCERNS)
@pytest.mark.parametrize("hop", BETWEEN, ids=[f"{hop.asking} to {hop.asked}" for hop in BETWEEN])
@pytest.mark.parametrize("case", CASES)
def test_exactly_the_layer_of_the_table_does_it(case: str, hop: Hop, concern: Concern) -> None:
    rule = hop.rules[CONCERNS.index(concern)]
    assert active(rendered(case), CASES[case], hop, concern) == {rule.decides(CASES[case])}


def changed(case: str, kind: str, name: str, change: dict) -> list[dict]:
    documents = copy.deepcopy(list(rendered(case)))
    group = "policy" if kind == "HTTPRoute" and case == "linkerd" else ""
    spec = find(documents, kind, name, group)["spec"]
    for target in spec.get("http") or spec.get("rules") or [spec["trafficPolicy"]]:
        target.update(change)
    return documents


@pytest.mark.parametrize(
    ("case", "kind", "asked", "change", "concern"),
    [
        ("istio", "VirtualService", "gateway", {"retries": {"attempts": 2}}, "retries"),
        ("istio", "VirtualService", "engine", {"retries": {"attempts": 2}}, "retries"),
        ("istio", "VirtualService", "gateway", {"timeout": "60s"}, "times out"),
        ("istio", "VirtualService", "gateway", {"timeout": "120s"}, "times out"),
        ("istio", "VirtualService", "engine", {"timeout": "600s"}, "times out"),
        ("istio", "DestinationRule", "engine", {"outlierDetection": {"consecutive5xxErrors": 5}}, "ejects"),
        ("linkerd", "HTTPRoute", "gateway", {"timeouts": {"request": "30s"}}, "times out"),
        ("linkerd", "HTTPRoute", "gateway", {"retry": {"attempts": 1}}, "retries"),
        ("route", "HTTPRoute", "gateway", {"timeouts": {"request": "150s"}}, "times out"),
    ],
)
def test_a_second_layer_is_seen(case: str, kind: str, asked: str, change: dict, concern: Concern) -> None:
    [hop] = [hop for hop in BETWEEN if hop.asked == asked]
    documents = changed(case, kind, f"cqox-{asked}", change)
    found = active(documents, CASES[case], hop, concern)
    assert "mesh" in found
    assert len(found) == 2


def test_a_service_profile_of_ejection_is_seen() -> None:
    documents = copy.deepcopy(list(rendered("linkerd")))
    service = find(documents, "Service", "cqox-engine")
    service["metadata"]["annotations"] = {"balancer.linkerd.io/failure-accrual": "consecutive"}
    assert active(documents, "linkerd", BETWEEN[1], "ejects") == {"mesh", "gateway"}


def test_what_the_sidecar_ejects_for_is_no_answer_of_a_gateway() -> None:
    policy = find(rendered("istio"), "DestinationRule", "cqox-gateway")["spec"]["trafficPolicy"]["outlierDetection"]
    assert policy["splitExternalLocalOriginErrors"] is True
    assert (policy["consecutive5xxErrors"], policy["consecutiveGatewayErrors"]) == (0, 0)
    assert policy["maxEjectionPercent"] <= 50
    rule = BETWEEN[0].rules[2].en
    assert (
        f"after {policy['consecutiveLocalOriginFailures']} failed connections for {policy['baseEjectionTime'][:-1]} s"
        in rule
    )


def test_sidecars_connect_and_let_go_as_the_gateway_does() -> None:
    for asked in ("gateway", "engine"):
        pool = find(rendered("istio"), "DestinationRule", f"cqox-{asked}")["spec"]["trafficPolicy"]["connectionPool"]
        assert seconds(pool["tcp"]["connectTimeout"]) == engine_client._CONNECT_SECONDS
        idle = seconds(pool["http"]["idleTimeout"])
        assert idle == engine_client._KEEP_ALIVE_SECONDS
        assert idle < KEEP_ALIVE_SECONDS


def test_the_numbers_of_the_table_are_those_of_the_policies() -> None:
    explained = {policy.name: policy.explain() for policy in EnginePolicies(Replicas())._policies}
    attempts = {
        name: int(found[1]) if (found := re.search(r"retry: up to (\d+) attempts", text)) else 1
        for name, text in explained.items()
    }
    assert attempts.pop("_call_engine_upload") == 1
    [most] = set(attempts.values())
    retries, _, ejects = (rule.en for rule in BETWEEN[1].rules)
    assert f"up to {most} attempts" in retries
    circuits = {
        re.search(r"opens at (\d+) failures in a row, probes after (\d+) s", text).groups()
        for text in explained.values()
    }
    [(failures, pause)] = circuits
    assert f"after {failures} failed requests for {pause} s" in ejects
    assert f"after {replica._FAILURES_TO_EJECT} failed attempts for {replica._EJECTED_SECONDS:g} s" in ejects
    ours = BETWEEN[0].rules[1].en
    assert f"{Settings().analysis_seconds:g} s for an analysis" in ours
    assert f"{READ_SECONDS:g} s for other requests" in ours


def test_both_languages_have_the_same_numbers() -> None:
    for hop in HOPS:
        for rule in hop.rules:
            assert sorted(re.findall(r"\d+", rule.en)) == sorted(re.findall(r"\d+", rule.ja)), rule.en


def test_time_outs_follow_the_deadline_of_the_values() -> None:
    assert MATRIX["istio"].get("analysisSeconds") is None
    routes = routes_to(rendered("istio"), "gateway")
    assert [rule["timeout"] for rule in routes] == ["0s", f"{Settings().analysis_seconds + 30:g}s"]
