"""The objects of the meshes: who may talk to whom, canaries, copies, limits and telemetry."""

import fnmatch

from services.config.hosts import AllowedHosts, parse_authority
from services.gateway.response_contract import EVENTS
from services.http.contract.api import OPERATIONS
from tests.deploy.chart.rendering import MATRIX, environment, find, merged, pods, render, rendered

ISTIO = ("istio", "istio-oidc-canary", "istio-is-canary")


def test_istio_takes_nothing_that_is_not_mutual_tls() -> None:
    for case in ISTIO:
        documents = rendered(case)
        spec = find(documents, "PeerAuthentication", "cqox-mtls")["spec"]
        assert spec["mtls"] == {"mode": "STRICT"}
        for component in ("gateway", "engine"):
            rule = find(documents, "DestinationRule", f"cqox-{component}")["spec"]
            assert rule["host"] == f"cqox-{component}.cqox.svc.cluster.local"
            assert rule["trafficPolicy"]["tls"] == {"mode": "ISTIO_MUTUAL"}


def test_an_engine_admits_the_identity_of_the_gateway_alone() -> None:
    policy = find(rendered("istio-is-canary"), "AuthorizationPolicy", "cqox-engine")["spec"]
    [rule] = policy["rules"]
    assert rule["from"] == [{"source": {"principals": ["cluster.local/ns/cqox/sa/cqox-gateway"]}}]
    assert rule["to"] == [{"operation": {"ports": ["8080"]}}]
    assert pods(rendered("istio-is-canary"))["gateway"]["serviceAccountName"] == "cqox-gateway"
    assert pods(rendered("istio-is-canary"))["engine"]["serviceAccountName"] == "cqox-engine"


def test_prometheus_may_read_metrics_and_nothing_else() -> None:
    for component in ("gateway", "engine"):
        rules = find(rendered("istio"), "AuthorizationPolicy", f"cqox-{component}")["spec"]["rules"]
        assert rules[1] == {
            "from": [{"source": {"principals": ["cluster.local/ns/monitoring/sa/prometheus-k8s"]}}],
            "to": [{"operation": {"methods": ["GET"], "paths": ["/metrics"]}}],
        }
        route = find(rendered("linkerd"), "HTTPRoute", f"cqox-{component}-metrics", "policy.linkerd.io")["spec"]
        assert route["rules"] == [{"matches": [{"method": "GET", "path": {"type": "Exact", "value": "/metrics"}}]}]
        assert "/metrics" in {one.path for one in OPERATIONS}


def test_pods_without_a_policy_of_their_own_admit_nobody() -> None:
    spec = find(rendered("istio"), "AuthorizationPolicy", "cqox-deny")["spec"]
    assert spec["action"] == "ALLOW"
    assert "rules" not in spec
    for each in rendered("linkerd"):
        if each["kind"] == "Server":
            assert each["spec"]["accessPolicy"] == "deny"


def test_in_linkerd_an_engine_admits_the_account_of_the_gateway_and_probes_their_two_paths() -> None:
    documents = rendered("linkerd")
    clients = find(documents, "MeshTLSAuthentication", "cqox-engine-clients")["spec"]
    assert clients == {"identityRefs": [{"kind": "ServiceAccount", "name": "cqox-gateway", "namespace": "cqox"}]}
    gateway = find(documents, "MeshTLSAuthentication", "cqox-gateway-clients")["spec"]
    assert gateway == {"identityRefs": [{"kind": "ServiceAccount", "name": "edge", "namespace": "ingress"}]}
    for component in ("gateway", "engine"):
        route = find(documents, "HTTPRoute", f"cqox-{component}-probes", "policy.linkerd.io")["spec"]
        probed = {match["path"]["value"] for match in route["rules"][0]["matches"]}
        [container] = pods(documents)[component]["containers"]
        assert probed == {
            container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }


def test_what_no_identity_is_asked_for_is_the_probes_alone() -> None:
    open_routes = {
        each["spec"]["targetRef"]["name"]
        for each in rendered("linkerd")
        if each["kind"] == "AuthorizationPolicy"
        and each["spec"]["requiredAuthenticationRefs"][0]["kind"] == "NetworkAuthentication"
    }
    assert open_routes == {"cqox-gateway-probes", "cqox-engine-probes"}


def test_a_canary_gets_its_share_of_all_routes() -> None:
    [*istio] = find(rendered("istio-oidc-canary"), "VirtualService", "cqox-gateway")["spec"]["http"]
    assert len(istio) == 2
    for route in istio:
        assert [(one["destination"]["host"].partition(".")[0], one["weight"]) for one in route["route"]] == [
            ("cqox-gateway", 90),
            ("cqox-canary-gateway", 10),
        ]
    canary = {"meshed": {"canary": {"service": "cqox-canary-gateway", "percent": 10}}}
    route = find(render(merged(MATRIX["route"], canary)), "HTTPRoute", "cqox-gateway")["spec"]["rules"]
    for rule in [*route, *find(rendered("linkerd"), "HTTPRoute", "cqox-gateway", "policy.linkerd.io")["spec"]["rules"]]:
        assert [(one["name"], one["weight"]) for one in rule["backendRefs"]] == [
            ("cqox-gateway", 90),
            ("cqox-canary-gateway", 10),
        ]


def test_a_canary_answers_to_the_names_of_what_it_is_the_canary_of_also_for_copies() -> None:
    main, canary = rendered("istio-oidc-canary"), render(MATRIX["istio-is-canary"], name="cqox-canary")
    route = find(main, "VirtualService", "cqox-gateway")["spec"]
    assert route["http"][0]["mirror"]["host"].partition(".")[0] == "cqox-canary-gateway"
    assert find(canary, "Service", "cqox-canary-gateway")

    def answers(documents: object, host: str) -> bool:
        allowed = AllowedHosts(environment(pods(documents)["gateway"])["CQOX_ALLOWED_HOSTS"])
        authority = parse_authority(f"{host}:8082".encode())
        return authority is not None and allowed.answers_to(authority)

    for host in [*route["hosts"], "cqox-gateway", "cqox-gateway.cqox"]:
        assert answers(canary, host), host
        # Envoy adds this to the host of a request that it mirrors.
        assert answers(canary, f"{host}-shadow"), host
    assert not answers(main, "cqox-gateway-shadow")


def test_public_names_belong_to_one_release() -> None:
    main = find(rendered("istio-oidc-canary"), "VirtualService", "cqox-gateway")["spec"]
    assert main["hosts"][1:] == ["cqox.example.com"]
    assert main["gateways"] == ["mesh", "istio-ingress/web"]
    canary = find(rendered("istio-is-canary"), "VirtualService", "cqox-gateway")["spec"]
    assert canary["hosts"] == ["cqox-gateway.cqox.svc.cluster.local"]
    assert canary["gateways"] == ["mesh"]


def test_every_stream_of_events_is_one_that_no_route_ends() -> None:
    streams = [one for one in OPERATIONS if any(EVENTS in answer.media for answer in one.answers)]
    jobs = [one.path for one in streams if one.path.endswith("/events")]
    assert jobs == ["/api/jobs/{job_id}/events"]
    # The others stream where the client accepts events.
    for case, kind, group in (
        ("istio", "VirtualService", ""),
        ("linkerd", "HTTPRoute", "policy"),
        ("route", "HTTPRoute", ""),
    ):
        text = str(find(rendered(case), kind, "cqox-gateway", group)["spec"])
        assert "/api/jobs/[^/]+/events" in text
        assert EVENTS in text
    assert fnmatch.fnmatch("text/event-stream, application/json", f"*{EVENTS}*")


def test_tokens_are_verified_by_the_sidecar_as_by_the_gateway() -> None:
    [rule] = find(rendered("istio-oidc-canary"), "RequestAuthentication", "cqox-gateway")["spec"]["jwtRules"]
    values = environment(pods(rendered("istio-oidc-canary"))["gateway"])
    assert rule["issuer"] == values["CQOX_OIDC_ISSUER"]
    assert rule["audiences"] == [values["CQOX_OIDC_AUDIENCE"]]
    assert rule["forwardOriginalToken"] is True
    assert "RequestAuthentication" not in {each["kind"] for each in rendered("istio")}


def test_requests_are_limited_only_where_a_number_is_given() -> None:
    spec = find(rendered("linkerd"), "HTTPLocalRateLimitPolicy", "cqox-gateway")["spec"]
    assert (spec["total"], spec["identity"]) == ({"requestsPerSecond": 200}, {"requestsPerSecond": 20})
    without = merged(MATRIX["linkerd"], {"linkerd": {"requestsPerSecond": 0, "requestsPerSecondOfOne": 0}})
    assert "HTTPLocalRateLimitPolicy" not in {each["kind"] for each in render(without)}


def test_the_proxy_outlives_the_drain_of_the_service() -> None:
    wanted = {
        "istio": ("sidecar.istio.io/nativeSidecar", "true"),
        "linkerd": ("config.beta.linkerd.io/proxy-enable-native-sidecar", "true"),
    }
    for case, (name, value) in wanted.items():
        templates = [each["spec"]["template"] for each in rendered(case) if each["kind"] in {"Deployment", "Job"}]
        assert len(templates) == 3
        for template in templates:
            assert template["metadata"]["annotations"][name] == value


def test_traces_go_where_they_are_sent_and_nowhere_by_default() -> None:
    given = find(rendered("istio-oidc-canary"), "Telemetry", "cqox-telemetry")["spec"]["tracing"]
    assert given == [{"providers": [{"name": "otel"}], "randomSamplingPercentage": 10}]
    assert find(rendered("istio"), "Telemetry", "cqox-telemetry")["spec"]["tracing"] == [{"disableSpanReporting": True}]
