"""Routes of Envoy have the shares, copies, time-outs and retries of the VirtualService."""

import copy

from deploy.mesh import Objects
from deploy.mesh.routes import route_configuration
from tests.deploy.chart.rendering import find, rendered

MAIN = Objects(rendered("istio-oidc-canary"))
HOSTS = ["cqox-gateway.cqox.svc.cluster.local", "cqox-canary-gateway.cqox.svc.cluster.local"]


def actions(objects: Objects, component: str = "gateway") -> list[dict]:
    [host] = route_configuration(objects, component)["virtual_hosts"]
    return [each["route"] for each in host["routes"]]


def test_requests_are_divided_and_copied_as_the_values_say() -> None:
    for action in actions(MAIN):
        shares = [(each["name"], each["weight"]) for each in action["weighted_clusters"]["clusters"]]
        assert shares == [(f"outbound|8082||{HOSTS[0]}", 90), (f"outbound|8082||{HOSTS[1]}", 10)]
        [copies] = action["request_mirror_policies"]
        assert copies["cluster"] == f"outbound|8082||{HOSTS[1]}"
        assert copies["runtime_fraction"]["default_value"] == {"numerator": 50_000, "denominator": "MILLION"}


def test_time_outs_are_those_of_the_values_and_streams_have_none() -> None:
    [host] = route_configuration(MAIN, "gateway")["virtual_hosts"]
    assert [each["route"]["timeout"] for each in host["routes"]] == ["0s", "0s", "150s"]
    assert [each["match"] for each in host["routes"]] == [
        {"safe_regex": {"regex": "/api/jobs/[^/]+/events"}},
        {
            "prefix": "/",
            "headers": [{"name": "accept", "string_match": {"safe_regex": {"regex": ".*text/event-stream.*"}}}],
        },
        {"prefix": "/"},
    ]


def test_nothing_is_retried_unless_a_route_says_so_or_says_nothing() -> None:
    assert all("retry_policy" not in action for action in (*actions(MAIN), *actions(MAIN, "engine")))
    documents = copy.deepcopy(list(rendered("istio-oidc-canary")))
    [route] = find(documents, "VirtualService", "cqox-engine")["spec"]["http"]
    route["retries"]["attempts"] = 3
    [action] = actions(Objects(documents), "engine")
    assert action["retry_policy"]["num_retries"] == 3
    del route["retries"]
    [action] = actions(Objects(documents), "engine")
    assert action["retry_policy"]["num_retries"] == 2
    assert action["retry_policy"]["retriable_status_codes"] == [503]


def test_a_service_is_found_by_each_of_its_names() -> None:
    made = route_configuration(MAIN, "gateway")
    [host] = made["virtual_hosts"]
    assert host["domains"] == ["cqox-gateway", "cqox-gateway.cqox", "cqox-gateway.cqox.svc", HOSTS[0]]
    assert made["ignore_port_in_host_matching"] is True
    # Each request says which attempt of a sidecar it is.
    assert host["include_request_attempt_count"] is True
