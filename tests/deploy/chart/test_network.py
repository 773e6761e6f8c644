"""The network lets through nothing but what the parts need."""

from tests.deploy.chart.rendering import LEAST, MATRIX, find, merged, pods, render, rendered

DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]


def policy(documents: object, name: str) -> dict:
    return find(documents, "NetworkPolicy", f"cqox-{name}", "networking.k8s.io")["spec"]


def ports(rules: list[dict]) -> list[list[object]]:
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_every_pod_is_denied_everything_by_a_policy_without_rules() -> None:
    for case in MATRIX:
        if case == "placed":
            assert not [each for each in rendered(case) if each["kind"] == "NetworkPolicy"]
            continue
        documents = rendered(case)
        deny = policy(documents, "deny")
        assert deny["policyTypes"] == ["Ingress", "Egress"]
        assert not deny.keys() & {"ingress", "egress"}
        for each in documents:
            if each["kind"] in {"Deployment", "Job"}:
                labels = each["spec"]["template"]["metadata"]["labels"]
                assert deny["podSelector"]["matchLabels"].items() <= labels.items()


def test_every_component_has_a_policy_and_every_rule_names_its_ports() -> None:
    for case in MATRIX:
        documents = rendered(case)
        if case == "placed":
            continue
        policies = {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "NetworkPolicy"}
        assert set(policies) == {f"cqox-{component}" for component in [*pods(documents), "deny"]}
        for spec in policies.values():
            assert spec["policyTypes"] == ["Ingress", "Egress"]
            for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
                assert rule["ports"]


def test_only_gateways_of_the_release_reach_an_engine() -> None:
    [rule] = policy(rendered("stores"), "engine")["ingress"]
    [peer] = rule["from"]
    labels = {"app.kubernetes.io/name": "cqox", "app.kubernetes.io/instance": "cqox"}
    assert peer == {"podSelector": {"matchLabels": {**labels, "app.kubernetes.io/component": "gateway"}}}
    assert ports([rule]) == [["http"]]


def test_a_gateway_reaches_engines_and_names_and_nothing_else() -> None:
    rules = policy(rendered("stores"), "gateway")["egress"]
    assert ports(rules) == [[8080], [53, 53]]
    [engines] = rules[0]["to"]
    assert engines["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "engine"
    assert rules[1]["ports"] == DNS


def test_what_is_used_is_open_and_what_is_not_used_is_closed() -> None:
    assert ports(policy(rendered("least"), "engine")["egress"]) == [[53, 53]]
    assert ports(policy(rendered("stores"), "engine")["egress"]) == [[53, 53], [5432], [6379]]
    assert ports(policy(rendered("stores"), "migration")["egress"]) == [[53, 53], [5432]]
    assert ports(policy(rendered("monitored"), "gateway")["egress"]) == [[8080], [53, 53], [4318]]
    assert ports(policy(rendered("oidc"), "gateway")["egress"]) == [[8080], [53, 53], [443]]
    assert ports(policy(rendered("vault"), "engine")["egress"]) == [[53, 53], [8200]]
    assert ports(policy(rendered("istio"), "gateway")["egress"]) == [[8080], [53, 53], [4318], [15012]]
    assert ports(policy(rendered("linkerd"), "gateway")["egress"]) == [
        [8080, 4143],
        [53, 53],
        [4318],
        [8080, 8086, 8090],
    ]


def test_nobody_reaches_a_migration() -> None:
    assert "ingress" not in policy(rendered("stores"), "migration")


def test_prometheus_and_chaos_mesh_come_in_only_where_they_are_used() -> None:
    def namespaces(case: str, component: str) -> list[str]:
        [rule] = policy(rendered(case), component)["ingress"]
        return [
            each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for each in rule["from"]
            if "namespaceSelector" in each
        ]

    for component in ("gateway", "engine"):
        assert namespaces("stores", component) == []
        assert namespaces("monitored", component) == ["monitoring"]
        assert namespaces("chaos", component) == ["chaos-mesh"]


def test_peers_of_the_values_are_the_peers_of_the_policies() -> None:
    peer = {"ipBlock": {"cidr": "10.1.0.0/16"}}
    values = merged(
        MATRIX["stores"],
        {
            "networkPolicy": {
                "postgres": {"to": [peer], "port": 6432},
                "clients": [peer],
                "engineEgress": [{"to": [peer]}],
            }
        },
    )
    documents = render(values)
    assert {"ports": [{"port": 6432, "protocol": "TCP"}], "to": [peer]} in policy(documents, "engine")["egress"]
    assert {"to": [peer]} in policy(documents, "engine")["egress"]
    assert policy(documents, "gateway")["ingress"][0]["from"] == [peer]
    assert policy(render(LEAST), "gateway")["ingress"][0]["from"] == [{"podSelector": {}}]


def test_gateways_behind_a_proxy_do_not_count_connections_by_address() -> None:
    for case in MATRIX:
        [container] = pods(rendered(case))["gateway"]["containers"]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        proxied = case in {"oidc", "route"} or case.startswith(("istio", "linkerd"))
        assert variables.get("CQOX_CONNECTIONS_PER_CLIENT") == ("0" if proxied else None), case
